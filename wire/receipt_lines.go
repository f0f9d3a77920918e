package wire

import "github.com/tillwire/tillwire/receipt"

// A Line is one line of a receipt or a report (the contract, section 8).
type Line struct {
	Type   string   `json:"type"`
	Format []string `json:"format"`
	Value  string   `json:"value"`
}

// Lines spells receipt lines as the wire does.
func Lines(lines []receipt.Line) []Line {
	out := make([]Line, len(lines))
	for i, l := range lines {
		out[i] = Line{Type: string(l.Type), Value: l.Value, Format: spelt[string](l.Format)}
	}
	return out
}

// ReceiptLines is the reverse of Lines. It checks nothing; see receipt.Check.
func ReceiptLines(lines []Line) []receipt.Line {
	out := make([]receipt.Line, len(lines))
	for i, l := range lines {
		out[i] = receipt.Line{Type: receipt.LineType(l.Type), Value: l.Value, Format: spelt[receipt.Format](l.Format)}
	}
	return out
}

// spelt converts a list of one string type to another; nil stays nil.
func spelt[To, From ~string](from []From) []To {
	if from == nil {
		return nil
	}
	to := make([]To, len(from))
	for i, s := range from {
		to[i] = To(s)
	}
	return to
}
