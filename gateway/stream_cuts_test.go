package gateway_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
)

// A cut says what becomes of a message and the line that it comes on.
type cut uint8

const (
	passes cut = iota
	isLost     // with the line
	isLast     // the line breaks behind it
)

// A streamed is what a till with a stream knows of it.
type streamed struct {
	query  url.Values
	cut    func() cut // nil: nothing is cut
	last   int64      // number of the last message that it has
	broken bool
	cuts   int
	fault  error
}

var seqMember = regexp.MustCompile(`,"seq":([1-9][0-9]*)}$`)

// read takes the number off a message, or returns nil for one that the till does
// not get, or has.
func (s *streamed) read(m []byte) []byte {
	if s.broken {
		return nil
	}
	next := passes
	if s.cut != nil {
		next = s.cut()
	}
	if s.broken = next != passes; s.broken {
		s.cuts++
	}
	if next == isLost {
		return nil
	}
	found := seqMember.FindSubmatch(m)
	if found == nil {
		s.fault = errors.Join(s.fault, fmt.Errorf("%s has no number", m))
		return m
	}
	seq, _ := strconv.ParseInt(string(found[1]), 10, 64)
	if seq <= s.last {
		return nil
	}
	if seq != s.last+1 && s.last > 0 {
		s.fault = errors.Join(s.fault, fmt.Errorf("%s comes behind number %d", m, s.last))
	}
	s.last = seq
	return append(m[:len(m)-len(found[0]):len(m)-len(found[0])], '}')
}

// mend has a till whose line was cut connect again, as often as that happens.
func (w *world) mend(c *till) {
	w.t.Helper()
	for c.stream != nil {
		c.mu.Lock()
		broken, fault := c.stream.broken, c.stream.fault
		c.stream.broken, c.stream.fault = false, nil
		c.stream.query.Set("since", strconv.FormatInt(c.stream.last, 10))
		c.mu.Unlock()
		if fault != nil {
			w.t.Error(fault)
		}
		if !broken {
			return
		}
		c.sess.Ended(nil)
		ticket, err := w.g.Admit(gateway.Knock{Face: c.face, Query: c.stream.query})
		if err != nil {
			w.t.Fatal(err)
		}
		if c.sess, err = ticket.Open(c); err != nil {
			w.t.Fatal(err)
		}
		synctest.Wait()
	}
}

// oneAtATime is for several tills.
func oneAtATime(where func() cut) func() cut {
	if where == nil {
		return nil
	}
	var mu sync.Mutex
	return func() cut {
		mu.Lock()
		defer mu.Unlock()
		return where()
	}
}

// TestStreamCuts plays the conversations of /pac with a stream for each till,
// whose lines are cut and taken up again: at every message, at random, and never.
// Each till is told what it is told without a stream, to the byte, but for the
// numbers.
func TestStreamCuts(t *testing.T) {
	files, err := filepath.Glob("testdata/scenario/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^till (\S+) (v[01])(?: ext=(\S+))?$`)
	random := func(seed uint64) func() cut {
		r := rand.New(rand.NewPCG(seed, 1))
		return func() cut { return cut(r.IntN(3)) }
	}
	ways := map[string]func() func() cut{
		"whole":        func() func() cut { return nil },
		"random 1":     func() func() cut { return random(1) },
		"random 2":     func() func() cut { return random(2) },
		"behind each":  func() func() cut { return func() cut { return isLast } },
		"before every": func() func() cut { n := 0; return func() cut { n++; return cut(n % 2) } },
	}
	played := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		switch filepath.Base(file) {
		case "signature_answers_in_the_field.txt", "keys_signature_asked_anew.txt":
			continue // in a stream an answer counts under its own id only
		}
		if !line.MatchString(text) || strings.Contains(text, " closes\n") || strings.Contains(text, "\nrestart") || strings.Contains(text, " mute\n") {
			continue // what follows on a line that ends is another thing with a stream
		}
		played++
		plain := line.ReplaceAllStringFunc(text, func(l string) string {
			m := line.FindStringSubmatch(l)
			return "till " + m[1] + " " + m[2] + " ext=" + strings.TrimPrefix(m[3]+",resume", ",") + " stream=" + m[1]
		})
		for way, cuts := range ways {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+way, func(t *testing.T) {
				var got string
				synctest.Test(t, func(t *testing.T) { got = playCut(t, plain, nil, oneAtATime(cuts())) })
				if diff := cmp.Diff(strings.Split(plain, "\n"), strings.Split(got, "\n")); diff != "" {
					t.Errorf("%s (- on whole lines, + %s):\n%s", file, way, diff)
				}
			})
		}
	}
	if played < 20 {
		t.Errorf("only %d conversations", played)
	}
}
