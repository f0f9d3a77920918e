package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestExamples: the help of every command has an example of it, and every
// example can be typed as it stands.
func TestExamples(t *testing.T) {
	var c cli
	parser, err := newParser(&c, streams{out: &bytes.Buffer{}, err: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		own := 0
		for line := range strings.Lines(n.Detail) {
			words := splitWords(strings.TrimSpace(line))
			for len(words) > 0 && strings.Contains(words[0], "=") {
				words = words[1:]
			}
			if !strings.HasPrefix(line, "    ") || len(words) == 0 || words[0] != "tillwire" {
				continue
			}
			if _, err := parser.Parse(words[1:]); err != nil {
				t.Errorf("%s: example %q: %v", n.FullPath(), strings.TrimSpace(line), err)
			}
			if strings.HasPrefix(strings.Join(words, " ")+" ", n.FullPath()+" ") {
				own++
			}
		}
		if own == 0 {
			t.Errorf("%s: its help has no example of it", n.FullPath())
		}
		if n.Help == "" {
			t.Errorf("%s: there is no word on what it does", n.FullPath())
		}
		for _, f := range n.Flags {
			if f.Help == "" && !f.Hidden {
				t.Errorf("%s: nothing is said about --%s", n.FullPath(), f.Name)
			}
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(parser.Model.Node)
}

// splitWords splits a line as a shell does, as far as the examples need it.
func splitWords(line string) []string {
	var words []string
	word, quoted, begun := "", rune(0), false
	for _, r := range line + " " {
		switch {
		case quoted != 0 && r == quoted:
			quoted = 0
		case quoted == 0 && (r == '"' || r == '\''):
			quoted, begun = r, true
		case quoted == 0 && r == ' ':
			if begun || word != "" {
				words = append(words, word)
			}
			word, begun = "", false
		default:
			word += string(r)
		}
	}
	return words
}
