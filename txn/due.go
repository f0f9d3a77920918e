package txn

// An Effect is something that the world is owed, in the imperative. Effects
// are comparable: who performs them keeps the set of those already performed.
type Effect interface{ effect() }

// The effects.
type (
	// StartTerminal: tell the terminal to begin.
	StartTerminal struct{}
	// CancelTerminal: pass the wish for a cancel on.
	CancelTerminal struct{}
	// AskTerminal: find out what became of it.
	AskTerminal struct{}
	// AskSignature: have the till verify the signature.
	AskSignature struct{}
	// AnswerTerminal: tell the terminal what was decided on the signature.
	AnswerTerminal struct{ Accepted bool }
	// AcknowledgeTerminal: the terminal may forget the outcome; it is on disk.
	AcknowledgeTerminal struct{}
	// TellTill: the till is owed its one answer.
	TellTill struct{}
	// CorrectTill: a till was told TIMED_OUT, and the truth is known now.
	CorrectTill struct{}
)

func (StartTerminal) effect()       {}
func (CancelTerminal) effect()      {}
func (AskTerminal) effect()         {}
func (AskSignature) effect()        {}
func (AnswerTerminal) effect()      {}
func (AcknowledgeTerminal) effect() {}
func (TellTill) effect()            {}
func (CorrectTill) effect()         {}

// Due says what the world is owed while a transaction stands as t does.
// Running and restarting call it alike. It never asks for a start after an
// interruption, nor after the till was told TIMED_OUT: what may have reached a
// terminal is asked about instead.
func Due(t Transaction) []Effect {
	var due []Effect
	switch t.State {
	case begin, Requested: // nothing yet; the gateway records the dispatch next
	case AtTerminal:
		if !t.Started && !t.Interrupted && t.Told == ToldNothing {
			due = append(due, StartTerminal{})
		}
		if t.SignatureBy != "" {
			due = append(due, AnswerTerminal{Accepted: t.SignatureAccepted})
		}
		if t.CancelWished && t.Started && t.Wish == nil { // once a signature was wanted it is too late
			due = append(due, CancelTerminal{})
		}
	case Signing:
		due = append(due, AskSignature{})
	case Unresolved:
		due = append(due, AskTerminal{})
	case Finished:
		if t.Told == ToldNothing {
			due = append(due, TellTill{})
		}
		if t.Uncorrected() {
			due = append(due, CorrectTill{})
		}
		if t.Outcome != nil || t.Conflict != nil {
			due = append(due, AcknowledgeTerminal{})
		}
	}
	return due
}
