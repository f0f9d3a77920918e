package conform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Scene is something that happens at the tables of a till, where the card
// machines ask by themselves. It is played once and judged by several checks.
type Scene struct {
	Name string // begins the names of its steps
	Text string // what it is, for people
	// Steps are what hands are asked for, in the order in which Play does: orders,
	// which have a text, and questions. The first order says what is judged.
	Steps []Act
	// Play has it happen. It returns early where there is no point in going on.
	Play func(*Play) error
}

// A Visit is what a waiter does at a card machine. Amounts are minor units.
type Visit struct {
	Waiter string
	Table  string // locked also when the list lacks it; empty: only the list is looked at
	Bill   bool   // is printed
	Pay    int64  // towards the bill; 0 is all of it
	Tip    int64  // gratuity, with the first payment
	Parts  int    // that are paid with a card each; 0 is one
	Leave  bool   // once the table is locked
	// HoldAt is where the visit stops until it is resumed: HoldLocked or HoldCard.
	HoldAt string
}

// Where a visit can be held.
const (
	HoldLocked = "locked" // after the bill, before anything is paid
	HoldCard   = "card"   // before a card is charged
)

// A Service is the part of a stage that is about tables.
type Service interface {
	// Serve has a waiter do a visit at a card machine. It returns when that is
	// over, or holds. What the till answers decides how far it comes.
	Serve(ctx context.Context, tid string, v Visit) error
	// Resume lets a visit that holds go on to its end, or has the waiter leave. It
	// does nothing where none holds.
	Resume(ctx context.Context, tid string, leave bool) error
	// EndOfDay has the end of day made at a card machine.
	EndOfDay(ctx context.Context, tid string) error
	// Lose cuts the till's connections in place of its next acknowledgement of a
	// message by that method.
	Lose(method string)
	// Away keeps the till from the gateway, or lets it come back.
	Away(bool)
	// TakeOver connects another till of the same site.
	TakeOver(ctx context.Context) error
}

// A Play is a scene while it is played.
type Play struct {
	ctx    context.Context
	run    *Run
	scene  *Scene
	from   int // number of the scene's first frame
	number int // of the step before the next
	of     int
	words  map[string]*Word
}

// step is a step as it is given to hands.
func (p *Play) step(name string) Step {
	i := slices.IndexFunc(p.scene.Steps, func(a Act) bool { return a.Name == name })
	a := p.scene.Steps[i]
	return Step{
		Line: Line{ID: p.scene.Name, Text: p.scene.Text}, Act: a.Name, Order: a.Order, Question: a.Question, Apart: a.Question != "",
		Number: p.number + i + 1, Of: p.of, Missing: func() string { return "" },
	}
}

// errLate says that an order was not carried out in time.
var errLate = errors.New("the time for this step has passed")

// Order has an order carried out.
func (p *Play) Order(name string) error {
	ctx, stop := context.WithTimeout(p.ctx, p.run.cfg.Limit)
	defer stop()
	_, err := p.run.cfg.Hands.Do(ctx, p.step(name))
	if err == nil && ctx.Err() != nil {
		return errLate
	}
	return err
}

// Ask asks a question; the answer is among the words of the scene.
func (p *Play) Ask(name string) error {
	step := p.step(name)
	if given, ok := p.run.cfg.Answers[step.Name()]; ok {
		p.words[name] = &given
		return nil
	}
	ctx, stop := context.WithTimeout(p.ctx, p.run.cfg.Limit)
	defer stop()
	w, err := p.run.cfg.Hands.Ask(ctx, step)
	if errors.Is(err, context.DeadlineExceeded) && p.ctx.Err() == nil {
		err = nil // nobody answered
	}
	p.words[name] = w
	return err
}

// Tell says what is going on.
func (p *Play) Tell(format string, args ...any) { p.run.cfg.Hands.Tell(fmt.Sprintf(format, args...)) }

func (p *Play) stage() Stage { return p.run.cfg.Stage }

// Serve has a waiter do a visit at a card machine. A till that has just connected
// is tried until the gateway has it.
func (p *Play) Serve(tid string, v Visit) error {
	patience := time.NewTimer(p.run.cfg.Patience)
	defer patience.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		from := len(p.frames())
		if err := p.stage().Serve(p.ctx, tid, v); err != nil {
			return err
		}
		all, _ := p.run.since(0)
		if len(by(asks(p.frames()[from:]), "tableListRequest")) > 0 || len(alive(all)) == 0 {
			return nil
		}
		select {
		case <-again.C:
		case <-patience.C:
			return nil
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
}

// Resume lets a visit that holds go on.
func (p *Play) Resume(tid string, leave bool) error { return p.stage().Resume(p.ctx, tid, leave) }

// locked reports whether the last lock of a table was confirmed and stands.
func (p *Play) locked(table string) bool {
	all := asks(p.frames())
	return standing(about(all, table), len(p.frames())).locked
}

// frames are those of the scene so far.
func (p *Play) frames() []Frame {
	frames, _ := p.run.since(p.from)
	return frames
}

// until waits for a condition on the frames from a number on, and reports whether
// it came to be.
func (p *Play) until(from int, limit time.Duration, is func([]Frame) bool) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		frames, stir := p.run.since(from)
		if is(frames) {
			return true
		}
		select {
		case <-stir:
		case <-timer.C:
			return false
		case <-p.ctx.Done():
			return false
		}
	}
}

// Connected waits until the till has a connection, and reports whether it has.
func (p *Play) Connected() bool {
	return p.until(0, p.run.cfg.Limit, func(f []Frame) bool { return len(alive(f)) > 0 })
}

// Released waits until the till was told that it may have a table back, and has
// acknowledged that. A till that is away is waited for. It reports false when the
// till takes too long.
func (p *Play) Released(table string) bool {
	if !slices.ContainsFunc(about(asks(p.frames()), table), (*ask).confirmed) {
		return false // nobody has it
	}
	for {
		released, away := false, false
		p.until(p.from, p.run.cfg.Patience, func(f []Frame) bool {
			released = false
			for _, a := range about(asks(f), table) {
				switch {
				case a.method == "tableLockRequest" && a.confirmed():
					released = false
				case a.method == "tableUnlock":
					released = a.acked >= 0
				}
			}
			all, _ := p.run.since(0)
			away = len(alive(all)) == 0
			return released || away
		})
		if released || !away || !p.Connected() {
			return released
		}
	}
}

// scenes plays a scene and judges it by all its checks that are not decided yet.
func (r *Run) scenes(ctx context.Context, sc *Scene, before map[string]Line, number, steps int) ([]Line, error) {
	var lines []Line
	var open []Check
	for _, c := range r.cfg.Checks {
		if c.Scene != sc {
			continue
		}
		if done, ok := before[c.ID]; ok && (done.State == Passed || done.State == Failed) {
			lines = append(lines, done)
		} else {
			open = append(open, c)
		}
	}
	if len(open) == 0 {
		return lines, nil
	}
	judged, err := r.scene(ctx, sc, open, number, steps)
	for _, l := range judged {
		r.cfg.Hands.Decided(l)
	}
	return append(lines, judged...), err
}

// scene plays a scene and judges it by those checks.
func (r *Run) scene(ctx context.Context, sc *Scene, checks []Check, number, steps int) ([]Line, error) {
	for {
		lines, err := r.sceneOnce(ctx, sc, checks, number, steps)
		if errors.Is(err, ErrAgain) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sc.Name, err)
		}
		i := slices.IndexFunc(lines, func(l Line) bool { return l.State != Passed })
		if i < 0 {
			return lines, nil
		}
		frames, _ := r.since(0)
		again, err := r.cfg.Hands.Again(ctx, lines[i], Report{Frames: frames}.evidence(lines[i]))
		if err != nil {
			return nil, err
		}
		if !again {
			return lines, nil
		}
	}
}

func (r *Run) sceneOnce(ctx context.Context, sc *Scene, checks []Check, number, steps int) ([]Line, error) {
	if err := r.cfg.Stage.Calm(); err != nil {
		return nil, err
	}
	began := now()
	earlier, _ := r.since(0)
	p := &Play{ctx: ctx, run: r, scene: sc, from: len(earlier), number: number, of: steps, words: map[string]*Word{}}
	err := sc.Play(p)
	hint := ""
	switch {
	case errors.Is(err, ErrSkip):
		hint = "it was left out by whoever works the till"
	case errors.Is(err, errLate):
		hint = err.Error()
	case err != nil:
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	seen := &Seen{Frames: p.frames(), Before: earlier, Alive: alive(earlier), words: p.words}
	for _, a := range sc.Steps {
		if a.Order.Text != "" {
			seen.Order = a.Order
			break
		}
	}
	var lines []Line
	for _, c := range checks {
		line := newLine(c)
		v := Verdict{Hint: hint}
		if hint == "" {
			v = c.Judge(seen)
		}
		if v.State == Open {
			v.State, v.Hint = v.Else, v.missing()
		}
		line.take(v, p.from)
		line.Began, line.Ended = began, now()
		if c.Needs != ByWire {
			for _, a := range sc.Steps {
				if w := p.words[a.Name]; w != nil {
					line.Words = append(line.Words, Said{stepName(sc.Name, a.Name), *w})
				}
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// after is what a judge is shown, with what was said at a step of the scene.
func (s *Seen) after(step string) *Seen {
	with := *s
	with.Word = s.words[step]
	return &with
}
