package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

// A tablesFile is the file of tillwire epos tables.
type tablesFile struct {
	Name     string          `yaml:"name,omitempty"` // heads the bill
	Currency money.Currency  `yaml:"currency"`
	Waiters  []string        `yaml:"waiters,omitempty,flow"` // empty: anybody
	Tables   []*tablesTable  `yaml:"tables"`
	Unplaced []tablesPayment `yaml:"unplaced,omitempty"` // for tables that are not here
}

// A tablesTable is one table. Paid, Locked, Closed and Payments are the till's.
type tablesTable struct {
	ID       string          `yaml:"id"`
	Waiters  []string        `yaml:"waiters,omitempty,flow"` // empty: any
	Items    []tablesItem    `yaml:"items,omitempty"`
	Paid     tablesPrice     `yaml:"paid,omitempty"` // towards the items
	Locked   *tablesLock     `yaml:"locked,omitempty"`
	Closed   string          `yaml:"closed,omitempty"` // when it was paid
	Payments []tablesPayment `yaml:"payments,omitempty"`
}

type tablesItem struct {
	Name     string      `yaml:"name"`
	Price    tablesPrice `yaml:"price"`
	Quantity int         `yaml:"quantity,omitempty"` // 0 is 1
}

type tablesLock struct {
	TID    string `yaml:"tid"`
	Waiter string `yaml:"waiter,omitempty"`
	Since  string `yaml:"since"`
}

// A tablesPayment is a card payment, in minor units.
type tablesPayment struct {
	ID         string         `yaml:"id" json:"id"`
	Table      string         `yaml:"table,omitempty" json:"-"` // of one that has no place
	TID        string         `yaml:"tid" json:"-"`
	Waiter     string         `yaml:"waiter,omitempty" json:"-"`
	Time       string         `yaml:"time" json:"time"`
	Currency   money.Currency `yaml:"currency" json:"currency"`
	AmountPaid money.Minor    `yaml:"amountPaid" json:"amountPaid"`
	Gratuity   money.Minor    `yaml:"amountGratuity" json:"amountGratuity"`
	Cashback   money.Minor    `yaml:"amountCashback" json:"amountCashback"`
	Scheme     string         `yaml:"cardSchemeName,omitempty" json:"cardSchemeName"`
	PAN        string         `yaml:"primaryAccountNumber,omitempty" json:"primaryAccountNumber"`
	AuthCode   string         `yaml:"authCode,omitempty" json:"authCode"`
}

// A tablesPrice is written as minor units, or with a point and two decimals, and
// may be less than nothing. It is never read as a floating-point number.
type tablesPrice money.Minor

// UnmarshalYAML reads a price from the text in the file.
func (p *tablesPrice) UnmarshalYAML(node ast.Node) error {
	if _, ok := node.(ast.ScalarNode); !ok {
		return errors.New("a price is an amount, like \"12.50\", or 1250 in minor units")
	}
	s := node.GetToken().Value
	digits, negative := strings.CutPrefix(s, "-")
	var n money.Minor
	if strings.Contains(digits, ".") {
		a, err := money.Parse(digits, "")
		if err != nil {
			return fmt.Errorf("%q is no amount: write it like \"12.50\", or 1250 in minor units", s)
		}
		n = a.Minor
	} else {
		u, err := strconv.ParseUint(digits, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is no amount: write it like \"12.50\", or 1250 in minor units", s)
		}
		n = money.Minor(u)
	}
	if n > maxTablesPrice {
		return fmt.Errorf("%q is too much", s)
	}
	if negative {
		n = -n
	}
	*p = tablesPrice(n)
	return nil
}

// MarshalYAML writes a price with two decimals, in quotes, so that nothing takes
// it for a floating-point number.
func (p tablesPrice) MarshalYAML() ([]byte, error) {
	return []byte(strconv.Quote(money.Minor(p).Decimal())), nil
}

const (
	maxTablesPrice = 99999999 // what a terminal can take
	maxQuantity    = 1000
	maxTableName   = 64
)

// parseTables reads a file, and the comments in it.
func parseTables(data []byte) (*tablesFile, yaml.CommentMap, error) {
	f, comments := &tablesFile{}, yaml.CommentMap{}
	if err := yaml.UnmarshalWithOptions(data, f, yaml.Strict(), yaml.CommentToMap(comments)); err != nil {
		return nil, nil, errors.New(strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	if _, err := money.ParseCurrency(string(f.Currency)); err != nil {
		return nil, nil, errors.New("currency is to be GBP or EUR")
	}
	seen := map[string]bool{}
	for i, t := range f.Tables {
		switch {
		case t == nil || t.ID == "":
			return nil, nil, fmt.Errorf("table %d has no id", i+1)
		case utf8.RuneCountInString(t.ID) > maxTableName || strings.ContainsFunc(t.ID, func(r rune) bool { return !unicode.IsPrint(r) }):
			return nil, nil, fmt.Errorf("table %d: an id is up to %d printable characters", i+1, maxTableName)
		case seen[t.ID]:
			return nil, nil, fmt.Errorf("table %q is there twice", t.ID)
		}
		seen[t.ID] = true
		for n, item := range t.Items {
			if item.Quantity < 0 || item.Quantity > maxQuantity {
				return nil, nil, fmt.Errorf("table %q, item %d: a quantity is 1 to %d", t.ID, n+1, maxQuantity)
			}
		}
	}
	return f, comments, nil
}

// write gives the text of a file, which reads as f. Comments stay where they can;
// a text that their place has spoilt is written without them.
func (f *tablesFile) write(comments yaml.CommentMap) ([]byte, error) {
	plain, err := f.text(nil)
	if err != nil {
		return nil, err
	}
	for _, c := range []yaml.CommentMap{comments, nil} {
		data, err := f.text(c)
		if err != nil {
			continue
		}
		again, _, err := parseTables(data)
		if err != nil {
			continue
		}
		if same, err := again.text(nil); err == nil && bytes.Equal(same, plain) {
			return data, nil
		}
	}
	return nil, errors.New("the tables cannot be written so that they can be read again")
}

func (f *tablesFile) text(comments yaml.CommentMap) ([]byte, error) {
	return yaml.MarshalWithOptions(f, yaml.WithComment(comments), yaml.IndentSequence(true))
}

func (f *tablesFile) table(id string) *tablesTable {
	i := slices.IndexFunc(f.Tables, func(t *tablesTable) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return f.Tables[i]
}

// knows reports whether a waiter may use the terminals.
func (f *tablesFile) knows(w epos.WaiterID) bool {
	return len(f.Waiters) == 0 || slices.Contains(f.Waiters, string(w))
}

// serves reports whether a table is one of the waiter's.
func (t *tablesTable) serves(w epos.WaiterID) bool {
	return len(t.Waiters) == 0 || slices.Contains(t.Waiters, string(w))
}

func (i tablesItem) total() money.Minor {
	return money.Minor(i.Price) * money.Minor(max(i.Quantity, 1))
}

func (t *tablesTable) total() (sum money.Minor) {
	for _, i := range t.Items {
		sum += i.total()
	}
	return sum
}

// due is what is left to pay.
func (t *tablesTable) due() money.Minor { return t.total() - money.Minor(t.Paid) }

// payable lists what a waiter can pay.
func (f *tablesFile) payable(w epos.WaiterID) epos.TableList {
	list := epos.TableList{Tables: []epos.TableID{}, Currency: f.Currency}
	for _, t := range f.Tables {
		if t.refusal(w) == "" {
			list.Tables = append(list.Tables, epos.TableID(t.ID))
		}
	}
	return list
}

// refusal says why a table cannot be locked, nothing if it can.
func (t *tablesTable) refusal(w epos.WaiterID) string {
	switch due := t.due(); {
	case !t.serves(w):
		return fmt.Sprintf("it is not waiter %s's", orDash(string(w)))
	case t.Closed != "":
		return "it is paid"
	case t.Locked != nil:
		return fmt.Sprintf("it is locked at %s since %s", t.Locked.TID, t.Locked.Since)
	case due <= 0:
		return "there is nothing to pay"
	case due > maxTablesPrice:
		return fmt.Sprintf("%s is more than a card can pay", due.Decimal())
	}
	return ""
}

// lock locks a table and returns what is due.
func (f *tablesFile) lock(r epos.TableRequest, at time.Time) (money.Minor, error) {
	if !f.knows(r.WaiterID) {
		return 0, fmt.Errorf("waiter %q is not known", r.WaiterID)
	}
	t := f.table(string(r.TableID))
	if t == nil {
		return 0, errors.New("there is no such table")
	}
	if why := t.refusal(r.WaiterID); why != "" {
		return 0, errors.New(why)
	}
	t.Locked = &tablesLock{TID: string(r.TID), Waiter: string(r.WaiterID), Since: at.Format(time.RFC3339)}
	return t.due(), nil
}

// unlock unlocks a table if that terminal holds it, and reports whether it did.
func (f *tablesFile) unlock(r epos.TableRequest) bool {
	t := f.table(string(r.TableID))
	if t == nil || t.Locked == nil || t.Locked.TID != string(r.TID) {
		return false
	}
	t.Locked = nil
	return true
}

// unbooked are those of the payments that the file does not have.
func (f *tablesFile) unbooked(ids []epos.PaymentID) []epos.PaymentID {
	booked := map[string]bool{}
	for _, p := range f.Unplaced {
		booked[p.ID] = true
	}
	for _, t := range f.Tables {
		for _, p := range t.Payments {
			booked[p.ID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id epos.PaymentID) bool { return booked[string(id)] })
}

// book adds payments to their table, or where there is none, to those that have
// no place: the cards were charged. After says how the table then stands.
func (f *tablesFile) book(p epos.TablePayments, at time.Time) (added []tablesPayment, after string) {
	t := f.table(string(p.TableID))
	for _, one := range p.Payments {
		x := tablesPayment{
			ID: string(one.ID), TID: string(p.TID), Waiter: string(p.WaiterID), Time: string(one.Time),
			Currency: one.Currency, AmountPaid: one.AmountPaid, Gratuity: one.AmountGratuity, Cashback: one.AmountCashback,
			Scheme: one.Scheme, PAN: receipt.MaskPANs(one.PAN), AuthCode: one.AuthCode,
		}
		if t == nil {
			x.Table = string(p.TableID)
			f.Unplaced = append(f.Unplaced, x)
		} else {
			t.Payments = append(t.Payments, x)
			t.Paid += tablesPrice(x.AmountPaid)
		}
		added = append(added, x)
	}
	switch {
	case t == nil:
		return added, "is not in the file: the payments stand under unplaced"
	case t.due() > 0:
		return added, fmt.Sprintf("has %s left to pay", money.Amount{Minor: t.due(), Currency: f.Currency})
	case t.due() < 0:
		t.Closed = at.Format(time.RFC3339)
		return added, fmt.Sprintf("is closed, with %s too much", money.Amount{Minor: -t.due(), Currency: f.Currency})
	}
	t.Closed = at.Format(time.RFC3339)
	return added, "is closed"
}

// bill prints what is to be paid for.
func (f *tablesFile) bill(t *tablesTable) []receipt.Line {
	b := f.items(t)
	if t.Paid != 0 {
		pair(b, "Paid so far", money.Minor(t.Paid))
	}
	pair(b, "TO PAY "+string(f.Currency), t.due(), receipt.Bold)
	return b.Line(receipt.TicketFeed).Lines()
}

// final prints what was paid.
func (f *tablesFile) final(t *tablesTable) []receipt.Line {
	b := f.items(t)
	var gratuity money.Minor
	for _, p := range t.Payments {
		pair(b, strings.TrimSpace(p.Scheme+" "+lastFour(p.PAN)), p.AmountPaid)
		gratuity += p.Gratuity
	}
	if gratuity > 0 {
		pair(b, "Gratuity, with thanks", gratuity)
	}
	if due := t.due(); due > 0 {
		pair(b, "LEFT TO PAY "+string(f.Currency), due, receipt.Bold)
	} else {
		b.Centred("PAID, THANK YOU", receipt.Bold)
	}
	return b.Line(receipt.TicketFeed).Lines()
}

func lastFour(pan string) string { return pan[max(0, len(pan)-4):] }

func (f *tablesFile) items(t *tablesTable) *receipt.Builder {
	b := &receipt.Builder{}
	if f.Name != "" {
		b.Centred(f.Name, receipt.Bold)
	}
	b.Text("TABLE "+t.ID, receipt.Bold).Line(receipt.SeparatorSingle)
	for _, i := range t.Items {
		name := i.Name
		if i.Quantity > 1 {
			name = fmt.Sprintf("%d x %s", i.Quantity, i.Name)
		}
		pair(b, name, i.total())
	}
	b.Line(receipt.SeparatorSingle)
	pair(b, "TOTAL", t.total())
	return b
}

// pair prints a label, cut to the paper, and an amount.
func pair(b *receipt.Builder, label string, amount money.Minor, format ...receipt.Format) {
	value := amount.Decimal()
	if room := receipt.Width - len(value) - 1; utf8.RuneCountInString(label) > room {
		label = string([]rune(label)[:room])
	}
	b.Pair(label, value, format...)
}

// A tablesBook is the file on disk, and what it holds.
type tablesBook struct {
	path string

	mu       sync.Mutex
	file     *tablesFile // nil: to be read
	comments yaml.CommentMap
	seen     fs.FileInfo // as it was when it was read or written
}

// A fileError says that the file cannot be read or written.
type fileError struct{ error }

func (e *fileError) Unwrap() error { return e.error }

// openTables reads the file for the first time.
func openTables(path string) (*tablesBook, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError{hint(fmt.Errorf("--file: there is no %s", path), "tillwire epos tables --init --file %s writes one with sample tables", path)}
	}
	if err != nil {
		return nil, err
	}
	b := &tablesBook{path: resolved}
	if err := b.read(func(*tablesFile) error { return nil }); err != nil {
		return nil, usageError{err}
	}
	return b, nil
}

// read looks at the tables as the file has them now.
func (b *tablesBook) read(look func(*tablesFile) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.load(); err != nil {
		return &fileError{err}
	}
	return look(b.file)
}

// change changes the tables, and has that on disk when it returns nil. After an
// error nothing is changed.
func (b *tablesBook) change(do func(*tablesFile) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.load(); err != nil {
		return &fileError{err}
	}
	if err := do(b.file); err != nil {
		b.file = nil
		return err
	}
	if err := b.save(); err != nil {
		b.file = nil
		return &fileError{err}
	}
	return nil
}

// load reads the file if it is not the one that was seen last.
func (b *tablesBook) load() error {
	info, err := os.Stat(b.path)
	if err != nil {
		return err
	}
	if b.file != nil && info.ModTime().Equal(b.seen.ModTime()) && info.Size() == b.seen.Size() && os.SameFile(info, b.seen) {
		return nil
	}
	data, err := os.ReadFile(b.path)
	if err != nil {
		return err
	}
	file, comments, err := parseTables(data)
	if err != nil {
		return fmt.Errorf("%s: %w", b.path, err)
	}
	b.file, b.comments, b.seen = file, comments, info
	return nil
}

func (b *tablesBook) save() error {
	data, err := b.file.write(b.comments)
	if err != nil {
		return err
	}
	if err := replaceFile(b.path, data, b.seen.Mode().Perm()); err != nil {
		return err
	}
	info, err := os.Stat(b.path)
	if err != nil {
		return err
	}
	b.seen = info
	return nil
}

// replaceFile puts data in place of a file: whole or not at all, and on disk
// when it returns.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil || runtime.GOOS == "windows" { // which cannot sync folders
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
