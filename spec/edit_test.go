package spec

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestEdit(t *testing.T) {
	set := func(pointer, value string) map[string]jsontext.Value {
		return map[string]jsontext.Value{pointer: jsontext.Value(value)}
	}
	tests := []struct {
		name, text string
		set        map[string]jsontext.Value
		remove     []string
		want       string
	}{
		{"nothing", `{"a":1}`, nil, nil, `{"a":1}`},
		{"set", `{"a":1,"b":2}`, set("/a", `"x"`), nil, `{"a":"x","b":2}`},
		{"set deep", `{"a":{"b":[1,{"c":2}]},"d":3}`, set("/a/b/1/c", `null`), nil, `{"a":{"b":[1,{"c":null}]},"d":3}`},
		{"set an item", `[1,2,3]`, set("/1", `{}`), nil, `[1,{},3]`},
		{"add", `{"a":1}`, set("/b", `2`), nil, `{"a":1,"b":2}`},
		{"add to nothing", `{"a":{}}`, set("/a/b", `2`), nil, `{"a":{"b":2}}`},
		{"add an escaped name", `{"a":1}`, set("/~1~0", `2`), nil, `{"a":1,"/~":2}`},
		{"remove the first", `{"a":1,"b":2}`, nil, []string{"/a"}, `{"b":2}`},
		{"remove the last", `{"a":1,"b":2}`, nil, []string{"/b"}, `{"a":1}`},
		{"remove the middle", `{"a":1,"b":2,"c":3}`, nil, []string{"/b"}, `{"a":1,"c":3}`},
		{"remove the only", `{"a":{"b":2}}`, nil, []string{"/a/b"}, `{"a":{}}`},
		{"remove an item", `{"a":[1,2]}`, nil, []string{"/a/0"}, `{"a":[2]}`},
		{"set, then remove", `{"a":1}`, set("/b", `2`), []string{"/a"}, `{"b":2}`},
	}
	for _, tt := range tests {
		got, err := edit(jsontext.Value(tt.text), tt.set, tt.remove)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

// Loading is part of every start, so its cost is watched.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load(files); err != nil {
			b.Fatal(err)
		}
	}
}
