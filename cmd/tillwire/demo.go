package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

type demoCmd struct {
	TID      string   `name:"tid" default:"VCMDEMOSIP0" placeholder:"TID" help:"The simulated terminal."`
	Amount   string   `default:"12.50" placeholder:"12.50" help:"The amount."`
	SimSpeed simSpeed `default:"5" env:"TILLWIRE_SIM_SPEED" placeholder:"SPEED" help:"Pace of the terminal: human, max, or how many times faster than people."`
}

// Help is shown with the command's own help.
func (demoCmd) Help() string {
	return `It starts a gateway with simulated terminals in a temporary folder, makes one sale
over a real WebSocket, shows every message, prints the receipts, checks the
journal, and leaves nothing behind. It ends with the exit code of epos sale.

    tillwire demo
    tillwire demo --tid VCMDEMOSIS0 --sim-speed max`
}

// Run shows one sale.
func (c demoCmd) Run(s streams) (err error) {
	t, ok := spec.Default().VirtualTerminals().Parse(c.TID)
	if !ok || t.Account != devLetters {
		return usageError{hint(fmt.Errorf("--tid: %q is not a terminal of the demo", c.TID), "take one like VCMDEMOSIP0; tillwire serve --dev lists them")}
	}
	amount, err := money.Parse(c.Amount, money.Currency(t.Machine.Currency))
	if err != nil {
		return usage("--amount: %w", err)
	}
	interrupts, ignore := onInterrupt()
	defer ignore()
	dir, err := os.MkdirTemp("", "tillwire-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	seed := newSeed()
	h, err := openHouse(context.Background(), houseConfig{
		Dir: dir, Command: "tillwire demo", Listen: "127.0.0.1:0", Dev: true, Speed: float64(c.SimSpeed), Seed: seed,
		Log: slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	closed := false
	stop := func() error {
		if closed {
			return nil
		}
		closed = true
		return h.close()
	}
	defer func() { err = errors.Join(err, stop()) }()

	fmt.Fprintf(s.out, "A gateway runs at %s with simulated terminals, seed %d, in %s.\n", h.addr, seed, dir)
	fmt.Fprintf(s.out, "A till connects to it and asks %s, %s, for %s.\n", t.TID, c.SimSpeed.pace(), amount)
	fmt.Fprintf(s.out, "→ is the till speaking, ← the gateway.\n\n")

	payment, err := c.sell(s, h, interrupts, epos.Sale{TID: epos.TID(t.TID), Amount: amount})
	if err != nil {
		return err
	}
	printCopies(s.out, payment.Receipts)

	fmt.Fprintf(s.out, "\nThe journal:\n")
	if err := checkJournal(s, h.store, payment); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\nThe result:\n%s\n", payment.Result)
	if err := stop(); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\nNext: tillwire serve --dev, and point your own till at the URL that it prints.\n")
	return exitOf(payment.Result)
}

// sell makes the sale over a WebSocket and shows every message of it.
func (c demoCmd) sell(s streams, h *house, interrupts <-chan os.Signal, sale epos.Sale) (epos.Payment, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()
	var mu sync.Mutex
	begun := time.Now()
	client, err := epos.Dial(ctx, epos.Options{
		Plain: true, // what is shown is the published contract
		URL:   devURL(h.addr),
		Handler: epos.Handler{
			Trace: func(sent bool, message []byte) {
				mu.Lock()
				defer mu.Unlock()
				arrow := "←"
				if sent {
					arrow = "→"
				}
				fmt.Fprintf(s.out, "%7.3fs %s %s\n", time.Since(begun).Seconds(), arrow, compact(message))
			},
			Signature: func(context.Context, epos.SignatureRequest) (bool, error) { return true, nil },
		},
	})
	if err != nil {
		return epos.Payment{}, err
	}
	defer client.Close()
	payment, err := client.Sale(ctx, sale)
	mu.Lock() // nothing is shown any more
	defer mu.Unlock()
	return payment, err
}

// compact is a message without needless white space.
func compact(message []byte) string {
	v := jsontext.Value(message).Clone()
	if err := v.Compact(); err != nil {
		return string(message)
	}
	return v.String()
}

// checkJournal looks whether the sale is recorded as the till was told, and
// whether the record is whole.
func checkJournal(s streams, store journal.Store, p epos.Payment) error {
	ctx := context.Background()
	heads, err := store.List(ctx, journal.Query{Kind: journal.TransactionStream})
	if err != nil {
		return err
	}
	if len(heads) != 1 {
		return fmt.Errorf("the journal holds %d transactions, want the one", len(heads))
	}
	records, err := store.Records(ctx, heads[0].Stream)
	if err != nil {
		return err
	}
	t, err := journal.ReplayTxn(records)
	if err != nil {
		return err
	}
	if err := matches(t, p); err != nil {
		return err
	}
	for _, r := range records {
		what, err := tell(journal.TransactionStream, r)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%3d  %s  %-24s %s\n", r.Seq, r.At.Local().Format("15:04:05.000"), r.Kind, what)
	}
	v, err := store.Verify(ctx)
	if err != nil {
		return err
	}
	if v.Fault != "" {
		return fmt.Errorf("the record is not whole: %s", v.Fault)
	}
	_, err = fmt.Fprintf(s.out, "whole: %d records of %d requests, chain head %s\n", v.Records, v.Streams, v.Head)
	return err
}

// matches reports where the record and what the till was told differ.
func matches(t txn.Transaction, p epos.Payment) error {
	if p.Result == epos.TimedOut {
		if t.Told != txn.ToldTimedOut {
			return fmt.Errorf("the till was told TIMED_OUT, and the journal says that it was told %q", t.Told)
		}
		return nil
	}
	truth := t.Truth()
	if t.State != txn.Finished || truth == nil {
		return fmt.Errorf("the till was told %s, and the journal has the transaction as %s", p.Result, t.State)
	}
	if string(truth.Result) != string(p.Result) || string(truth.TransactionID) != p.TransactionID || truth.Total() != p.AmountTotal {
		return fmt.Errorf("the till was told %s of %s, and the journal says %s", p.Result, p.Total(), truth.Result)
	}
	return nil
}
