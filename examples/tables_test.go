package examples_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTables has waiters at the terminals of the real gateway pay tables of the
// tills in Node and Python.
func TestTables(t *testing.T) {
	tillwire := build(t, t.TempDir(), "tillwire", "../cmd/tillwire")
	tills := []struct {
		name    string
		command []string
	}{
		{"node", []string{node(t), "node/tables.mjs"}},
		{"python", []string{python(t), "python/tables.py"}},
	}
	for _, tt := range tills {
		t.Run(tt.name, func(t *testing.T) {
			counter := serve(t, tillwire)
			address := strings.Replace(counter, "/pac?", "/pat?", 1) + "&extensions=acks"
			wrong := begin(t, append(tt.command, strings.Replace(address, "token=demo", "token=wrong", 1)))
			wrong.says("401")
			wrong.ends(1)
			till := begin(t, append(tt.command, address))
			till.says("connected")
			waiter := func(exit int, says string, args ...string) {
				t.Helper()
				host, _, _ := strings.Cut(strings.TrimPrefix(counter, "ws://"), "/")
				w := begin(t, append([]string{tillwire, "terminals", "pat", "--url", "http://" + host, "--tid", "VCMDEMOSIP0", "--waiter", "3"}, args...))
				w.ends(exit)
				w.says(says)
			}
			waiter(3, "NO TABLE", "--table", "99")
			waiter(3, "REFUSED", "--table", "99", "--by-name")
			waiter(0, "PART PAID", "--table", "12", "--print-bill", "--pay", "20.50", "--tip", "4.50")
			till.says("table 12 locked: 45.50 to pay", "table 12 paid 20.50 by ", "gratuity 4.50, left 25.00", "table 12 unlocked")
			waiter(10, "DECLINED", "--table", "12", "--pay", "5.00", "--tid", "VCMDEMODIP0")
			till.says("table 12 locked: 25.00 to pay", "table 12 unlocked")
			waiter(0, "PAID", "--table", "12", "--split", "2")
			till.says("table 12 locked: 25.00 to pay", "table 12 paid 12.50 by ", "left 12.50", "table 12 paid 12.50 by ", "left 0.00", "table 12 unlocked")
			waiter(3, "NO TABLE", "--table", "12")
			other := begin(t, append(tt.command, address))
			other.says("connected")
			till.says("Another till took over.")
			till.ends(1)
			waiter(0, "PAID", "--table", "14")
			other.says("table 14 paid 18.00 by ", "table 14 unlocked")
			if out := till.out.String() + other.out.String(); strings.Contains(out, "token=") || strings.Count(out, " paid ") != 4 {
				t.Errorf("the key is shown, or there are not four payments:\n%s", out)
			}
		})
	}
}

// TestTablesReconnect has the gateway killed and started again under a till.
func TestTablesReconnect(t *testing.T) {
	tillwire := build(t, t.TempDir(), "tillwire", "../cmd/tillwire")
	data := filepath.Join(t.TempDir(), "data")
	for _, command := range [][]string{{node(t), "node/tables.mjs"}, {python(t), "python/tables.py"}} {
		first := begin(t, []string{tillwire, "serve", "--dev", "--listen", "127.0.0.1:0", "--data", data, "--sim-speed", "max"})
		first.says("/pat?token=demo")
		_, address, _ := strings.Cut(first.out.String(), "for Pay-At-Table:\n\n")
		address, _, _ = strings.Cut(address, "\n")
		host, _, _ := strings.Cut(strings.TrimPrefix(address, "ws://"), "/")
		till := begin(t, append(command, address+"&extensions=acks"))
		till.says("connected")
		first.stop(os.Kill)
		second := begin(t, []string{tillwire, "serve", "--dev", "--listen", host, "--data", data, "--sim-speed", "max"})
		second.says("/pat?token=demo")
		till.says("connected")
		second.stop(os.Interrupt)
		till.stop(os.Kill)
	}
}

// A program runs beside a test.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  buffer
	read int // how much of out says has looked at
	done chan struct{}
}

// begin starts a program that ends with the test at the latest.
func begin(t *testing.T, command []string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(command[0], command[1:]...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() { p.stop(os.Kill) })
	return p
}

// says waits until the program has said all of that, in this order, after what
// it was heard to say before.
func (p *program) says(all ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for _, want := range all {
		for {
			grown := p.out.grown()
			text := p.out.String()[p.read:]
			if before, _, ok := strings.Cut(text, want); ok {
				p.read += len(before) + len(want)
				break
			}
			select {
			case <-grown:
				continue
			case <-p.done:
				if strings.Contains(p.out.String()[p.read:], want) {
					continue
				}
			case <-ctx.Done():
			}
			p.t.Fatalf("%q never came; it said:\n%s", want, p.out.String())
		}
	}
}

// ends waits for the end of the program.
func (p *program) ends(code int) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("it does not end; it said:\n%s", p.out.String())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("exit code %d, want %d; it said:\n%s", got, code, p.out.String())
	}
}

// stop ends the program and waits for that.
func (p *program) stop(how os.Signal) {
	if err := p.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	<-p.done
}
