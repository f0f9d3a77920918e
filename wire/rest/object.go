package rest

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
)

// A Fault says why a body cannot be taken: the first thing that is wrong with
// it, in the order in which the contract lists the fields. It never repeats a
// value.
type Fault struct {
	Pointer string // JSON pointer to the field, as in "/amount"; empty for the body as a whole
	Rule    string // the schema keyword that it breaks, one of package wire's or of those below
	Text    string // a sentence, as in "amount must be a whole number of pence from 1 to 99999999."
}

// The rules of a Fault beside those of package wire.
const (
	RuleSyntax   = "syntax" // of a body that is no JSON object, or that names a field twice
	RulePattern  = "pattern"
	RuleMaxItems = "maxItems"
)

// Error gives the text.
func (f *Fault) Error() string { return f.Text }

// A Deviation is something about a body that is not as the contract has it and
// is tolerated all the same.
type Deviation struct {
	Pointer string
	Rule    string
	Text    string
}

// newFault takes one of the sentences of spec.
func newFault(pointer, rule, sentence string, namesAndValues ...string) *Fault {
	text := spec.Fill(sentence, append(namesAndValues, "field", fieldAt(pointer))...)
	return &Fault{Pointer: pointer, Rule: rule, Text: text}
}

// fieldAt writes a pointer as people write the place of a field:
// newReceipt[3].type.
func fieldAt(pointer string) string {
	var b strings.Builder
	for i, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		switch _, err := strconv.Atoi(part); {
		case err == nil && i > 0:
			b.WriteString("[" + part + "]")
		case i > 0:
			b.WriteString("." + part)
		default:
			b.WriteString(part)
		}
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(b.String())
}

// An object is read field by field: the first fault stays and ends the reading,
// what was asked for is taken away, what is left nobody knows.
type object struct {
	at         string
	members    map[string]jsontext.Value
	deviations []Deviation
	fault      *Fault
}

// maxDeviations bounds what is kept of what a till made up.
const maxDeviations = 16

var byteOrderMark = []byte("\xef\xbb\xbf")

// openBody reads the object that a body is.
func openBody(body []byte) *object {
	body = bytes.TrimPrefix(body, byteOrderMark)
	o := &object{}
	o.open(body)
	return o
}

// openObject reads an object that stands at the pointer at.
func openObject(at string, value jsontext.Value) *object {
	o := &object{at: at}
	if value.Kind() != jsontext.KindBeginObject {
		o.fault = wrongType(at, "an object")
		return o
	}
	o.open(value)
	return o
}

func (o *object) open(text []byte) {
	err := json.Unmarshal(text, &o.members)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		o.fault = newFault(o.at, RuleSyntax, spec.RESTFaultNameTwice)
	case err != nil || o.members == nil:
		o.fault = newFault(o.at, RuleSyntax, spec.RESTFaultNotAnObject)
	}
	maps.DeleteFunc(o.members, func(_ string, v jsontext.Value) bool { return v.Kind() == jsontext.KindNull })
}

func wrongType(at, want string) *Fault {
	return newFault(at, wire.RuleType, spec.RESTFaultWrongType, "type", want)
}

// take removes a field and returns its value and pointer. It reports false when
// there is none or when a fault was found before.
func (o *object) take(name string) (value jsontext.Value, at string, ok bool) {
	if o.fault != nil {
		return nil, "", false
	}
	value, ok = o.members[name]
	delete(o.members, name)
	return value, o.at + "/" + name, ok
}

// need makes the absence of a field a fault.
func (o *object) need(name string) {
	if _, ok := o.members[name]; !ok && o.fault == nil {
		o.fault = newFault(o.at+"/"+name, wire.RuleRequired, spec.RESTFaultRequired)
	}
}

// ignore takes a field away whatever its value is.
func (o *object) ignore(name string) { o.take(name) }

func (o *object) textOf(at string, value jsontext.Value) string {
	s, ok := unquote(value)
	if !ok && o.fault == nil {
		o.fault = wrongType(at, "a string")
	}
	return s
}

func unquote(value jsontext.Value) (string, bool) {
	if value.Kind() != jsontext.KindString {
		return "", false
	}
	s, err := jsontext.AppendUnquote(nil, value)
	return string(s), err == nil
}

// text takes a string of any length, "" when there is none.
func (o *object) text(name string) string {
	value, at, ok := o.take(name)
	if !ok {
		return ""
	}
	return o.textOf(at, value)
}

// textWithin takes a string of least to most characters.
func (o *object) textWithin(name string, least, most int) string {
	value, at, ok := o.take(name)
	if !ok {
		return ""
	}
	return o.textWithinOf(at, value, least, most)
}

func (o *object) textWithinOf(at string, value jsontext.Value, least, most int) string {
	s := o.textOf(at, value)
	if o.fault != nil {
		return ""
	}
	characters := func(rule string) *Fault {
		return newFault(at, rule, spec.RESTFaultCharacters, "least", strconv.Itoa(least), "most", strconv.Itoa(most))
	}
	switch n := utf8.RuneCountInString(s); {
	case n < least:
		o.fault = characters(wire.RuleMinLength)
	case n > most:
		o.fault = characters(wire.RuleMaxLength)
	}
	return s
}

// oneOf takes a string that must be one of those given.
func (o *object) oneOf(name string, words []string) string {
	value, at, ok := o.take(name)
	if !ok {
		return ""
	}
	return o.oneOfOf(at, value, words)
}

func (o *object) oneOfOf(at string, value jsontext.Value, words []string) string {
	s, ok := unquote(value)
	switch {
	case o.fault != nil:
	case !ok:
		o.fault = newFault(at, wire.RuleType, spec.RESTFaultOneOf, "choice", anyOf(words))
	case !slices.Contains(words, s):
		o.fault = newFault(at, wire.RuleEnum, spec.RESTFaultOneOf, "choice", anyOf(words))
	}
	return s
}

// currency takes one of the contract's currencies.
func (o *object) currency(name string) money.Currency {
	return money.Currency(o.oneOf(name, spelt[string](money.Currencies())))
}

// flag takes a boolean, which some tills write as a string; it is false when
// there is none.
func (o *object) flag(name string) bool {
	value, at, ok := o.take(name)
	if !ok {
		return false
	}
	word, quoted := unquote(value)
	switch {
	case value.Kind() == jsontext.KindTrue:
		return true
	case value.Kind() == jsontext.KindFalse:
	case quoted && (word == "true" || word == "false"):
		o.deviate(wrongType(at, "true or false"))
		return word == "true"
	default:
		o.fault = wrongType(at, "true or false")
	}
	return false
}

// minor takes an amount of least to most minor units. It is 0 when there is none.
func (o *object) minor(name string, least, most money.Minor) money.Minor {
	value, at, ok := o.take(name)
	if !ok {
		return 0
	}
	pence := func(rule string) *Fault {
		return newFault(at, rule, spec.RESTFaultWholePence,
			"minimum", strconv.FormatInt(int64(least), 10), "maximum", strconv.FormatInt(int64(most), 10))
	}
	n, plain, ok := integer(value)
	switch {
	case !ok:
		o.fault = pence(wire.RuleType)
	case n < least:
		o.fault = pence(wire.RuleMinimum)
	case n > most:
		o.fault = pence(wire.RuleMaximum)
	case !plain:
		o.deviate(pence(wire.RuleType))
	}
	return n
}

// integer reads a number without sign, exponent and anything but zeros behind
// the point, or a string of digits. It is plain if it is written as an integer.
// One that is too large to hold becomes the largest that can be.
func integer(value jsontext.Value) (n money.Minor, plain, ok bool) {
	digits := string(value)
	if word, quoted := unquote(value); quoted {
		digits = word
		if len(digits) > 1 && digits[0] == '0' {
			return 0, false, false // as JSON has it of numbers
		}
	} else if whole, fraction, point := strings.Cut(digits, "."); point {
		if strings.Trim(fraction, "0") != "" {
			return 0, false, false
		}
		digits = whole
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false, false
	}
	i, err := strconv.ParseInt(digits, 10, 64)
	return money.Minor(i), digits == string(value), err == nil || errors.Is(err, strconv.ErrRange)
}

// each takes an array of at most so many items and has each of them read, which
// is given the pointer to it. It reports false when there is none or it cannot
// be read.
func (o *object) each(name string, most int, read func(at string, value jsontext.Value)) bool {
	value, at, ok := o.take(name)
	if !ok {
		return false
	}
	var items []jsontext.Value
	if value.Kind() != jsontext.KindBeginArray || json.Unmarshal(value, &items) != nil {
		o.fault = wrongType(at, "an array")
		return false
	}
	if len(items) > most {
		o.fault = newFault(at, RuleMaxItems, spec.RESTFaultTooMany, "most", strconv.Itoa(most))
		return false
	}
	for i, item := range items {
		if read(at+"/"+strconv.Itoa(i), item); o.fault != nil {
			return false
		}
	}
	return true
}

// lines takes receipt lines of a till, nil when there are none. Those of a type
// that only terminals have are taken too, for v1 describes them so.
func (o *object) lines(name string) []receipt.Line {
	out := []receipt.Line{}
	words := spelt[string](LineTypes())
	if !o.each(name, MaxLines, func(at string, value jsontext.Value) { out = append(out, o.line(at, value, words)) }) {
		return nil
	}
	return out
}

// line reads one line. What deviates in it does so in o.
func (o *object) line(at string, value jsontext.Value, types []string) receipt.Line {
	in := openObject(at, value)
	l := receipt.Line{Type: receipt.Text, Format: []receipt.Format{}}
	if t := in.oneOf("type", types); t != "" {
		l.Type = receipt.LineType(t)
	}
	in.each("format", len(receipt.Formats()), func(at string, value jsontext.Value) {
		f := in.oneOfOf(at, value, spelt[string](receipt.Formats()))
		l.Format = append(l.Format, receipt.Format(f))
	})
	in.need("value")
	l.Value = in.text("value")
	devs, fault := in.close()
	o.fault = fault
	for _, d := range devs {
		o.deviate((*Fault)(&d))
	}
	return l
}

// LineTypes lists the types of receipt lines that a till may send here: its own
// and those of terminals.
func LineTypes() []receipt.LineType {
	all := receipt.TerminalTypes()
	for _, t := range receipt.EPOSTypes() {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// forbid makes a field a fault unless it says nothing, in which case it is left
// as one that nobody knows.
func (o *object) forbid(name string, saysNothing func(jsontext.Value) bool, sentence string, namesAndValues ...string) {
	value, ok := o.members[name]
	if ok && o.fault == nil && !saysNothing(value) {
		o.fault = newFault(o.at+"/"+name, wire.RuleAdditional, sentence, namesAndValues...)
	}
}

func isFalse(value jsontext.Value) bool {
	word, _ := unquote(value)
	return value.Kind() == jsontext.KindFalse || word == "false"
}

func isZero(value jsontext.Value) bool {
	n, _, ok := integer(value)
	return ok && n == 0
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

func (o *object) deviate(f *Fault) {
	if len(o.deviations) < maxDeviations {
		o.deviations = append(o.deviations, Deviation(*f))
	}
}

// close makes deviations of the fields that are left, in order of their names,
// and returns what was found.
func (o *object) close() ([]Deviation, *Fault) {
	if o.fault != nil {
		return nil, o.fault
	}
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		at := wire.PointerTo(o.at, name)
		o.deviate(newFault(at, wire.RuleAdditional, spec.RESTFaultUnknown))
	}
	return o.deviations, nil
}
