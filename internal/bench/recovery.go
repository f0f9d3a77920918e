package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tillwire/tillwire/journal/sqlite"
)

// recovery times the start of a gateway on journals of several sizes.
func (b *bench) recovery(ctx context.Context) (Group, error) {
	f, err := b.form(ctx)
	if err != nil {
		return Group{}, err
	}
	few, many := b.Finished[0], b.Finished[1]
	g := Group{
		Meaning: fmt.Sprintf("The time from the start of a process until its gateway takes tills: the journal is opened, what was left open is read, recorded as "+
			"interrupted and given back to its terminals, and the door is open. The process before was killed. Each open sale is at a terminal of its own; "+
			"the finished ones are of %d terminals. All were appended by the journal itself, and verified in the end. ", pastTerminals) +
			"The first figure is the price of the history alone; the second that of both grown alike.",
	}
	// A journal's open sales only become more, so the order matters.
	for _, c := range []struct {
		over, under left
		aim         float64 // at most; 0 for none
	}{
		{left{many, few / openShare}, left{few, few / openShare}, 1.2},
		{left{many, many / openShare}, left{few, few / openShare}, float64(many) / float64(few)},
		{left{few, few / openShare}, left{}, 0},
	} {
		figure, err := b.compareStarts(ctx, f, c.over, c.under)
		if err != nil {
			return Group{}, err
		}
		if c.aim > 0 {
			figure = figure.atMost(c.aim)
		}
		g.Figures = append(g.Figures, figure)
	}
	for _, sales := range []int{few, many} {
		if err := b.verify(ctx, b.pasts[sales]); err != nil {
			return Group{}, err
		}
	}
	return g, nil
}

// left is what an earlier process left behind: so many finished sales, and so
// many that are open.
type left struct{ finished, open int }

func (l left) String() string { return fmt.Sprintf("%d finished and %d open", l.finished, l.open) }

// compareStarts times starts on two journals in turns.
func (b *bench) compareStarts(ctx context.Context, f saleForm, over, under left) (Figure, error) {
	var took [2][]float64
	for round := range b.Rounds + 1 {
		b.say("recovery: %v, round %d of %d", over, round, b.Rounds)
		for i, l := range []left{over, under} {
			dir, err := b.past(ctx, f, l.finished)
			if err != nil {
				return Figure{}, err
			}
			if err := b.leaveOpen(ctx, dir, f, l.open); err != nil {
				return Figure{}, err
			}
			one, err := b.start(ctx, dir, l.open)
			if err != nil {
				return Figure{}, err
			}
			if round > 0 { // the first finds the journal closed, not left by a process that was killed
				took[i] = append(took[i], one)
			}
		}
	}
	return Figure{
		Case:   fmt.Sprintf("%v / %v", over, under),
		Figure: spread(ratios(took[0], took[1])),
		Values: []Value{{over.String(), "ms", spread(took[0])}, {under.String(), "ms", spread(took[1])}},
	}, nil
}

// openShare is how many sales are finished for each that is open.
const openShare = 100

// leaveOpen adds sales that were dispatched and have no end, each at a terminal
// of its own, until there are so many.
func (b *bench) leaveOpen(ctx context.Context, dir string, f saleForm, open int) (err error) {
	if b.opens[dir] == open {
		return nil
	}
	store, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if b.opens == nil {
		b.opens = map[string]int{}
	}
	from := b.opens[dir]
	b.opens[dir] = open
	return f.fill(ctx, store, from, open, 1, open)
}

// start has a process start a gateway, and returns the milliseconds until it was
// ready. It must have found so many open.
func (b *bench) start(ctx context.Context, dir string, open int) (_ float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begun := time.Now()
	p, err := startAssistant(b.Assistant(ctx, RoleRecovery))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.kill()) }()
	if err := p.tell(dir); err != nil {
		return 0, err
	}
	said, err := p.hear()
	took := float64(time.Since(begun)) / float64(time.Millisecond)
	if err != nil {
		return 0, err
	}
	if want := readyWith(open); said != want {
		return 0, fmt.Errorf("the gateway said %q, not %q", said, want)
	}
	return took, nil
}

func readyWith(open int) string { return fmt.Sprintf("ready with %d", open) }

// serveRecovery is the process that starts: it reads the folder's name, and says
// how many it found open once tills can connect.
func serveRecovery(in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return errors.Join(errors.New("no folder was named"), lines.Err())
	}
	store, err := sqlite.Open(lines.Text(), sqlite.Options{})
	if err != nil {
		return err
	}
	s, err := openShop(context.Background(), store, 0, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if _, err := fmt.Fprintln(out, readyWith(s.found)); err != nil {
		return err
	}
	return untilEnd(context.Background(), in)
}

// verify has the journal of a folder verify itself.
func (b *bench) verify(ctx context.Context, dir string) (err error) {
	b.say("the journal %s is verified", dir)
	store, err := sqlite.Open(dir, sqlite.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	v, err := store.Verify(ctx)
	if err == nil && v.Fault != "" {
		err = fmt.Errorf("the journal %s is not sound: %s", dir, v.Fault)
	}
	return err
}
