// Package receipt holds the lines of a card receipt: building, checking,
// masking and rendering them. It never decides what a receipt must say; the
// terminal and the till do. The line types and formats are those of the
// contract, section "Receipt lines".
package receipt

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"unicode/utf8"
)

// A LineType says what a line is.
type LineType string

// The line types. Boxes come from terminals only; logo and barcodes from the
// till only.
const (
	Text            LineType = "TEXT"
	BoxDecline      LineType = "BOX_DECLINE"
	BoxVoid         LineType = "BOX_VOID"
	CarriageReturn  LineType = "CARRIAGE_RETURN"
	SeparatorSingle LineType = "LINE_SEPARATOR_SINGLE"
	SeparatorDouble LineType = "LINE_SEPARATOR_DOUBLE"
	TicketFeed      LineType = "TICKET_FEED"
	ImageLogo       LineType = "IMAGE_LOGO"
	BarcodeCode25   LineType = "BARCODE_CODE25"
	BarcodeCode39   LineType = "BARCODE_CODE39"
	BarcodeCode128  LineType = "BARCODE_CODE128"
)

// TerminalTypes lists the line types that a terminal may send.
func TerminalTypes() []LineType {
	return []LineType{Text, BoxDecline, BoxVoid, CarriageReturn, SeparatorSingle, SeparatorDouble, TicketFeed}
}

// EPOSTypes lists the line types that a till may send.
func EPOSTypes() []LineType {
	return []LineType{Text, ImageLogo, CarriageReturn, SeparatorSingle, SeparatorDouble, TicketFeed, BarcodeCode25, BarcodeCode39, BarcodeCode128}
}

// A Format is how the text of a line is set.
type Format string

// The formats.
const (
	Bold         Format = "BOLD"
	DoubleHeight Format = "DOUBLE_HEIGHT"
	DoubleWidth  Format = "DOUBLE_WIDTH"
)

// Formats lists the formats.
func Formats() []Format { return []Format{Bold, DoubleHeight, DoubleWidth} }

// A Line is one line of a receipt. Value may be empty.
type Line struct {
	Type   LineType
	Format []Format
	Value  string
}

// Copies are the two receipts of a transaction.
type Copies struct {
	Merchant []Line
	Customer []Line
}

// Check returns an error that names the first line that a sender of the given
// types may not send.
func Check(lines []Line, types []LineType) error {
	for i, l := range lines {
		if !slices.Contains(types, l.Type) {
			return fmt.Errorf("receipt: line %d: type %q is not one of %v", i, l.Type, types)
		}
		for _, f := range l.Format {
			if !slices.Contains(Formats(), f) {
				return fmt.Errorf("receipt: line %d: format %q is not one of %v", i, f, Formats())
			}
		}
		if !utf8.ValidString(l.Value) {
			return fmt.Errorf("receipt: line %d: value is not UTF-8", i)
		}
	}
	return nil
}

// Masked returns the lines with every card number in their values masked but
// for its last four digits. Lines without one are shared with the argument.
func Masked(lines []Line) []Line {
	out := lines
	for i, l := range lines {
		v := MaskPANs(l.Value)
		if v == l.Value {
			continue
		}
		if &out[0] == &lines[0] {
			out = slices.Clone(lines)
		}
		out[i].Value = v
	}
	return out
}

// MaskPAN gives the value of a card number's field the one form in which it is
// kept and shown: twelve asterisks and the last four digits. It is empty for
// what holds fewer digits than that.
func MaskPAN(pan string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, pan)
	if len(digits) < 4 {
		return ""
	}
	return strings.Repeat("*", 12) + digits[len(digits)-4:]
}

// MaskPANs masks whatever in s may be a full card number: 12 to 19 digits,
// alone or in groups parted by single spaces or hyphens, that pass the Luhn
// check. The last four digits stay.
func MaskPANs(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if !digit(s[i]) || (i > 0 && digit(s[i-1])) {
			continue
		}
		end := panEnd(s[i:])
		if end == 0 {
			continue
		}
		if out == nil {
			out = []byte(s)
		}
		for j, left := i+end-1, 4; j >= i; j-- {
			if !digit(s[j]) {
				continue
			}
			if left--; left < 0 {
				out[j] = '*'
			}
		}
		i += end - 1
	}
	if out == nil {
		return s
	}
	return string(out)
}

// panEnd returns where the longest card number that s begins with ends, or 0.
// It ends where no digit follows, so that groups are taken whole.
func panEnd(s string) int {
	end, n := 0, 0
	for j := 0; j < len(s) && n < 19; j++ {
		last := j+1 == len(s)
		switch {
		case digit(s[j]):
			if n++; n >= 12 && (last || !digit(s[j+1])) && luhn(s[:j+1]) {
				end = j + 1
			}
		case (s[j] != ' ' && s[j] != '-') || last || !digit(s[j+1]):
			return end
		}
	}
	return end
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

func luhn(s string) bool {
	sum, double := 0, false
	for i := len(s) - 1; i >= 0; i-- {
		if !digit(s[i]) {
			continue
		}
		d := int(s[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return sum%10 == 0
}

// Width is the number of characters of a terminal's paper.
const Width = 32

// Plain renders the lines as text, a line each, for a screen of fixed width.
func Plain(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		switch l.Type {
		case SeparatorSingle:
			b.WriteString(strings.Repeat("-", Width))
		case SeparatorDouble:
			b.WriteString(strings.Repeat("=", Width))
		case BoxDecline, BoxVoid:
			b.WriteString(centre("*** " + boxText(l) + " ***"))
		case ImageLogo:
			b.WriteString(centre("[logo]"))
		case BarcodeCode25, BarcodeCode39, BarcodeCode128:
			b.WriteString(centre("||" + l.Value + "||"))
		case CarriageReturn, TicketFeed:
		case Text:
			b.WriteString(l.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// HTML renders the lines as a list of elements with one class a type and one a
// format; values are escaped.
func HTML(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		class := "line-" + strings.ToLower(strings.ReplaceAll(string(l.Type), "_", "-"))
		for _, f := range l.Format {
			class += " format-" + strings.ToLower(strings.ReplaceAll(string(f), "_", "-"))
		}
		v := l.Value
		if l.Type == BoxDecline || l.Type == BoxVoid {
			v = boxText(l)
		}
		fmt.Fprintf(&b, "<div class=\"%s\">%s</div>\n", html.EscapeString(class), html.EscapeString(v))
	}
	return b.String()
}

func boxText(l Line) string {
	if l.Value != "" {
		return l.Value
	}
	return strings.TrimPrefix(string(l.Type), "BOX_")
}

func centre(s string) string {
	if n := Width - utf8.RuneCountInString(s); n > 1 {
		return strings.Repeat(" ", n/2) + s
	}
	return s
}

// A Builder puts a receipt together, line by line.
type Builder struct{ lines []Line }

// Text adds a line of text.
func (b *Builder) Text(value string, format ...Format) *Builder { return b.add(Text, value, format) }

// Centred adds a line of text in the middle of the paper.
func (b *Builder) Centred(value string, format ...Format) *Builder {
	return b.add(Text, centre(value), format)
}

// Pair adds a line with a label on the left and a value on the right edge.
func (b *Builder) Pair(label, value string, format ...Format) *Builder {
	gap := max(1, Width-utf8.RuneCountInString(label)-utf8.RuneCountInString(value))
	return b.add(Text, label+strings.Repeat(" ", gap)+value, format)
}

// Box adds a boxed word such as DECLINED or VOID.
func (b *Builder) Box(t LineType, value string) *Builder { return b.add(t, value, nil) }

// Line adds a line that has no text: a separator, an empty line, the feed.
func (b *Builder) Line(t LineType) *Builder { return b.add(t, "", nil) }

// Lines returns what was built.
func (b *Builder) Lines() []Line { return b.lines }

func (b *Builder) add(t LineType, value string, format []Format) *Builder {
	b.lines = append(b.lines, Line{Type: t, Format: format, Value: value})
	return b
}
