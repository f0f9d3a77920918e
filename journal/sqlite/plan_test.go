package sqlite

import (
	"strings"
	"testing"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

// TestQueryPlans holds that an index serves every query: no table is read
// from end to end and nothing is sorted, so that no query grows with history.
func TestQueryPlans(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer s.Close()
	queries := map[string]string{
		entryQuery: "", headQuery: "heads_stream", openQuery: "heads_open", lastQuery: "heads_tid", laterQuery: "heads_tid", byIDQuery: "", byKeyQuery: "heads_key",
		updateHeadQuery: "", updateOpenQuery: "", inUseQuery: "heads_site",
		`SELECT coalesce(max(id), 0) FROM entries`: "",
	}
	now := time.Now()
	for _, oldest := range []bool{false, true} {
		for _, since := range []time.Time{{}, now} {
			for _, kind := range []journal.StreamKind{"", journal.TransactionStream, journal.ReportStream, journal.VisitStream, journal.KeptStream, journal.OrphanStream} {
				for _, state := range []string{"", "finished"} {
					tables, _ := listQuery(journal.Query{Site: "shop", Kind: journal.KeptStream, State: state, Since: since, OldestFirst: oldest}, true)
					queries[tables] = "heads_tables"
					for _, c := range []struct{ site, tid, want string }{
						{"shop", "", "heads_site"}, {"", "1001", "heads_tid"}, {"shop", "1001", "heads_tid"},
					} {
						q := journal.Query{
							Site: txn.SiteID(c.site), TID: txn.TID(c.tid),
							Kind: kind, State: state, Since: since, Until: since, OldestFirst: oldest,
						}
						want := c.want
						if kind == journal.ReportStream || kind == journal.OrphanStream || kind == journal.KeptStream {
							want = "" // they have indexes of their own
						}
						text, _ := listQuery(q, c.site != "")
						queries[text] = want
					}
					orphans, _ := listQuery(journal.Query{Kind: journal.OrphanStream, State: state, Since: since, OldestFirst: oldest}, false)
					queries[orphans] = "heads_orphans"
				}
			}
		}
	}
	// An index that holds nothing else, read in its order, is not a table read from
	// end to end; nor are the sites in use, which are found one by one.
	harmless := func(query, detail string) bool {
		return detail == "SCAN heads USING INDEX heads_orphans" && strings.Contains(query, "kind = 'orphan'") ||
			detail == "SCAN heads USING INDEX heads_open" && query == openQuery ||
			detail == "SCAN used" && query == inUseQuery
	}
	for query, index := range queries {
		rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
			if strings.HasPrefix(detail, "SCAN") && !harmless(query, detail) {
				t.Errorf("%s\nreads a whole table: %s", query, detail)
			}
			if strings.Contains(detail, "TEMP B-TREE") || strings.Contains(detail, "AUTOMATIC") {
				t.Errorf("%s\nsorts: %s", query, detail)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if len(plan) == 0 || !strings.Contains(strings.Join(plan, "\n"), index) {
			t.Errorf("%s\nuses %q, want %s", query, plan, index)
		}
	}
}
