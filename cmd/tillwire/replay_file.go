package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/site/traffic"
)

// A replayScript is a conversation as it is to be played.
type replayScript struct {
	differ map[string]bool // names of members that may be others
	steps  []replayStep
}

// A replayAct is what a line has somebody do.
type replayAct int

const (
	replayConnect replayAct = iota
	replaySend
	replayReceive
	replayHangUp
	replayClosed // by the gateway
	replayWait
	replayAtTerminal
)

// A replayStep is one line of a scenario.
type replayStep struct {
	line int
	act  replayAct
	who  string
	text string // a message, or a close

	face, version string
	extensions    []string
	final         bool

	wait  time.Duration
	words []string // of what is done at a terminal
}

const replayMayDiffer = traffic.MayDifferWord

// replaySpoken is what a till said or got.
var replaySpoken = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]*)([<>])(?: (.*))?$`)

// replayScreen is what a terminal showed, which no till sees.
var replayScreen = regexp.MustCompile(`^[^ {"]+\| ?`)

// readReplay reads a scenario: the form in which the console exports
// conversations, and the gateway's tests are written (docs/replay.md).
func readReplay(text string) (*replayScript, error) {
	s := &replayScript{differ: map[string]bool{}}
	declared := false
	tills := 0
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if names, ok := strings.CutPrefix(line, replayMayDiffer); ok {
			declared = true
			for _, name := range strings.Fields(names) {
				s.differ[name] = true
			}
			continue
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") || replayScreen.MatchString(line) {
			continue
		}
		step, err := readReplayLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		step.line = i + 1
		if step.act == replayConnect {
			tills++
		}
		s.steps = append(s.steps, step)
	}
	if tills == 0 {
		return nil, errors.New("there is no till in it; is it a scenario?")
	}
	if !declared {
		for _, name := range traffic.MayDiffer() {
			s.differ[name] = true
		}
	}
	s.steps = slices.DeleteFunc(s.steps, func(step replayStep) bool { return step.act == replayWait && !s.beforeAct(step.line) })
	return s, nil
}

// beforeAct reports whether a wait is a pause of somebody who does something
// then. For what the gateway says one waits anyway.
func (s *replayScript) beforeAct(line int) bool {
	for _, step := range s.steps {
		switch {
		case step.line <= line || step.act == replayWait:
		case step.act == replayReceive || step.act == replayClosed:
			return false
		default:
			return true
		}
	}
	return false
}

func readReplayLine(line string) (replayStep, error) {
	if m := replaySpoken.FindStringSubmatch(line); m != nil {
		step := replayStep{who: m[1], act: replaySend, text: m[3]}
		if m[2] == "<" {
			step.act = replayReceive
			if closed, ok := strings.CutPrefix(m[3], "closed: "); ok {
				step.act, step.text = replayClosed, closed
			}
		}
		return step, nil
	}
	words := strings.Fields(line)
	switch {
	case words[0] == "till" && len(words) >= 3 && (words[2] == "v1" || words[2] == "v0"):
		return readReplayTill(words)
	case words[0] == "wait" && len(words) == 2:
		d, err := time.ParseDuration(words[1])
		if err != nil || d < 0 {
			return replayStep{}, fmt.Errorf("%q is not a time like 1.5s", words[1])
		}
		return replayStep{act: replayWait, wait: d}, nil
	case len(words) == 2 && words[1] == "closes":
		return replayStep{act: replayHangUp, who: words[0]}, nil
	case words[0] == "visit" && len(words) >= 2, words[0] == "report" && len(words) == 3, words[0] == "script" && len(words) == 3:
		return replayStep{act: replayAtTerminal, words: words}, nil
	}
	return replayStep{}, fmt.Errorf("%q cannot be played against a gateway", line)
}

func readReplayTill(words []string) (replayStep, error) {
	s := replayStep{act: replayConnect, who: words[1], version: words[2], face: "pac"}
	if !replaySpoken.MatchString(s.who + "> ") {
		return s, fmt.Errorf("a till is named by letters and digits, not %q", s.who)
	}
	for _, w := range words[3:] {
		switch names, ext := strings.CutPrefix(w, "ext="); {
		case ext:
			s.extensions = append(s.extensions, strings.Split(names, ",")...)
		case w == "pat":
			s.face = w
		case w == "final":
			s.final = true
		case w == "acks":
			s.extensions = append(s.extensions, w)
		default:
			return s, fmt.Errorf("a till has no %q", w)
		}
	}
	return s, nil
}

// shortenedLines is how the gateway's tests write the lines of a receipt.
var shortenedLines = regexp.MustCompile(`^"\d+ lines`)

// compareMessages says where two messages differ: in a value that may not be
// another, in a member that only one has, or in a type. The place ignore is left
// out.
func compareMessages(want, got string, differ map[string]bool, ignore string) []string {
	w, g := jsontext.Value(want), jsontext.Value(got)
	if !w.IsValid() || !g.IsValid() {
		if want != got {
			return []string{fmt.Sprintf("another text\n  want %s\n  got  %s", want, got)}
		}
		return nil
	}
	c := &comparison{differ: differ, ignore: ignore}
	c.values("", "", w, g)
	return c.found
}

type comparison struct {
	differ map[string]bool
	ignore string
	found  []string
}

func (c *comparison) say(pointer, format string, args ...any) {
	if pointer == "" {
		pointer = "the message"
	}
	c.found = append(c.found, pointer+": "+fmt.Sprintf(format, args...))
}

func (c *comparison) values(pointer, name string, want, got jsontext.Value) {
	free := c.differ[name]
	switch wk, gk := typeOf(want), typeOf(got); {
	case pointer == c.ignore && pointer != "":
	case wk != gk && free && shortenedLines.Match(want):
	case wk != gk:
		c.say(pointer, "want %s, got %s", want, got)
	case free:
	case wk == '{':
		c.objects(pointer, want, got)
	case wk == '[':
		c.arrays(pointer, want, got)
	case !bytes.Equal(canonical(want), canonical(got)):
		c.say(pointer, "want %s, got %s", want, got)
	}
}

// typeOf is the kind of a value; true and false are of one.
func typeOf(v jsontext.Value) jsontext.Kind {
	if v.Kind() == 'f' {
		return 't'
	}
	return v.Kind()
}

// canonical writes a scalar in one way.
func canonical(v jsontext.Value) []byte {
	v = v.Clone()
	if v.Canonicalize() != nil {
		return v
	}
	return v
}

func (c *comparison) objects(pointer string, want, got jsontext.Value) {
	w, g := membersOf(want), membersOf(got)
	for _, m := range w {
		at := string(jsontext.Pointer(pointer).AppendToken(m.name))
		i := slices.IndexFunc(g, func(x member) bool { return x.name == m.name })
		if i < 0 {
			c.say(at, "want %s, got nothing", m.value)
			continue
		}
		c.values(at, m.name, m.value, g[i].value)
	}
	for _, m := range g {
		if !slices.ContainsFunc(w, func(x member) bool { return x.name == m.name }) {
			c.say(string(jsontext.Pointer(pointer).AppendToken(m.name)), "want nothing, got %s", m.value)
		}
	}
}

func (c *comparison) arrays(pointer string, want, got jsontext.Value) {
	w, g := itemsOf(want), itemsOf(got)
	if len(w) != len(g) {
		c.say(pointer, "want %d items, got %d", len(w), len(g))
		return
	}
	for i := range w {
		c.values(fmt.Sprintf("%s/%d", pointer, i), "", w[i], g[i])
	}
}

type member struct {
	name  string
	value jsontext.Value
}

func membersOf(v jsontext.Value) []member {
	var out []member
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	if _, err := dec.ReadToken(); err != nil {
		return nil
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			break
		}
		text := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			break
		}
		out = append(out, member{text, value.Clone()})
	}
	return out
}

func itemsOf(v jsontext.Value) []jsontext.Value {
	var out []jsontext.Value
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	if _, err := dec.ReadToken(); err != nil {
		return nil
	}
	for k := dec.PeekKind(); k != ']' && k != 0; k = dec.PeekKind() {
		item, err := dec.ReadValue()
		if err != nil {
			break
		}
		out = append(out, item.Clone())
	}
	return out
}

// replaceAt puts a JSON value in the place of the one at a pointer, and leaves
// all else to the letter.
func replaceAt(text, pointer, value string) (string, error) {
	dec := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true))
	for {
		before := dec.InputOffset()
		tok, err := dec.ReadToken()
		if err != nil {
			return "", fmt.Errorf("there is nothing at %s of %s", pointer, text)
		}
		kind, length := dec.StackIndex(dec.StackDepth())
		name := kind == '{' && length%2 == 1
		if name || string(dec.StackPointer()) != pointer || tok.Kind() == '{' || tok.Kind() == '[' {
			continue
		}
		after := dec.InputOffset()
		gap := len(text[before:after]) - len(strings.TrimLeft(text[before:after], ":, \t"))
		return text[:int(before)+gap] + value + text[after:], nil
	}
}
