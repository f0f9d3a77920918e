package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
)

type checkCmd struct {
	Pac    checkPacCmd    `cmd:"" help:"Try a till at the counter against the integration checklist."`
	Pat    checkPatCmd    `cmd:"" help:"Try a till that keeps tables against it."`
	Verify checkVerifyCmd `cmd:"" help:"Say who signed a report, and whether it was changed since."`
}

// Help is shown with the command's own help.
func (checkCmd) Help() string {
	return `    tillwire check pac
    tillwire check pat
    tillwire check pac --list
    tillwire check verify report.json`
}

// checkFlags are those of every face.
type checkFlags struct {
	List        bool          `help:"List the lines of the checklist, with their clauses and what decides them, and end."`
	JSON        bool          `name:"json" help:"Print the list, or the report with its signature, as JSON on stdout."`
	Only        []string      `placeholder:"LINE,…" help:"Go through these lines only."`
	TillCommand string        `placeholder:"COMMAND" help:"Run by sh at each step in place of a person; TILLWIRE_CHECK_… in its environment say what to do."`
	Answers     string        `type:"path" placeholder:"FILE" help:"What is to be said of steps that no wire shows: a JSON object by the names of steps."`
	State       string        `type:"path" placeholder:"FILE" help:"Keep there what is decided, and begin with what is there: a run that was broken off goes on."`
	Report      string        `type:"path" placeholder:"FILE" help:"Write the signed report as JSON."`
	Junit       string        `type:"path" placeholder:"FILE" help:"Write the report as JUnit XML, for CI."`
	HTML        string        `name:"html" type:"path" placeholder:"FILE" help:"Write the report as one page with the whole conversation."`
	Limit       time.Duration `default:"5m" placeholder:"TIME" help:"How long one step may take."`
	Settle      time.Duration `default:"2s" placeholder:"TIME" help:"How long nothing may come before a step is over in which more could have come."`
	SimSpeed    *simSpeed     `env:"TILLWIRE_SIM_SPEED" placeholder:"SPEED" help:"Pace of the card machines: human, max, or how many times faster than people. Without it, human for a person and max for a command."`
	Listen      string        `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Address for the till; port 0 takes a free one."`
	TLSCert     string        `name:"tls-cert" type:"path" env:"TILLWIRE_TLS_CERT" placeholder:"FILE" help:"Certificate chain, PEM, for a till on another machine; with --tls-key."`
	TLSKey      string        `name:"tls-key" type:"path" env:"TILLWIRE_TLS_KEY" placeholder:"FILE" help:"Private key of the certificate, PEM."`
	dataFlags

	overREST bool
}

type checkPacCmd struct {
	checkFlags
	REST    bool          `name:"rest" help:"The till asks over REST."`
	Long    time.Duration `default:"190s" placeholder:"TIME" help:"With --rest: how long the longest sale takes, which the till has to look at to its end."`
	Cashier time.Duration `default:"5s" placeholder:"TIME" help:"How long a signature is looked at where somebody is to take time, and how long the gateway waits for an answer where nobody gives one."`
}

// Help is shown with the command's own help.
func (checkPacCmd) Help() string {
	return `It starts a gateway with simulated card machines in a temporary folder, says what
to do on the till, watches what the till sends, and decides line by line. The
data folder gives the key that signs the report, and is not used otherwise.

    tillwire check pac
    tillwire check pac --list --json
    tillwire check pac --rest
    tillwire check pac --only pac.sale,pac.refund --limit 2m
    tillwire check pac --state monday.json
    tillwire check pac --listen 0.0.0.0:8443 --tls-cert shop.pem --tls-key shop.key
    tillwire check pac --till-command ./drive-my-till.sh --junit till.xml --report report.json

With --state it can be left with quit; the same command goes on there later.

Exit codes: 0 every line that must pass has passed; 1 not so, or an error; 2 wrong
usage. A line of the optional ones may be left out, but not fail.`
}

// Run tries a till.
func (c checkPacCmd) Run(s streams) error {
	if c.Cashier <= 0 || c.Long <= 0 {
		return usage("--cashier and --long must be more than nothing")
	}
	o := conform.Options{Slow: c.Cashier, Unsigned: c.Cashier, Long: c.Long}
	if !c.REST {
		return c.run(s, spec.PAC, conform.Checks(o))
	}
	if c.Limit > 0 && c.Long >= c.Limit {
		return usage("--limit must be more than --long")
	}
	c.overREST = true
	return c.run(s, spec.PAC, conform.RESTChecks(o))
}

// run tries a till that speaks one face, by those checks.
func (c checkFlags) run(s streams, side spec.Side, all []conform.Check) (err error) {
	if c.List {
		return c.list(s)
	}
	checks, err := c.chosen(side, all)
	if err != nil {
		return err
	}
	if c.Limit <= 0 || c.Settle < 0 || c.Settle >= c.Limit {
		return usage("--limit must be more than --settle, and neither less than nothing")
	}
	answers, err := readAnswers(c.Answers, all)
	if err != nil {
		return err
	}
	signer, err := c.signer()
	if err != nil {
		return err
	}
	earlier, err := readCheckState(c.State)
	if err != nil {
		return err
	}
	if on := earlier.Report.Side; on != "" && on != string(side) {
		return usage("--state: %s is of a run of check %s; name another file for this one", c.State, on)
	}
	interrupts, ignore := onInterrupt()
	defer ignore()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()
	listener, err := c.listen(earlier)
	if err != nil {
		return err
	}
	bench, err := newCheckBench(s, "", listener, c.speed(), earlier)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bench.close()) }()
	bench.url = tillURL(c.Listen, listener, bench.key)
	address := strings.Replace(bench.url, "/pac?", "/"+string(side)+"?", 1)
	if c.overREST {
		address = restURL(bench.url)
	}

	run := conform.NewRun(conform.Config{
		Checks: checks, Stage: bench, Hands: c.hands(s, address), Answers: answers, Earlier: earlier.Report, Product: "tillwire " + thisBuild().Version, Side: string(side),
		Limit: c.Limit, Settle: c.Settle,
		Kept: func(r conform.Report) error {
			return writeCheckState(c.State, checkState{bench.key, listener.Addr().String(), r})
		},
	})
	if err := bench.serve(run.Saw); err != nil {
		return err
	}
	report, err := run.Run(ctx)
	if ctx.Err() != nil || errors.Is(err, errLeft) {
		if c.State != "" {
			fmt.Fprintf(s.err, "\ntillwire: stopped; the same command goes on with what is kept in %s\n", c.State)
		} else {
			fmt.Fprint(s.err, "\ntillwire: stopped; nothing is kept of it. With --state FILE the next run goes on where this one was\n")
		}
		return exitStatus(exitError)
	}
	if err != nil {
		return err
	}
	if c.TillCommand == "" {
		fmt.Fprint(s.err, "\nThat was all. In the order of the checklist:\n\n")
	}
	if err := c.write(s, report, signer); err != nil {
		return err
	}
	if !report.Passed() {
		return exitStatus(exitError)
	}
	return nil
}

// speed is the pace of the card machines: nobody can watch them at their
// fastest.
func (c checkFlags) speed() simSpeed {
	switch {
	case c.SimSpeed != nil:
		return *c.SimSpeed
	case c.TillCommand != "":
		return simSpeed(sim.Max)
	}
	return 1
}

// chosen are the checks of this run.
func (c checkFlags) chosen(side spec.Side, all []conform.Check) ([]conform.Check, error) {
	if len(c.Only) == 0 {
		return all, nil
	}
	var out []conform.Check
	for _, check := range all {
		if slices.Contains(c.Only, check.ID) {
			out = append(out, check)
		}
	}
	for _, id := range c.Only {
		if !slices.ContainsFunc(all, func(k conform.Check) bool { return k.ID == id }) {
			return nil, usageError{hint(fmt.Errorf("--only: no check decides a line %q", id), "tillwire check %s --list has them", side)}
		}
	}
	return out, nil
}

// A checkLine is a line of the list.
type checkLine struct {
	ID       string        `json:"id"`
	Side     string        `json:"side"`
	Text     string        `json:"text"`
	Clause   string        `json:"clause"`
	Optional bool          `json:"optional"`
	Only     string        `json:"only,omitzero"` // the one face it is about, if only one
	Decided  conform.Needs `json:"decidedBy"`     // empty where no check decides it
}

// list prints the checklist.
func (c checkFlags) list(s streams) error {
	needs := map[string]conform.Needs{}
	for _, k := range slices.Concat(conform.TableChecks(conform.TableOptions{}), conform.Checks(conform.Options{}), conform.RESTChecks(conform.Options{})) {
		needs[k.ID] = k.Needs
	}
	lines := []checkLine{}
	for _, l := range spec.Default().Checklist() {
		lines = append(lines, checkLine{l.ID, l.Side, l.Text, l.Clause, l.Optional, l.Only, needs[l.ID]})
	}
	if c.JSON {
		return printJSON(s, lines)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LINE\tSECTION\tNEED\tDECIDED BY\tWHAT")
	for _, l := range lines {
		need, by := "must", string(l.Decided)
		if l.Optional {
			need = "may"
		}
		if by == "" {
			by = "no check"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.ID, l.Clause, need, by, l.Text)
	}
	return w.Flush()
}

// write gives the report out in every form that was asked for.
func (c checkFlags) write(s streams, r conform.Report, key ed25519.PrivateKey) error {
	for _, form := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{c.Report, func(w io.Writer) error { return r.WriteSigned(w, key) }},
		{c.Junit, r.WriteJUnit},
		{c.HTML, r.WriteHTML},
	} {
		if form.path == "" {
			continue
		}
		var b strings.Builder
		if err := form.write(&b); err != nil {
			return err
		}
		if err := os.WriteFile(form.path, []byte(b.String()), 0o600); err != nil {
			return err
		}
	}
	if c.JSON {
		return r.WriteSigned(s.out, key)
	}
	return r.WriteText(s.out)
}

// signerName is the file of a data folder with the key that signs reports.
const signerName = "check-signer.pem"

// signer is the data folder's key, made when there is none.
func (c checkFlags) signer() (ed25519.PrivateKey, error) {
	dir, err := c.dir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, signerName)
	_, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		return nil, err
	}
	// Whole or not at all, and never in place of one that is there.
	fresh, err := os.CreateTemp(dir, signerName+".*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(fresh.Name())
	err = pem.Encode(fresh, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, fresh.Sync(), fresh.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(fresh.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, hint(fmt.Errorf("%s holds no key", path), "take it away, and the next check makes a new one")
	}
	found, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, hint(fmt.Errorf("%s: %w", path, err), "take it away, and the next check makes a new one")
	}
	key, ok := found.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is not an Ed25519 key", path)
	}
	return key, nil
}

// readAnswers reads words by the names of steps.
func readAnswers(path string, checks []conform.Check) (map[string]conform.Word, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("--answers: %w", err)
	}
	var answers map[string]conform.Word
	if err := json.Unmarshal(text, &answers, json.RejectUnknownMembers(true)); err != nil {
		return nil, usageError{hint(fmt.Errorf("--answers: %w", err), `it is like {"pac.notTaken/declined": {"cleared": false}}`)}
	}
	known := map[string]bool{}
	for _, c := range checks {
		for _, name := range c.Steps() {
			known[name] = true
		}
	}
	for name := range answers {
		if !known[name] {
			return nil, usageError{hint(fmt.Errorf("--answers: there is no step %q", name), "a step has its line's name, and where the line has several steps, a slash and its own")}
		}
	}
	return answers, nil
}

// A checkState is what a run that was broken off needs to go on.
type checkState struct {
	Key    string         `json:"key"`    // of the till, so that it need not be set again
	Listen string         `json:"listen"` // where it connects to, for the same reason
	Report conform.Report `json:"report"`
}

func readCheckState(path string) (st checkState, err error) {
	if path == "" {
		return st, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &st, json.RejectUnknownMembers(true))
	}
	return st, hint(err, "--state names a file that an earlier check wrote, or none yet")
}

func writeCheckState(path string, st checkState) error {
	if path == "" {
		return nil
	}
	text, err := json.Marshal(st, jsontext.WithIndent(" "))
	if err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

type checkVerifyCmd struct {
	File string `arg:"" type:"path" help:"The report as JSON."`
}

// Help is shown with the command's own help.
func (checkVerifyCmd) Help() string {
	return `It names the key that signed the report. That says who made it, and that nobody
has changed it, not that the till was honest.

    tillwire check verify report.json`
}

// Run verifies a report.
func (c checkVerifyCmd) Run(s streams) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	r, key, err := conform.Verify(text)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "signed by key %s\nmade by %s, ended %s\n%s\n", key, r.Product, r.Ended.Local().Format("2006-01-02 15:04:05"), r.Verdict())
	return err
}

// A checkBench is the gateway that a till is tried at, with the relay before it.
type checkBench struct {
	checkStage
	dir      string
	listener net.Listener
	key, url string
	after    int           // connections that an earlier run has seen
	lingers  time.Duration // as the relay has it
	served   chan error
}

// newCheckBench starts a gateway for the run, with its data in a new folder
// under the one that is given, or under that for temporary files. The listener
// is for tills; it is the bench's from now on.
func newCheckBench(s streams, under string, tills net.Listener, speed simSpeed, earlier checkState) (_ *checkBench, err error) {
	b := &checkBench{key: earlier.Key, listener: tills}
	if b.key == "" {
		b.key = "check-" + strings.ToLower(rand.Text())
	}
	for _, f := range earlier.Report.Frames {
		b.after = max(b.after, f.Conn)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp(under, "tillwire-check-"); err != nil {
		return nil, err
	}
	b.house, err = openHouse(context.Background(), houseConfig{
		Dir: b.dir, Command: "tillwire check", Listen: "127.0.0.1:0", Dev: true, Speed: float64(speed), Seed: newSeed(),
		REST: rest.Config{KeepAlive: time.Second}, // so that who listens is seen to
		Log:  slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, err
	}
	b.url = tillURL("", tills, b.key)
	return b, nil
}

// serve takes the till's connections from now on.
func (b *checkBench) serve(saw func(conform.Frame)) error {
	b.relay = conform.NewRelay(conform.RelayConfig{Key: b.key, Gateway: b.house.addr, GatewayKey: devKey, After: b.after, Lingers: b.lingers, Saw: saw})
	b.served = make(chan error, 1)
	go func() { b.served <- b.relay.Serve(b.listener) }()
	return nil
}

func (b *checkBench) close() error {
	var errs []error
	if b.relay != nil {
		errs = append(errs, b.relay.Close(), <-b.served)
	} else if b.listener != nil {
		errs = append(errs, b.listener.Close())
	}
	b.leave()
	if b.house != nil {
		errs = append(errs, b.house.close())
	}
	if b.dir != "" {
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}
