package spec

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A member is a name with its value.
type member struct {
	name  string
	value jsontext.Value
}

// members is a JSON object that keeps its order.
type members []member

// UnmarshalJSONFrom reads an object member by member.
func (ms *members) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	tok, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if tok.Kind() != '{' {
		return fmt.Errorf("%v is no object", tok.Kind())
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		m := member{name: name.String()} // the token does not outlive the next read
		v, err := dec.ReadValue()
		if err != nil {
			return err
		}
		m.value = v.Clone()
		*ms = append(*ms, m)
	}
	_, err = dec.ReadToken()
	return err
}

// MarshalJSONTo writes the object in its order.
func (ms members) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, m := range ms {
		if err := enc.WriteToken(jsontext.String(m.name)); err != nil {
			return err
		}
		if err := enc.WriteValue(m.value); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// edit returns the text with members set and then removed, each named by a JSON
// pointer. To set adds what is missing; to remove what is missing is an error.
func edit(text jsontext.Value, set members, remove []string) (jsontext.Value, error) {
	var err error
	for _, m := range set {
		if text, err = at(text, m.name, m.value); err != nil {
			return nil, fmt.Errorf("set %s: %w", m.name, err)
		}
	}
	for _, pointer := range remove {
		if text, err = at(text, pointer, nil); err != nil {
			return nil, fmt.Errorf("remove %s: %w", pointer, err)
		}
	}
	return text, nil
}

// at puts a value at the pointer, or removes what is there if the value is nil.
func at(text jsontext.Value, pointer string, value jsontext.Value) (jsontext.Value, error) {
	if pointer == "" {
		return value, nil
	}
	if pointer[0] != '/' {
		return nil, fmt.Errorf("not a pointer")
	}
	token, rest, _ := strings.Cut(pointer[1:], "/")
	if rest != "" {
		rest = "/" + rest
	}
	token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	if text.Kind() == '[' {
		return atItem(text, token, rest, value)
	}
	var ms members
	if err := json.Unmarshal(text, &ms); err != nil {
		return nil, err
	}
	i := 0
	for i < len(ms) && ms[i].name != token {
		i++
	}
	switch {
	case i < len(ms) && rest == "" && value == nil:
		ms = append(ms[:i], ms[i+1:]...)
	case i < len(ms):
		v, err := at(ms[i].value, rest, value)
		if err != nil {
			return nil, err
		}
		ms[i].value = v
	case rest == "" && value != nil:
		ms = append(ms, member{token, value})
	default:
		return nil, fmt.Errorf("no member %q", token)
	}
	return json.Marshal(ms)
}

// atItem is at for an item of an array, which must be there.
func atItem(text jsontext.Value, token, rest string, value jsontext.Value) (jsontext.Value, error) {
	var items []jsontext.Value
	if err := json.Unmarshal(text, &items); err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(token)
	if err != nil || i < 0 || i >= len(items) {
		return nil, fmt.Errorf("no item %q", token)
	}
	if rest == "" && value == nil {
		items = append(items[:i], items[i+1:]...)
	} else if items[i], err = at(items[i], rest, value); err != nil {
		return nil, err
	}
	return append(append([]byte("["), bytes.Join(raw(items), []byte(","))...), ']'), nil
}

func raw(items []jsontext.Value) [][]byte {
	out := make([][]byte, len(items))
	for i, v := range items {
		out[i] = v
	}
	return out
}
