package docs

import (
	"html/template"
	"strconv"
	"strings"
)

// wide is how many characters of JSON stand on one line before it is broken.
const wide = 76

// A jsonWriter sets JSON for reading: what fits stays on one line.
type jsonWriter struct {
	b     strings.Builder
	marks bool   // HTML with the parts marked; otherwise plain
	place string // JSON pointer of what is marked as a fault, "-" for nothing
}

// prettyJSON returns JSON set for reading. What is no JSON stays as it is.
func prettyJSON(raw []byte) string {
	v, err := parseJSON(raw)
	if err != nil {
		return string(raw)
	}
	w := jsonWriter{place: "-"}
	w.value(v, "", "")
	return w.b.String()
}

// markedJSON is the same in HTML, with keys, strings, numbers and words marked,
// and the value at place, a JSON pointer or "-", marked as a fault.
func markedJSON(raw []byte, place string) template.HTML {
	v, err := parseJSON(raw)
	if err != nil {
		return element(string(raw))
	}
	w := jsonWriter{marks: true, place: place}
	w.value(v, "", "")
	return template.HTML(w.b.String())
}

func (w *jsonWriter) value(v value, indent, pointer string) {
	fault := w.marks && pointer == w.place
	if fault {
		w.b.WriteString("<mark>")
		defer w.b.WriteString("</mark>")
	}
	count := len(v.members) + len(v.items)
	if v.kind != '{' && v.kind != '[' {
		w.scalar(v)
		return
	}
	opens, closes := "{", "}"
	if v.kind == '[' {
		opens, closes = "[", "]"
	}
	w.b.WriteString(opens)
	broken := len(indent)+v.width() > wide
	deeper := indent + "  "
	between := func(i int) {
		if broken {
			w.b.WriteString("\n" + deeper)
		} else if i > 0 {
			w.b.WriteString(" ")
		}
	}
	for i, m := range v.members {
		between(i)
		w.name(m.name)
		w.b.WriteString(": ")
		w.value(m.value, deeper, pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(m.name))
		if i < count-1 {
			w.b.WriteString(",")
		}
	}
	for i, e := range v.items {
		between(i)
		w.value(e, deeper, pointer+"/"+strconv.Itoa(i))
		if i < count-1 {
			w.b.WriteString(",")
		}
	}
	if broken && count > 0 {
		w.b.WriteString("\n" + indent)
	}
	w.b.WriteString(closes)
}

// width is how long the value would be on one line.
func (v value) width() int {
	n := 2
	switch v.kind {
	case '{':
		for _, m := range v.members {
			n += len(m.name) + 6 + m.value.width()
		}
	case '[':
		for _, e := range v.items {
			n += 2 + e.width()
		}
	default:
		n = len(v.text) + 2
	}
	return n
}

func (w *jsonWriter) name(name string) {
	w.part("b", value{kind: '"', text: name}.JSON())
}

func (w *jsonWriter) scalar(v value) {
	switch v.kind {
	case '"':
		w.part("i", v.JSON())
	case '0':
		w.part("u", v.text)
	default:
		w.part("s", v.text)
	}
}

func (w *jsonWriter) part(tag, text string) {
	if !w.marks {
		w.b.WriteString(text)
		return
	}
	w.b.WriteString("<" + tag + ">" + string(element(text)) + "</" + tag + ">")
}
