package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/sqlite"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// Books are all that is written about the money of a run: by the acquirer, by
// the gateway, and by the tills.
type books struct {
	charges []charge
	txns    []txn.Transaction
	visits  []table.Visit
	orphans []journal.Stream
	open    []journal.Head // streams that somebody must still look at
	faults  []string       // what the journal finds wrong with itself

	keys    map[string]txn.RequestID // the transaction of each request key
	twice   []string                 // request keys of more than one
	tickets []ticket
	told    []correction // what tills heard unasked
	booked  []booking
	stuck   []string // terminals and tables that are not free in the end
}

// transactionOf finds what was asked for under a key. A key that looks as if it
// held a card number is in the journal as its digest.
func (b books) transactionOf(key string) txn.RequestID {
	if id, ok := b.keys[key]; ok {
		return id
	}
	sum := sha256.Sum256([]byte(key))
	return b.keys["#"+hex.EncodeToString(sum[:])]
}

// A charge is what the acquirer did to a card, in the end.
type charge struct {
	TID           string
	TransactionID string
	Payment       string // at a table
	Type          string
	Amount        int64
	Reversed      bool
}

// A ticket is one thing that a till wants paid, or paid back: once, however
// often it tries. Its amount is like no other's.
type ticket struct {
	Till   string
	TID    string
	Type   string
	Amount int64
	Keys   []string // the request keys of its tries, where the till has any
	Tries  []try
}

// A try is what a till was told about one request. About a key it may be told
// more than once.
type try struct {
	Key           string    `json:"-"`
	Word          word      `json:"word"`
	Result        string    `json:"result,omitempty"`        // of a Payment
	TransactionID string    `json:"transactionId,omitempty"` // of a Payment
	Code          epos.Code `json:"code,omitempty"`
	Asked         bool      `json:"asked,omitempty"` // by duplicate or status, not by the answer
}

// A word is what a till knows after a try.
type word string

const (
	taken    word = "taken"
	notTaken word = "not taken"
	refused  word = "refused" // an error: no transaction ran
	notRun   word = "not run" // the terminal's last transaction is an older one, or the gateway says so of the key
	unknown  word = "unknown" // TIMED_OUT, or no answer and nothing to be learned
)

// A booking is a payment at a table in the till's books.
type booking struct {
	Payment string `json:"payment"`
	TID     string `json:"tid"`
	Amount  int64  `json:"amount"`
	Times   int    `json:"-"`
}

const acquirerFile = "acquirer.log"

// readCharges reads the acquirer's file: a line a charge, and one more for its
// reversal. A line without an end was never answered for.
func readCharges(file string) ([]charge, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []charge
	at := map[[2]string]int{}
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return all, nil // the end, or one without an end
		}
		var c charge
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		key := [2]string{c.TID, c.TransactionID}
		if i, ok := at[key]; ok && c.Reversed {
			all[i].Reversed = true
			continue
		}
		at[key] = len(all)
		all = append(all, c)
	}
}

// acquirers are the files of all acquirers of a run: that of the terminals in
// the gateway's process, and of each remote one.
func acquirers(dir, remotes string) ([]string, error) {
	far, err := filepath.Glob(filepath.Join(remotes, "*", "sim", acquirerFile))
	return append(far, filepath.Join(dir, "sim", siteID, acquirerFile)), err
}

// readBooks reads what is on disk in the folder of a gateway and those of remote
// terminals. No process owns them.
func readBooks(ctx context.Context, dir, remotes string) (b books, err error) {
	files, err := acquirers(dir, remotes)
	if err != nil {
		return b, err
	}
	for _, f := range files {
		charges, err := readCharges(f)
		if err != nil {
			return b, err
		}
		b.charges = append(b.charges, charges...)
	}
	store, err := sqlite.Open(dir, sqlite.Options{ReadOnly: true})
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	v, err := store.Verify(ctx)
	if err != nil {
		return b, err
	}
	if v.Fault != "" {
		b.faults = append(b.faults, v.Fault)
	}
	heads, err := store.List(ctx, journal.Query{Limit: 1 << 30})
	if err != nil {
		return b, err
	}
	b.keys = map[string]txn.RequestID{}
	for _, h := range heads {
		if h.Open {
			b.open = append(b.open, h)
		}
		if h.Kind == journal.OrphanStream {
			b.orphans = append(b.orphans, h.Stream)
		}
		if h.Kind != journal.TransactionStream && h.Kind != journal.VisitStream {
			continue
		}
		records, err := store.Records(ctx, h.Stream)
		if err != nil {
			return b, err
		}
		if h.Kind == journal.VisitStream {
			visit, err := journal.ReplayTable(records)
			if err != nil {
				return b, err
			}
			b.visits = append(b.visits, visit)
			continue
		}
		t, err := journal.ReplayTxn(records)
		if err != nil {
			return b, err
		}
		b.txns = append(b.txns, t)
		if h.RequestKey == "" {
			continue
		}
		if _, ok := b.keys[h.RequestKey]; ok {
			b.twice = append(b.twice, h.RequestKey)
		}
		b.keys[h.RequestKey] = t.ID
	}
	return b, nil
}

func minor(n int64) money.Minor { return money.Minor(n) }
