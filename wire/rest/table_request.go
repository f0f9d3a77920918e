package rest

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
)

// The limits of what a till stores of a table (the contract of REST, section
// 7.3), in characters and items.
const (
	MaxTableName = 64
	MaxLines     = 500
	MaxWaiterIDs = 50
	MaxWaiterID  = 20
	MaxLockedBy  = 64
	// MaxPaid bounds what a till can say was paid of a table: several payments
	// together may be more than one can be.
	MaxPaid money.Minor = math.MaxInt32
)

// DefaultLockedBy is who locks a table if the till does not say.
const DefaultLockedBy = "EPoS"

// A TableCreate stores a table (the contract of REST, section 7.2).
type TableCreate struct {
	TableName string
	Amount    money.Minor
	Currency  money.Currency
	Receipt   []receipt.Line // nil if there is none
	WaiterIDs []string       // none is any waiter
}

// DecodeTableCreate reads the body of a till.
func DecodeTableCreate(body []byte) (TableCreate, []Deviation, *Fault) {
	var r TableCreate
	o := openBody(body)
	o.need("tableName")
	r.TableName = o.tableName("tableName")
	o.need("amount")
	r.Amount = o.minor("amount", 0, wire.MaxAmount)
	o.need("currency")
	r.Currency = o.currency("currency")
	r.Receipt = o.lines("receipt")
	r.WaiterIDs = o.waiterIDs("waiterIds")
	devs, fault := o.close()
	if fault != nil {
		return TableCreate{}, nil, fault
	}
	return r, devs, nil
}

// tableName takes a name that can stand in a path.
func (o *object) tableName(name string) string {
	value, at, ok := o.take(name)
	if !ok {
		return ""
	}
	s, ok := unquote(value)
	bad := func(rule string) { o.fault = newFault(at, rule, spec.RESTFaultTableName) }
	switch n := len([]rune(s)); {
	case !ok:
		bad(wire.RuleType)
	case n < 1:
		bad(wire.RuleMinLength)
	case n > MaxTableName:
		bad(wire.RuleMaxLength)
	case s == "." || s == ".." || hasControl(s):
		bad(RulePattern)
	}
	return s
}

func (o *object) waiterIDs(name string) []string {
	out := []string{}
	if !o.each(name, MaxWaiterIDs, func(at string, value jsontext.Value) {
		id := o.textWithinOf(at, value, 1, MaxWaiterID)
		if o.fault == nil && hasControl(id) {
			o.fault = newFault(at, RulePattern, spec.RESTFaultCharacters, "least", "1", "most", strconv.Itoa(MaxWaiterID))
		}
		out = append(out, id)
	}) {
		return nil
	}
	return out
}

// Append writes the request.
func (r TableCreate) Append(dst []byte) []byte {
	b := wire.AppendText(append(dst, `{"tableName":`...), r.TableName)
	b = wire.AppendMinor(append(b, `,"amount":`...), r.Amount)
	b = wire.AppendText(append(b, `,"currency":`...), r.Currency)
	if r.Receipt != nil {
		b = appendLines(append(b, `,"receipt":`...), r.Receipt)
	}
	if r.WaiterIDs != nil {
		b = appendTexts(append(b, `,"waiterIds":`...), r.WaiterIDs)
	}
	return append(b, '}')
}

// LastKnown is what a till believes of a table that it writes to. All bodies
// that change a table begin with it, and the deletion is nothing else.
type LastKnown struct {
	Amount     money.Minor
	PaidAmount money.Minor
}

func (k *LastKnown) read(o *object) {
	o.need("lastKnownAmount")
	k.Amount = o.minor("lastKnownAmount", 0, wire.MaxAmount)
	o.need("lastKnownPaidAmount")
	k.PaidAmount = o.minor("lastKnownPaidAmount", 0, MaxPaid)
}

// open begins to write a body.
func (k LastKnown) open(dst []byte) []byte {
	b := wire.AppendMinor(append(dst, `{"lastKnownAmount":`...), k.Amount)
	return wire.AppendMinor(append(b, `,"lastKnownPaidAmount":`...), k.PaidAmount)
}

// Append writes the request that deletes a table.
func (k LastKnown) Append(dst []byte) []byte { return append(k.open(dst), '}') }

// DecodeTableDelete reads the body of a till.
func DecodeTableDelete(body []byte) (LastKnown, []Deviation, *Fault) {
	var r LastKnown
	o := openBody(body)
	r.read(o)
	devs, fault := o.close()
	if fault != nil {
		return LastKnown{}, nil, fault
	}
	return r, devs, nil
}

// A TableAmount changes the amount of a table.
type TableAmount struct {
	LastKnown LastKnown
	NewAmount money.Minor
}

// DecodeTableAmount reads the body of a till.
func DecodeTableAmount(body []byte) (TableAmount, []Deviation, *Fault) {
	var r TableAmount
	o := openBody(body)
	r.LastKnown.read(o)
	o.need("newAmount")
	r.NewAmount = o.minor("newAmount", 0, wire.MaxAmount)
	devs, fault := o.close()
	if fault != nil {
		return TableAmount{}, nil, fault
	}
	return r, devs, nil
}

// Append writes the request.
func (r TableAmount) Append(dst []byte) []byte {
	b := append(r.LastKnown.open(dst), `,"newAmount":`...)
	return append(wire.AppendMinor(b, r.NewAmount), '}')
}

// A TableReceipt changes the receipt of a table.
type TableReceipt struct {
	LastKnown  LastKnown
	NewReceipt []receipt.Line
}

// DecodeTableReceipt reads the body of a till.
func DecodeTableReceipt(body []byte) (TableReceipt, []Deviation, *Fault) {
	var r TableReceipt
	o := openBody(body)
	r.LastKnown.read(o)
	o.need("newReceipt")
	r.NewReceipt = o.lines("newReceipt")
	devs, fault := o.close()
	if fault != nil {
		return TableReceipt{}, nil, fault
	}
	return r, devs, nil
}

// Append writes the request.
func (r TableReceipt) Append(dst []byte) []byte {
	b := append(r.LastKnown.open(dst), `,"newReceipt":`...)
	return append(appendLines(b, r.NewReceipt), '}')
}

// A TableWaiterIDs changes who may serve a table.
type TableWaiterIDs struct {
	LastKnown    LastKnown
	NewWaiterIDs []string
}

// DecodeTableWaiterIDs reads the body of a till.
func DecodeTableWaiterIDs(body []byte) (TableWaiterIDs, []Deviation, *Fault) {
	var r TableWaiterIDs
	o := openBody(body)
	r.LastKnown.read(o)
	o.need("newWaiterIds")
	r.NewWaiterIDs = o.waiterIDs("newWaiterIds")
	devs, fault := o.close()
	if fault != nil {
		return TableWaiterIDs{}, nil, fault
	}
	return r, devs, nil
}

// Append writes the request.
func (r TableWaiterIDs) Append(dst []byte) []byte {
	b := append(r.LastKnown.open(dst), `,"newWaiterIds":`...)
	return append(appendTexts(b, r.NewWaiterIDs), '}')
}

// A TableLock locks or unlocks a table (the contract of REST, section 7.5).
type TableLock struct {
	LastKnown LastKnown
	Locked    bool
	LockedBy  string // empty if the till does not say, which counts as DefaultLockedBy
	Override  bool
}

// DecodeTableLock reads the body of a till.
func DecodeTableLock(body []byte) (TableLock, []Deviation, *Fault) {
	var r TableLock
	o := openBody(body)
	r.LastKnown.read(o)
	o.need("locked")
	r.Locked = o.flag("locked")
	r.LockedBy = o.textWithin("lockedBy", 0, MaxLockedBy)
	r.Override = o.flag("override")
	devs, fault := o.close()
	if fault != nil {
		return TableLock{}, nil, fault
	}
	return r, devs, nil
}

// Append writes the request.
func (r TableLock) Append(dst []byte) []byte {
	b := appendBool(append(r.LastKnown.open(dst), `,"locked":`...), r.Locked)
	if r.LockedBy != "" {
		b = wire.AppendText(append(b, `,"lockedBy":`...), r.LockedBy)
	}
	if r.Override {
		b = append(b, `,"override":true`...)
	}
	return append(b, '}')
}
