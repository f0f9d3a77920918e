package console

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Scorer goes by the integration checklist for the tills that connect. It
// answers from memory.
type Scorer interface {
	// Scores are the scores of the tills of a site, the one that was heard last
	// first.
	Scores(site string) []Score
	// Say answers the question of a step about a till; no answer takes one back.
	Say(site string, till int, step string, yes *bool) error
}

// A Score is how far a till has come.
type Score struct {
	Till          int         `json:"till"` // its number
	SoftwareHouse string      `json:"softwareHouse,omitzero"`
	Installer     string      `json:"installer,omitzero"`
	Host          string      `json:"host"`
	Key           string      `json:"key"` // public id
	Faces         []string    `json:"faces"`
	First         time.Time   `json:"first"`
	Last          time.Time   `json:"last"`
	Open          int         `json:"open"` // connections
	Lines         []ScoreLine `json:"lines"`
}

// A ScoreLine is one line of the checklist.
type ScoreLine struct {
	ID       string `json:"id"`
	Side     string `json:"side"` // general, pac or pat
	Text     string `json:"text"`
	Clause   string `json:"clause"`
	Optional bool   `json:"optional,omitzero"`
	// State is "passed", "failed", "not seen yet", "only eyes can tell" or "run
	// tillwire check".
	State string      `json:"state"`
	Parts []ScorePart `json:"parts"`
}

// A ScorePart is one thing that has to be seen for a line.
type ScorePart struct {
	Step     string     `json:"step"`
	State    string     `json:"state"`
	Hint     string     `json:"hint,omitzero"`     // what is wrong
	Todo     string     `json:"todo,omitzero"`     // how it can be seen
	Question string     `json:"question,omitzero"` // what only eyes can tell
	ByWord   bool       `json:"byWord,omitzero"`   // decided by somebody's word
	At       time.Time  `json:"at,omitzero"`
	Failed   time.Time  `json:"failed,omitzero"` // when it failed last
	Evidence []Sighting `json:"evidence,omitzero"`
}

// A Sighting is a message, or the begin or end of a connection, that decided.
type Sighting struct {
	Seq  uint64    `json:"seq"` // among the messages of the traffic; 0 for none
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

var errNoScore = errors.New("this gateway keeps no score: tillwire serve --dev does, and tillwire check tries a till anywhere")

// scoreEvery is how often a page is told how tills stand.
const scoreEvery = 250 * time.Millisecond

// watchChecklist is the topic "checklist": the scores of a site's tills, again
// when one has changed.
func (c *Console) watchChecklist(ctx context.Context, v viewer, ask jsontext.Value, send func(any) error) error {
	q, err := read[machineAsk](ask)
	if err != nil {
		return err
	}
	site, err := v.site(q.Site)
	if err != nil {
		return err
	}
	if c.cfg.Score == nil {
		return errNoScore
	}
	tick := time.NewTicker(scoreEvery)
	defer tick.Stop()
	var last []Score
	for first := true; ; first = false {
		if list := c.cfg.Score.Scores(site); first || !reflect.DeepEqual(list, last) {
			if err := send(append([]Score{}, list...)); err != nil {
				return err
			}
			last = list
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// scores answers with the scores of a site as JSON, for scripts.
func (c *Console) scores(w http.ResponseWriter, r *http.Request) {
	v, ok := c.viewer(r)
	if !ok {
		http.Error(w, "Nobody is logged in.", http.StatusUnauthorized)
		return
	}
	site, err := v.site(r.URL.Query().Get("site"))
	if err == nil && c.cfg.Score == nil {
		err = errNoScore
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, append([]Score{}, c.cfg.Score.Scores(site)...), jsontext.AllowInvalidUTF8(true)) // one that is gone needs no answer
}

// A sayAsk is what somebody saw at a till.
type sayAsk struct {
	Site string `json:"site"`
	Till int    `json:"till"`
	Step string `json:"step"`
	Yes  *bool  `json:"yes"`
}

// say is the deed "say": a line that only eyes can tell.
func (c *Console) say(_ context.Context, v viewer, ask jsontext.Value) (any, error) {
	q, err := read[sayAsk](ask)
	if err != nil {
		return nil, err
	}
	site, err := v.site(q.Site)
	if err != nil {
		return nil, err
	}
	if c.cfg.Score == nil {
		return nil, errNoScore
	}
	return nil, c.cfg.Score.Say(site, q.Till, q.Step, q.Yes)
}
