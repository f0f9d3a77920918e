package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/site/traffic"
)

// A fakeLedger has one entry and notes what it is asked for.
type fakeLedger struct {
	mu    sync.Mutex
	asked []string
	mark  uint64
	fails bool
	life  Life
}

func (l *fakeLedger) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprintf(format, args...))
}

func (l *fakeLedger) Mark() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mark
}

func (l *fakeLedger) recorded(e Life) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark++
	l.life = e
}

func (l *fakeLedger) Entries(_ context.Context, q LedgerQuery) ([]LedgerEntry, bool, error) {
	l.note("entries %+v", q)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails {
		return nil, false, errors.New("the disk is on fire")
	}
	return []LedgerEntry{l.life.LedgerEntry}, true, nil
}

func (l *fakeLedger) Life(_ context.Context, site, id string) (Life, error) {
	l.note("life %s %s", site, id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if id != l.life.ID {
		return Life{}, ErrNoEntry
	}
	return l.life, nil
}

func (l *fakeLedger) Waiting(_ context.Context, site string) ([]WaitingNotice, error) {
	l.note("waiting %s", site)
	return nil, nil
}

func (l *fakeLedger) Resolve(_ context.Context, site string, r Resolution) error {
	l.note("resolve %s %+v", site, r)
	return nil
}

func (l *fakeLedger) Resend(_ context.Context, site, id string, notice int, by, reason string) (int, error) {
	l.note("resend %s %s %d %s: %s", site, id, notice, by, reason)
	return 2, nil
}

// shopPage is a page of a session that may see the site shop only.
func shopPage(t *testing.T, cfg Config) (*peer, *visitor) {
	t.Helper()
	cfg.House = &fakeHouse{sites: []string{"demo", "shop"}, keys: map[string]Key{"secret": {ID: "kSHOP", Site: "shop"}}}
	_, address := serve(t, cfg)
	v := newVisitor(t, address)
	if status, _, body := v.send(http.MethodPost, "/console/login", address, url.Values{"key": {"secret"}}); status != http.StatusSeeOther {
		t.Fatalf("login: %d %s", status, body)
	}
	return open(t, address, v.cookie(), v.setting("/console/transactions").Token), v
}

// TestSessionSeesItsSite: a session sees its own site's record and traffic, and
// nothing of another one, however it asks.
func TestSessionSeesItsSite(t *testing.T) {
	h, _ := hub(t) // of the sites demo and other
	l := &fakeLedger{life: Life{LedgerEntry: LedgerEntry{ID: "r1", Kind: "transaction"}}}
	p, v := shopPage(t, Config{Traffic: h, Ledger: l})
	for i, ask := range []string{
		`"watch":"transactions","site":"demo"`, `"watch":"life","site":"demo","id":"r1"`, `"watch":"outbox","site":"demo"`,
		`"do":"resolve","site":"demo","id":"r1","reason":"x"`, `"do":"resend","site":"demo","id":"r1","reason":"x"`,
		`"watch":"traffic","site":"demo"`, `"do":"message","seq":2`,
	} {
		p.say(fmt.Sprintf(`{"as":%d,%s}`, i+1, ask))
		as, data, fault := p.answers()
		if as != i+1 || fault == "" || data != nil {
			t.Errorf("%s: %s %q", ask, data, fault)
		}
	}
	if len(l.asked) > 0 {
		t.Errorf("the ledger was asked %q", l.asked)
	}
	if status, _, body := v.send(http.MethodGet, "/console/traffic/script?site=demo", "", nil); status != http.StatusNotFound || strings.Contains(body, "sale") {
		t.Errorf("the export: %d %s", status, body)
	}
	p.say(`{"watch":"traffic","as":20}`)
	if as, data, fault := p.answers(); as != 20 || fault != "" || strings.Contains(string(data), "VCMDEMO") {
		t.Errorf("its own traffic: %s %s", data, fault)
	}
	p.say(`{"watch":"transactions","as":21,"tid":" T1 ","since":"2026-10-07T21:00:00Z"}`)
	if as, data, _ := p.answers(); as != 21 || !strings.Contains(string(data), `"id":"r1"`) || !strings.Contains(string(data), `"more":true`) {
		t.Errorf("its own record: %s", data)
	}
	p.say(`{"do":"resolve","as":22,"id":"r1","taken":true,"reason":" slip "}`)
	if as, _, fault := p.answers(); as != 22 || fault != "" {
		t.Errorf("resolving: %s", fault)
	}
	p.say(`{"do":"resend","as":23,"id":"v1","notice":1,"reason":"backup"}`)
	if as, data, _ := p.answers(); as != 23 || string(data) != `{"count":2}` {
		t.Errorf("sending anew: %s", data)
	}
	want := []string{
		`entries {Site:shop TID:T1 Kind: State: Result: Since:2026-10-07 21:00:00 +0000 UTC Until:0001-01-01 00:00:00 +0000 UTC Limit:100 Unresolved:false}`,
		`resolve shop {ID:r1 Payment: Taken:true By:console, key kSHOP Reason:slip Amount:0 Gratuity:0 AuthCode:}`,
		`resend shop v1 1 console, key kSHOP: backup`,
	}
	if diff := cmp.Diff(want, l.asked); diff != "" {
		t.Errorf("the ledger was asked (- want):\n%s", diff)
	}
}

// TestRecordIsFollowed: a life comes again when something was recorded, and an
// error of the record is not shown as it is.
func TestRecordIsFollowed(t *testing.T) {
	l := &fakeLedger{life: Life{LedgerEntry: LedgerEntry{ID: "r1", Kind: "transaction", State: "atTerminal"}}}
	p, _ := shopPage(t, Config{Ledger: l})
	p.say(`{"watch":"life","as":1,"id":"r1"}`)
	if _, data, fault := p.answers(); !strings.Contains(string(data), "atTerminal") {
		t.Errorf("first %s %s", data, fault)
	}
	l.recorded(Life{LedgerEntry: LedgerEntry{ID: "r1", State: "finished"}})
	if _, data, fault := p.answers(); !strings.Contains(string(data), "finished") {
		t.Errorf("then %s %s", data, fault)
	}
	p.say(`{"unwatch":1}`)
	p.say(`{"watch":"life","as":2,"id":"nobody"}`)
	if _, _, fault := p.answers(); fault != ErrNoEntry.Error() {
		t.Errorf("no such life: %q", fault)
	}
	l.mu.Lock()
	l.fails = true
	l.mu.Unlock()
	p.say(`{"watch":"transactions","as":3}`)
	if _, _, fault := p.answers(); fault == "" || strings.Contains(fault, "fire") {
		t.Errorf("a broken record: %q", fault)
	}
	for i, ask := range []string{
		`"watch":"transactions","since":"yesterday"`, `"do":"resolve","id":"r1","reason":"  "`, `"do":"resolve","id":"r1","reason":"` + strings.Repeat("x", 501) + `"`,
		`"do":"resolve","id":"r1","reason":"x","amount":5`, `"do":"resend","id":"r1","reason":""`, `"do":"resend","id":"r1","reason":"x","notice":-1`,
	} {
		p.say(fmt.Sprintf(`{"as":%d,%s}`, i+10, ask))
		if _, _, fault := p.answers(); fault == "" {
			t.Errorf("%s is taken", ask)
		}
	}
	for _, a := range l.asked {
		if strings.HasPrefix(a, "resolve") || strings.HasPrefix(a, "resend") {
			t.Errorf("it was carried out: %s", a)
		}
	}
}

// TestNothingToShow: a gateway without hub and ledger says so.
func TestNothingToShow(t *testing.T) {
	p, _ := shopPage(t, Config{})
	for i, ask := range []string{`"watch":"traffic"`, `"do":"message","seq":1`, `"watch":"transactions"`, `"do":"resolve","id":"r1"`} {
		p.say(fmt.Sprintf(`{"as":%d,%s}`, i+1, ask))
		if _, _, fault := p.answers(); fault == "" {
			t.Errorf("%s is answered", ask)
		}
	}
}

// TestFlood: a page is never told more than it can show, and how much it was not
// shown: all adds up. What it shows in the end has been judged.
func TestFlood(t *testing.T) {
	h := traffic.New(traffic.Options{Always: true, Messages: 100_000, Bytes: 1 << 30, Queue: 100_000, QueueBytes: 1 << 30})
	t.Cleanup(h.Close)
	line := h.Opened(traffic.Connection{Number: 1, Site: "shop", Face: traffic.FacePAC, Version: "v1"})
	p, _ := shopPage(t, Config{Traffic: h})
	p.say(`{"watch":"traffic","as":1}`)
	const told = 8000
	type news struct {
		Rows     []trafficRow  `json:"rows"`
		Verdicts []verdictNews `json:"verdicts"`
		Before   int           `json:"before"`
		Passed   int           `json:"passed"`
		Gone     uint64        `json:"gone"`
		Dropped  uint64        `json:"dropped"`
	}
	go func() {
		for i := range told {
			line.Message(i%2 == 0, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":"%d"}}`, i, i))
		}
	}()
	shown, left, last := 0, 0, uint64(0)
	const window = 300          // what the page shows
	var rows []uint64           // in it
	judged := map[uint64]bool{} // of all
	allJudged := func() bool {
		for _, seq := range rows {
			if !judged[seq] {
				return false
			}
		}
		return true
	}
	for shown+left < told+1 || !allJudged() {
		_, data, fault := p.answers()
		if fault != "" {
			t.Fatal(fault)
		}
		var b news
		if err := json.Unmarshal(data, &b); err != nil {
			t.Fatal(err)
		}
		if len(b.Rows) > trafficFirst {
			t.Fatalf("%d rows at once", len(b.Rows))
		}
		shown += len(b.Rows)
		left += b.Before + b.Passed + int(b.Gone) + int(b.Dropped)
		for _, r := range b.Rows {
			if r.Seq <= last {
				t.Fatalf("%d came after %d", r.Seq, last)
			}
			last = r.Seq
			rows = append(rows, r.Seq)
			judged[r.Seq] = r.Wrong >= 0
		}
		rows = rows[max(0, len(rows)-window):]
		for _, v := range b.Verdicts {
			judged[v.Seq] = true
		}
	}
	if shown+left != told+1 {
		t.Errorf("%d shown and %d left out are not the %d told", shown, left, told+1)
	}
	if shown == told+1 {
		t.Log("all of it was shown")
	}
}

// TestSaid: of what was said at a terminal, a life is shown its own.
func TestSaid(t *testing.T) {
	h := traffic.New(traffic.Options{Always: true})
	defer h.Close()
	l := h.Opened(traffic.Connection{Number: 1, Site: "shop", Face: traffic.FacePAC, Version: "v1"})
	for _, s := range []string{
		`> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":1}}`,
		`< {"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"PIN_ENTRY","tid":"T1"}}`,
		`> {"jsonrpc":"2.0","id":2,"method":"cancelTransaction","params":{"tid":"T1"}}`,
		`< {"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m"}}`,
		`> {"jsonrpc":"2.0","id":3,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":2}}`,
		`> {"jsonrpc":"2.0","id":4,"method":"sale","params":{"tid":"T2","currency":"GBP","amount":2}}`,
	} {
		l.Message(s[0] == '<', []byte(s[2:]))
	}
	r := h.Read(traffic.Filter{})
	defer r.Leave()
	for h.Message(7) == nil {
		<-r.News()
	}
	link := h.Opened(traffic.Connection{Number: 2, Site: "shop", Face: traffic.FaceTerminal})
	for _, s := range []string{
		`> {"jsonrpc":"2.0","id":1,"method":"hello","params":{"tid":"T1"}}`,
		`< {"jsonrpc":"2.0","id":1,"method":"start","params":{"requestId":"r1"}}`,
		`> {"jsonrpc":"2.0","id":1,"result":{"answer":"accepted"}}`,
		`> {"jsonrpc":"2.0","method":"notified","params":{"requestId":"r2","value":"PIN_ENTRY"}}`,
	} {
		link.Message(s[0] == '<', []byte(s[2:]))
	}
	c := &Console{cfg: Config{Traffic: h}}
	for seq := range uint64(6) { // the first sale was a while before the second
		if m := h.Message(seq); m != nil {
			m.At = m.At.Add(-time.Minute)
		}
	}
	at := h.Message(2).At
	life := Life{LedgerEntry: LedgerEntry{ID: "r1", Kind: "transaction", TID: "T1", Accepted: at.UTC().Format(time.RFC3339Nano), Open: true}}
	shown := func() (out []uint64) {
		for _, row := range c.said("shop", life) {
			out = append(out, row.Seq)
		}
		return out
	}
	if diff := cmp.Diff([]uint64{2, 3, 4, 5, 10, 11}, shown()); diff != "" {
		t.Errorf("the first sale (- want):\n%s", diff)
	}
	first := life.Accepted
	life.Accepted, life.ID = h.Message(6).At.UTC().Format(time.RFC3339Nano), "r9"
	if diff := cmp.Diff([]uint64{6}, shown()); diff != "" {
		t.Errorf("the second (- want):\n%s", diff)
	}
	life.Accepted = first
	life.Kind = "visit" // of which the hub knows no name
	if got := shown(); len(got) != 9 {
		t.Errorf("of a visit %d are shown", len(got))
	}
	life.TID = "T3"
	if got := c.said("shop", life); len(got) > 0 {
		t.Errorf("another terminal's: %v", got)
	}
}
