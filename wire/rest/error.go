package rest

import "github.com/tillwire/tillwire/wire"

// An Error is the body of a refusal (the contract of REST, section 6).
type Error struct {
	Text     string
	Location string // of a table in v0 and v1, where there is one
}

// Append writes the error: one sentence, where each version looks for it. v0 has
// the location as a list of one.
func (e Error) Append(dst []byte, v Version) []byte {
	if v == V2 {
		return append(wire.AppendText(append(dst, `{"userMessage":`...), e.Text), '}')
	}
	b := wire.AppendText(append(dst, `{"messages":{"error":[`...), e.Text)
	b = append(b, `]}`...)
	switch {
	case e.Location == "":
	case v == V0:
		b = append(wire.AppendText(append(b, `,"location":[`...), e.Location), ']')
	default:
		b = wire.AppendText(append(b, `,"location":`...), e.Location)
	}
	return append(b, '}')
}

// A Status is the answer of v0 and v1 to a signature (the contract of REST,
// section 4.3).
type Status struct{ Text string }

// Append writes the status.
func (s Status) Append(dst []byte, _ Version) []byte {
	return append(wire.AppendText(append(dst, `{"messages":{"status":[`...), s.Text), `]}}`...)
}
