package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/internal/folder"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/link"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/ws"
)

type terminalCmd struct {
	URL      string        `name:"url" required:"" env:"TILLWIRE_TERMINAL_URL" placeholder:"URL" help:"Address of the gateway's terminal link with the terminal key: ws://HOST:PORT/terminal?token=KEY."`
	TID      string        `name:"tid" required:"" env:"TILLWIRE_TERMINAL_TID" placeholder:"TID" help:"The terminal id that the key is for."`
	Plays    string        `default:"SIP0" placeholder:"SIP0" help:"What it plays, as the end of a virtual terminal's name says it: result, card, cardholder, machine."`
	Data     string        `type:"path" env:"TILLWIRE_TERMINAL_DATA" placeholder:"DIR" help:"Folder of its memory; by default one for the TID beside the gateway's."`
	Script   []scripted    `sep:"none" placeholder:"NAME=VALUE,…" help:"What its next transaction is like: result, entry, cvm, sameCard, or first scenario. Once for each of the next ones."`
	ByAmount bool          `name:"scenarios-by-amount" help:"The last two digits of an amount choose a scenario."`
	Redial   time.Duration `default:"5s" env:"TILLWIRE_TERMINAL_REDIAL" placeholder:"DURATION" help:"Longest pause before the gateway is dialled again; the first is a tenth of a second."`
	SimSpeed simSpeed      `default:"human" env:"TILLWIRE_SIM_SPEED" placeholder:"SPEED" help:"Its pace: human, max, or how many times faster than people."`
	SimSeed  uint64        `env:"TILLWIRE_SIM_SEED" placeholder:"N" help:"Seed of its cards, auth codes and ids; 0 takes a new one each time."`
	LogLevel slog.Level    `default:"warn" env:"TILLWIRE_LOG_LEVEL" placeholder:"LEVEL" help:"Log from here on: debug, info, warn or error."`
}

// Help is shown with the command's own help.
func (terminalCmd) Help() string {
	return `It dials the gateway, and again whenever the link is lost, and shows on stdout
what its screen shows. Its memory is on disk before it says anything: killed and
started again it is a card machine that lost power.

    tillwire terminals enrol shop 10001234
    tillwire terminal --url 'ws://127.0.0.1:8484/terminal?token=tt_…' --tid 10001234
    tillwire terminal --url 'ws://127.0.0.1:8484/terminal?token=tt_…' --tid 10001234 --plays DTP1
    tillwire terminal --url 'ws://127.0.0.1:8484/terminal?token=tt_…' --tid 10001234 --script cvm=SIGNATURE --script result=DECLINED

What it plays: ` + letterList() + `

Exit codes: 0 it was told to stop; 1 the gateway will not have it, or its memory
cannot be used.`
}

// letterList explains the letters that a machine plays by.
func letterList() string {
	v := spec.Default().VirtualTerminals()
	group := func(what string, letters []spec.VirtualLetter) string {
		var words []string
		for _, l := range letters {
			words = append(words, l.Letter+" "+l.Value)
		}
		return what + " " + strings.Join(words, ", ")
	}
	return group("result", v.Results) + "; " + group("card", v.Entries) + "; " + group("cardholder", v.Verifications) +
		"; machine 0 pounds, 1 euros, 2 pounds and asks for a gratuity."
}

// A scripted transaction is what a flag says of it.
type scripted struct{ sim.Script }

// UnmarshalText reads NAME=VALUE pairs joined by commas.
func (s *scripted) UnmarshalText(b []byte) error {
	v := spec.Default().VirtualTerminals()
	one := func(letters []spec.VirtualLetter, value string) (string, error) {
		var all []string
		for _, l := range letters {
			all = append(all, l.Value)
		}
		if !slices.Contains(all, value) {
			return "", fmt.Errorf("%q is not one of %s", value, strings.Join(all, ", "))
		}
		return value, nil
	}
	for pair := range strings.SplitSeq(string(b), ",") {
		name, value, _ := strings.Cut(pair, "=")
		var err error
		switch name {
		case "result":
			value, err = one(v.Results, value)
			s.Result = txn.Result(value)
		case "entry":
			value, err = one(v.Entries, value)
			s.Entry = txn.PaymentMethod(value)
		case "cvm":
			value, err = one(v.Verifications, value)
			s.CVM = txn.CVM(value)
		case "sameCard":
			s.SameCard = true
		case "scenario":
			var ok bool
			if s.Script, ok = sim.Scenario(value); !ok {
				err = noScenario(value)
			}
		default:
			err = fmt.Errorf("%q is not result, entry, cvm, sameCard or scenario", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Run is the machine until it is told to stop.
func (c terminalCmd) Run(s streams) error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	keeper := ws.NewKeeper(spec.Default().Timer(spec.TimerPing), spec.Default().Count(spec.CountPingsMissed))
	defer keeper.Stop()
	dial, err := link.Dialler(c.URL, nil, keeper)
	if err != nil {
		return usageError{hint(err, "tillwire terminals enrol SITE TID makes the key")}
	}
	memory, err := folder.Take(dir, "tillwire terminal "+c.TID)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: c.LogLevel}))
	park, err := sim.Open(sim.Options{
		Dir: filepath.Join(memory.Dir(), "sim"), Named: map[txn.TID]string{txn.TID(c.TID): c.Plays},
		Seed: serveCmd{SimSeed: c.SimSeed}.seed(), Speed: float64(c.SimSpeed), ByAmount: c.ByAmount, Log: log,
	})
	if err != nil {
		return errors.Join(err, memory.Release())
	}
	err = c.play(s, park, dial, log)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, park.Close(ctx), memory.Release())
}

// dir is where the machine keeps its memory.
func (c terminalCmd) dir() (string, error) {
	if c.Data != "" {
		return c.Data, nil
	}
	near := defaultData()
	if near == "" {
		return "", usageError{hint(errors.New("no data folder: this user has no home folder"), "name one with --data")}
	}
	return filepath.Join(near+"-terminals", strings.ToUpper(c.TID)), nil
}

// play keeps the machine linked until there is an interrupt, or the gateway
// will not have it.
func (c terminalCmd) play(s streams, park *sim.Park, dial func(context.Context) (*ws.Conn, error), log *slog.Logger) error {
	m, ok := park.Machine(txn.TID(c.TID))
	if !ok {
		return fmt.Errorf("there is no machine %q", c.TID)
	}
	for _, script := range c.Script {
		m.Script(script.Script)
	}
	interrupts, ignore := onInterrupt()
	defer ignore()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		select {
		case <-interrupts:
			cancel()
		case <-ctx.Done():
		}
	})
	view := &screen{out: s.out, told: map[txn.RequestID]bool{}}
	watching.Go(func() { view.revive(ctx, m) })
	view.show("terminal %s is on, and plays %s", m.TID(), strings.ToUpper(c.Plays))
	err := link.Machine{TID: m.TID(), Connect: view.watch(m.Connect), Dial: dial, Watch: view.stands, Log: log, Pause: link.Pauses(c.Redial)}.Run(ctx)
	if errors.Is(err, context.Canceled) {
		view.show("terminal %s is off", m.TID())
		return nil
	}
	return hint(err, "the key is that of tillwire terminals enrol, for this TID; tillwire key list shows whether it works")
}

// A screen shows what happens at a machine, a line each.
type screen struct {
	mu   sync.Mutex
	out  io.Writer
	told map[txn.RequestID]bool // ends that were shown
	down string                 // why there is no link, as it was shown; empty while there is one
}

func (v *screen) show(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.out, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// stands shows the link's ups and downs.
func (v *screen) stands(s link.Standing) {
	was := v.down
	if v.down = ""; s.Up {
		v.show("linked to the gateway")
		return
	}
	v.down = strings.TrimPrefix(s.Err.Error(), "link: ")
	if closed, ok := errors.AsType[*ws.CloseError](s.Err); ok && closed.Remote && closed.Code == ws.Policy {
		v.down += "; if this goes on, see whether another machine dials with the same key"
	}
	switch {
	case s.Next == 0: // it is the reason for the end
		v.show("no link to the gateway")
	case v.down != was:
		v.show("no link to the gateway, which is dialled until it is there: %s", v.down)
	}
}

// revive switches a machine on again that fell silent because its memory could not
// be written, once it can be.
func (v *screen) revive(ctx context.Context, m *sim.Machine) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for off := false; ; {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if err := m.Revive(); err != nil && !off {
			v.show("off until the memory can be written: %v", err)
			off = true
		} else if err == nil {
			off = false
		}
	}
}

// watch shows what passes between a machine and its link.
func (v *screen) watch(connect func(terminal.Sink) terminal.Terminal) func(terminal.Sink) terminal.Terminal {
	return func(sink terminal.Sink) terminal.Terminal {
		t := connect(func(e terminal.Event) {
			v.event(e)
			sink(e)
		})
		w, _ := t.(terminal.Waiter) // a simulated machine is one
		return &shownTerminal{Terminal: t, Waiter: w, screen: v}
	}
}

// event shows what a machine says.
func (v *screen) event(e terminal.Event) {
	switch e := e.(type) {
	case terminal.Notified:
		v.show("%s", strings.ReplaceAll(string(e.Value), "_", " "))
	case terminal.SignatureWanted:
		v.show("SIGNATURE of %s, please verify", e.ID)
	case terminal.Ended:
		o := e.Outcome
		v.ended(e.ID, fmt.Sprintf("%s %s %s", o.Type, o.Result, money.Amount{Minor: o.Total(), Currency: o.Currency}))
	case terminal.Reported:
		v.ended(e.ID, fmt.Sprintf("%s %s", e.Report.Type, e.Report.Result))
	case terminal.CameBack:
		if e.Restarted {
			v.show("the power was lost, and is back")
		}
	default: // is not of the counter
	}
}

func (v *screen) ended(id txn.RequestID, what string) {
	v.mu.Lock()
	again := v.told[id]
	v.told[id] = true
	v.mu.Unlock()
	if !again { // the gateway is told until it acknowledges
		v.show("%s  %s", what, id)
	}
}

// A shownTerminal shows what the gateway asks of it.
type shownTerminal struct {
	terminal.Terminal
	terminal.Waiter
	screen *screen
}

// Start implements [terminal.Terminal].
func (w *shownTerminal) Start(ctx context.Context, r terminal.Request) error {
	what := string(r.Report)
	if !r.IsReport() {
		what = fmt.Sprintf("%s %s", r.Txn.Type, money.Amount{Minor: r.Txn.Total(), Currency: r.Txn.Currency})
	}
	w.screen.show("%s wanted  %s", what, r.ID)
	err := w.Terminal.Start(ctx, r)
	if err != nil {
		w.screen.show("%s not begun: %v", what, err)
	}
	return err
}

// Query implements [terminal.Terminal].
func (w *shownTerminal) Query(ctx context.Context, id txn.RequestID) (terminal.Answer, error) {
	a, err := w.Terminal.Query(ctx, id)
	if err == nil {
		w.screen.show("the gateway asks about %s: %s", id, a.Kind)
	}
	return a, err
}

// Acknowledge implements [terminal.Terminal].
func (w *shownTerminal) Acknowledge(ctx context.Context, id txn.RequestID) error {
	err := w.Terminal.Acknowledge(ctx, id)
	if err == nil {
		w.screen.show("acknowledged  %s", id)
	}
	return err
}
