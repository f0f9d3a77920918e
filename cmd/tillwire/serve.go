package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
)

// defaultListen is where a gateway listens unless it is told otherwise.
const defaultListen = "127.0.0.1:8484"

// The development site. Everybody knows its key.
const (
	devSite    = "demo"
	devKey     = "demo"
	devLetters = "DEMO"
)

// devURL is what to paste into a till of the development site.
func devURL(addr string) string { return devFaceURL(addr, "pac") }

// devTablesURL is what to paste into a Pay-At-Table till of the development
// site.
func devTablesURL(addr string) string { return devFaceURL(addr, "pat") }

func devFaceURL(addr, face string) string {
	return "ws://" + addr + "/" + face + "?token=" + devKey + "&api-version=v1&software-house-id=DEMOSWH&installer-id=DEMOINST"
}

type serveCmd struct {
	Listen      string        `default:"${listen}" env:"TILLWIRE_LISTEN" placeholder:"HOST:PORT" help:"Address for tills; port 0 takes a free one."`
	Dev         bool          `env:"TILLWIRE_DEV" help:"Add the site demo with the key demo and simulated terminals; loopback addresses only."`
	TLSCert     string        `name:"tls-cert" type:"path" env:"TILLWIRE_TLS_CERT" placeholder:"FILE" help:"Certificate chain, PEM. Off loopback it is this and --tls-key, or --behind-proxy."`
	TLSKey      string        `name:"tls-key" type:"path" env:"TILLWIRE_TLS_KEY" placeholder:"FILE" help:"Private key of the certificate, PEM."`
	BehindProxy bool          `env:"TILLWIRE_BEHIND_PROXY" help:"A proxy in front of the gateway does the TLS."`
	REST        restFlags     `embed:""`
	Drain       time.Duration `default:"30s" env:"TILLWIRE_DRAIN" placeholder:"TIME" help:"How long to wait for running transactions when told to stop."`
	SimSpeed    simSpeed      `default:"human" env:"TILLWIRE_SIM_SPEED" placeholder:"SPEED" help:"Pace of simulated terminals: human, max, or how many times faster than people."`
	SimSeed     uint64        `env:"TILLWIRE_SIM_SEED" placeholder:"N" help:"Seed of simulated cards, auth codes and ids; 0 takes a new one each time."`
	Scenarios   tidScenarios  `env:"TILLWIRE_SCENARIOS" placeholder:"TID=NAME,…" help:"With --dev: scenarios that simulated terminals always play; see tillwire terminals scenarios."`
	ByAmount    bool          `name:"scenarios-by-amount" env:"TILLWIRE_SCENARIOS_BY_AMOUNT" help:"With --dev: the last two digits of an amount choose a scenario."`
	LogLevel    slog.Level    `default:"info" env:"TILLWIRE_LOG_LEVEL" placeholder:"LEVEL" help:"Log from here on: debug, info, warn or error."`
	LogFormat   string        `default:"text" enum:"text,json" env:"TILLWIRE_LOG_FORMAT" placeholder:"text|json" help:"Form of the log."`
	PrintConfig bool          `help:"Print the settings in force and where each comes from, then exit."`
	dataFlags
}

// Help is shown with the command's own help.
func (serveCmd) Help() string {
	return `A flag is stronger than the environment, the environment than the settings file,
the file than the default.

    tillwire serve --dev
    tillwire serve --listen :443 --tls-cert shop.pem --tls-key shop.key
    TILLWIRE_DATA=/var/lib/tillwire tillwire serve --behind-proxy --listen :8484
    tillwire serve --print-config

SIGTERM or Ctrl-C: no new requests, /readyz says 503, running transactions are
waited for, then exit code 0. A second one: exit at once. Nothing is lost by that.

It lets up to 32 MiB of garbage lie about to save the processor work, unless GOGC
or GOMEMLIMIT is set in the environment.`
}

// A simSpeed is how many times faster than people simulated terminals are.
type simSpeed float64

// UnmarshalText reads human, max or a positive number.
func (s *simSpeed) UnmarshalText(b []byte) error {
	switch text := string(b); text {
	case "human":
		*s = 1
	case "max":
		*s = simSpeed(sim.Max)
	default:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || !(f > 0 && f <= 1e6) {
			return fmt.Errorf("%q is not human, max or a positive number", text)
		}
		*s = simSpeed(f)
	}
	return nil
}

// String writes the speed as it is read.
func (s simSpeed) String() string {
	switch float64(s) {
	case sim.Max:
		return "max"
	case 1:
		return "human"
	}
	return strconv.FormatFloat(float64(s), 'g', -1, 64)
}

// pace says how fast the terminals are.
func (s simSpeed) pace() string {
	switch float64(s) {
	case sim.Max:
		return "as fast as can be"
	case 1:
		return "as fast as people"
	}
	return s.String() + " times as fast as people"
}

// Run serves until it is told to stop.
func (c serveCmd) Run(kctx *kong.Context, s streams) error {
	if c.PrintConfig {
		return printSettings(s, inForce(kctx, c.Config))
	}
	dir, err := c.dir()
	if err != nil {
		return err
	}
	if !c.Dev && (c.ByAmount || len(c.Scenarios) > 0) {
		return usage("--scenarios and --scenarios-by-amount go with --dev")
	}
	secure, err := c.tls()
	if err != nil {
		return err
	}
	if err := c.REST.check(); err != nil {
		return usageError{err}
	}
	if err := door.CheckListen(c.Listen, secure != nil, c.BehindProxy, c.Dev); err != nil {
		return usageError{err}
	}
	defer makeRoomForGarbage()()
	interrupts, ignore := onInterrupt()
	defer ignore()
	h, err := openHouse(context.Background(), houseConfig{
		Dir: dir, Command: "tillwire serve", Listen: c.Listen, TLS: secure, BehindProxy: c.BehindProxy,
		REST: c.REST.config(c.BehindProxy), Dev: c.Dev, Controls: c.controls(), Speed: float64(c.SimSpeed), Seed: c.seed(), Always: c.Scenarios, ByAmount: c.ByAmount, Log: c.logger(s),
	})
	if err != nil {
		return err
	}
	c.greet(s, h)
	select {
	case err = <-h.failed:
	case <-interrupts:
		go func() {
			<-interrupts
			fmt.Fprintln(s.err, "tillwire: stopped at once; what was running is asked about at the next start")
			os.Exit(exitError)
		}()
		fmt.Fprintf(s.err, "tillwire: stopping; waiting up to %v for running transactions\n", c.Drain)
		h.drain(c.Drain)
	}
	return errors.Join(err, h.close())
}

// controls reports whether simulated terminals can be driven from outside. A
// proxy would open them to whoever reaches it.
func (c serveCmd) controls() bool { return c.Dev && !c.BehindProxy }

// tls reads certificate and key, if there are any.
func (c serveCmd) tls() (*tls.Config, error) { return readTLS(c.TLSCert, c.TLSKey) }

func readTLS(cert, key string) (*tls.Config, error) {
	switch {
	case cert == "" && key == "":
		return nil, nil
	case cert == "" || key == "":
		return nil, usage("--tls-cert and --tls-key go together")
	}
	t, err := door.LoadTLS(cert, key)
	return t, hint(err, "both files are PEM, readable for this user, and belong together")
}

func (c serveCmd) logger(s streams) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(s.err, o))
	}
	return slog.New(slog.NewTextHandler(s.err, o))
}

func (c serveCmd) seed() uint64 {
	if c.SimSeed != 0 {
		return c.SimSeed
	}
	return newSeed()
}

// newSeed makes a seed that is easy to type.
func newSeed() uint64 {
	var b [4]byte
	rand.Read(b[:])
	return uint64(binary.BigEndian.Uint32(b[:])) + 1
}

// greet says that the gateway is ready and what to do next.
func (c serveCmd) greet(s streams, h *house) {
	scheme := "ws"
	if c.TLSCert != "" {
		scheme = "wss"
	}
	fmt.Fprintf(s.out, "tillwire is ready at %s\n", (&url.URL{Scheme: scheme, Host: h.addr, Path: "/pac"}).String())
	fmt.Fprintf(s.out, "REST at %s\n", (&url.URL{Scheme: strings.Replace(scheme, "ws", "http", 1), Host: h.addr, Path: "/pac/terminals"}).String())
	fmt.Fprintf(s.out, "data folder %s\n", h.folder.Dir())
	fmt.Fprintf(s.out, "docs at %s\n", (&url.URL{Scheme: strings.Replace(scheme, "ws", "http", 1), Host: h.addr, Path: "/docs/"}).String())
	if !c.Dev {
		fmt.Fprintf(s.out, "\nNext: tillwire site add, then tillwire key add; each --help has an example.\n")
		return
	}
	paste, tables := devURL(h.addr), devTablesURL(h.addr)
	if scheme == "wss" {
		paste, tables = "wss"+paste[len("ws"):], "wss"+tables[len("ws"):]
	}
	fmt.Fprintf(s.out, "\nPaste this URL into a till:\n\n%s\n", paste)
	fmt.Fprintf(s.out, "\nand this one into a till that keeps tables, for Pay-At-Table:\n\n%s\n", tables)
	fmt.Fprintf(s.out, "\nSimulated terminals of site %s, %s, seed %d:\n\n", devSite, c.SimSpeed.pace(), h.sims.seed)
	v := spec.Default().VirtualTerminals()
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, l := range v.Listed {
		if t, ok := v.Parse(l.TID); ok {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", l.TID, t.Machine.Currency, l.Meaning)
		}
	}
	w.Flush()
	fmt.Fprintf(s.out, "\nOther names exist once they are asked for: %s%s, then one letter of each:\n", v.Prefix, devLetters)
	letters := tabwriter.NewWriter(s.out, 0, 0, 1, ' ', 0)
	for _, group := range []struct {
		name    string
		letters []spec.VirtualLetter
	}{{"result", v.Results}, {"card", v.Entries}, {"cardholder", v.Verifications}} {
		fmt.Fprintf(letters, "  %s\t", group.name)
		for _, l := range group.letters {
			fmt.Fprintf(letters, " %s %s", l.Letter, l.Value)
		}
		fmt.Fprintln(letters)
	}
	letters.Flush()
	fmt.Fprintln(s.out, "and a digit: 0 pounds, 1 euros, 2 pounds and asks for a gratuity.")
	if c.controls() {
		fmt.Fprintf(s.out, "\nSee and touch them, watch the traffic, and work a till, in a browser:\n\n  %s\n", (&url.URL{Scheme: strings.Replace(scheme, "ws", "http", 1), Host: h.addr, Path: "/console/"}).String())
	}
	where := func(address string) string {
		if h.addr == defaultListen && scheme == "ws" {
			return "" // it is the default
		}
		return " --url '" + address + "'"
	}
	fmt.Fprintf(s.out, "\nNext, in another window:\n\n  tillwire epos sale%s --tid VCMDEMOSIP0 --amount 12.50\n  tillwire history list --data '%s'\n", where(paste), h.folder.Dir())
	if c.controls() {
		base := (&url.URL{Scheme: strings.Replace(scheme, "ws", "http", 1), Host: h.addr}).String()
		fmt.Fprintf(s.out, "\nFor Pay-At-Table a till in one window and a waiter in another:\n\n  tillwire epos tables --init\n  tillwire epos tables%s\n  tillwire terminals pat%s --tid VCMDEMOSIP0 --waiter 3 --table 12\n", where(tables), where(base))
	}
	fmt.Fprint(s.out, "\nCtrl-C stops the gateway.\n")
}
