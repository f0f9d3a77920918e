package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/internal/disk"
	"github.com/tillwire/tillwire/internal/folder"
	"github.com/tillwire/tillwire/internal/powercut"
	"github.com/tillwire/tillwire/journal/sqlite"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/link"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/ws"
)

// A houseConfig says how the house with a fuse is run.
type houseConfig struct {
	dir, listen string
	speed       float64
	seed        uint64
	point       string
	nth         int
	power       string // the folder of what is lost with the power; else there is enough
	lying       bool
}

// keepHouse is a gateway with its terminals in this process, with a fuse. It
// serves until it is interrupted, or until the fuse burns.
func keepHouse(c houseConfig, out, log io.Writer) (err error) {
	stopped, ignore := signal.NotifyContext(context.Background(), os.Interrupt)
	defer ignore()
	f := &fuse{point: c.point, left: c.nth}
	own, err := folder.Take(c.dir, "crash house")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Release()) }()
	listener, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	files, err := filesOver(c.power, c.lying)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(files)
	kept, err := sqlite.Open(own.Dir(), sqlite.Options{Log: logger, Disk: files})
	if err != nil {
		return err
	}
	store := &fusedStore{kept, f}
	defer func() { err = errors.Join(err, store.Close()) }()
	gw, err := gateway.New(stopped, gateway.Config{Store: store, Log: logger})
	if err != nil {
		return err
	}
	defer gw.Close()
	if _, err := gw.Recover(stopped); err != nil {
		return err
	}
	park, err := sim.Open(sim.Options{
		Dir: filepath.Join(own.Dir(), "sim", siteID), Disk: files, Account: letters, Seed: c.seed, Speed: c.speed, MuteFor: limits["transaction"] + time.Second, Log: logger,
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(err, park.Close(ctx))
	}()
	for _, tid := range machines {
		m, ok := park.Machine(txn.TID(tid))
		if !ok {
			return fmt.Errorf("no machine %s", tid)
		}
		if err := gw.Plug(siteID, m.TID(), f.fused(m.Connect)); err != nil {
			return err
		}
	}
	d := door.New(door.Config{Gateway: gw, Log: logger, Dev: &floor{park}, Terminals: dialIn(gw, f, logger), REST: rest.New(rest.Config{Gateway: gw, Log: logger})})
	fmt.Fprintln(out, "ready")
	return d.Serve(stopped, &fusedListener{listener, f})
}

// filesOver is the system's disk or, with a folder to note in, one over it that
// can lose its power, under all that this process writes.
func filesOver(power string, lying bool) (disk.Disk, error) {
	if power == "" {
		return disk.System{}, nil
	}
	l, err := powercut.Open(power, powercut.Options{Lying: lying})
	if err != nil {
		return nil, err
	}
	return l, l.UnderSQLite()
}

// dialIn lets remote terminals in.
func dialIn(g *gateway.Gateway, f *fuse, log *slog.Logger) func(gateway.Knock) (door.Link, error) {
	return func(k gateway.Knock) (door.Link, error) {
		t, err := g.AdmitTerminal(k)
		if err != nil {
			return door.Link{}, err
		}
		return door.Link{Site: string(t.Site()), Key: t.Key(), PingInterval: t.PingInterval(), Serve: func(c *ws.Conn) {
			line, err := link.Greet(c, t.TID(), log)
			if err != nil {
				return
			}
			release, err := t.Open(func(code int, reason string) { c.StartClose(ws.Code(code), reason) }, f.fused(line.Connect))
			if err != nil {
				c.StartClose(ws.Policy, "not let in")
				return
			}
			defer release()
			<-c.Done()
		}}, nil
	}
}

// A floor is where waiters are sent to machines. It takes what the tillwire
// binary takes, as far as waiters here do it.
type floor struct{ park *sim.Park }

// An errand is what a waiter, or who makes a report, does at a machine.
type errand struct {
	Waiter    table.WaiterID `json:"waiter,omitempty"`
	Table     table.TableID  `json:"table,omitempty"`
	PrintBill bool           `json:"printBill,omitempty"`
	Pay       int64          `json:"pay,omitempty"`
	Tip       int64          `json:"tip,omitempty"`
	Split     int            `json:"split,omitempty"`
	Decline   bool           `json:"declineFirst,omitempty"`
	Signature bool           `json:"signature,omitempty"`
	CancelAt  sim.Step       `json:"cancelAt,omitempty"`
	Report    report.Type    `json:"type,omitempty"`
}

func (o errand) visit() sim.Visit {
	return sim.Visit{
		Waiter: o.Waiter, Table: o.Table, PrintBill: o.PrintBill, Amount: minor(o.Pay), Tip: sim.Tip{Amount: minor(o.Tip)},
		Split: o.Split, DeclineFirst: o.Decline, Signature: o.Signature, CancelAt: o.CancelAt,
	}
}

// ServeHTTP has an errand done.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var (
		o       errand
		pattern = http.NewServeMux()
	)
	read := func(do func(*sim.Machine) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			m, ok := f.park.Machine(txn.TID(r.PathValue("tid")))
			if err := json.NewDecoder(r.Body).Decode(&o); err != nil || !ok {
				http.Error(w, fmt.Sprint("no such errand: ", err), http.StatusBadRequest)
				return
			}
			if err := do(m); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
			}
		}
	}
	pattern.HandleFunc("POST /dev/sites/{site}/terminals/{tid}/visit", read(func(m *sim.Machine) error {
		_, err := m.Visit(r.Context(), o.visit(), nil)
		return err
	}))
	pattern.HandleFunc("POST /dev/sites/{site}/terminals/{tid}/report", read(func(m *sim.Machine) error {
		_, err := m.Report(r.Context(), o.Report)
		return err
	}))
	pattern.ServeHTTP(w, r)
}
