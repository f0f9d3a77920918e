package console

// A Machine is a simulated terminal, as its hands and eyes. Its methods do not
// block for long and may be called from several goroutines. The texts of its
// errors are for people.
type Machine interface {
	// Face is what can be seen of it at this moment.
	Face() Face
	// Watch returns a channel on which a token comes whenever the face has
	// changed, and what ends it. Several changes may bring one token.
	Watch() (changed <-chan struct{}, done func())
	// Touch says whether people play its part from the next request on, in place
	// of its name or scenario.
	Touch(on bool) error
	// Press presses a key: 0 to 9, enter, clear, cancel, menu, f1 to f4.
	Press(key string) error
	// Present holds a test card of package spec to the machine, in one of its ways.
	Present(card, how string) error
	// TakeCard takes the card out of the slot.
	TakeCard() error
	// TearOff takes away what was printed.
	TearOff() error
	// Paper puts a new roll in, or takes the paper out.
	Paper(in bool) error
	// Cable plugs the line to the gateway in or pulls it.
	Cable(in bool) error
	// Power switches the machine on or off.
	Power(on bool) error
	// Scenario has it play a scenario in its next requests, or in all others when
	// times is 0. An empty name takes back all that was ordered.
	Scenario(name string, times int) error
}

// A Terminal is how a terminal of a site stands.
type Terminal struct {
	Site      string `json:"site"`
	TID       string `json:"tid"`
	Model     string `json:"model"`
	Software  string `json:"software"`
	Currency  string `json:"currency"`
	Connected bool   `json:"connected"`
	Busy      bool   `json:"busy"`
	LastSeen  string `json:"lastSeen,omitzero"` // RFC 3339
	Simulated bool   `json:"simulated"`         // a machine that can be shown
	Enrolled  bool   `json:"enrolled"`          // dials in with a key of its own
	Doing     string `json:"doing,omitzero"`    // what its screen says, where that can be seen
	Means     string `json:"means,omitzero"`    // what its name says that it plays
}

// A Face is what people see of a machine at one moment.
type Face struct {
	TID      string `json:"tid"`
	Model    string `json:"model"`
	Software string `json:"software"`
	Currency string `json:"currency"`

	ByHand bool `json:"byHand"` // it waits for people
	Power  bool `json:"power"`
	Cable  bool `json:"cable"`  // plugged in
	Link   bool `json:"link"`   // a gateway is at the other end
	Paper  bool `json:"paper"`  // there is some on the roll
	Broken bool `json:"broken"` // it has fallen mute

	Busy   string    `json:"busy"` // idle, transaction, report, visit, menu
	Screen Screen    `json:"screen"`
	Slot   *SlotCard `json:"slot,omitzero"` // the card in the reader
	Rolls  []Roll    `json:"rolls"`         // printed and not torn off, oldest first

	Scenarios int  `json:"scenarios"` // requests for which a scenario was chosen
	Always    bool `json:"always"`    // one was chosen for all others
}

// A Screen is what stands on the display, and what is taken at that moment.
type Screen struct {
	Title string   `json:"title"`
	Lines []string `json:"lines"`
	Entry string   `json:"entry"` // what was typed; a PIN and a card number are stars
	Asks  string   `json:"asks"`  // card, number, pan, pin, amount, choice, takeOut, paper; or nothing
	Keys  []KeyUse `json:"keys"`  // that do something
	Cards []string `json:"cards"` // ways of presenting a card that do something
}

// A KeyUse is a key and what it does at this moment; empty where the key says it.
type KeyUse struct {
	Key  string `json:"key"`
	Does string `json:"does"`
}

// A SlotCard is a card in the reader.
type SlotCard struct {
	Name  string `json:"name"`
	Label string `json:"label"`
}

// A Roll is a piece of paper that hangs out of the printer.
type Roll struct {
	ID       int    `json:"id"`
	Copy     string `json:"copy"`     // merchant, customer, duplicate, bill, final, report
	Printing bool   `json:"printing"` // more lines follow
	Torn     bool   `json:"torn"`     // the paper ended in the middle
	Lines    []Line `json:"lines"`
}

// A Line is a receipt line (the contract, section 8).
type Line struct {
	Type   string   `json:"type"`
	Format []string `json:"format"`
	Value  string   `json:"value"`
}
