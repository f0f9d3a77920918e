// Command tillwire is the whole product in one binary: the gateway, a till on
// the command line, and the administration of a data folder. This package is
// wiring only, one file a subcommand; what is decided about money is decided in
// the rooms below.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes, as the help says them.
const (
	exitError     = 1  // the command could not do its work
	exitUsage     = 2  // the command line or a setting is wrong
	exitRefused   = 3  // at a table: refused, no such table, or no till
	exitNotTaken  = 10 // declined, void or unsuccessful
	exitCancelled = 11 // cancelled
	exitUnknown   = 12 // it is not known whether money was taken
)

// cli is the command line.
type cli struct {
	Demo      demoCmd      `cmd:"" help:"See one sale go through, from till to terminal and back."`
	Serve     serveCmd     `cmd:"" help:"Run the gateway."`
	Epos      eposCmd      `cmd:"" help:"Be a till: ask a gateway for sales, refunds, reports and more."`
	Site      siteCmd      `cmd:"" help:"Add, list and change sites."`
	Key       keyCmd       `cmd:"" help:"Add, list and revoke the keys that open a site to a till."`
	History   historyCmd   `cmd:"" help:"Look at what was asked and what became of it, and check that the record is whole."`
	Terminal  terminalCmd  `cmd:"" help:"Be a card machine in another place: a simulated one, in this process."`
	Terminals terminalsCmd `cmd:"" help:"Enrol and list terminals; be the people at the simulated ones of a gateway that runs with --dev."`
	Check     checkCmd     `cmd:"" help:"Try a till against the integration checklist, and get a signed report."`
	Replay    replayCmd    `cmd:"" help:"Play a recorded conversation of tills again, and compare what the gateway says."`
	Backup    backupCmd    `cmd:"" help:"Write a data folder into one file, while a gateway runs on it or not."`
	Restore   restoreCmd   `cmd:"" help:"Make a data folder from a backup."`
	Docs      docsCmd      `cmd:"" help:"Write the documentation as files, for any web server."`
	Bench     benchCmd     `cmd:"" help:"Measure what the gateway costs on this machine, as ratios."`
	Version   versionCmd   `cmd:"" help:"Print version, commit, Go and spec versions."`
}

// Help is shown with the help of the command line as a whole.
func (cli) Help() string {
	return `To begin with:

    tillwire demo
    tillwire serve --dev
    tillwire epos sale --tid VCMDEMOSIP0 --amount 12.50

Exit codes: 0 done, and a transaction was SUCCESSFUL; 1 any error; 2 wrong
usage; 3 a waiter was refused, or found no table; 10 DECLINED, VOID or
UNSUCCESSFUL; 11 CANCELLED; 12 it is not known whether money was taken.`
}

// streams are where a command reads and writes. Results go to out, logs and
// progress to err.
type streams struct {
	out, err io.Writer
	in       io.Reader
}

func main() {
	os.Exit(run(os.Args[1:], streams{out: os.Stdout, err: os.Stderr, in: os.Stdin}))
}

// run parses the arguments, runs the command and returns the exit code.
func run(args []string, s streams) int {
	var c cli
	parser, err := newParser(&c, s)
	if err != nil {
		return fail(s, err)
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		return fail(s, usageOf(err))
	}
	kctx.Bind(s)
	return fail(s, kctx.Run())
}

func newParser(c *cli, s streams) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("tillwire"),
		kong.Description("A gateway between tills and card terminals."),
		kong.Writers(s.out, s.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 96}),
		kong.ValueFormatter(explain),
		kong.Vars{"dev_url": devURL(defaultListen), "dev_tables_url": devTablesURL(defaultListen), "listen": defaultListen, "data": defaultData()},
	)
}

// explain adds to the help of a flag its default and the variable that sets it.
func explain(v *kong.Value) string {
	var more []string
	if v.HasDefault && v.Default != "" && !v.IsBool() {
		more = append(more, "default "+v.Default)
	}
	for _, env := range v.Tag.Envs {
		more = append(more, "$"+env)
	}
	if len(more) == 0 {
		return v.Help
	}
	return fmt.Sprintf("%s (%s).", strings.TrimSuffix(v.Help, "."), strings.Join(more, "; "))
}

// onInterrupt returns a channel of the wishes to stop: Ctrl-C and SIGTERM. A
// command that does not call it dies of them.
func onInterrupt() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	return c, func() { signal.Stop(c) }
}

// An exitStatus ends the program with a code and nothing more to say.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A hinted error says what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// hint adds to an error what to do about it. It leaves nil alone.
func hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return hinted{err, fmt.Sprintf(format, args...)}
}

// A usageError says that the command line or a setting is wrong.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// usageOf makes a usage error of what the parser said.
func usageOf(err error) error {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok {
		return err
	}
	if _, ok := errors.AsType[hinted](err); ok {
		return usageError{parse.Unwrap()}
	}
	name := "tillwire"
	if parse.Context != nil && parse.Context.Selected() != nil {
		name = parse.Context.Selected().FullPath()
	}
	return usageError{hint(parse.Unwrap(), "%s --help says what it takes, with examples", name)}
}

// fail says what went wrong and returns the exit code.
func fail(s streams, err error) int {
	if err == nil {
		return 0
	}
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status)
	}
	fmt.Fprintf(s.err, "tillwire: error: %v\n", err)
	if h := adviceOn(err); h != "" {
		fmt.Fprintf(s.err, "tillwire: hint: %s\n", h)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitError
}
