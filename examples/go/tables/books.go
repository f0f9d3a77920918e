package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

// A bill is a table with what is owed and paid.
type bill struct {
	Name     string        `json:"name"`
	Waiter   epos.WaiterID `json:"waiter,omitempty"` // whose it is alone
	Due      money.Minor   `json:"due"`              // for what was eaten
	LockedBy epos.TID      `json:"lockedBy,omitempty"`
	Payments []payment     `json:"payments,omitempty"`
}

// A payment is one card. Gratuity and cashback are not towards the bill.
type payment struct {
	ID       epos.PaymentID `json:"paymentId"`
	Paid     money.Minor    `json:"amountPaid"`
	Gratuity money.Minor    `json:"amountGratuity"`
	Cashback money.Minor    `json:"amountCashback"`
}

func (b *bill) paid() (sum money.Minor) {
	for _, p := range b.Payments {
		sum += p.Paid
	}
	return sum
}

func (b *bill) owed() money.Minor { return b.Due - b.paid() }

// payable reports whether a waiter can have it paid now.
func (b *bill) payable(w epos.WaiterID) bool {
	return b.owed() > 0 && b.LockedBy == "" && (b.Waiter == "" || b.Waiter == w)
}

// Books are a folder with a file for each table. A till with a database keeps
// them there.
type books struct{ dir string }

func (b books) path(name string) string {
	return filepath.Join(b.dir, "tables", url.PathEscape(name)+".json")
}

// open makes a table. Afterwards only the till that serves writes its file.
func (b books) open(name string, waiter epos.WaiterID, due money.Minor) error {
	if _, err := os.Stat(b.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is a table %s already", name)
	}
	return b.write(b.path(name), bill{Name: name, Waiter: waiter, Due: due})
}

func (b books) table(name string) (*bill, error) { return read(b.path(name)) }

func (b books) keep(t *bill) error { return b.write(b.path(t.Name), t) }

func (b books) all() []*bill {
	names, _ := filepath.Glob(filepath.Join(b.dir, "tables", "*.json"))
	var all []*bill
	for _, name := range names {
		if t, err := read(name); err == nil {
			all = append(all, t)
		}
	}
	return all
}

func read(path string) (*bill, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var t bill
	return &t, json.Unmarshal(text, &t)
}

// reports are the files of those that are kept.
func (b books) reports(kind epos.ReportType) []string {
	names, _ := filepath.Glob(filepath.Join(b.dir, "reports", "*-"+string(kind)+".json"))
	return names
}

func (b books) keepReport(r epos.Report) error {
	name := url.PathEscape(string(r.Time)+"-"+string(r.TID)) + "-" + string(r.Type) + ".json"
	return b.write(filepath.Join(b.dir, "reports", name), struct {
		Report epos.Report
		Paper  string
	}{r, receipt.Plain(r.Lines)})
}

// write puts a file there, whole or not at all.
func (b books) write(path string, v any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
