package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tillwire": main})
}

// patience is how long a script waits for what must come.
const patience = 60 * time.Second

// TestScripts runs testdata/script, which reads as documentation of the command
// line. Beside the commands of testscript there are:
//
//	code N PROGRAM ARG…     it must end with that exit code
//	until REGEXP PROGRAM …  run it until its stdout matches, and it ends well
//	find REGEXP             its stdout matches; (?P<VAR>…) sets $VAR
//	spawn NAME PROGRAM ARG… start it beside the script
//	seat NAME PROGRAM ARG…  the same, with somebody at its keyboard
//	type NAME LINE          who types that
//	await NAME REGEXP       wait until its output matches; (?P<VAR>…) sets $VAR
//	signal NAME TERM        send TERM, INT or KILL
//	ended NAME N            wait for its end; the exit code must be N, or "any"
//	fetch STATUS URL        wait until GET answers so; the body is in $BODY
//	save FILE URL           write what GET answers into a file
//	holds TEXT PATH…        some file there contains the text
//	empty DIR               there is nothing in it
//	certify CERT KEY        write a certificate for 127.0.0.1 and its key
//
// Everything that spawned programs write is in the files NAME.out as well.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("TILLWIRE_DATA", filepath.Join(env.WorkDir, "data"))
			// A program built with the race detector waits a second at its end.
			env.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
			env.Values[processesKey{}] = map[string]*process{}
			return os.Mkdir(home, 0o700)
		},
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": cmdCode, "until": cmdUntil, "find": cmdFind, "empty": cmdEmpty, "certify": cmdCertify, "spawn": cmdSpawn, "seat": cmdSeat, "type": cmdType, "await": cmdAwait,
			"signal": cmdSignal, "ended": cmdEnded, "fetch": cmdFetch, "save": cmdSave, "holds": cmdHolds,
		},
	})
}

func need(ts *testscript.TestScript, neg bool, args []string, least int, use string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", use)
	}
}

func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "code N program [arg…]")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "until regexp program [arg…]")
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if re.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%v never said %q; in the end:\n%s", args[1:], args[0], ts.ReadFile("stdout"))
}

func cmdFind(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "find regexp")
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	m := re.FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("no match for %q in stdout", args[0])
	}
	setGroups(ts, re, m)
}

func setGroups(ts *testscript.TestScript, re *regexp.Regexp, m []string) {
	for i, name := range re.SubexpNames() {
		if name != "" {
			ts.Setenv(name, m[i])
		}
	}
}

func cmdEmpty(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "empty dir")
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s holds %v", args[0], entries)
	}
}

func cmdCertify(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "certify cert key")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// processesKey is under what a script's environment keeps its processes.
type processesKey struct{}

func processes(ts *testscript.TestScript) map[string]*process {
	return ts.Value(processesKey{}).(map[string]*process)
}

// A process runs beside a script.
type process struct {
	cmd  *exec.Cmd
	out  *watched
	keys io.WriteCloser // of a keyboard; nil for none
	done chan struct{}
}

func find(ts *testscript.TestScript, name string) *process {
	p := processes(ts)[name]
	if p == nil {
		ts.Fatalf("nothing was spawned under the name %q", name)
	}
	return p
}

func cmdSpawn(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "spawn name program [arg…]")
	spawn(ts, args, false)
}

func cmdSeat(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "seat name program [arg…]")
	spawn(ts, args, true)
}

func cmdType(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "type name [line]")
	p := find(ts, args[0])
	if p.keys == nil {
		ts.Fatalf("nobody is at the keyboard of %s", args[0])
	}
	_, err := io.WriteString(p.keys, strings.Join(args[1:], " ")+"\n")
	ts.Check(err)
}

func spawn(ts *testscript.TestScript, args []string, seat bool) {
	file, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	p := &process{cmd: exec.Command(args[1], args[2:]...), out: newWatched(file), done: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "SystemRoot", "GOCOVERDIR", "GORACE", "TILLWIRE_DATA", "TILLWIRE_URL"} {
		if v := ts.Getenv(name); v != "" {
			p.cmd.Env = append(p.cmd.Env, name+"="+v)
		}
	}
	if p.cmd.Path, err = exec.LookPath(args[1]); err != nil {
		ts.Fatalf("%v", err)
	}
	if seat {
		p.keys, err = p.cmd.StdinPipe()
		ts.Check(err)
	}
	ts.Check(p.cmd.Start())
	go func() {
		defer close(p.done)
		p.cmd.Wait()
		p.out.end()
		file.Close()
	}()
	processes(ts)[args[0]] = p
	ts.Defer(func() {
		p.cmd.Process.Kill()
		<-p.done
	})
}

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "await name regexp")
	p := find(ts, args[0])
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	m, text := p.out.await(re)
	if m == nil {
		ts.Fatalf("%s never said %q; it said:\n%s", args[0], args[1], text)
	}
	setGroups(ts, re, m)
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "signal name TERM|INT|KILL")
	s, ok := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt, "KILL": os.Kill}[args[1]]
	if !ok {
		ts.Fatalf("no signal %q", args[1])
	}
	ts.Check(find(ts, args[0]).cmd.Process.Signal(s))
}

func cmdEnded(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "ended name code")
	p := find(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended; it said:\n%s", args[0], p.out.text())
	}
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); args[1] != "any" && got != args[1] {
		ts.Fatalf("%s ended with exit code %s, want %s; it said:\n%s", args[0], got, args[1], p.out.text())
	}
}

func cmdFetch(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "fetch status url")
	last := ""
	for until := time.Now().Add(patience); time.Now().Before(until); {
		resp, err := http.Get(args[1])
		if err != nil {
			ts.Fatalf("%v", err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		ts.Check(err)
		if strconv.Itoa(resp.StatusCode) == args[0] {
			ts.Setenv("BODY", string(body))
			return
		}
		last = fmt.Sprint(resp.StatusCode, " ", string(body))
	}
	ts.Fatalf("%s answers %s", args[1], last)
}

func cmdSave(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "save file url")
	resp, err := http.Get(args[1])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("%s answers %d %s", args[1], resp.StatusCode, body)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), body, 0o600))
}

func cmdHolds(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || args[0] == "" {
		ts.Fatalf("usage: holds text path…")
	}
	found, files := "", 0
	for _, root := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if files++; bytes.Contains(data, []byte(args[0])) {
				found = path
			}
			return err
		}))
	}
	switch {
	case files == 0:
		ts.Fatalf("there is no file in %v", args[1:])
	case neg && found != "":
		ts.Fatalf("%s holds %q", found, args[0])
	case !neg && found == "":
		ts.Fatalf("none of %d files holds %q", files, args[0])
	}
}

// watched is what a process has written so far.
type watched struct {
	mu    sync.Mutex
	cond  *sync.Cond
	buf   bytes.Buffer
	ended bool
	tee   io.Writer
}

func newWatched(tee io.Writer) *watched {
	w := &watched{tee: tee}
	w.cond = sync.NewCond(&w.mu)
	return w
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.cond.Broadcast()
	w.buf.Write(p)
	return w.tee.Write(p)
}

func (w *watched) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.cond.Broadcast()
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// await returns the match once there is one, or nil when there will be none.
func (w *watched) await(re *regexp.Regexp) ([]string, string) {
	late := false
	alarm := time.AfterFunc(patience, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		late = true
		w.cond.Broadcast()
	})
	defer alarm.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if m := re.FindStringSubmatch(w.buf.String()); m != nil {
			return m, ""
		}
		if w.ended || late {
			return nil, w.buf.String()
		}
		w.cond.Wait()
	}
}
