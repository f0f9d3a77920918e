package sim

import (
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// The notifications that machines send (the contract, section 4.2).
const (
	PresentCard     txn.Notification = "PRESENT_CARD"
	PleaseWait      txn.Notification = "PLEASE_WAIT"
	EnterCashback   txn.Notification = "ENTER_CASHBACK"
	PINEntry        txn.Notification = "PIN_ENTRY"
	Connecting      txn.Notification = "CONNECTING"
	ConnectionMade  txn.Notification = "CONNECTION_MADE"
	RequestSent     txn.Notification = "REQUEST_SENT"
	ProcessingError txn.Notification = "PROCESSING_ERROR"
	Approved        txn.Notification = "APPROVED"
	Declined        txn.Notification = "DECLINED"
	DeclinedByCard  txn.Notification = "DECLINED_BY_CARD"
	ReplacePaper    txn.Notification = "REPLACE_PAPER"
	RemoveCard      txn.Notification = "REMOVE_CARD"

	InsertCard         txn.Notification = "INSERT_CARD"
	RePresentCard      txn.Notification = "RE_PRESENT_CARD"
	PresentOnlyOneCard txn.Notification = "PRESENT_ONLY_ONE_CARD"
	Retrying           txn.Notification = "RETRYING"
	BadSwipe           txn.Notification = "BAD_SWIPE"
	CardError          txn.Notification = "CARD_ERROR"
	CardExpired        txn.Notification = "CARD_EXPIRED"
	CardNotSupported   txn.Notification = "CARD_NOT_SUPPORTED"
)

// A Script changes what happens in one request to a machine. Its zero value
// changes nothing. Times are those of speed 1, and none at Max.
type Script struct {
	Result txn.Result        // in place of the name's
	Entry  txn.PaymentMethod // in place of the name's
	CVM    txn.CVM           // in place of the name's

	// SameCard presents the card of the machine's last transaction again.
	SameCard bool

	// HoldAt stops the transaction after that notification until Until is
	// closed, whatever the pace. A cancel that is still honoured there ends the
	// hold. A report has no notifications: Until alone holds it.
	HoldAt txn.Notification
	Until  <-chan struct{}

	// Cashback is what the cardholder asks the machine for, in minor units, where
	// the till asked for none and the machine can give some.
	Cashback money.Minor
	// GratuityPercent is what the cardholder adds, in whole minor units.
	GratuityPercent int

	// Shows are more notifications, each told once after another one.
	Shows []Show
	// EndAfter breaks the transaction off after that notification: DECLINED where
	// that is the result to be played, else UNSUCCESSFUL, and once there was an
	// approval as that has it.
	EndAfter txn.Notification

	// PaperOut is how long nobody puts a new roll in.
	PaperOut time.Duration
	// AcquirerSilent is how long the machine waits for an approval that never
	// reaches it; then it takes it back.
	AcquirerSilent time.Duration
	// ClockOff is how far the machine's clock is ahead in this request.
	ClockOff time.Duration
	// Mishaps happen at points of the transaction.
	Mishaps []Mishap

	// LoseReply has Start accept the request and report an error.
	LoseReply bool
}

// Script says what happens in the next requests that the machine accepts, one
// script a request, after those already said.
func (m *Machine) Script(next ...Script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scripts = append(m.scripts, next...)
	m.stir()
}

// A Show is one more notification after another one.
type Show struct{ After, Value txn.Notification }

// Always says what happens in each transaction from now on for which Script
// says nothing. Reports are not changed by it.
func (m *Machine) Always(s Script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.always = &s
	m.stir()
}

// Calm takes back what Script and Always said. A transaction that runs stays as
// it is.
func (m *Machine) Calm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scripts, m.always = nil, nil
	m.stir()
}

// pick chooses what happens in a request: what Script said, what Always said,
// then what the amount says where the park goes by it. The caller holds m.mu.
func (m *Machine) pick(r terminal.Request) (s Script, queued bool) {
	switch {
	case len(m.scripts) > 0:
		return m.scripts[0], true
	case r.IsReport():
	case m.always != nil:
		return *m.always, false
	case m.park.o.ByAmount && !m.panel.touched:
		if found, ok := spec.Default().ScenarioFor(int64(r.Txn.Amount)); ok {
			return scriptOf(found.Script), false
		}
	}
	return Script{}, false
}

// take is pick for a request that is about to happen.
func (m *Machine) take(r terminal.Request) Script {
	s, queued := m.pick(r)
	if queued {
		m.scripts = m.scripts[1:]
	}
	return s
}

// Max is the speed of machines that wait for nothing but answers.
const Max float64 = 0

// How long people and lines take at speed 1.
const (
	gratuityTakes   = 3 * time.Second
	presentTakes    = 3 * time.Second
	keyingTakes     = 8 * time.Second
	waitTakes       = 600 * time.Millisecond
	cashbackTakes   = time.Second
	pinTakes        = 3 * time.Second
	connectingTakes = 500 * time.Millisecond
	connectedTakes  = 200 * time.Millisecond
	answerTakes     = 1500 * time.Millisecond
	verdictTakes    = 700 * time.Millisecond
	removeTakes     = 1200 * time.Millisecond
	showTakes       = 1500 * time.Millisecond
	printTakes      = 2 * time.Second
)
