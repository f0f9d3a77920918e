package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
)

// A word is what no wire shows: what stands in the books of this till.
type word struct {
	Yes      *bool    `json:"yes,omitempty"`
	Locked   *bool    `json:"locked,omitempty"`
	Waiters  *bool    `json:"waiters,omitempty"`
	Payments []booked `json:"payments,omitzero"` // none is also a word
}

type booked struct {
	ID       epos.PaymentID `json:"paymentId"`
	Paid     money.Minor    `json:"amountPaid"`
	Gratuity money.Minor    `json:"amountGratuity"`
}

// check does what the integration checklist orders, which docs/checklist.md
// describes, in place of somebody at the till:
//
//	tillwire check pat --till-command 'go run ./examples/go/tables'
//
// The first table that is opened has the till served from then on, by a process
// of its own, which ends when another till takes over.
func (t *till) check() int {
	order := func(name string) string { return os.Getenv("TILLWIRE_CHECK_" + name) }
	table, yes := order("TABLE"), true
	var w word
	switch order("METHOD") {
	case "open":
		due, err := strconv.ParseInt(order("AMOUNT"), 10, 64)
		if err == nil {
			err = t.books.open(table, epos.WaiterID(order("WAITER")), money.Minor(due))
		}
		if err == nil {
			err = t.begin()
		}
		if err != nil {
			return ends(err)
		}
	case "books":
		b, err := t.books.table(table)
		if err != nil {
			return ends(err)
		}
		locked := b.LockedBy != ""
		w.Locked, w.Waiters, w.Payments = &locked, &yes, []booked{}
		for _, p := range b.Payments {
			w.Payments = append(w.Payments, booked{p.ID, p.Paid, p.Gratuity})
		}
	case "report":
		yes = len(t.books.reports(epos.EndOfDay)) > 0
		w.Yes = &yes
	default:
		w.Yes = &yes // the installer's id is a flag, the software house's none
	}
	text, err := json.Marshal(w)
	if err != nil {
		return ends(err)
	}
	fmt.Println(string(text))
	return 0
}

// begin starts the till that serves, unless it runs. Its process id is in a file.
func (t *till) begin() error {
	name := filepath.Join(t.books.dir, "till.pid")
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	serves := exec.Command(os.Args[0], "-data", t.books.dir)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TILLWIRE_CHECK_") {
			serves.Env = append(serves.Env, v)
		}
	}
	log, err := os.Create(filepath.Join(t.books.dir, "till.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	serves.Stdout, serves.Stderr = log, log
	if err := serves.Start(); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(strconv.Itoa(serves.Process.Pid)), 0o600)
}
