package traffic

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A Row is one line of a message as it is laid out for people. Its text is what
// the message has, to the letter; only white space is another.
type Row struct {
	Depth   int
	Pointer string // of the value that begins here; empty on lines that only close
	Text    string
	Marks   []int // of the deviations that are here
}

// inline is how long an array of scalars may be to stand on one line.
const inline = 60

// Layout lays a message out, and puts each deviation of the verdict to its
// place: to the line of its pointer, or of what is nearest around it.
func Layout(text string, v *Verdict) []Row {
	rows := layout(text)
	if v == nil {
		return rows
	}
	for i, d := range v.Deviations {
		at := 0
		for p := jsontext.Pointer(d.Pointer); p != ""; p = p.Parent() {
			if found := rowOf(rows, string(p)); found >= 0 {
				at = found
				break
			}
		}
		if len(rows) > 0 {
			rows[at].Marks = append(rows[at].Marks, i)
		}
	}
	return rows
}

func rowOf(rows []Row, pointer string) int {
	for i, r := range rows {
		if r.Pointer == pointer {
			return i
		}
	}
	return -1
}

func layout(text string) []Row {
	if readable(text) != nil {
		return []Row{{Text: text}}
	}
	dec := jsontext.NewDecoder(strings.NewReader(text))
	w := &layouter{dec: dec}
	w.value(0, "")
	return w.rows
}

type layouter struct {
	dec  *jsontext.Decoder
	rows []Row
}

func (w *layouter) add(depth int, pointer, text string) {
	w.rows = append(w.rows, Row{Depth: depth, Pointer: pointer, Text: text})
}

// value writes the next value behind what stands before it on its line.
func (w *layouter) value(depth int, before string) {
	kind := w.dec.PeekKind()
	if kind != '{' && kind != '[' {
		v, err := w.dec.ReadValue()
		if err == nil {
			w.add(depth, string(w.dec.StackPointer()), before+string(v))
		}
		return
	}
	if kind == '[' {
		if v, ok := w.short(); ok {
			w.add(depth, string(w.dec.StackPointer()), before+v)
			return
		}
	}
	if _, err := w.dec.ReadToken(); err != nil {
		return
	}
	at := string(w.dec.StackPointer())
	closing := jsontext.Kind(kind + 2) // } after {, ] after [
	if w.dec.PeekKind() == closing {
		_, _ = w.dec.ReadToken() // it was read before
		w.add(depth, at, before+kind.String()+closing.String())
		return
	}
	w.add(depth, at, before+kind.String())
	for w.dec.PeekKind() != closing {
		name := ""
		if kind == '{' {
			n, err := w.dec.ReadValue()
			if err != nil {
				return
			}
			name = string(n) + ": "
		}
		w.value(depth+1, name)
		if w.dec.PeekKind() != closing {
			w.rows[len(w.rows)-1].Text += ","
		}
	}
	_, _ = w.dec.ReadToken()
	w.add(depth, "", closing.String())
}

// short reads an array that fits on a line. It reports false when it does not,
// and has read nothing.
func (w *layouter) short() (string, bool) {
	rest := w.dec.UnreadBuffer()
	end := bytes.IndexByte(rest, ']')
	start := bytes.IndexByte(rest, '[')
	if end < 0 || start < 0 || end-start > inline {
		return "", false
	}
	body := rest[start+1 : end]
	if bytes.ContainsAny(body, "{[") || !jsontext.Value(rest[start:end+1]).IsValid() {
		return "", false
	}
	_, _ = w.dec.ReadToken() // it was read before, as is all of this
	var parts []string
	for w.dec.PeekKind() != ']' {
		v, err := w.dec.ReadValue()
		if err != nil {
			return "", false
		}
		parts = append(parts, string(v))
	}
	_, _ = w.dec.ReadToken()
	return "[" + strings.Join(parts, ", ") + "]", true
}
