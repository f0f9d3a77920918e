package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A process is one life of a gateway or a terminal.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed once it says so
	ended chan struct{} // closed once it is gone; err is set then
	err   error
	log   string // the file that it complains to
}

// launch begins a life. The environment has no settings of a tillwire in it.
// With stdin, the process can tell when it is closed.
func launch(program string, args []string, logFile string, stdin *os.File) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	fmt.Fprintf(log, "--- %s %s", time.Now().Format("15:04:05.000"), filepath.Base(program))
	for _, arg := range args {
		arg, _, _ = strings.Cut(arg, "?") // an address has a key in its query
		fmt.Fprintf(log, " %q", arg)
	}
	fmt.Fprintln(log)
	p := &process{cmd: exec.Command(program, args...), ready: make(chan struct{}), ended: make(chan struct{}), log: logFile}
	p.cmd.Stderr = log
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TILLWIRE_") })
	if stdin != nil {
		p.cmd.Stdin = stdin
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewScanner(out)
		for said := false; lines.Scan(); {
			if !said && strings.Contains(lines.Text(), "ready") {
				said = true
				close(p.ready)
			}
		}
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// A house says which gateway is started, and how.
type house struct {
	dir, addr string
	tillwire  string // the binary; the house with a fuse is this program itself
	self      string
	log       string
	power     string // the folder of what a house is about to lose with its power
	lying     bool   // its disk never syncs
}

// start begins a life of the tillwire binary, or of the house with a fuse where
// that or the power is to be cut.
func (h house) start(b blow, seed uint64) (*process, error) {
	sim := strconv.FormatUint(seed, 10)
	if b.point == "" && !b.power {
		return launch(h.tillwire, []string{
			"serve", "--dev", "--data", h.dir, "--listen", h.addr, "--sim-speed", b.speed, "--sim-seed", sim, "--log-level", "warn",
		}, h.log, nil)
	}
	args := []string{"house", "-data", h.dir, "-listen", h.addr, "-speed", b.speed, "-sim-seed", sim, "-point", b.point, "-nth", strconv.Itoa(max(b.nth, 1))}
	if b.power {
		args = append(args, "-power", h.power, "-lying="+strconv.FormatBool(h.lying))
	}
	return launch(h.self, args, h.log, nil)
}

// kill ends it with SIGKILL, if it has not ended itself, and reports whether it
// was killed.
func (p *process) kill() (killed bool) {
	p.cmd.Process.Kill() //nolint:errcheck // it may be gone already
	<-p.ended
	return !p.cmd.ProcessState.Exited()
}

// gone reports whether it has ended.
func (p *process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// stop has it stop as an operator does, and returns how it ended.
func (p *process) stop(limit time.Duration) error {
	if err := p.cmd.Process.Signal(os.Interrupt); errors.Is(err, errors.ErrUnsupported) {
		p.kill() // where there is no such thing: it must be as good
		return nil
	} else if err != nil {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(limit):
		p.kill()
		return errors.New("it does not stop")
	}
}

// within waits until c is closed or the process has ended, and reports whether
// c was closed in time.
func (p *process) within(ctx context.Context, c <-chan struct{}, limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-p.ended:
	case <-t.C:
	case <-ctx.Done():
	}
	select {
	case <-c: // both at once
		return true
	default:
		return false
	}
}

// last is the end of what it complained about.
func (p *process) last() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

// freeze stops the process for so long where it stands, and returns for how
// long: not at all where there is no such thing, or when it was gone.
func (p *process) freeze(ctx context.Context, d time.Duration) (time.Duration, error) {
	if freeze(p.cmd.Process) != nil {
		return 0, nil
	}
	p.within(ctx, make(chan struct{}), d)
	if p.gone() {
		return 0, nil
	}
	return d, thaw(p.cmd.Process)
}
