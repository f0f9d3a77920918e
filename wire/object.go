package wire

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
)

// An object is read member by member: the first fault stays and ends the
// reading, what was asked for is taken away, what is left nobody knows.
type object struct {
	at         string
	members    map[string]jsontext.Value
	deviations []Deviation
	fault      *Fault
}

// openObject reads an object that stands at the pointer at. A nil value is a
// missing one.
func openObject(at string, value jsontext.Value) *object {
	o := &object{at: at}
	switch {
	case value == nil:
		o.fault = newFault(at, RuleRequired, spec.MessageRequired)
	case value.Kind() != jsontext.KindBeginObject || json.Unmarshal(value, &o.members) != nil:
		o.fault = wrongType(at, "an object")
	}
	return o
}

func wrongType(at, want string) *Fault {
	return newFault(at, RuleType, spec.MessageWrongType, "type", want)
}

// take removes a member and returns its value and pointer. It reports false
// when there is none or when a fault was found before.
func (o *object) take(name string) (value jsontext.Value, at string, ok bool) {
	if o.fault != nil {
		return nil, "", false
	}
	value, ok = o.members[name]
	delete(o.members, name)
	return value, o.at + "/" + name, ok
}

// need makes the absence of a member a fault.
func (o *object) need(name string) {
	if _, ok := o.members[name]; !ok && o.fault == nil {
		o.fault = newFault(o.at+"/"+name, RuleRequired, spec.MessageRequired)
	}
}

// text takes a string of any length, "" when there is none.
func (o *object) text(name string) string {
	value, at, ok := o.take(name)
	if !ok {
		return ""
	}
	return o.textOf(at, value)
}

func (o *object) textOf(at string, value jsontext.Value) string {
	s, ok := unquote(value)
	if !ok {
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

// textWithin takes a string of least to most characters.
func (o *object) textWithin(name string, least, most int) string {
	value, at, ok := o.take(name)
	if !ok {
		return ""
	}
	s := o.textOf(at, value)
	if o.fault != nil {
		return ""
	}
	want := "a string of " + strconv.Itoa(least) + " to " + strconv.Itoa(most) + " characters"
	switch n := utf8.RuneCountInString(s); {
	case n < least:
		o.fault = newFault(at, RuleMinLength, spec.MessageWrongType, "type", want)
	case n > most:
		o.fault = newFault(at, RuleMaxLength, spec.MessageWrongType, "type", want)
	}
	return s
}

// oneOf takes a string that must be one of those given.
func (o *object) oneOf(name string, words ...string) string {
	value, at, ok := o.take(name)
	if !ok {
		return ""
	}
	return o.oneOfOf(at, value, words)
}

func (o *object) oneOfOf(at string, value jsontext.Value, words []string) string {
	s := o.textOf(at, value)
	if o.fault == nil && !slices.Contains(words, s) {
		o.fault = newFault(at, RuleEnum, spec.MessageWrongType, "type", anyOf(words))
	}
	return s
}

// anyOf writes a choice for people: "GBP or EUR".
func anyOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// currency takes one of the contract's currencies.
func (o *object) currency(name string) money.Currency {
	var words []string
	for _, c := range money.Currencies() {
		words = append(words, string(c))
	}
	return money.Currency(o.oneOf(name, words...))
}

// flag takes a boolean, false when there is none.
func (o *object) flag(name string) bool {
	value, at, ok := o.take(name)
	if !ok {
		return false
	}
	switch value.Kind() {
	case jsontext.KindTrue:
		return true
	case jsontext.KindFalse:
	default:
		o.fault = wrongType(at, "true or false")
	}
	return false
}

// flagOrWord takes a boolean that some tills write as a string, which is a
// deviation.
func (o *object) flagOrWord(name string) bool {
	word, ok := unquote(o.members[name])
	if ok && (word == "true" || word == "false") && o.fault == nil {
		_, at, _ := o.take(name)
		o.deviate(wrongType(at, "true or false"))
		return word == "true"
	}
	return o.flag(name)
}

// minor takes an amount: an integer, written without fraction and exponent, of
// least to most minor units. It is 0 when there is none.
func (o *object) minor(name string, least, most money.Minor) money.Minor {
	value, at, ok := o.take(name)
	if !ok {
		return 0
	}
	n, ok := integer(value)
	switch {
	case !ok:
		o.fault = wrongType(at, "an integer")
	case n < least:
		o.fault = newFault(at, RuleMinimum, spec.MessageBelowMinimum, "minimum", strconv.FormatInt(int64(least), 10))
	case n > most:
		o.fault = newFault(at, RuleMaximum, spec.MessageAboveMaximum, "maximum", strconv.FormatInt(int64(most), 10))
	}
	return n
}

// integer reads a number without fraction and exponent. One that is too large
// to hold becomes the largest or smallest that can be.
func integer(value jsontext.Value) (money.Minor, bool) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	return money.Minor(n), err == nil || errors.Is(err, strconv.ErrRange)
}

// each takes an array and has each of its items read, which is given the
// pointer to it. It reports false when there is none or it cannot be read.
func (o *object) each(name string, read func(at string, value jsontext.Value)) bool {
	value, at, ok := o.take(name)
	if !ok {
		return false
	}
	var items []jsontext.Value
	if value.Kind() != jsontext.KindBeginArray || json.Unmarshal(value, &items) != nil {
		o.fault = wrongType(at, "an array")
		return false
	}
	for i, item := range items {
		if read(at+"/"+strconv.Itoa(i), item); o.fault != nil {
			return false
		}
	}
	return true
}

// list takes an array of strings, nil when there is none.
func (o *object) list(name string, read func(at string, value jsontext.Value) string) []string {
	out := []string{}
	if !o.each(name, func(at string, value jsontext.Value) { out = append(out, read(at, value)) }) {
		return nil
	}
	return out
}

// lines takes receipt lines of the given types, nil when there are none.
func (o *object) lines(name string, types []receipt.LineType) []Line {
	out := []Line{}
	words := spelt[string](types)
	if !o.each(name, func(at string, value jsontext.Value) { out = append(out, o.line(at, value, words)) }) {
		return nil
	}
	return out
}

// line reads one line. What deviates in it does so in o.
func (o *object) line(at string, value jsontext.Value, types []string) Line {
	in := openObject(at, value)
	l := Line{Format: []string{}}
	in.need("type")
	l.Type = in.oneOf("type", types...)
	in.each("format", func(at string, value jsontext.Value) {
		l.Format = append(l.Format, in.oneOfOf(at, value, spelt[string](receipt.Formats())))
	})
	in.need("value")
	l.Value = in.text("value")
	devs, fault := in.close()
	o.fault = fault
	for _, d := range devs {
		o.deviate(d.Fault())
	}
	return l
}

// forbid makes a member a fault unless it says nothing, in which case it is
// left as one that nobody knows.
func (o *object) forbid(name string, saysNothing func(jsontext.Value) bool) {
	value, ok := o.members[name]
	if ok && o.fault == nil && !saysNothing(value) {
		o.fault = notAllowed(o.at + "/" + name)
	}
}

func isFalse(value jsontext.Value) bool { return value.Kind() == jsontext.KindFalse }

func isZero(value jsontext.Value) bool {
	n, ok := integer(value)
	return ok && n == 0
}

func notAllowed(at string) *Fault {
	return newFault(at, RuleAdditional, spec.MessageNotAllowed)
}

func (o *object) deviate(f *Fault) {
	if len(o.deviations) < maxDeviations {
		o.deviations = append(o.deviations, Deviation(*f))
	}
}

// close makes deviations of the members that are left, in order of their names,
// and returns what was found.
func (o *object) close() ([]Deviation, *Fault) {
	if o.fault != nil {
		return nil, o.fault
	}
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		o.deviate(notAllowed(PointerTo(o.at, name)))
	}
	return o.deviations, nil
}
