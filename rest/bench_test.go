package rest_test

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// nowhere is a ResponseWriter that keeps nothing but the status.
type nowhere struct {
	header http.Header
	status int
	bytes  int
}

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) WriteHeader(status int)      { w.status = status }
func (w *nowhere) Write(b []byte) (int, error) { w.bytes += len(b); return len(b), nil }

// BenchmarkPoll is one look at a sale that runs, and at one that has ended, without
// a socket.
func BenchmarkPoll(b *testing.B) {
	store := memory.New()
	if err := gateway.AddSite(b.Context(), store, journal.Site{ID: "demo", TimeZone: "UTC", Simulated: "DEMO"}); err != nil {
		b.Fatal(err)
	}
	if _, _, err := gateway.AddKey(b.Context(), store, "demo", "key", "", nil); err != nil {
		b.Fatal(err)
	}
	g, err := gateway.New(b.Context(), gateway.Config{Store: store})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	park, err := sim.Open(sim.Options{Seed: 1, Speed: sim.Max})
	if err != nil {
		b.Fatal(err)
	}
	const tid = "VCMDEMOSIS0" // which waits for a signature
	m, _ := park.Machine(tid)
	if err := g.Plug("demo", tid, m.Connect); err != nil {
		b.Fatal(err)
	}
	till, err := g.Till("key", txn.Caller{})
	if err != nil {
		b.Fatal(err)
	}
	begun, err := till.Begin(b.Context(), gateway.Wish{TID: tid, Txn: txn.Request{Type: txn.Sale, Currency: "GBP", Amount: 1250}})
	if err != nil {
		b.Fatal(err)
	}
	until := func(done func(gateway.View) bool) {
		for {
			v, changed, err := till.Look(b.Context(), tid, begun.ID)
			if err != nil {
				b.Fatal(err)
			}
			if done(v) {
				return
			}
			<-changed
		}
	}
	h := rest.New(rest.Config{Gateway: g, Pace: rest.Pace{Burst: 1 << 30, Every: 1}})
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://gateway.example/pac/terminals/"+tid+"/transactions/"+string(begun.ID), nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("till1:key")))
	r.Header.Set("Accept", "application/connect.v2+json")
	r.Header.Set("Software-House-Id", "SWH")
	r.Header.Set("Installer-Id", "INST")
	poll := func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w := &nowhere{header: http.Header{}}
			h.ServeHTTP(w, r)
			if w.status != http.StatusOK {
				b.Fatal(w.status)
			}
		}
	}
	until(func(v gateway.View) bool { return v.Signing })
	b.Run("running", poll)
	if _, err := till.AnswerSignature(b.Context(), tid, begun.ID, true, nil); err != nil {
		b.Fatal(err)
	}
	until(func(v gateway.View) bool { return v.Ended })
	b.Run("ended", poll)
}
