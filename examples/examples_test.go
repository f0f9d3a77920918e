// Package examples_test runs the examples against the real gateway in its own
// process. Node and Python bring WebSocket implementations of other makers, so
// this is also the proof that the wire is not only understood by ourselves.
package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a process may take for what it has to do.
const patience = time.Minute

func TestExamples(t *testing.T) {
	dir := t.TempDir()
	gateway := serve(t, build(t, dir, "tillwire", "../cmd/tillwire"))
	tills := []struct {
		name    string
		command []string
	}{
		{"go", []string{build(t, dir, "till", "./go")}},
		{"node", []string{node(t), "node/till.mjs"}},
		{"python", []string{python(t), "python/till.py"}},
	}
	tests := []struct {
		name string
		tid  string
		url  string
		in   string // what the cashier types
		exit int
		says []string // in this order
	}{
		{"chip and PIN", "VCMDEMOSIP0", gateway, "", 0, []string{"TRANSACTION_STARTED", "PIN_ENTRY", "TRANSACTION_FINISHED", "SUCCESSFUL", "12.50", "paid"}},
		{"declined", "VCMDEMODIP0", gateway, "", 10, []string{"TRANSACTION_STARTED", "TRANSACTION_FINISHED", "DECLINED: nothing paid"}},
		{"unsuccessful", "VCMDEMOUIP0", gateway, "", 10, []string{"TRANSACTION_STARTED", "TRANSACTION_FINISHED", "UNSUCCESSFUL: nothing paid"}},
		{"cancelled", "VCMDEMOCIP0", gateway, "", 11, []string{"TRANSACTION_STARTED", "TRANSACTION_FINISHED", "CANCELLED: nothing paid"}},
		{"signature accepted", "VCMDEMOSIS0", gateway, "y\n", 0, []string{"SIGNATURE_VERIFICATION_IN_PROGRESS", "SIGNATURE_VERIFICATION_PROCESS_COMPLETED", "TRANSACTION_FINISHED", "SUCCESSFUL"}},
		{"signature rejected", "VCMDEMOSIS0", gateway, "n\n", 10, []string{"SIGNATURE_VERIFICATION_IN_PROGRESS", "SIGNATURE_VERIFICATION_PROCESS_COMPLETED", "TRANSACTION_FINISHED", "VOID: nothing paid"}},
		{"timed out", "VCMDEMOTIP0", gateway, "", 12, []string{"PIN_ENTRY", "TRANSACTION_FINISHED", "NOT KNOWN", "TIMED_OUT", "Do not repeat"}},
		{"no such terminal", "12345678", gateway, "", 1, []string{"No sale: 12345678 is unavailable."}},
		{"wrong key", "VCMDEMOSIP0", strings.Replace(gateway, "token=demo", "token=wrong", 1), "", 1, []string{"401"}},
	}
	for _, till := range tills {
		for _, tt := range tests {
			t.Run(till.name+"/"+tt.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				cmd := exec.CommandContext(ctx, till.command[0], append(till.command[1:], tt.tid, tt.url)...)
				cmd.Stdin = strings.NewReader(tt.in)
				out, err := cmd.CombinedOutput()
				if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
					t.Fatal(err)
				}
				if got := cmd.ProcessState.ExitCode(); got != tt.exit {
					t.Errorf("exit code %d, want %d", got, tt.exit)
				}
				if asked := bytes.Contains(out, []byte("Does the signature match the card?")); asked != (tt.in != "") {
					t.Errorf("the cashier was asked: %v:\n%s", asked, out)
				}
				rest := string(out)
				for _, want := range tt.says {
					_, after, ok := strings.Cut(rest, want)
					if !ok {
						t.Fatalf("%q is not where it belongs in:\n%s", want, out)
					}
					rest = after
				}
				if bytes.Contains(out, []byte("token=")) {
					t.Errorf("the key is shown:\n%s", out)
				}
			})
		}
	}
}

// build compiles a command into dir.
func build(t *testing.T, dir, name, path string) string {
	t.Helper()
	binary := filepath.Join(dir, name)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, path).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", path, err, out)
	}
	return binary
}

// serve starts a gateway and returns the URL that it prints for tills.
func serve(t *testing.T, binary string) string {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--dev", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--sim-speed", "max")
	var log buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if url := strings.TrimSpace(lines.Text()); strings.HasPrefix(url, "ws://") && strings.Contains(url, "?token=") {
				select {
				case found <- url:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
		if t.Failed() {
			t.Logf("what the gateway logged:\n%s", log.String())
		}
	})
	select {
	case url := <-found:
		return url
	case <-read:
		t.Fatalf("the gateway printed no URL:\n%s", log.String())
	case <-time.After(patience):
		t.Fatal("the gateway does not get ready")
	}
	panic("not reached")
}

// node finds Node and what the example needs.
func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("Node is missing; make test installs it, or: apt-get install nodejs npm")
	}
	if _, err := os.Stat("node/node_modules/ws"); err != nil {
		t.Fatal("the package ws is missing; make test installs it, or: cd examples/node && npm ci")
	}
	return path
}

// python finds a Python that has the package websockets. The first one in the
// PATH may be one without Debian's packages.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		if name != "" && exec.CommandContext(t.Context(), name, "-c", "import websockets").Run() == nil {
			return name
		}
	}
	t.Fatal("no Python with the package websockets; make test installs it, or: apt-get install python3-websockets")
	panic("not reached")
}

// A buffer may be read while a process writes to it.
type buffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{} // closed by the next write
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// grown returns what is closed when more is written.
func (b *buffer) grown() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.more == nil {
		b.more = make(chan struct{})
	}
	return b.more
}
