package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/receipt"
)

// Books are what must outlive the till, in a folder. A till with a database
// keeps them there, beside what it sells.
type books struct{ dir string }

// open writes a request down before it is sent.
func (b books) open(r request) error { return b.write(filepath.Join("open", r.Key+".json"), r) }

// left are the requests whose end is not in the books.
func (b books) left() []request {
	names, _ := filepath.Glob(filepath.Join(b.dir, "open", "*.json"))
	var all []request
	for _, name := range names {
		var r request
		if text, err := os.ReadFile(name); err == nil && json.Unmarshal(text, &r) == nil {
			all = append(all, r)
		}
	}
	return all
}

// close books what came of a request, money or none. A payment is in the books
// before the request is forgotten, and under its key: twice is once.
func (b books) close(r request, p epos.Payment) error {
	if p.MoneyTaken() == epos.TakenYes {
		if err := b.write(filepath.Join("taken", r.Key+".json"), p); err != nil {
			return err
		}
		if r.Method == "preAuth" {
			if err := b.write(string(r.TID)+"-auth.json", p.AuthCode); err != nil {
				return err
			}
		}
	}
	return os.Remove(filepath.Join(b.dir, "open", r.Key+".json"))
}

// authCode is that of the last pre-authorisation on a card machine. A till for
// a hotel keeps it with the guest.
func (b books) authCode(tid epos.TID) (code string) {
	text, err := os.ReadFile(filepath.Join(b.dir, string(tid)+"-auth.json"))
	if err == nil {
		_ = json.Unmarshal(text, &code) // without one the gateway refuses
	}
	return code
}

// keepReport keeps a copy of a report.
func (b books) keepReport(r epos.Report) error {
	name := strings.ReplaceAll(string(r.Time), ":", "-") + "-" + string(r.TID) + "-" + string(r.Type) + ".json"
	return b.write(filepath.Join("reports", name), struct {
		Report epos.Report
		Paper  string
	}{r, receipt.Plain(r.Lines)})
}

// dayIsOpen reports whether something was taken, and no end of day was run for a
// day.
func (b books) dayIsOpen() bool {
	taken, _ := filepath.Glob(filepath.Join(b.dir, "taken", "*.json"))
	ends, _ := filepath.Glob(filepath.Join(b.dir, "reports", "*-"+string(epos.EndOfDay)+".json"))
	for _, name := range ends {
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) < 24*time.Hour {
			return false
		}
	}
	return len(taken) > 0
}

// write puts a file there, whole or not at all.
func (b books) write(name string, v any) error {
	path := filepath.Join(b.dir, name)
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
