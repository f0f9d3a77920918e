package conform

import (
	"slices"
	"time"

	"github.com/tillwire/tillwire/spec"
)

// A State is what a line is found to be.
type State string

// The states. Open is none to end with: what is open in the end was not reached.
const (
	Open       State = ""
	Passed     State = "passed"
	Failed     State = "failed"
	NotReached State = "not reached" // the evidence never came
)

// A Verdict is what a judge says of what it has seen.
type Verdict struct {
	State State
	// Hint is for the developer: what is wrong and what to do, or what was
	// missing; with Ask, what would be right.
	Hint string
	// Frames are the numbers, among those that were seen, of what decided.
	Frames []int
	// Settle says that the verdict holds only if nothing else comes for a while.
	Settle bool
	// Else is what an open verdict is when nothing more comes: NotReached, or
	// Failed where that nothing came is what is wrong.
	Else State
	// Ask says that the wire has shown what it can, and that it is left to
	// somebody's word.
	Ask bool
}

// missing is what an open verdict waits for.
func (v Verdict) missing() string {
	if v.Ask && v.Hint != "" {
		return "nobody has said whether " + v.Hint
	}
	return v.Hint
}

// An Order is what is to be done at the till. Amounts are minor units.
type Order struct {
	Method    string // of the contract; what a person calls it is in Text
	TID       string
	Currency  string
	Amount    int64
	Cashback  int64
	Present   bool          // the cardholder is there
	Signature string        // accept, reject or leave, should one be asked for
	Wait      time.Duration // before the signature is answered, or is too late to be
	// CancelAfter is the notification after which the transaction is to be
	// cancelled; empty where it is not.
	CancelAfter string
	AuthCode    bool   // with the auth code that an earlier step of the line brought
	Table       string // to be opened, or to be told about
	Waiter      string // whose table it is
	Text        string // for a person
}

// A Word is what somebody says of what the till did where no wire goes. Absent
// members say nothing. Amounts are minor units.
type Word struct {
	// Cleared says whether the till has booked the amount as paid.
	Cleared *bool `json:"cleared,omitzero"`
	// What it booked.
	Total    *int64 `json:"amountTotal,omitzero"`
	Cashback *int64 `json:"amountCashback,omitzero"`
	Gratuity *int64 `json:"amountGratuity,omitzero"`
	// Notifications are the values that it showed, in the order in which it did.
	Notifications []string `json:"notifications,omitzero"`
	// Message is the text that it showed to the staff.
	Message *string `json:"message,omitzero"`
	// Locked says whether the table is locked against editing.
	Locked *bool `json:"locked,omitzero"`
	// Payments are what is booked for the table.
	Payments []Booked `json:"payments,omitzero"`
	// Waiters says whether the till keeps the tables of waiters apart.
	Waiters *bool `json:"waiters,omitzero"`
	// Yes answers the question of the act, in place of all others.
	Yes *bool `json:"yes,omitzero"`
}

// Booked is one payment in the books of a till that keeps tables.
type Booked struct {
	ID       string `json:"paymentId"`
	Paid     int64  `json:"amountPaid"` // towards the bill
	Gratuity int64  `json:"amountGratuity"`
}

// Seen is what a judge is shown of one act, or of a scene.
type Seen struct {
	Order  Order
	Frames []Frame // of the act
	Before []Frame // of the acts before it in the same line
	Word   *Word   // nil while nobody has said anything
	Alive  []int   // connections that were open when it began

	met   bool             // the till was connected before
	words map[string]*Word // of a scene, by its steps
}

// An Act is one thing to do at the till, and how it is judged.
type Act struct {
	Name string // within its check; empty where there is only one
	Order
	// Question is what a person is asked when the wire cannot tell; yes is right.
	Question string
	Prepare  func(Stage) error        // nil for nothing
	React    func(*Seen, Stage) error // after each frame; nil for nothing
	Judge    func(*Seen) Verdict
}

// A Check decides one line of the checklist.
type Check struct {
	ID string
	// Needs says what decides: the wire, somebody's word, or both.
	Needs Needs
	Acts  []Act
	// Stands, where there are no acts, judges all frames of a run.
	Stands func([]Frame) Verdict
	// Judge, where there are neither, judges a scene.
	Scene *Scene
	Judge func(*Seen) Verdict
}

// Needs says what decides a line.
type Needs string

// What can decide a line.
const (
	ByWire Needs = "wire"
	ByWord Needs = "word"
	ByBoth Needs = "wire and word"
)

// A Stage is where a till is tried: a gateway with its terminals. It is
// implemented by who starts one.
type Stage interface {
	Service
	// Play says how the next transaction at a terminal goes.
	Play(tid string, p Part) error
	// Release ends what a Part holds.
	Release(tid string)
	// Occupy has somebody else's transaction run at a terminal.
	Occupy(tid string) error
	// Unplug takes a terminal off the gateway.
	Unplug(tid string) error
	// Cut cuts the till's connections, as a network does.
	Cut()
	// HangUp closes them, once what was said has been delivered.
	HangUp()
	// Linger keeps back for a moment what the gateway says after a message with
	// that text in it, so that a till that does not wait is seen to leave.
	Linger(after string)
	// Say sends a message to the till on a connection, as if the gateway had.
	Say(conn int, text string) error
	// Limit sets one of the gateway's time limits, by its name in spec/timers.json.
	Limit(name string, d time.Duration) error
	// Calm undoes all of that, and returns when the terminals are idle again.
	Calm() error
}

// A Part is how one transaction goes. The zero Part is chip and PIN, approved.
type Part struct {
	Result          string // of the contract; empty is SUCCESSFUL
	Signature       bool
	GratuityPercent int
	HoldAt          string // a notification after which it waits for Release, or for a cancel
}

// Line is the line of the checklist that the check decides.
func (c Check) Line() spec.ChecklistLine {
	for _, l := range spec.Default().Checklist() {
		if l.ID == c.ID {
			return l
		}
	}
	return spec.ChecklistLine{ID: c.ID}
}

// The card machines that orders name: the first takes everything, the second is
// there so that one can be chosen.
const (
	firstTID  = "VCMDEMOSIP0"
	secondTID = "VCMDEMOSIP3"
)

// pass, fail and wait are verdicts.
func pass(frames ...int) Verdict { return Verdict{State: Passed, Frames: sorted(frames)} }

func fail(hint string, frames ...int) Verdict {
	return Verdict{State: Failed, Hint: hint, Frames: sorted(frames)}
}

// wait says what has not come.
func wait(missing string, frames ...int) Verdict {
	return Verdict{Hint: missing, Frames: sorted(frames)}
}

// settled is a pass unless something else comes.
func settled(frames ...int) Verdict {
	v := pass(frames...)
	v.Settle = true
	return v
}

func sorted(frames []int) []int {
	slices.Sort(frames)
	return slices.Compact(frames)
}

// Steps are the names of the check's steps.
func (c Check) Steps() []string {
	var out []string
	for _, a := range c.Acts {
		out = append(out, stepName(c.ID, a.Name))
	}
	if c.Scene != nil {
		for _, a := range c.Scene.Steps {
			out = append(out, stepName(c.Scene.Name, a.Name))
		}
	}
	return out
}
