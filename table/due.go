package table

// An Effect is something that the world is owed, in the imperative. Effects
// are comparable.
type Effect interface{ effect() }

// The effects.
type (
	// QueuePayments: put the payments that took money into the outbox.
	QueuePayments struct{}
	// AskFinalReceipt: ask the till for the final receipt, if its connection
	// wants to be asked, before the unlock. Not due where no terminal is there
	// to print it.
	AskFinalReceipt struct{}
	// QueueUnlock: put the unlock into the outbox.
	QueueUnlock struct{}
	// AskTerminal: find out what became of the open payment.
	AskTerminal struct{}
	// Deliver: send what waits in the outbox, in order.
	Deliver struct{}
)

func (QueuePayments) effect()   {}
func (AskFinalReceipt) effect() {}
func (QueueUnlock) effect()     {}
func (AskTerminal) effect()     {}
func (Deliver) effect()         {}

// Due says what the world is owed while a visit stands as v does. Running and
// restarting call it alike. It owes nothing to the waiter: what the terminal
// shows is asked for by the terminal. Limits of time are no effects but arrive
// as events: a lock without an answer as LockUnanswered, a terminal that stays
// away as Left.
func Due(v Visit) []Effect {
	var due []Effect
	switch v.State {
	case begin, Listing, Locking, Locked, Printing, Paying, Refused:
	case Unresolved:
		if len(v.Unreported()) > 0 {
			due = append(due, QueuePayments{})
		}
		due = append(due, AskTerminal{})
	case Settled:
		if len(v.Unreported()) > 0 {
			due = append(due, QueuePayments{})
			break
		}
		if v.Took() && !v.Lost {
			due = append(due, AskFinalReceipt{})
		}
		due = append(due, QueueUnlock{})
	case Unlocked:
		if len(v.Unreported()) > 0 { // learned of after the end
			due = append(due, QueuePayments{})
		}
	}
	if v.Owes() {
		due = append(due, Deliver{})
	}
	return due
}
