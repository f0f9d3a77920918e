package traffic

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
)

// MayDiffer lists the members whose values are others each time a conversation
// is played, though nothing is wrong: ids and times, what the card and the
// acquirer say, the text of receipts, and totals, which hold what was done
// before. Their types must be the same. A script names them in its head, where
// they can be changed.
func MayDiffer() []string {
	return []string{
		"transactionId", "transactionNumber", "transactionTime", "time", "requestId", "paymentId", "authCode",
		"applicationId", "applicationLabel", "cardSchemeName", "primaryAccountNumber", "primaryAccountNumberSequence",
		"dateOfStart", "dateOfExpiry", "receiptLines",
		"reportTime", "reportLines", "balances", "banking", "seq",
	}
}

// MayDifferWord begins the line of a script's head that lists them.
const MayDifferWord = "# may differ:"

// A Script is a conversation written down so that it can be played again.
type Script struct {
	Text  string
	Tills int
	// Notes say what the script leaves out, for people.
	Notes []string
}

// shortestWait is how long nothing must happen for a script to say so.
const shortestWait = 100 * time.Millisecond

// WriteScript writes messages of tills, in their order, in the form of the
// gateway's scenarios (docs/replay.md). Those of terminals are left out, as a script
// has the tills' side, and so is who was refused.
func WriteScript(messages []*Message) Script {
	w := scriptWriter{names: map[*Line]string{}}
	messages = slices.DeleteFunc(slices.Clone(messages), func(m *Message) bool { return m.Line.Face == FaceTerminal || m.Kind == Refused })
	for i, m := range messages {
		w.write(m, messages[i:])
	}
	s := Script{Tills: len(w.names), Notes: w.notes()}
	var b strings.Builder
	if len(messages) > 0 {
		fmt.Fprintf(&b, "# Recorded %s UTC at site %s.\n", messages[0].At.UTC().Format("2006-01-02 15:04:05"), messages[0].Line.Site)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "# %s\n", n)
	}
	line := MayDifferWord
	for _, name := range MayDiffer() {
		if len(line)+1+len(name) > 78 {
			fmt.Fprintln(&b, line)
			line = MayDifferWord
		}
		line += " " + name
	}
	fmt.Fprintln(&b, line)
	for _, l := range w.lines {
		fmt.Fprintln(&b, l)
	}
	s.Text = b.String()
	return s
}

type scriptWriter struct {
	lines []string
	names map[*Line]string
	last  time.Time

	authCode, requestID string // as tills were told last

	cut, masked, missed, midway int
}

func (w *scriptWriter) notes() []string {
	var out []string
	say := func(n int, one, many string) {
		switch {
		case n == 1:
			out = append(out, one)
		case n > 1:
			out = append(out, fmt.Sprintf(many, n))
		}
	}
	say(w.midway, "A connection was open before the recording began.", "%d connections were open before the recording began.")
	say(w.missed, "Messages of a connection were not kept; they are missing here.", "Messages of %d connections were not kept; they are missing here.")
	say(w.cut, "A message was too long to be kept whole; it is missing here.", "%d messages were too long to be kept whole; they are missing here.")
	say(w.masked, "A card number in a message was masked before it was kept.", "Card numbers in %d messages were masked before they were kept.")
	return out
}

// name is the till's, and has it connected first.
func (w *scriptWriter) name(l *Line, opened bool) string {
	if name, ok := w.names[l]; ok {
		return name
	}
	n := len(w.names)
	name := string(rune('a' + n%26))
	if n >= 26 {
		name += fmt.Sprint(n / 26)
	}
	w.names[l] = name
	words := []string{"till", name, cmp.Or(l.Version, spec.V1)}
	if l.Face == FacePAT {
		words = append(words, l.Face)
	}
	if l.FinalReceipt {
		words = append(words, "final")
	}
	var ext []string
	for _, e := range l.Extensions {
		if e == "acks" && len(l.Extensions) == 1 {
			words = append(words, e)
			continue
		}
		ext = append(ext, e)
	}
	if len(ext) > 0 {
		words = append(words, "ext="+strings.Join(ext, ","))
	}
	w.lines = append(w.lines, strings.Join(words, " "))
	if !opened {
		w.midway++
	}
	if l.Missed() {
		w.missed++
	}
	return name
}

// write writes a message down. from is it and what came after it.
func (w *scriptWriter) write(m *Message, from []*Message) {
	if !w.last.IsZero() {
		if d := m.At.Sub(w.last); d >= shortestWait {
			w.lines = append(w.lines, "wait "+d.Round(shortestWait).String())
		}
	}
	w.last = m.At
	name := w.name(m.Line, m.Kind == Opened)
	if len(m.Masked) > 0 {
		w.masked++
	}
	switch {
	case m.Kind == Opened:
	case m.Kind == Closed && m.Ending.ByPeer:
		w.lines = append(w.lines, name+" closes")
	case m.Kind == Closed:
		w.lines = append(w.lines, strings.TrimSpace(fmt.Sprintf("%s< closed: %d %s", name, m.Ending.Code, oneLine(m.Ending.Reason))))
	case m.Cut:
		w.cut++
	case m.FromGateway:
		if people := atTerminal(from); people != "" {
			w.lines = append(w.lines, people)
		}
		w.lines = append(w.lines, name+"< "+oneLine(m.Text))
		w.learn(m)
	default:
		w.lines = append(w.lines, name+"> "+w.recall(m))
	}
}

// learn remembers what a till may say again later, and which is another one each
// time.
func (w *scriptWriter) learn(m *Message) {
	for pointer, into := range map[string]*string{"/result/authCode": &w.authCode, "/result/requestId": &w.requestID, "/params/requestId": &w.requestID} {
		if v, ok := valueAt(m.Text, pointer); ok && v.Kind() == '"' && len(v) > 2 {
			*into = string(v)
		}
	}
}

// recall writes what the till repeats of what it was told by its name.
func (w *scriptWriter) recall(m *Message) string {
	text := oneLine(m.Text)
	for pointer, known := range map[string]string{"/params/authCode": w.authCode, "/params/requestId": w.requestID} {
		v, ok := valueAt(text, pointer)
		if !ok || known == "" || string(v) != known {
			continue
		}
		name := strings.TrimPrefix(pointer, "/params/")
		for _, gap := range []string{"", " "} {
			text = strings.Replace(text, `"`+name+`":`+gap+known, `"`+name+`":"$`+name+`"`, 1)
		}
	}
	return text
}

// oneLine writes a message on one line. Between the values of JSON white space
// says nothing, and inside them there are no line breaks.
func oneLine(text string) string {
	if !strings.ContainsAny(text, "\r\n\u2028\u2029") {
		return text
	}
	if v := jsontext.Value(text); v.IsValid() && v.Compact() == nil {
		return string(v)
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }), " ")
}

// atTerminal says what somebody did at a terminal so that the gateway sent the
// first of the messages to a Pay-At-Table till: a waiter's visit to a table, as
// far as a till can know of it, or a report. It is empty where the message is a
// consequence of something else.
func atTerminal(messages []*Message) string {
	m := messages[0]
	if m.Line.Face != FacePAT || m.TID == "" {
		return ""
	}
	switch m.Method {
	case "reportResponse":
		if t, ok := textAt(m, "/params/reportType"); ok {
			return "report " + m.TID + " " + t
		}
	case "tableListRequest":
		return visitOf(messages)
	}
	return ""
}

// textAt is a text in a message that can stand as a word of a script.
func textAt(m *Message, pointer string) (string, bool) {
	v, ok := valueAt(m.Text, pointer)
	if !ok || v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil && !strings.ContainsAny(string(b), " \t\r\n")
}

// A visitBody is what of the messages of a visit says how it went. Amounts are
// minor units.
type visitBody struct {
	Params struct {
		AmountPaid     int64 `json:"amountPaid"`
		AmountGratuity int64 `json:"amountGratuity"`
		Payments       []struct {
			PaymentMethod string `json:"paymentMethod"`
			CVM           string `json:"cardholderVerificationMethod"`
		} `json:"payments"`
	} `json:"params"`
	Result struct {
		Confirmed bool  `json:"confirmed"`
		Amount    int64 `json:"amount"`
	} `json:"result"`
}

// visitOf writes the visit that began with the first of the messages.
func visitOf(messages []*Message) string {
	first := messages[0]
	words := []string{"visit", first.TID}
	if waiter, ok := textAt(first, "/params/waiterId"); ok && waiter != "" {
		words = append(words, "waiter="+waiter)
	}
	due, paid := int64(0), false
	for _, m := range messages[1:] {
		if m.Line != first.Line || m.TID != first.TID {
			continue
		}
		if m.Method == first.Method && m.Kind == Request {
			break // the next one
		}
		var b visitBody
		// What is not as it should be leaves its part of the visit out.
		_ = json.Unmarshal([]byte(m.Text), &b, jsontext.AllowDuplicateNames(true))
		switch {
		case m.Method == "tableLockRequest" && m.Kind == Request:
			if table, ok := textAt(m, "/params/tableId"); ok {
				words = append(words, "table="+table)
			}
		case m.Method == "tableLockRequest" && b.Result.Confirmed:
			due = b.Result.Amount
		case m.Method == "posReceiptRequest" && m.Kind == Request:
			words = append(words, "bill")
		case m.Method == "transactionResponse" && m.FromGateway && !paid:
			paid = true
			words = append(words, paidWords(b, due)...)
		}
	}
	if due > 0 && !paid {
		words = append(words, "cancelAt=card")
	}
	return strings.Join(words, " ")
}

// paidWords say how a table was paid.
func paidWords(b visitBody, due int64) []string {
	var words []string
	if n := len(b.Params.Payments); n > 1 {
		words = append(words, fmt.Sprintf("split=%d", n))
	}
	if b.Params.AmountPaid != due {
		words = append(words, fmt.Sprintf("amount=%d", b.Params.AmountPaid))
	}
	if tip := b.Params.AmountGratuity; tip > 0 {
		words = append(words, fmt.Sprintf("tip=%d", tip))
	}
	for _, p := range b.Params.Payments {
		if p.PaymentMethod == "CONTACTLESS" {
			words = append(words, "contactless")
			break
		}
	}
	for _, p := range b.Params.Payments {
		if p.CVM == "SIGNATURE" {
			words = append(words, "signature")
			break
		}
	}
	return words
}
