package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The roles of processes that a measurement needs beside its own, for Assist.
const (
	RoleGateway   = "gateway"   // holds idle connections
	RoleBare      = "bare"      // holds them with the bare library
	RoleRecovery  = "recovery"  // starts a gateway on a journal
	RoleTerminals = "terminals" // is terminals that dial in
)

// Assist plays a role for a measurement of another process, which talks with it
// by lines over in and out. It ends with in.
func Assist(role string, in io.Reader, out io.Writer) error {
	switch role {
	case RoleGateway, RoleBare:
		return serveIdle(role, in, out)
	case RoleRecovery:
		return serveRecovery(in, out)
	case RoleTerminals:
		return serveTerminals(in, out)
	case RolePolled, RolePolledBare:
		return servePolled(role == RolePolledBare, in, out)
	}
	return fmt.Errorf("no role %q", role)
}

// An assistant is a process that runs Assist.
type assistant struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startAssistant(cmd *exec.Cmd) (*assistant, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &assistant{cmd, in, bufio.NewScanner(out)}, nil
}

// tell sends a line.
func (p *assistant) tell(line string) error {
	_, err := io.WriteString(p.in, line+"\n")
	return err
}

// hear waits for a line.
func (p *assistant) hear() (string, error) {
	if !p.out.Scan() {
		return "", errors.Join(errors.New("the process beside this one said nothing"), p.out.Err())
	}
	return strings.TrimSpace(p.out.Text()), nil
}

// stop lets it end by itself.
func (p *assistant) stop() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}

// kill ends it as a power cut would.
func (p *assistant) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = p.cmd.Wait() // says that it was killed
	return nil
}

// untilEnd waits for the end of in, or of ctx.
func untilEnd(ctx context.Context, in io.Reader) error {
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, in)
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
