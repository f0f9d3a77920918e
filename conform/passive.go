package conform

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/spec"
)

// A Caller is what is known of who is at the other end of a connection. Two
// connections with equal callers are taken for the same till: the installer is
// not part of it, so that one that changes is noticed, and neither is the port.
type Caller struct {
	Site          string
	Key           string // public id of the key that opened the gateway
	Host          string // address without the port
	SoftwareHouse string // empty where the till named none
}

// The states that a line of a score has beside Passed and Failed.
const (
	Unseen    State = "not seen yet"       // Todo says how it can be
	Eyes      State = "only eyes can tell" // the wire showed its part; Question asks for the rest
	Elsewhere State = "run tillwire check" // a gateway alone cannot bring it about
)

// A Score is how far a till has come, from what it said by itself.
type Score struct {
	Caller
	Number    int // of the till, from 1 in the order in which they came
	Installer string
	Faces     []string // pac and pat, as far as it came to them
	First     time.Time
	Last      time.Time // when it was heard last
	Open      int       // connections
	Lines     []ScoreLine
}

// Count says how many lines are in a state.
func (s Score) Count(state State) int {
	n := 0
	for _, l := range s.Lines {
		if l.State == state {
			n++
		}
	}
	return n
}

// A ScoreLine is one line of the checklist and how a till stands with it.
type ScoreLine struct {
	spec.ChecklistLine
	State State
	Parts []ScorePart // at least one
}

// A ScorePart is one thing that has to be seen for a line.
type ScorePart struct {
	Step     string // its name: that of the line, and with several parts a slash and its own
	State    State
	Hint     string // what is wrong, once it has failed
	Todo     string // how it can be seen
	Question string // what only eyes can tell, once the rest was seen
	Word     bool   // it was decided by somebody's word
	At       time.Time
	Failed   time.Time // when it failed last, if it ever has
	Evidence []Sighting
}

// A Sighting is a frame as it was seen, with a long text cut.
type Sighting struct {
	Frame
	Ref uint64 // by which whoever told of it knows it
}

// ScorerOptions bound a scorer. Zero fields have defaults.
type ScorerOptions struct {
	Tills  int           // that are remembered; 16
	Frames int           // of each till that are looked at; 400
	Bytes  int           // of their texts; 1 MiB
	Slow   time.Duration // after which a signature was slow; 5 s
	// Patience is how long a till may take to ask about what it does not know.
	Patience time.Duration // 60 s
}

// A Scorer goes by the checklist for every till that is heard, whatever the till
// does and in whatever order. It asks for nothing and changes nothing on the
// wire. It judges with the same judges as a run.
//
// It keeps the latest frames of each till until they were judged, and of each
// line what decided it last. Its methods may be called from several goroutines.
type Scorer struct {
	opt   ScorerOptions
	rules []rule

	mu    sync.Mutex
	tills []*tally // oldest first
	count int
}

// NewScorer makes a scorer.
func NewScorer(o ScorerOptions) *Scorer {
	o.Tills = cmp.Or(o.Tills, 16)
	o.Frames = cmp.Or(o.Frames, 400)
	o.Bytes = cmp.Or(o.Bytes, 1<<20)
	o.Slow = cmp.Or(o.Slow, 5*time.Second)
	o.Patience = cmp.Or(o.Patience, time.Minute)
	return &Scorer{opt: o, rules: rules(o)}
}

// A tally is what is kept of one till.
type tally struct {
	Caller
	number      int
	installer   string
	faces       []string
	first, last time.Time
	open        map[int]bool

	frames []Frame // the latest
	refs   []uint64
	base   int // number of frames that are gone
	bytes  int
	stood  int // frames before this number were judged each by itself
	ended  int // calls that began before this number were judged and have ended
	fresh  bool
	parts  map[string]*mark // by step, and by method where each message is judged
}

// A mark is what was found of a part last.
type mark struct {
	ScorePart
	begun int // number of the frame with which the occasion began
	asked bool
}

// Saw tells of a frame that went over a till's connection, or of a connection
// that was refused, in the order of the wire. Its numbers of connections must not
// be used again. ref is what the frame is known by to whoever tells of it.
func (s *Scorer) Saw(c Caller, f Frame, ref uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally(c, f)
	switch f.Kind {
	case Opened:
		t.open[f.Conn] = true
		t.installer = f.Installer
		if face := strings.ToLower(strings.Trim(f.Path, "/")); !slices.Contains(t.faces, face) {
			t.faces = append(t.faces, face)
			slices.Sort(t.faces)
		}
	case Closed:
		delete(t.open, f.Conn)
	case Refused, Message:
	}
	t.last = f.At
	t.fresh = true
	t.frames = append(t.frames, f)
	t.refs = append(t.refs, ref)
	t.bytes += len(f.Text)
	if len(t.frames) > s.opt.Frames || t.bytes > s.opt.Bytes {
		s.judge(t, f.At)
		t.forget(s.opt)
	}
}

// Missed tells that something was said that was not seen. Conversations that are
// under way cannot be judged any more.
func (s *Scorer) Missed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tills {
		if len(t.frames) > 0 {
			s.judge(t, t.last)
			t.drop(len(t.frames))
		}
	}
}

// tally finds the till of a frame, and makes one for a new one. The one that was
// silent for longest is forgotten where there are too many.
func (s *Scorer) tally(c Caller, f Frame) *tally {
	for _, t := range s.tills {
		if t.Caller == c {
			return t
		}
	}
	if len(s.tills) >= s.opt.Tills {
		oldest := 0
		for i, t := range s.tills {
			if t.last.Before(s.tills[oldest].last) {
				oldest = i
			}
		}
		s.tills = slices.Delete(s.tills, oldest, oldest+1)
	}
	s.count++
	t := &tally{Caller: c, number: s.count, first: f.At, open: map[int]bool{}, parts: map[string]*mark{}}
	s.tills = append(s.tills, t)
	return t
}

// forget drops the older half of the frames.
func (t *tally) forget(o ScorerOptions) {
	n := 0
	for n < len(t.frames) && (len(t.frames)-n > o.Frames/2 || t.bytes > o.Bytes/2) {
		t.bytes -= len(t.frames[n].Text)
		n++
	}
	t.bytes = 0
	t.drop(n)
}

// drop forgets the first n frames.
func (t *tally) drop(n int) {
	t.frames, t.refs = slices.Clone(t.frames[n:]), slices.Clone(t.refs[n:])
	t.base += n
	t.bytes = 0
	for _, f := range t.frames {
		t.bytes += len(f.Text)
	}
}

// Scores are the scores of the tills of a site, the one that was heard last
// first.
func (s *Scorer) Scores(site string, now time.Time) []Score {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Score
	for _, t := range s.tills {
		if t.Site != site {
			continue
		}
		s.judge(t, now)
		out = append(out, s.score(t))
	}
	slices.SortStableFunc(out, func(a, b Score) int { return b.Last.Compare(a.Last) })
	return out
}

// score is a till's score as it stands.
func (s *Scorer) score(t *tally) Score {
	out := Score{
		Caller: t.Caller, Number: t.number, Installer: t.installer, Faces: slices.Clone(t.faces),
		First: t.first, Last: t.last, Open: len(t.open),
	}
	for _, l := range spec.Default().Checklist() {
		line := ScoreLine{ChecklistLine: l}
		for _, r := range s.rules {
			if r.check.ID == l.ID {
				line.Parts = append(line.Parts, t.part(r))
			}
		}
		if len(line.Parts) == 0 {
			continue
		}
		line.State = stateOf(line.Parts)
		out.Lines = append(out.Lines, line)
	}
	return out
}

// stateOf is the state of a line whose parts stand so: the worst counts.
func stateOf(parts []ScorePart) State {
	for _, state := range []State{Failed, Unseen, Elsewhere, Eyes} {
		if slices.ContainsFunc(parts, func(p ScorePart) bool { return p.State == state }) {
			return state
		}
	}
	return Passed
}

// part is how a part stands.
func (t *tally) part(r rule) ScorePart {
	p := ScorePart{Step: r.step(), State: Unseen, Todo: r.todo}
	if r.find == nil {
		p.State = cmp.Or(r.state, Elsewhere)
		p.Question = r.check.question(r.part)
	}
	var found *mark
	for step, m := range t.parts { // the one that failed, or the latest
		if step != p.Step && !strings.HasPrefix(step, p.Step+" ") {
			continue
		}
		if found == nil || m.State == Failed && found.State != Failed || (m.State == Failed) == (found.State == Failed) && m.begun > found.begun {
			found = m
		}
	}
	if found == nil {
		return p
	}
	p.State, p.Hint, p.Word, p.At, p.Failed = found.State, found.Hint, found.Word, found.At, found.Failed
	p.Question = cmp.Or(found.Question, p.Question)
	p.Evidence = slices.Clone(found.Evidence)
	for step, m := range t.parts {
		if strings.HasPrefix(step, p.Step+" ") && m.Failed.After(p.Failed) {
			p.Failed = m.Failed
		}
	}
	return p
}

// question is what a person is asked in an act.
func (c Check) question(act string) string {
	for _, a := range c.Acts {
		if a.Name == act {
			return a.Question
		}
	}
	return ""
}

// judge looks for occasions in the frames of a till, and takes down what they
// show.
func (s *Scorer) judge(t *tally, now time.Time) {
	if !t.fresh {
		return
	}
	w := &window{tally: t, opt: s.opt, now: now, calls: calls(t.frames), questions: questions(t.frames)}
	for _, r := range s.rules {
		if r.find == nil {
			continue
		}
		for _, o := range r.find(w) {
			t.take(r, o, w)
		}
	}
	t.stood = t.base + len(t.frames)
	for _, c := range w.calls {
		if c.answered < 0 && c.closed < 0 {
			break
		}
		t.ended = max(t.ended, t.base+c.at+1)
	}
	t.fresh = w.again
}

// take judges one occasion and marks what was found.
func (t *tally) take(r rule, o occasion, w *window) {
	step := r.step()
	if o.kind != "" {
		step += " " + o.kind
	}
	begun := t.base + o.frames[0]
	m := t.parts[step]
	if m != nil && m.begun > begun {
		return // it was about something that came later
	}
	for _, i := range o.frames {
		f := t.frames[i]
		if i == o.lost {
			f.Cut = true // whoever ended it: the till had no answer
		}
		o.seen.Frames = append(o.seen.Frames, f)
	}
	v := r.judge(&o.seen)
	if v.State == Open && !v.Ask {
		if v.Else != Failed {
			return
		}
		if !o.over {
			w.again = true // time may decide it
			return
		}
		v.State = Failed
	}
	if m == nil {
		m = &mark{}
		t.parts[step] = m
	}
	if m.begun != begun || v.State == Failed {
		m.Word = m.Word && v.Ask && m.State == Passed // a yes stands until something else shows
	}
	m.begun = begun
	switch {
	case v.State == Failed:
		m.State, m.Hint = Failed, v.Hint
	case v.Ask && m.Word:
	case v.Ask:
		m.State, m.Hint = Eyes, v.Hint
		if r.ask != nil {
			m.Question = r.ask(&o.seen)
		}
	default:
		m.State, m.Hint = Passed, ""
	}
	m.Evidence = m.Evidence[:0:0]
	for _, n := range v.Frames {
		m.Evidence = append(m.Evidence, t.sighting(o.frames[n]))
		m.At = t.frames[o.frames[n]].At
	}
	if m.State == Failed {
		m.Failed = m.At
	}
}

// maxSighting bounds the text of a sighting.
const maxSighting = 4 << 10

func (t *tally) sighting(i int) Sighting {
	f := t.frames[i]
	if len(f.Text) > maxSighting {
		f.Text = strings.ToValidUTF8(f.Text[:maxSighting], "") + " …"
	}
	f.Text = strings.Clone(f.Text)
	return Sighting{f, t.refs[i]}
}
