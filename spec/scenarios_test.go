package spec_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/tillwire/tillwire/spec"
)

// faultsOf names what is wrong with a set of scenarios.
func faultsOf(x *spec.Index, all spec.Scenarios) []string {
	var faults []string
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	notifications := map[string]bool{}
	for _, n := range x.Notifications() {
		notifications[n.Value] = true
	}
	results := map[string]bool{}
	for _, r := range x.Results() {
		results[r.Value] = true
	}
	v := x.VirtualTerminals()
	entries, verifications := values(v.Entries), values(v.Verifications)
	points, mishaps := map[string]bool{}, map[string]bool{}
	for _, list := range []struct {
		things []spec.NamedThing
		used   map[string]bool
	}{{all.Points, points}, {all.Mishaps, mishaps}} {
		for _, p := range list.things {
			if _, twice := list.used[p.Name]; twice || p.Name == "" || p.Meaning == "" {
				say("the word %q is there twice or says nothing", p.Name)
			}
			list.used[p.Name] = false
		}
	}
	seen, endings, shown := map[string]bool{}, map[int]bool{}, map[string]bool{}
	legal := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for _, s := range all.Scenarios {
		if !legal.MatchString(s.Name) || seen[s.Name] || s.Name == "off" {
			say("%q is no name, or is there twice", s.Name)
		}
		seen[s.Name] = true
		if s.Ending < 1 || s.Ending > 99 || endings[s.Ending] {
			say("%s: the ending %d is taken, or is none", s.Name, s.Ending)
		}
		endings[s.Ending] = true
		if s.Title == "" || s.Happens == "" || s.Till == "" || s.Clause == "" {
			say("%s: no title, or it does not say what happens, what the till does, or where it is from", s.Name)
		}
		p, e := s.Script, s.Expect
		if p.Result != "" && !results[p.Result] || p.Entry != "" && !entries[p.Entry] || p.Verification != "" && !verifications[p.Verification] {
			say("%s: plays what there is not", s.Name)
		}
		for _, show := range p.Shows {
			if !notifications[show.After] || !notifications[show.Value] {
				say("%s: shows %s after %s", s.Name, show.Value, show.After)
			}
			shown[show.Value] = true
		}
		if p.EndsAfter != "" && !notifications[p.EndsAfter] {
			say("%s: ends after %s", s.Name, p.EndsAfter)
		}
		for _, m := range p.Mishaps {
			_, point := points[m.At]
			_, deed := mishaps[m.Do]
			if !point && !notifications[m.At] || !deed || m.Seconds < 0 {
				say("%s: %s at %s", s.Name, m.Do, m.At)
			}
			points[m.At], mishaps[m.Do] = true, true
		}
		broken := p.LoseReply || p.PaperOutSeconds != 0 || p.AcquirerSilentSeconds != 0 || p.ClockSeconds != 0
		broken = broken || slices.ContainsFunc(p.Mishaps, func(m spec.ScenarioMishap) bool { return m.Do != "linger" })
		if s.Fault != broken {
			say("%s: whether it is a fault is not what its script says", s.Name)
		}
		if (e.Told == "") == (e.Error == 0) || e.Told != "" && !results[e.Told] {
			say("%s: it does not say what the till is told", s.Name)
		}
		if _, known := x.Error(e.Error); e.Error != 0 && !known {
			say("%s: there is no error %d", s.Name, e.Error)
		}
		if !results[e.Truth] && e.Truth != spec.TruthNotRun && e.Truth != spec.TruthUnknown || e.Truth == "TIMED_OUT" {
			say("%s: %q is no truth", s.Name, e.Truth)
		}
		if e.Told != e.Truth && e.Told != "TIMED_OUT" && e.Error == 0 {
			say("%s: the till would be told something else than the truth", s.Name)
		}
		for _, n := range e.Shows {
			if !notifications[n] {
				say("%s: expects %s", s.Name, n)
			}
		}
	}
	for name, used := range points {
		if !used {
			say("nothing happens at %s", name)
		}
	}
	for name, used := range mishaps {
		if !used {
			say("%s happens nowhere", name)
		}
	}
	return faults
}

func values(letters []spec.VirtualLetter) map[string]bool {
	m := map[string]bool{}
	for _, l := range letters {
		m[l.Value] = true
	}
	return m
}

func TestScenarioData(t *testing.T) {
	x := spec.Default()
	all := x.Scenarios()
	for _, f := range faultsOf(x, all) {
		t.Error(f)
	}
	broken := 0
	expected := map[string]bool{}
	for _, s := range all.Scenarios {
		if s.Fault {
			broken++
		}
		for _, n := range s.Expect.Shows {
			expected[n] = true
		}
		if got, ok := x.Scenario(s.Name); !ok || got.Title != s.Title {
			t.Errorf("%s is not found by its name", s.Name)
		}
		if got, ok := x.ScenarioFor(1200 + int64(s.Ending)); !ok || got.Name != s.Name {
			t.Errorf("12.%02d chooses %q, want %s", s.Ending, got.Name, s.Name)
		}
	}
	if len(all.Scenarios) < 30 || broken < 12 || all.About == "" || all.Clause == "" {
		t.Errorf("%d scenarios, %d of them faults, want 30 and 12 at least, and a word about them", len(all.Scenarios), broken)
	}
	// What a card machine can show, some scenario shows. The frame, the cancel
	// and the ends of the signature check are the gateway's to say.
	for _, n := range x.Notifications() {
		switch n.Group {
		case "prompt", "progress", "verdict", "card", "attention":
			if !expected[n.Value] {
				t.Errorf("no scenario expects %s", n.Value)
			}
		}
	}
	for _, amount := range []int64{0, 1200, 1250, -1} {
		if s, ok := x.ScenarioFor(amount); ok {
			t.Errorf("the amount %d chooses %s", amount, s.Name)
		}
	}
	if s, ok := x.Scenario(""); ok {
		t.Errorf("no name finds %s", s.Name)
	}
}

// TestScenarioDataIsChecked: each kind of mistake is found.
func TestScenarioDataIsChecked(t *testing.T) {
	x := spec.Default()
	for name, spoil := range map[string]func(*spec.Scenario){
		"a name twice":            func(s *spec.Scenario) { s.Name = x.Scenarios().Scenarios[1].Name },
		"an ending twice":         func(s *spec.Scenario) { s.Ending = x.Scenarios().Scenarios[1].Ending },
		"no title":                func(s *spec.Scenario) { s.Title = "" },
		"nothing for the till":    func(s *spec.Scenario) { s.Till = "" },
		"no clause":               func(s *spec.Scenario) { s.Clause = "" },
		"a result there is not":   func(s *spec.Scenario) { s.Script.Result = "FINE" },
		"a notification unknown":  func(s *spec.Scenario) { s.Script.Shows = []spec.ScenarioShow{{After: "PIN_ENTRY", Value: "SMILE"}} },
		"a point there is not":    func(s *spec.Scenario) { s.Script.Mishaps = []spec.ScenarioMishap{{At: "LUNCH", Do: "linger"}} },
		"a mishap there is not":   func(s *spec.Scenario) { s.Script.Mishaps = []spec.ScenarioMishap{{At: "START", Do: "explode"}} },
		"a fault that is not one": func(s *spec.Scenario) { s.Fault = true },
		"two answers":             func(s *spec.Scenario) { s.Expect.Error = -32074 },
		"an error unknown":        func(s *spec.Scenario) { s.Expect.Told, s.Expect.Error = "", -1 },
		"a lie":                   func(s *spec.Scenario) { s.Expect.Told = "DECLINED" },
		"no truth":                func(s *spec.Scenario) { s.Expect.Truth = "TIMED_OUT" },
		"an expectation unknown":  func(s *spec.Scenario) { s.Expect.Shows = []string{"SMILE"} },
	} {
		all := x.Scenarios()
		all.Scenarios = slices.Clone(all.Scenarios)
		spoil(&all.Scenarios[0])
		if len(faultsOf(x, all)) == 0 {
			t.Errorf("%s was not found", name)
		}
	}
	all := x.Scenarios()
	all.Mishaps = append(slices.Clone(all.Mishaps), spec.NamedThing{Name: "nothing", Meaning: "Nobody uses it."})
	if len(faultsOf(x, all)) == 0 {
		t.Error("a word that nobody uses was not found")
	}
}
