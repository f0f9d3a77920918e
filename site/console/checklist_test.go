package console

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A fakeScorer has scores that a test sets, and notes what is said.
type fakeScorer struct {
	mu     sync.Mutex
	scores map[string][]Score
	said   []string
}

func (s *fakeScorer) Scores(site string) []Score {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.scores[site])
}

func (s *fakeScorer) set(site string, list ...Score) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scores == nil {
		s.scores = map[string][]Score{}
	}
	s.scores[site] = list
}

func (s *fakeScorer) Say(site string, till int, step string, yes *bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if step == "nothing" {
		return errors.New("nothing is asked")
	}
	word := "nothing"
	if yes != nil {
		word = fmt.Sprint(*yes)
	}
	s.said = append(s.said, fmt.Sprintf("%s %d %s %s", site, till, step, word))
	return nil
}

// TestWatchChecklist: the scores come at once and again when one has changed, and
// what only eyes can tell is passed on; of the sites that a page may see.
func TestWatchChecklist(t *testing.T) {
	scorer := &fakeScorer{}
	scorer.set("other", Score{Till: 9})
	c, address := serve(t, Config{House: &fakeHouse{sites: []string{"demo"}}, Score: scorer, Dev: true})
	p := open(t, address, "", c.token(viewer{id: "dev"}))
	p.say(`{"watch":"checklist","as":1}`)
	if _, data, fault := p.answers(); string(data) != "[]" || fault != "" {
		t.Errorf("of no till: %s %s", data, fault)
	}
	scorer.set("demo", Score{Till: 1, Last: time.Unix(5, 0).UTC(), Lines: []ScoreLine{{ID: "pac.sale", State: "passed", Parts: []ScorePart{{Step: "pac.sale", State: "passed"}}}}})
	if _, data, _ := p.answers(); !strings.Contains(string(data), `"id":"pac.sale"`) || strings.Contains(string(data), `"hint"`) {
		t.Errorf("once there is one: %s", data)
	}
	p.say(`{"watch":"checklist","as":2,"site":"other"}`)
	if _, _, fault := p.answers(); fault != errNoSite.Error() {
		t.Errorf("another site: %q", fault)
	}
	for i, say := range []string{`"till":1,"step":"a","yes":true`, `"till":1,"step":"a","yes":false`, `"till":1,"step":"a","yes":null`, `"till":1,"step":"nothing"`, `"till":9,"step":"a","site":"other"`} {
		p.say(fmt.Sprintf(`{"do":"say","as":%d,%s}`, 10+i, say))
		if _, _, fault := p.answers(); (fault != "") != (i > 2) {
			t.Errorf("%s: %q", say, fault)
		}
	}
	if diff := cmp.Diff([]string{"demo 1 a true", "demo 1 a false", "demo 1 a nothing"}, scorer.said); diff != "" {
		t.Errorf("what was said (-want +got):\n%s", diff)
	}
}

// TestScores: the same for scripts, and not for those who may not look.
func TestScores(t *testing.T) {
	scorer := &fakeScorer{}
	scorer.set("demo", Score{Till: 1, SoftwareHouse: "H"})
	house := &fakeHouse{sites: []string{"demo", "other"}, keys: map[string]Key{}}
	_, dev := serve(t, Config{House: house, Score: scorer, Dev: true})
	_, shop := serve(t, Config{House: house, Score: scorer})
	_, none := serve(t, Config{House: house, Dev: true})
	for _, c := range []struct {
		address string
		status  int
		want    string
	}{
		{dev + "/console/checklist/scores", 200, `"softwareHouse":"H"`},
		{dev + "/console/checklist/scores?site=other", 200, "[]"},
		{dev + "/console/checklist/scores?site=elsewhere", 404, errNoSite.Error()},
		{shop + "/console/checklist/scores", 401, ""},
		{none + "/console/checklist/scores", 404, "tillwire check"},
		{none + "/console/checklist", 404, "no such page"},
	} {
		res, err := http.Get(c.address)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: %d %s (%v)", c.address, res.StatusCode, body, err)
		}
	}
	res, err := http.Get(none + "/console/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); strings.Contains(string(body), "Checklist") {
		t.Error("a page that is not there stands in the navigation")
	}
}
