package sim

import (
	"time"

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
	RemoveCard      txn.Notification = "REMOVE_CARD"
)

// A Script changes what happens in one request to a machine. Its zero value
// changes nothing.
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

	// LoseReply has Start accept the request and report an error.
	LoseReply bool
}

// Script says what happens in the next requests that the machine accepts, one
// script a request, after those already said.
func (m *Machine) Script(next ...Script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scripts = append(m.scripts, next...)
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
	printTakes      = 2 * time.Second
)
