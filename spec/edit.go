package spec

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// edit returns the text with values set and then removed, each named by a JSON
// pointer; the rest of the text stays as it is. To set adds a member that is
// missing; to remove one is an error. The text is compact.
func edit(text jsontext.Value, set map[string]jsontext.Value, remove []string) (jsontext.Value, error) {
	for _, pointer := range slices.Sorted(maps.Keys(set)) {
		s, err := find(text, jsontext.Pointer(pointer))
		if err != nil {
			return nil, fmt.Errorf("set %s: %w", pointer, err)
		}
		value := set[pointer]
		if s.add != nil {
			value = slices.Concat(s.add, value)
		}
		text = slices.Concat(text[:s.start], value, text[s.end:])
	}
	for _, pointer := range remove {
		s, err := find(text, jsontext.Pointer(pointer))
		if err == nil && s.add != nil {
			err = errors.New("nothing there")
		}
		if err != nil {
			return nil, fmt.Errorf("remove %s: %w", pointer, err)
		}
		from, to := s.before, s.end
		if text[to] == ',' && text[from] != ',' { // the first of several
			to++
		}
		text = slices.Concat(text[:from], text[to:])
	}
	return text, nil
}

// A span is where a value stands in a text, or would stand.
type span struct {
	start, end int
	before     int    // where what stands before the value, and before its name, ends
	add        []byte // of a missing member: what to write before its value
}

// find returns the span of the value that the pointer names. The last name of
// the pointer may be missing from its object.
func find(text jsontext.Value, pointer jsontext.Pointer) (span, error) {
	if !pointer.IsValid() || pointer == "" {
		return span{}, errors.New("no pointer to a part")
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text))
	here := func() int { return int(dec.InputOffset()) }
	last := jsontext.Pointer("")
	for token := range pointer.Tokens() {
		last = last.AppendToken(token)
		open, err := dec.ReadToken()
		if err != nil {
			return span{}, err
		}
		isObject := open.Kind() == '{'
		if !isObject && open.Kind() != '[' {
			return span{}, fmt.Errorf("%s is in no object or array", last)
		}
		for i := 0; ; i++ {
			before := here()
			if k := dec.PeekKind(); k == '}' || k == ']' {
				if !isObject || last != pointer {
					return span{}, fmt.Errorf("nothing at %s", last)
				}
				name, err := jsontext.AppendQuote(nil, token)
				if err != nil {
					return span{}, err
				}
				if i > 0 {
					name = append([]byte{','}, name...)
				}
				return span{start: before, end: before, add: append(name, ':')}, nil
			}
			name := strconv.Itoa(i)
			if isObject {
				t, err := dec.ReadToken()
				if err != nil {
					return span{}, err
				}
				name = t.String()
			}
			if name == token && last != pointer {
				break // go into the value
			}
			v, err := dec.ReadValue()
			if err != nil {
				return span{}, err
			}
			if name == token {
				return span{start: here() - len(v), end: here(), before: before}, nil
			}
		}
	}
	return span{}, fmt.Errorf("nothing at %s", pointer)
}
