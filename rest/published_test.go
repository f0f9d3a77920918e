package rest_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// What the published descriptions of the interface say of its forms: for each
// endpoint the bodies of the examples, where a value without an example is null,
// and what an answer looks like.
type published struct {
	Shapes    []shape `json:"shapes"`
	Endpoints []struct {
		Version  string            `json:"version"`
		Method   string            `json:"method"`
		Path     string            `json:"path"`
		Examples []jsontext.Value  `json:"examples"`
		Answers  map[string]*shape `json:"answers"`
	} `json:"endpoints"`
}

// A shape is the form of a value: of an object, by its members or for each of them.
type shape struct {
	Is       *int             `json:"is"` // another one
	Type     string           `json:"type"`
	Enum     []string         `json:"enum"`
	Required []string         `json:"required"`
	Members  map[string]shape `json:"members"`
	Each     *shape           `json:"each"`
	Items    *shape           `json:"items"`
}

func readPublished(t *testing.T) published {
	t.Helper()
	data, err := os.ReadFile("testdata/published.json")
	if err != nil {
		t.Fatal(err)
	}
	var p published
	if err := json.Unmarshal(data, &p, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	return p
}

// fit says where a value is not of a shape.
func (p published) fit(s shape, at string, value any) (bad []string) {
	if s.Is != nil {
		return p.fit(p.Shapes[*s.Is], at, value)
	}
	say := func(format string, args ...any) { bad = append(bad, at+": "+fmt.Sprintf(format, args...)) }
	switch v := value.(type) {
	case map[string]any:
		if s.Type != "object" {
			say("an object, want %s", s.Type)
			return bad
		}
		for _, name := range s.Required {
			if _, has := v[ours(name)]; !has {
				say("no %s", name)
			}
		}
		known := map[string]shape{}
		for name, member := range s.Members {
			known[ours(name)] = member
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			member, is := known[name]
			switch {
			case is:
				bad = append(bad, p.fit(member, at+"/"+name, v[name])...)
			case s.Each != nil:
				bad = append(bad, p.fit(*s.Each, at+"/"+name, v[name])...)
			default:
				say("%s is not published", name)
			}
		}
	case []any:
		if s.Type != "array" {
			say("an array, want %s", s.Type)
			return bad
		}
		for i, item := range v {
			bad = append(bad, p.fit(*s.Items, fmt.Sprintf("%s/%d", at, i), item)...)
		}
	case string:
		if s.Type != "string" || s.Enum != nil && !slices.Contains(s.Enum, v) {
			say("%q, want %s of %q", v, s.Type, s.Enum)
		}
	case float64:
		if s.Type != "integer" && s.Type != "number" || v != float64(int64(v)) {
			say("%v, want %s", v, s.Type)
		}
	case bool:
		if s.Type != "boolean" {
			say("%t, want %s", v, s.Type)
		}
	default:
		say("%v, want %s", v, s.Type)
	}
	return bad
}

// ours is how a published name is written here. One is written in another way by
// the descriptions than by all who read it.
func ours(name string) string {
	return strings.Replace(name, "cardHolderVerificationMethod", "cardholderVerificationMethod", 1)
}

// A divergence is what is not as published, on purpose.
type divergence struct{ about, why string }

func divergences() []divergence {
	return []divergence{
		{`"REPLACE_PAPER"`, "an example of v2 has it, its list does not"},
		{`"ENTER_CASHBACK"`, "v2 has it since it has cashback, its list does not"},
		{"no balances", "v0 wants of each report what only one that terminals start has; a banking report has none"},
		{"no banking", "likewise; a balance has none"},
		{"reportId is not published", "v0 gives the id of a report that a terminal started another name than v1; both are there"},
		{"requestId is not published", "likewise, the other way round"},
	}
}

// example is a body of the descriptions, with values where they give none.
func example(t *testing.T, body jsontext.Value) string {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"tableName": "12", "amount": 4550, "lastKnownAmount": 4550, "lastKnownPaidAmount": 0, "newAmount": 4550, "locked": true, "lockedBy": "EPoS",
		"override": false, "accepted": true,
		"waiterIds": []string{"3"}, "newWaiterIds": []string{"3"},
	} {
		if was, has := fields[name]; has && (was == nil || strings.HasSuffix(strings.ToLower(name), "waiterids")) {
			fields[name] = value
		}
	}
	for _, name := range []string{"receipt", "newReceipt"} {
		if lines, has := fields[name].([]any); has && lines[0].(map[string]any)["value"] == nil {
			lines[0].(map[string]any)["value"] = "A LINE"
		}
	}
	data, err := json.Marshal(fields)
	if err != nil || strings.Contains(string(data), "null") {
		t.Fatalf("%s, %v", data, err)
	}
	return string(data)
}

// TestPublished sends the examples of the published descriptions, and holds each
// successful answer against them.
func TestPublished(t *testing.T) {
	p := readPublished(t)
	met := map[divergence]bool{}
	for _, e := range p.Endpoints {
		t.Run(e.Version+" "+e.Method+" "+e.Path, func(t *testing.T) {
			bodies := e.Examples
			if bodies == nil {
				bodies = []jsontext.Value{nil}
			}
			for _, body := range bodies {
				inWorld(t, func(w *world) {
					a := ask{method: e.Method, version: e.Version}
					if body != nil {
						a.body = example(t, body)
					}
					seen := 0
					w.stages(e.Path, func(path string) {
						a.path = path
						got := w.do(a)
						form, listed := e.Answers[fmt.Sprint(got.status)]
						if !listed || got.status >= 300 {
							t.Errorf("%s: %d %s", a.body, got.status, got.body)
							return
						}
						if seen++; form == nil || form.Type == "" && form.Is == nil {
							if got.body != "" {
								t.Errorf("a body that is not published: %s", got.body)
							}
							return
						}
						for _, bad := range p.fit(*form, "", got.object()) {
							i := slices.IndexFunc(divergences(), func(d divergence) bool { return strings.Contains(bad, d.about) })
							if i < 0 {
								t.Errorf("%s: %s\n%s", path, bad, got.body)
								continue
							}
							met[divergences()[i]] = true
						}
					})
					if seen == 0 {
						t.Error("nothing was looked at")
					}
				})
			}
		})
	}
	for _, d := range divergences() {
		if !met[d] {
			t.Errorf("there is no divergence about %s", d.about)
		}
	}
}

// TestPublishedCanFail: the shapes that answers are held against refuse others.
func TestPublishedCanFail(t *testing.T) {
	p := readPublished(t)
	for _, e := range p.Endpoints {
		for status, form := range e.Answers {
			if form == nil || form.Is == nil {
				continue
			}
			for _, wrong := range []any{map[string]any{"madeUp": 1.0}, []any{}, "text", 1.5, true, nil} {
				if len(p.fit(*form, "", wrong)) == 0 {
					t.Errorf("%s %s %s %s takes %v", e.Version, e.Method, e.Path, status, wrong)
				}
			}
		}
	}
}

// stages brings what a path is about about, and calls f with the path at each stage
// of it.
func (w *world) stages(pattern string, f func(path string)) {
	w.t.Helper()
	words := strings.Split(pattern, "/")
	top := words[1]
	fill := func(names ...string) string {
		return strings.NewReplacer(append([]string{"{tid}", tid}, names...)...).Replace(pattern)
	}
	id := func(at string) string { return at[strings.LastIndexByte(at, '/')+1:] }
	switch {
	case strings.HasSuffix(pattern, "/signature"):
		at := w.begins(aSale())
		w.pdq.asksSignature()
		f(fill("{requestId}", id(at)))
	case strings.HasSuffix(pattern, "/transactions/{requestId}"):
		w.pdq.cancel = func(txn.RequestID) error {
			w.pdq.endsIn(0, txn.Cancelled)
			return nil
		}
		at := w.begins(aSale())
		f(fill("{requestId}", id(at)))
		if !strings.Contains(w.polled(at).body, "transactionResult") {
			w.pdq.shows("PRESENT_CARD", "RE_PRESENT_CARD", "ENTER_CASHBACK", "PIN_ENTRY", "REPLACE_PAPER")
			w.pdq.asksSignature()
			f(fill("{requestId}", id(at)))
			w.signs(at, "v2", true)
			w.pdq.ends(outcome(txn.Successful))
			f(fill("{requestId}", id(at)))
			for _, r := range []txn.Result{txn.Declined, txn.Void, txn.Cancelled, txn.Unsuccessful, ""} {
				at = w.begins(aSale())
				if r == "" {
					pass(201 * time.Second)
				} else {
					w.pdq.ends(outcome(r))
				}
				f(fill("{requestId}", id(at)))
			}
		}
	case strings.HasSuffix(pattern, "/reports/{requestId}"):
		for _, kind := range report.Types() {
			at := w.begins(aReport(string(kind)))
			if top == "pac" { // v0 has no body for what runs
				f(fill("{requestId}", id(at)))
			}
			w.pdq.say(terminal.Reported{ID: w.pdq.newest(), Report: reported(kind)})
			f(fill("{requestId}", id(at)))
			at = w.begins(aReport(string(kind)))
			pass(121 * time.Second)
			f(fill("{requestId}", id(at)))
		}
	case strings.HasPrefix(pattern, "/pat/reports"):
		id := w.brings()
		f(fill("{reportId}", id))
	case pattern == "/pat/tables":
		f(pattern)
	case strings.HasPrefix(pattern, "/pat/tables/"):
		w.do(ask{method: http.MethodPut, path: "/pat/tables", version: "v1", body: `{"tableName":"12","amount":4550,"currency":"GBP","waiterIds":["3"],"receipt":[{"value":"A"}]}`}).is(http.StatusCreated)
		f(fill("{tableName}", "12"))
		if pattern == "/pat/tables/{tableName}" && w.do(ask{path: "/pat/tables/12", version: "v1"}).status == http.StatusOK {
			m, _ := w.park.Machine(simApproves)
			if _, err := m.Visit(w.t.Context(), sim.Visit{Waiter: "3", Table: "12", Amount: 2000, Tip: sim.Tip{Amount: 100}}, func(sim.VisitStep) {}); err != nil {
				w.t.Error(err)
			}
			synctest.Wait()
			f(fill("{tableName}", "12"))
		}
	default:
		f(fill())
	}
}
