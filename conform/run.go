package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Hands do at the till what is ordered: a person, or a program.
type Hands interface {
	// Do has an order carried out. It returns when that is done, with what there
	// is to say; where nobody says when it is done, it returns when ctx ends. An
	// error ends the run, but for [ErrSkip] and [ErrAgain].
	Do(ctx context.Context, s Step) (*Word, error)
	// Tells reports whether Do always knows when an order is carried out.
	Tells() bool
	// Ask asks what the wire cannot show; nil when nobody answers. Its errors are
	// as those of Do.
	Ask(ctx context.Context, s Step) (*Word, error)
	// Again is asked when a step has failed or was not reached, which the line
	// says and the frames show, whether it is to be done once more. An error ends
	// the run.
	Again(ctx context.Context, l Line, evidence []Frame) (bool, error)
	// Tell says what is going on while nobody has to do anything.
	Tell(text string)
	// Decided tells of each line as it is decided.
	Decided(Line)
}

// What hands may want instead of carrying on.
var (
	ErrSkip  = errors.New("the line is left out")
	ErrAgain = errors.New("the step is begun anew")
)

// A Step is one order as it is given to hands.
type Step struct {
	Line     Line // what is known of it so far
	Act      string
	Order    Order
	Question string
	Apart    bool // the question stands by itself: nothing was ordered in this step
	Number   int  // of the step, from 1
	Of       int  // how many there are
	// Missing says what is waited for at the moment; empty when nothing is.
	Missing func() string
}

// Name is the step's name: its line's id, and its act where the line has several.
func (s Step) Name() string { return stepName(s.Line.ID, s.Act) }

func stepName(id, act string) string {
	if act == "" {
		return id
	}
	return id + "/" + act
}

// A Config says what is run, and with whom.
type Config struct {
	Checks []Check // in this order
	Stage  Stage
	Hands  Hands
	// Answers are words that were given before, by the names of steps. They go
	// before what hands say.
	Answers map[string]Word
	// Product names who checks, and Side what is checked, in the report.
	Product, Side string
	// Earlier is what an interrupted run has decided: it is not asked for again.
	Earlier Report
	// Limit is how long one step may take, and Settle how long nothing may come
	// before a step is over in which more could have come.
	Limit, Settle time.Duration
	// Patience is how long a till that keeps tables may take to acknowledge what it
	// was told; 10 s by default.
	Patience time.Duration
	// Kept is called with the report after each line; an error ends the run.
	Kept func(Report) error
}

// A Run is one till's way through the checklist.
type Run struct {
	cfg Config

	mu     sync.Mutex
	frames []Frame
	stir   chan struct{} // closed when a frame comes
}

// NewRun makes a run.
func NewRun(cfg Config) *Run {
	cfg.Patience = cmp.Or(cfg.Patience, 10*time.Second)
	return &Run{cfg: cfg, frames: slices.Clone(cfg.Earlier.Frames), stir: make(chan struct{})}
}

// Saw is what a [Relay] tells frames to.
func (r *Run) Saw(f Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, f)
	close(r.stir)
	r.stir = make(chan struct{})
}

// since returns the frames from a number on, and a channel that is closed when
// there are more.
func (r *Run) since(from int) ([]Frame, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.frames[from:len(r.frames):len(r.frames)], r.stir
}

// Run goes through the checks and returns the report. An error is one of the
// stage, of the hands, or of ctx; the report then has what was decided.
func (r *Run) Run(ctx context.Context) (Report, error) {
	report := Report{Product: r.cfg.Product, Side: r.cfg.Side, Began: r.cfg.Earlier.Began}
	if report.Began.IsZero() {
		report.Began = now()
	}
	before := map[string]Line{}
	for _, l := range r.cfg.Earlier.Lines {
		before[l.ID] = l
	}
	steps := 0
	counted := map[*Scene]bool{}
	for _, c := range r.cfg.Checks {
		steps += len(c.Acts)
		if c.Scene != nil && !counted[c.Scene] {
			counted[c.Scene] = true
			steps += len(c.Scene.Steps)
		}
	}
	keep := func() error {
		report.Frames, _ = r.since(0)
		report.Ended = now()
		if r.cfg.Kept == nil {
			return nil
		}
		return r.cfg.Kept(report)
	}
	number := 0
	played := map[*Scene]bool{}
	for _, c := range r.cfg.Checks {
		if c.Stands != nil || played[c.Scene] {
			continue
		}
		if c.Scene != nil {
			played[c.Scene] = true
			lines, err := r.scenes(ctx, c.Scene, before, number, steps)
			if err != nil {
				return report, err
			}
			number += len(c.Scene.Steps)
			report.Lines = append(report.Lines, lines...)
			if err := keep(); err != nil {
				return report, err
			}
			continue
		}
		line := newLine(c)
		if done, ok := before[c.ID]; ok && (done.State == Passed || done.State == Failed) {
			report.Lines = append(report.Lines, done)
			number += len(c.Acts)
			continue
		}
		if err := r.line(ctx, c, &line, &number, steps); err != nil {
			return report, fmt.Errorf("%s: %w", c.ID, err)
		}
		report.Lines = append(report.Lines, line)
		r.cfg.Hands.Decided(line)
		if err := keep(); err != nil {
			return report, err
		}
	}
	if err := r.cfg.Stage.Calm(); err != nil {
		return report, err
	}
	for _, c := range r.cfg.Checks {
		if c.Stands == nil {
			continue
		}
		line := newLine(c)
		frames, _ := r.since(0)
		line.take(c.Stands(frames), 0)
		report.Lines = append(report.Lines, line)
		r.cfg.Hands.Decided(line)
	}
	report.sort(r.cfg.Checks)
	return report, keep()
}

// line goes through the acts of a check until one of them decides against it.
func (r *Run) line(ctx context.Context, c Check, line *Line, number *int, steps int) error {
	line.Began = now()
	var before []Frame
	first := *number + 1
	*number += len(c.Acts)
	for i := 0; i < len(c.Acts); {
		a := c.Acts[i]
		from, v, w, err := r.act(ctx, a, Step{Line: *line, Act: a.Name, Order: a.Order, Question: a.Question, Number: first + i, Of: steps}, before)
		switch {
		case errors.Is(err, ErrAgain):
			continue
		case errors.Is(err, ErrSkip):
			line.take(Verdict{Hint: "it was left out by whoever works the till"}, from)
			line.Ended = now()
			return nil
		case err != nil:
			return err
		}
		judged := *line
		judged.Evidence = slices.Clone(line.Evidence)
		judged.take(v, from)
		if v.State != Passed {
			frames, _ := r.since(0)
			again, err := r.cfg.Hands.Again(ctx, judged, Report{Frames: frames}.evidence(judged))
			if err != nil {
				return err
			}
			if again {
				continue
			}
		}
		*line = judged
		if w != nil {
			line.Words = append(line.Words, Said{stepName(c.ID, a.Name), *w})
		}
		if v.State != Passed {
			break
		}
		frames, _ := r.since(from)
		before = append(before, frames...)
		i++
	}
	line.Ended = now()
	return nil
}

// act has one order carried out and judged. It returns the number of the act's
// first frame.
func (r *Run) act(ctx context.Context, a Act, step Step, before []Frame) (from int, v Verdict, w *Word, err error) {
	if err := r.cfg.Stage.Calm(); err != nil {
		return 0, v, nil, err
	}
	earlier, _ := r.since(0)
	if a.Prepare != nil {
		if err := a.Prepare(r.cfg.Stage); err != nil {
			return 0, v, nil, err
		}
	}
	from = len(earlier)
	seen := &Seen{Order: a.Order, Before: before, Alive: alive(earlier), met: slices.ContainsFunc(earlier, isOpened)}
	if given, ok := r.cfg.Answers[step.Name()]; ok {
		seen.Word = &given
	}
	var missing atomic.Value
	step.Missing = func() string {
		hint, _ := missing.Load().(string)
		return hint
	}
	doing, stop := context.WithTimeout(ctx, r.cfg.Limit)
	defer stop()
	type done struct {
		word *Word
		err  error
	}
	ended := make(chan done, 1)
	go func() {
		w, err := r.cfg.Hands.Do(doing, step)
		ended <- done{w, err}
	}()
	over, late := false, false
	quietSince := time.Now()
	reacted := 0
	for {
		var stir <-chan struct{}
		var frames []Frame
		frames, stir = r.since(from)
		for ; reacted < len(frames); reacted++ {
			quietSince = time.Now()
			if a.React == nil {
				continue
			}
			seen.Frames = frames[:reacted+1]
			if err := a.React(seen, r.cfg.Stage); err != nil {
				stop()
				<-ended
				return from, v, nil, err
			}
		}
		seen.Frames = frames
		v = a.Judge(seen)
		missing.Store(v.missing())
		if late {
			break
		}
		var settles <-chan time.Time
		person := !r.cfg.Hands.Tells()
		if person && (v.State == Failed || v.State == Passed && !v.Settle) {
			break
		}
		if over || person && (v.State == Passed || v.Ask) {
			rest := r.cfg.Settle - time.Since(quietSince)
			if rest <= 0 {
				break
			}
			settles = time.After(rest)
		}
		select {
		case <-stir:
		case <-settles:
		case d := <-ended:
			ended = nil // there is nothing more to wait for
			if d.err != nil && doing.Err() == nil {
				return from, v, nil, d.err
			}
			if seen.Word == nil {
				seen.Word = d.word
			}
			over, late, quietSince = true, doing.Err() != nil, time.Now()
		case <-doing.Done():
			late = true
		}
	}
	stop()
	if ended != nil {
		if d := <-ended; seen.Word == nil {
			seen.Word = d.word
		}
	}
	if err := ctx.Err(); err != nil {
		return from, v, nil, err
	}
	if v = a.Judge(seen); v.Ask && v.State == Open {
		if seen.Word == nil {
			if seen.Word, err = r.cfg.Hands.Ask(ctx, step); err != nil {
				return from, v, nil, err
			}
		}
		v = a.Judge(seen)
	}
	if v.State == Open {
		v.Hint = v.missing()
		v.State = cmp.Or(v.Else, NotReached)
		if late && v.State == NotReached {
			v.Hint = "the time for this step has passed: " + v.Hint
		}
	}
	return from, v, seen.Word, nil
}

// alive are the connections that are open after frames.
func alive(frames []Frame) []int {
	var open []int
	for _, f := range frames {
		switch f.Kind {
		case Opened:
			open = append(open, f.Conn)
		case Closed:
			open = slices.DeleteFunc(open, func(n int) bool { return n == f.Conn })
		case Refused, Message, Pong, Asked:
		}
	}
	return open
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// sort brings the lines into the order of the checks.
func (r *Report) sort(checks []Check) {
	place := map[string]int{}
	for i, c := range checks {
		place[c.ID] = i
	}
	slices.SortStableFunc(r.Lines, func(a, b Line) int { return cmp.Compare(place[a.ID], place[b.ID]) })
}
