package wire

import (
	"strings"
	"unicode/utf8"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
)

// A Fault says why what a till sent cannot be taken: the first thing that is
// wrong with it, in the order in which the contract lists the members. It never
// repeats a value.
type Fault struct {
	Pointer string // JSON pointer to the member, as in "/params/amount"
	Rule    string // the schema keyword that it breaks
	Text    string // for a developer: the pointer and what is asked of it
}

// The rules of a Fault.
const (
	RuleRequired   = "required"
	RuleType       = "type"
	RuleEnum       = "enum"
	RuleMinimum    = "minimum"
	RuleMaximum    = "maximum"
	RuleMinLength  = "minLength"
	RuleMaxLength  = "maxLength"
	RuleAdditional = "additionalProperties"
	RuleNot        = "not"
)

// Error gives the text.
func (f *Fault) Error() string { return f.Text }

// Message is the message of the error that tells a till of the fault (-32602).
func (f *Fault) Message() string { return invalidParams + f.Text }

// A Deviation is something about a message that is not as the contract has it
// and is tolerated all the same, unless the site is strict.
type Deviation struct {
	Pointer string
	Rule    string
	Text    string
}

// Fault is the fault that the deviation is on a site in strict mode.
func (d Deviation) Fault() *Fault { return (*Fault)(&d) }

// invalidParams is what the wordings of spec for -32602 begin with.
const invalidParams = "Invalid params: "

// newFault takes one of the wordings of spec for -32602.
func newFault(pointer, rule, wording string, namesAndValues ...string) *Fault {
	text := spec.Fill(strings.TrimPrefix(wording, invalidParams), append(namesAndValues, "pointer", pointer)...)
	return &Fault{Pointer: pointer, Rule: rule, Text: text}
}

// Bounds of what is kept of names that a till made up.
const (
	maxDeviations = 16
	maxNameLength = 64
)

// PointerTo makes the pointer to a member of the object at. The name may be
// anything that a till made up, so it is cut short and masked.
func PointerTo(at, name string) string {
	if len(name) > maxNameLength {
		name = name[:maxNameLength]
		for !utf8.ValidString(name) {
			name = name[:len(name)-1]
		}
		name += "…"
	}
	name = receipt.MaskPANs(name)
	return at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
