package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/conform"
)

// hands are who works the till in this run.
func (c checkFlags) hands(s streams, address string) conform.Hands {
	if c.TillCommand != "" {
		return &tillCommand{s: s, command: c.TillCommand, url: address}
	}
	tellAddress(s, address)
	fmt.Fprintf(s.err, "\nThen do on the till what is said here. Card machines and cards are simulated, and need nobody.\nWhat the till sends is watched, and a step ends by itself once it shows what it has to. At any\ntime you can type\n\n%s", keysHelp)
	return &tillPerson{s: s}
}

// A tillCommand is a program that has the till do what is ordered.
type tillCommand struct {
	s            streams
	command, url string
}

// Tells reports that the order is carried out when the program has ended.
func (t *tillCommand) Tells() bool { return true }

// Ask runs the program where a question stands by itself. Else it has said what
// there is to say.
func (t *tillCommand) Ask(ctx context.Context, step conform.Step) (*conform.Word, error) {
	if !step.Apart {
		return nil, nil
	}
	return t.Do(ctx, step)
}

// Tell tells nobody.
func (t *tillCommand) Tell(string) {}

// Again lets everything be: a program would do the same once more.
func (t *tillCommand) Again(context.Context, conform.Line, []conform.Frame) (bool, error) {
	return false, nil
}

// Decided tells of a line.
func (t *tillCommand) Decided(l conform.Line) { tellLine(t.s, l) }

// Do runs the program. Its exit code says nothing here: a till that tells of a
// decline by one has done what it should.
func (t *tillCommand) Do(ctx context.Context, step conform.Step) (*conform.Word, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", t.command)
	cmd.Env = append(os.Environ(), orderEnv(step, t.url)...)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, t.s.err
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended && ctx.Err() == nil && !errors.Is(err, exec.ErrWaitDelay) {
		return nil, fmt.Errorf("--till-command: %w", err)
	}
	return wordIn(out.Bytes())
}

// wordIn is the word that a program's last line of output is, if it is one.
func wordIn(out []byte) (*conform.Word, error) {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if !strings.HasPrefix(last, "{") {
		return nil, nil
	}
	var w conform.Word
	if err := json.Unmarshal([]byte(last), &w, json.RejectUnknownMembers(true)); err != nil {
		return nil, hint(fmt.Errorf("--till-command: the last line of its output is no word on the step: %w", err), `it is like {"cleared": true, "amountTotal": 1250}; print other things before it`)
	}
	return &w, nil
}

// orderEnv says in an environment what is to be done.
func orderEnv(step conform.Step, address string) []string {
	o := step.Order
	env := map[string]string{
		"STEP": step.Name(), "LINE": step.Line.ID, "ACT": step.Act, "URL": address, "TEXT": o.Text, "METHOD": o.Method,
		"TID": o.TID, "CURRENCY": o.Currency, "AMOUNT": strconv.FormatInt(o.Amount, 10), "CASHBACK": strconv.FormatInt(o.Cashback, 10),
		"TABLE": o.Table, "WAITER": o.Waiter,
		"PRESENT": yesNo(o.Present), "CANCEL_AFTER": o.CancelAfter, "SIGNATURE": o.Signature, "WAIT": strconv.FormatFloat(o.Wait.Seconds(), 'f', -1, 64),
	}
	var out []string
	for name, value := range env {
		out = append(out, "TILLWIRE_CHECK_"+name+"="+value)
	}
	return append(out, "TILLWIRE_URL="+address)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// A tillPerson is somebody who works the till, reads what to do, and may type
// something at any time.
type tillPerson struct {
	s    streams
	once sync.Once
	in   chan string // lines that are typed, in lower case; closed at their end
	told string      // line whose fault has been told
}

// errLeft says that the person has left.
var errLeft = errors.New("left by whoever works the till")

// keysHelp says what can be typed.
const keysHelp = `  Enter  the till has done all of it: decide by what was seen so far
  again  begin this step anew
  skip   leave this line out; it counts as not reached
  quit   leave; with --state FILE the same command goes on here later
  ?      show this, and what is still waited for
`

// typed waits for a line from the keyboard. It reports false when none will come.
func (t *tillPerson) typed(ctx context.Context) (string, bool) {
	t.once.Do(func() {
		t.in = make(chan string)
		go func() { // reads on when the run is over; the program ends then
			defer close(t.in)
			for sc := bufio.NewScanner(t.s.in); sc.Scan(); {
				t.in <- strings.ToLower(strings.TrimSpace(sc.Text()))
			}
		}()
	})
	select {
	case line, open := <-t.in:
		return line, open
	case <-ctx.Done():
		return "", false
	}
}

// Tells reports that nobody need say when an order is carried out.
func (t *tillPerson) Tells() bool { return false }

// Do says what to do, and hears what is typed until that is seen to be done.
func (t *tillPerson) Do(ctx context.Context, step conform.Step) (*conform.Word, error) {
	t.told = ""
	fmt.Fprintf(t.s.err, "\n[%d of %d] %s (%s)\n  %s\n", step.Number, step.Of, step.Line.Text, step.Name(), step.Order.Text)
	if step.Line.Optional {
		fmt.Fprint(t.s.err, "  A till need not have this: skip leaves it out.\n")
	}
	if step.Order.Table != "" {
		fmt.Fprint(t.s.err, "  Press Enter when that is done.\n")
	}
	for {
		line, ok := t.typed(ctx)
		if !ok {
			<-ctx.Done()
			return nil, nil
		}
		if line == "" {
			return nil, nil
		}
		if err := t.wish(line, step.Missing()); err != nil {
			return nil, err
		}
	}
}

// wish is what somebody types who does not carry on; nil when that is none, and
// has been answered.
func (t *tillPerson) wish(line, missing string) error {
	switch line {
	case "again", "a":
		return conform.ErrAgain
	case "skip", "s":
		return conform.ErrSkip
	case "quit", "q", "exit":
		return errLeft
	case "?", "h", "help":
		fmt.Fprint(t.s.err, keysHelp)
		if missing != "" {
			fmt.Fprintf(t.s.err, "  Not decided yet: %s.\n", missing)
		}
	default:
		fmt.Fprintf(t.s.err, "  There is nothing called %q here; ? shows what can be typed.\n", line)
	}
	return nil
}

// Ask asks a question, and again until there is an answer.
func (t *tillPerson) Ask(ctx context.Context, step conform.Step) (*conform.Word, error) {
	if step.Question == "" {
		return nil, nil
	}
	if step.Apart {
		fmt.Fprintf(t.s.err, "\n[%d of %d] %s (%s)\n", step.Number, step.Of, step.Line.Text, step.Name())
	}
	for {
		fmt.Fprintf(t.s.err, "  %s y or n: ", step.Question)
		line, ok := t.typed(ctx)
		switch {
		case !ok:
			fmt.Fprintln(t.s.err)
			return nil, ctx.Err()
		case line == "y" || line == "yes" || line == "n" || line == "no":
			yes := line[0] == 'y'
			return &conform.Word{Yes: &yes}, nil
		case line == "":
			continue
		}
		if err := t.wish(line, "the question below is answered with y or n"); err != nil {
			return nil, err
		}
	}
}

// Tell says what is going on.
func (t *tillPerson) Tell(text string) { fmt.Fprintf(t.s.err, "  %s\n", text) }

// Again tells what went wrong, and asks whether to try once more. Where nobody
// types, nothing is tried again.
func (t *tillPerson) Again(ctx context.Context, l conform.Line, evidence []conform.Frame) (bool, error) {
	tellLine(t.s, l)
	t.told = l.ID
	for _, f := range evidence {
		fmt.Fprintf(t.s.err, "             %s\n", f.Brief())
	}
	for {
		fmt.Fprint(t.s.err, "  Enter to go on, again for another try, quit to leave: ")
		line, ok := t.typed(ctx)
		switch {
		case !ok:
			fmt.Fprintln(t.s.err)
			return false, ctx.Err()
		case line == "":
			return false, nil
		case line == "again" || line == "a":
			return true, nil
		case line == "quit" || line == "q" || line == "exit":
			return false, errLeft
		}
	}
}

// Decided tells of a line, unless Again has.
func (t *tillPerson) Decided(l conform.Line) {
	if l.ID != t.told {
		tellLine(t.s, l)
	}
	t.told = ""
}

func tellLine(s streams, l conform.Line) {
	fmt.Fprintf(s.err, "%-11s  %s\n", l.State, l.ID)
	if l.State != conform.Passed {
		fmt.Fprintf(s.err, "             wanted, by section %s of the contract: %s\n             found: %s\n", l.Clause, l.Text, l.Hint)
	}
}
