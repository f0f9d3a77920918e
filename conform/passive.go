package conform

import (
	"cmp"
	"errors"
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
	let         bool // it was let in
	installer   string
	faces       []string
	first, last time.Time
	open        map[int]string // paths of the connections

	frames   []Frame // the latest
	refs     []uint64
	base     int // number of frames that are gone
	bytes    int
	stood    int // frames before this number were judged each by itself
	ended    int // calls that began before this number were judged and have ended
	fresh    bool
	knock    *Frame    // how it was let in last
	chose    string    // the first card machine that it used
	reserves [][]Frame // pre-authorisations, each a request and its answer

	marks map[string]*mark // by step, and after it what is judged apart
}

// A mark is what was found of a part last.
type mark struct {
	ScorePart
	begun   int       // number of the frame with which the occasion began
	missing string    // what is right, where somebody is asked
	wrong   string    // what is said to a no
	before  time.Time // when it had failed before somebody gave their word
}

// Saw tells of a frame that went over a till's connection, or of a connection
// that was refused, in the order of the wire. Its numbers of connections must not
// be used again; their path need only be told when they are opened. ref is what the frame is known by to whoever tells of it.
func (s *Scorer) Saw(c Caller, f Frame, ref uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally(c, f)
	if f.Path == "" {
		f.Path = t.open[f.Conn]
	}
	f.Path = "/" + strings.ToLower(strings.Trim(f.Path, "/"))
	switch f.Kind {
	case Opened:
		t.open[f.Conn] = f.Path
		t.let, t.installer = true, f.Installer
		if face := f.Path[1:]; !slices.Contains(t.faces, face) {
			t.faces = append(t.faces, face)
			slices.Sort(t.faces)
		}
	case Closed:
		delete(t.open, f.Conn)
	case Message, Pong, Asked:
		t.open[f.Conn] = f.Path
	case Refused:
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
		clear(t.open) // who is still there will be heard
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
	// One that was refused has no key, and maybe no name: it is the one of that
	// name that has been in before, or the one that comes in from there later.
	for _, t := range slices.Backward(s.tills) {
		same := t.Site == c.Site && t.Host == c.Host
		switch {
		case same && f.Kind == Refused && t.let && c.Key == "" && c.SoftwareHouse == t.SoftwareHouse:
			return t
		case same && !t.let && (t.SoftwareHouse == "" || t.SoftwareHouse == c.SoftwareHouse):
			t.Caller = c
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
	t := &tally{Caller: c, number: s.count, first: f.At, open: map[int]string{}, marks: map[string]*mark{}}
	s.tills = append(s.tills, t)
	return t
}

// forget drops the older half of the frames.
func (t *tally) forget(o ScorerOptions) {
	n, left := 0, t.bytes
	for n < len(t.frames) && (len(t.frames)-n > o.Frames/2 || left > o.Bytes/2) {
		left -= len(t.frames[n].Text)
		n++
	}
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
		p.State, p.Question = cmp.Or(r.state, Elsewhere), r.question(nil)
	}
	var found *mark // the one that has failed, else the latest
	var failed time.Time
	for step, m := range t.marks {
		if step != p.Step && !strings.HasPrefix(step, p.Step+" ") {
			continue
		}
		if m.Failed.After(failed) {
			failed = m.Failed
		}
		bad := m.State == Failed
		if found == nil || bad && found.State != Failed || bad == (found.State == Failed) && m.begun > found.begun {
			found = m
		}
	}
	if found == nil {
		return p
	}
	found.Step, found.Todo = p.Step, p.Todo
	p = found.ScorePart
	p.Failed = failed
	p.Evidence = slices.Clone(found.Evidence)
	return p
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
			w.take(r, o)
		}
	}
	t.stood = t.base + len(t.frames)
	for _, c := range w.calls {
		if c.answered < 0 && c.closed < 0 {
			break
		}
		t.ended = max(t.ended, t.base+c.at+1)
	}
	t.fresh = w.waits
}

// take judges one occasion and marks what was found.
func (w *window) take(r rule, o occasion) {
	t := w.tally
	step := r.step()
	if o.kind != "" {
		step += " " + o.kind
	}
	begun := t.base + o.frames[0]
	m := t.marks[step]
	if m != nil && m.begun > begun {
		return // it is about something that came later
	}
	o.seen.Frames = slices.Clone(o.earlier)
	for _, i := range o.frames {
		f := t.frames[i]
		f.Cut = i == o.lost // whoever ended it: the till was left without an answer
		o.seen.Frames = append(o.seen.Frames, f)
	}
	v := r.judge(&o.seen)
	if v.State == Open && !v.Ask {
		if v.Else != Failed {
			return
		}
		if !o.over {
			w.waits = w.waits || o.waits
			return
		}
		v.State = Failed
	}
	if m == nil {
		m = &mark{}
		t.marks[step] = m
	}
	told := m.Word && (m.State == Passed || m.begun == begun)
	m.begun = begun
	if v.Ask {
		m.missing, m.wrong = v.Hint, r.no(o.seen)
	}
	switch {
	case v.State == Failed:
		m.State, m.Hint, m.Question, m.Word = Failed, v.Hint, "", false
	case v.Ask && told: // a yes holds until the wire shows something else, a no until the next time
	case v.Ask:
		m.State, m.Hint, m.Question, m.Word = Eyes, v.Hint, r.question(&o.seen), false
	default:
		m.State, m.Hint, m.Question, m.Word = Passed, "", "", false
	}
	m.Evidence = nil
	for _, n := range v.Frames {
		if n -= len(o.earlier); n >= 0 {
			m.Evidence = append(m.Evidence, t.sighting(o.frames[n]))
		}
	}
	if m.Evidence == nil {
		m.Evidence = []Sighting{t.sighting(o.frames[0])}
	}
	m.At = m.Evidence[len(m.Evidence)-1].At
	if m.State == Failed {
		m.Failed = m.At
	}
}

// maxSighting bounds the text of a sighting, in bytes.
const maxSighting = 4 << 10

func (t *tally) sighting(i int) Sighting {
	f := t.frames[i]
	if len(f.Text) > maxSighting {
		f.Text = strings.ToValidUTF8(f.Text[:maxSighting], "") + " …"
	}
	f.Text = strings.Clone(f.Text)
	return Sighting{f, t.refs[i]}
}

// ErrNoQuestion says that nothing is asked about that.
var ErrNoQuestion = errors.New("nothing is asked about that now")

// Say tells what only eyes can: of a till of a site, by its number, the answer to
// the question of a part, by its step. No answer takes back the one before. It
// returns [ErrNoQuestion] where there is nothing to answer.
func (s *Scorer) Say(site string, till int, step string, yes *bool, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.tills, func(t *tally) bool { return t.Site == site && t.number == till })
	j := slices.IndexFunc(s.rules, func(r rule) bool { return r.step() == step })
	if i < 0 || j < 0 {
		return ErrNoQuestion
	}
	t, r := s.tills[i], s.rules[j]
	s.judge(t, now)
	p := t.part(r)
	if p.State != Eyes && !p.Word {
		return ErrNoQuestion
	}
	m := t.marks[step]
	if m == nil {
		m = &mark{ScorePart: p}
		t.marks[step] = m
	}
	if m.Word {
		m.Failed = m.before
	}
	m.before = m.Failed
	switch {
	case yes == nil:
		m.State, m.Hint, m.Word = Eyes, m.missing, false
		return nil
	case *yes:
		m.State, m.Hint = Passed, ""
	default:
		m.State, m.Hint, m.Failed = Failed, cmp.Or(m.wrong, r.no(Seen{})), now
	}
	m.Word, m.At = true, now
	return nil
}

// no is what is said to somebody who answers the question of a part with no.
func (r rule) no(s Seen) string {
	no := false
	s.Word = &Word{Yes: &no}
	if r.check.Scene != nil {
		s.words = map[string]*Word{}
		for _, a := range r.check.Scene.Steps {
			s.words[a.Name] = s.Word
		}
	}
	return r.judge(&s).Hint
}
