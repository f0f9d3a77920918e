package console

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/ws"
)

// devPage is a page of a development gateway whose house has one machine.
func devPage(t *testing.T) (*peer, *fakeMachine) {
	t.Helper()
	m := &fakeMachine{face: Face{TID: "1", Screen: Screen{Title: "READY"}}}
	house := &fakeHouse{sites: []string{"demo"}, machines: map[string]*fakeMachine{"demo 1": m}}
	c, address := serve(t, Config{House: house, Dev: true})
	return open(t, address, "", c.token(viewer{id: "dev"})), m
}

// TestWatchMachine: the face comes at once, again when it has changed, and no
// more once nobody watches.
func TestWatchMachine(t *testing.T) {
	p, m := devPage(t)
	p.say(`{"watch":"machine","as":7,"tid":"1"}`)
	if got := p.hear(); !strings.Contains(got, `"as":7`) || !strings.Contains(got, "READY") {
		t.Errorf("first %s", got)
	}
	m.show(Face{TID: "1", Screen: Screen{Title: "SALE", Entry: "**"}})
	if got := p.hear(); !strings.Contains(got, "SALE") || !strings.Contains(got, "**") {
		t.Errorf("then %s", got)
	}
	p.say(`{"unwatch":7}`)
	// What is done after it is answered after it, so that by then nobody watches.
	p.say(`{"watch":"names","as":8}`)
	if as, _, _ := p.answers(); as != 8 {
		t.Errorf("heard %d, want 8", as)
	}
	m.show(Face{TID: "1", Screen: Screen{Title: "LATE"}})
	p.say(`{"watch":"words","as":9}`)
	if as, _, _ := p.answers(); as != 9 {
		t.Errorf("heard %d of a watch that had ended", as)
	}
}

// TestDeeds: each does one thing with the machine, in the order in which they
// were asked for.
func TestDeeds(t *testing.T) {
	p, m := devPage(t)
	deeds := []struct{ ask, did string }{
		{`"do":"touch","on":true`, "touch"},
		{`"do":"present","card":"visa-debit","how":"insert"`, "insert visa-debit"},
		{`"do":"press","key":"1"`, "press 1"},
		{`"do":"press","key":"2"`, "press 2"},
		{`"do":"press","key":"enter"`, "press enter"},
		{`"do":"cable","on":false`, "cable out"},
		{`"do":"cable","on":true`, "cable in"},
		{`"do":"paper","on":false`, "paper out"},
		{`"do":"power","on":false`, "off"},
		{`"do":"power","on":true`, "on"},
		{`"do":"takeCard"`, "take card"},
		{`"do":"tearOff"`, "tear off"},
		{`"do":"scenario","name":"declined","times":3`, "scenario declined 3"},
		{`"do":"scenario","name":""`, "scenario  0"},
		{`"do":"touch","on":false`, "let go"},
	}
	var want []string
	for i, d := range deeds {
		p.say(fmt.Sprintf(`{%s,"as":%d,"tid":"1"}`, d.ask, i+1))
		want = append(want, d.did)
	}
	for i := range deeds {
		if as, _, fault := p.answers(); as != i+1 || fault != "" {
			t.Errorf("answer %d is for %d, with the error %q", i+1, as, fault)
		}
	}
	if diff := cmp.Diff(want, m.deeds); diff != "" {
		t.Errorf("the machine had (-want +got):\n%s", diff)
	}
}

// TestRefusals: what a page asks wrongly is answered, with a word for people.
func TestRefusals(t *testing.T) {
	p, m := devPage(t)
	for _, c := range []struct{ ask, want string }{
		{`{"watch":"weather","as":1}`, `nothing named "weather" to watch`},
		{`{"do":"rob","as":2}`, `nothing named "rob" to do`},
		{`{"watch":"machine","as":3,"tid":"2"}`, errNoMachine.Error()},
		{`{"watch":"machine","as":4,"tid":"1","site":"other"}`, errNoMachine.Error()},
		{`{"do":"press","as":5,"tid":1}`, "not understood"},
		{`{"do":"scenario","as":6,"tid":"1","name":"none"}`, "no scenario"},
		{`{"do":"scenario","as":7,"tid":"1","name":"declined","times":-1}`, "1 to 100"},
		{`{"do":"scenario","as":8,"tid":"1","name":"declined","times":101}`, "1 to 100"},
		{`{"watch":"names"}`, "too much"},
	} {
		p.say(c.ask)
		if _, _, fault := p.answers(); !strings.Contains(fault, c.want) {
			t.Errorf("%s: %q, want %q", c.ask, fault, c.want)
		}
	}
	if len(m.deeds) > 0 {
		t.Errorf("the machine had %q", m.deeds)
	}
	for i := range maxWatches {
		p.say(fmt.Sprintf(`{"watch":"machine","tid":"1","as":%d}`, 100+i))
	}
	p.say(`{"watch":"machine","tid":"1","as":999}`)
	faults := 0
	for range maxWatches + 1 {
		if _, _, fault := p.answers(); fault != "" {
			faults++
		}
	}
	if faults == 0 {
		t.Errorf("a page may watch more than %d things", maxWatches)
	}
}

// TestPanicStaysInside: a topic and a deed that fail take nobody with them.
func TestPanicStaysInside(t *testing.T) {
	c, address := serve(t, Config{House: &fakeHouse{sites: []string{"demo"}}, Dev: true})
	c.topics["bad"] = func(context.Context, viewer, jsontext.Value, func(any) error) error { panic("a secret") }
	c.deeds["bad"] = func(context.Context, viewer, jsontext.Value) (any, error) { panic("a secret") }
	p := open(t, address, "", c.token(viewer{id: "dev"}))
	for _, ask := range []string{`{"watch":"bad","as":1}`, `{"do":"bad","as":2}`} {
		p.say(ask)
		if _, _, fault := p.answers(); fault != errFailed.Error() {
			t.Errorf("%s: %q", ask, fault)
		}
	}
}

// TestSlowPage: a page that does not read misses states and nobody waits for it.
func TestSlowPage(t *testing.T) {
	p, m := devPage(t)
	p.say(`{"watch":"machine","as":1,"tid":"1"}`)
	p.hear()
	long := strings.Repeat("x", 4<<10)
	const changes = 2000
	for i := range changes {
		m.show(Face{TID: "1", Screen: Screen{Title: fmt.Sprint(i), Lines: []string{long}}})
	}
	heard := 0
	last := fmt.Sprintf(`"title":"%d"`, changes-1)
	for {
		heard++
		if strings.Contains(p.hear(), last) {
			break
		}
	}
	if heard > changes {
		t.Errorf("heard %d states of %d", heard, changes)
	}
}

// FuzzReceive: whatever a page sends, it is answered or its socket is closed.
func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		`{"hello":"x"}`, `{"watch":"machine","as":1,"tid":"1"}`, `{"unwatch":1}`, `{"do":"press","as":2,"tid":"1","key":"9"}`,
		`{"do":"scenario","as":3,"tid":"1","name":"declined","times":2}`, `{"watch":"names","as":-1}`, `{"as":1e3}`, `{"as":1,"as":2}`, "[]", "\xff",
	} {
		f.Add([]byte(seed))
	}
	m := &fakeMachine{}
	c, err := New(Config{House: &fakeHouse{sites: []string{"demo"}, machines: map[string]*fakeMachine{"demo 1": m}}, Dev: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.Close)
	f.Fuzz(func(t *testing.T, message []byte) {
		near, far := net.Pipe()
		v, _ := c.viewer(nil)
		p := &page{c: c, ws: ws.New(near, ws.Server, ws.Options{}), viewer: v, greeted: true, watches: map[int]context.CancelFunc{}}
		p.ctx, p.end = context.WithCancel(c.ctx)
		if !c.enter(p) {
			t.Fatal("no room")
		}
		p.Receive(message)
		p.mu.Lock()
		watched := len(p.watches)
		p.mu.Unlock()
		if watched > 1 {
			t.Errorf("one message began %d watches", watched)
		}
		far.Close()
		p.ws.Abort()
		p.Ended(nil)
		m.mu.Lock()
		if slices.Contains(m.deeds, "") {
			t.Error("a deed without a name")
		}
		m.deeds = nil
		m.mu.Unlock()
	})
}
