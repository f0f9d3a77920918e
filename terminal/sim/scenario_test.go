package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// TestScenarioNames: each scenario of package spec is one here, and all that its
// script says is understood.
func TestScenarioNames(t *testing.T) {
	all := spec.Default().Scenarios()
	points := []Point{AtStart, AtStarted, AtAuthorised, AtSigning, AtEnded, AtTold}
	deeds := []Deed{CutLink, StallLink, HalfOpen, SlowLink, Duplicate, Reorder, Stale, PowerOff, Linger}
	var gotPoints []Point
	var gotDeeds []Deed
	for _, p := range all.Points {
		gotPoints = append(gotPoints, Point(p.Name))
	}
	for _, m := range all.Mishaps {
		gotDeeds = append(gotDeeds, Deed(m.Name))
	}
	if diff := cmp.Diff(points, gotPoints); diff != "" {
		t.Errorf("points (-here +in the data)\n%s", diff)
	}
	if diff := cmp.Diff(deeds, gotDeeds); diff != "" {
		t.Errorf("mishaps (-here +in the data)\n%s", diff)
	}
	for _, s := range all.Scenarios {
		got, ok := Scenario(s.Name)
		if !ok || len(got.Mishaps) != len(s.Script.Mishaps) || len(got.Shows) != len(s.Script.Shows) {
			t.Errorf("%s: %+v, %t", s.Name, got, ok)
		}
	}
	if _, ok := Scenario("lunch"); ok {
		t.Error("lunch is a scenario")
	}
}

// hears plays a scenario to its end, restoring nothing, and returns what the
// gateway's side was told, with the seconds since the start.
func hears(t *testing.T, s Script, speed float64) (heard []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := open(t, Options{Seed: 3, Speed: speed})
		d := connect(t, p, "VCMDEMOSIP0")
		d.m.Script(Script{}, s)
		d.perform("r1", sale(1000))
		before := len(d.heard())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		if err := d.Start(ctx, terminal.Request{ID: "r2", Txn: sale(1250)}); err != nil {
			heard = append(heard, "start: "+err.Error())
		}
		for range 700 {
			for synctest.Wait(); len(d.heard()) > before; synctest.Wait() {
				events := d.heard()[before:]
				before += len(events)
				for _, name := range names(events) {
					heard = append(heard, fmt.Sprintf("%.0fs %s", time.Since(begun).Seconds(), name))
				}
				for _, e := range events {
					if _, ok := e.(terminal.SignatureWanted); ok {
						_ = d.AnswerSignature(t.Context(), "r2", true) // while the link is cut it is asked anew
					}
				}
			}
			time.Sleep(time.Second)
		}
	})
	return heard
}

// TestScenariosAreDeterministic: under one seed a scenario is the same each
// time, whatever the pace; as fast as can be it takes no time.
func TestScenariosAreDeterministic(t *testing.T) {
	for _, sc := range spec.Default().Scenarios().Scenarios {
		t.Run(sc.Name, func(t *testing.T) {
			s, _ := Scenario(sc.Name)
			for _, speed := range []float64{1, Max} {
				first, again := hears(t, s, speed), hears(t, s, speed)
				if diff := cmp.Diff(first, again); diff != "" || len(first) == 0 {
					t.Errorf("speed %v: %d events, and again (-first +again)\n%s", speed, len(first), diff)
				}
				if last := first[len(first)-1]; speed == Max && !strings.HasPrefix(last, "0s ") && !strings.HasPrefix(last, "start: ") {
					t.Errorf("at once, yet the last event is %q", last)
				}
			}
		})
	}
}

// TestMishaps: what a gateway sees of each of them.
func TestMishaps(t *testing.T) {
	at := func(p Point, d Deed, f time.Duration) Script { return Script{Mishaps: []Mishap{{p, d, f}}} }
	const s = time.Second
	for name, test := range map[string]struct {
		script Script
		want   []string
	}{
		"a cut": {at("PIN_ENTRY", CutLink, 20*s), []string{
			"0s PRESENT_CARD", "3s PLEASE_WAIT", "4s PIN_ENTRY", "4s went away", "24s came back restarted=false", "24s ended SUCCESSFUL",
		}},
		"a short cut": {at("PIN_ENTRY", CutLink, 4*s), []string{
			"0s PRESENT_CARD", "3s PLEASE_WAIT", "4s PIN_ENTRY", "4s went away", "8s came back restarted=false",
			"9s APPROVED", "10s REMOVE_CARD", "11s ended SUCCESSFUL",
		}},
		"a stalled link": {at("PIN_ENTRY", StallLink, 20*s), []string{
			"0s PRESENT_CARD", "3s PLEASE_WAIT", "4s PIN_ENTRY", "24s CONNECTING", "24s CONNECTION_MADE", "24s REQUEST_SENT",
			"24s APPROVED", "24s REMOVE_CARD", "24s ended SUCCESSFUL",
		}},
		"a half-open link": {at("PIN_ENTRY", HalfOpen, 60*s), []string{
			"0s PRESENT_CARD", "3s PLEASE_WAIT", "4s PIN_ENTRY", "64s went away", "64s came back restarted=false", "64s ended SUCCESSFUL",
		}},
		"a restart": {at("PIN_ENTRY", PowerOff, 30*s), []string{
			"0s PRESENT_CARD", "3s PLEASE_WAIT", "4s PIN_ENTRY", "4s went away", "34s came back restarted=true", "34s ended UNSUCCESSFUL",
		}},
		"a restart after the approval": {at(AtAuthorised, PowerOff, 30*s), []string{
			"0s PRESENT_CARD", "3s PLEASE_WAIT", "4s PIN_ENTRY", "7s CONNECTING", "8s CONNECTION_MADE", "8s REQUEST_SENT",
			"9s went away", "39s came back restarted=true", "39s ended SUCCESSFUL",
		}},
		"the outcome told twice": {at(AtTold, CutLink, 5*s), []string{
			"0s PRESENT_CARD", "3s PLEASE_WAIT", "4s PIN_ENTRY", "7s CONNECTING", "8s CONNECTION_MADE", "8s REQUEST_SENT",
			"9s APPROVED", "10s REMOVE_CARD", "11s ended SUCCESSFUL", "11s went away", "16s came back restarted=false", "16s ended SUCCESSFUL",
		}},
		"reordered": {at("REQUEST_SENT", Reorder, 0), []string{
			"0s PRESENT_CARD", "3s PLEASE_WAIT", "4s PIN_ENTRY", "7s CONNECTING", "8s CONNECTION_MADE", "8s REQUEST_SENT",
			"11s ended SUCCESSFUL", "11s REMOVE_CARD", "11s APPROVED",
		}},
		"stale": {at("PIN_ENTRY", Stale, 0), []string{
			"0s PRESENT_CARD", "3s PLEASE_WAIT", "4s PIN_ENTRY", "4s PRESENT_CARD", "4s ended SUCCESSFUL", "7s CONNECTING", "8s CONNECTION_MADE", "8s REQUEST_SENT",
			"9s APPROVED", "10s REMOVE_CARD", "11s ended SUCCESSFUL",
		}},
		"before the start": {at(AtStart, CutLink, 20*s), []string{
			"start: terminal: the request certainly did not arrive: sim: the machine is not connected", "0s went away", "20s came back restarted=false",
		}},
		"before a stalled start": {at(AtStart, StallLink, 40*s), []string{
			"start: sim: nothing came back over the link",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, hears(t, test.script, 1)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestChoice: a script comes before what is always played, that before the
// amount, and that before the name.
func TestChoice(t *testing.T) {
	p := open(t, Options{Seed: 1, ByAmount: true})
	d := connect(t, p, "VCMDEMOSIP0")
	void, _ := Scenario("void")
	result := func(id txn.RequestID, amount money.Minor, want txn.Result) {
		t.Helper()
		if got := d.perform(id, sale(amount)).Result; got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	result("name", 1250, txn.Successful)
	result("amount", 1207, txn.Declined)
	d.m.Always(void)
	d.m.Script(Script{Result: txn.Unsuccessful})
	result("script", 1207, txn.Unsuccessful)
	result("always", 1207, txn.Void)
	result("always-again", 1250, txn.Void)
	d.print("report", "X_BALANCE") // takes none
	d.m.Script(Script{Result: txn.Unsuccessful})
	d.m.Calm()
	result("calm", 1250, txn.Successful)
	result("amount-again", 1207, txn.Declined)

	plain := open(t, Options{Seed: 1})
	d = connect(t, plain, "VCMDEMOSIP0")
	result("amounts-mean-nothing", 1207, txn.Successful)
}

// TestConnectWithoutPower: a gateway that dials a machine without power gets
// nothing from it, and the timer of an older outage wakes nobody.
func TestConnectWithoutPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, Options{Seed: 1, Speed: 1})
		d := connect(t, p, "VCMDEMOSIP0")
		d.m.Script(Script{Mishaps: []Mishap{{"PRESENT_CARD", PowerOff, time.Minute}}})
		d.start("r1", sale(1250))
		synctest.Wait()
		d = connect(t, p, "VCMDEMOSIP0")
		d.m.RestoreLink()
		if err := d.Start(t.Context(), terminal.Request{ID: "r2", Txn: sale(1)}); !errors.Is(err, terminal.ErrNotDelivered) {
			t.Errorf("a start without power: %v", err)
		}
		time.Sleep(30 * time.Second)
		if err := d.m.PowerCycle(); err != nil {
			t.Fatal(err)
		}
		d.m.CutLink()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		want := []string{"came back restarted=true", "ended UNSUCCESSFUL", "went away"}
		if diff := cmp.Diff(want, names(d.heard())); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// TestRandomMishaps: whatever happens, in whatever order, the machine ends what
// it took and tells it, as the acquirer has it.
func TestRandomMishaps(t *testing.T) {
	points := []Point{
		AtStart, AtStarted, "PRESENT_CARD", "PLEASE_WAIT", "PIN_ENTRY", "CONNECTING", "REQUEST_SENT",
		AtAuthorised, "APPROVED", "REMOVE_CARD", AtSigning, AtEnded, AtTold,
	}
	deeds := []Deed{CutLink, StallLink, HalfOpen, SlowLink, Duplicate, Reorder, Stale, PowerOff, Linger}
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 0))
		var s Script
		for range 1 + r.IntN(5) {
			s.Mishaps = append(s.Mishaps, Mishap{points[r.IntN(len(points))], deeds[r.IntN(len(deeds))], time.Duration(1+r.IntN(90)) * time.Second})
		}
		if r.IntN(3) == 0 {
			s.CVM = txn.CVMSignature
		}
		speed := []float64{Max, 1, 20}[r.IntN(3)]
		synctest.Test(t, func(t *testing.T) {
			p := open(t, Options{Seed: seed, Speed: speed, Dir: t.TempDir()})
			d := connect(t, p, "VCMDEMOSIP0")
			d.perform("r1", sale(1000))
			d.m.Script(s)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			startErr := d.Start(ctx, terminal.Request{ID: "r2", Txn: sale(1250)})
			cancel()
			for range 1000 {
				synctest.Wait()
				_ = d.AnswerSignature(t.Context(), "r2", true) // refused until it is asked for
				time.Sleep(time.Second)
			}
			synctest.Wait()
			a, err := d.Query(t.Context(), "r2")
			if err != nil {
				t.Fatalf("seed %d, %+v: %v", seed, s, err)
			}
			var charged money.Minor
			for _, c := range p.Charges()[1:] {
				if !c.Reversed {
					charged += c.Amount
				}
			}
			told := slices.ContainsFunc(d.heard(), func(e terminal.Event) bool { x, ok := e.(terminal.Ended); return ok && x.ID == "r2" })
			switch {
			case a.Kind == terminal.NeverRan:
				if startErr == nil || told || charged != 0 {
					t.Errorf("seed %d, %+v: it never ran; start %v, told %t, charged %d", seed, s, startErr, told, charged)
				}
			case a.Kind != terminal.Final || !told || (a.Outcome.Result == txn.Successful) != (charged == 1250):
				t.Errorf("seed %d, %+v: %v %+v, told %t, charged %d", seed, s, a.Kind, a.Outcome, told, charged)
			}
		})
	}
}

// TestMishapsAtATable: a card at a table is charged as it is told, whatever
// happens to the machine in between.
func TestMishapsAtATable(t *testing.T) {
	for _, p := range []Point{"PRESENT_CARD", "PIN_ENTRY", AtAuthorised, "APPROVED", "REMOVE_CARD"} {
		for _, do := range []Deed{CutLink, StallLink, HalfOpen, SlowLink, Duplicate, Reorder, PowerOff, Linger} {
			for _, speed := range []float64{1, Max} {
				synctest.Test(t, func(t *testing.T) {
					park := open(t, Options{Seed: 1, Speed: speed})
					h := newHall(t, park, "VCMDEMOSIP0")
					got := h.visit(Visit{Table: "12", Pay: []Card{{Script: Script{Mishaps: []Mishap{{p, do, 15 * time.Second}}}}}})
					time.Sleep(10 * time.Minute)
					synctest.Wait()
					var charged, told money.Minor
					for _, c := range park.Charges() {
						if !c.Reversed {
							charged += c.Amount
						}
					}
					paid := map[string]bool{}
					for _, e := range h.heard() {
						if e, ok := e.(terminal.PaymentEnded); ok && e.Taken && !paid[string(e.Payment)] {
							paid[string(e.Payment)] = true
							told += e.Receipt.Paid + e.Receipt.Gratuity
						}
					}
					if charged != told || (do != PowerOff) != (got.End == EndPaid) {
						t.Errorf("%s at %s, speed %v: charged %d, told %d, end %s", do, p, speed, charged, told, got.End)
					}
					h.free()
				})
			}
		}
	}
}
