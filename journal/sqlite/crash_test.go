package sqlite

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/txn"
)

// crashEnv makes the test binary a process that appends until it is killed.
const crashEnv = "TILLWIRE_TEST_APPEND_UNTIL_KILLED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		appendUntilKilled(dir)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// appendUntilKilled writes sales and says so, a line an append: the stream,
// and how many records of it are kept.
func appendUntilKilled(dir string) {
	s, err := Open(dir, Options{BallastSize: small})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var all sync.WaitGroup
	var out sync.Mutex
	for i := range 4 {
		all.Go(func() {
			for {
				for _, a := range journaltest.Appends(txn.RequestID(rand.Text()), "shop", txn.TID(fmt.Sprint(i)), time.Now()) {
					err := s.Append(context.Background(), a)
					out.Lock()
					if err != nil {
						fmt.Println("error", err)
					} else {
						fmt.Println(a.Stream, a.Expect+len(a.Records))
					}
					out.Unlock()
					if err != nil {
						return
					}
				}
			}
		})
	}
	all.Wait()
}

// TestKilled kills a process that writes, again and again in one folder, and
// looks for everything that it had been told was kept.
func TestKilled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := mathrand.New(mathrand.NewPCG(seed, 0))
	dir := t.TempDir()
	kept := map[journal.Stream]int{}
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashEnv+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		left := 1 + rng.IntN(400)
		for lines := bufio.NewScanner(out); lines.Scan(); left-- {
			stream, n, _ := strings.Cut(lines.Text(), " ")
			records, err := strconv.Atoi(n)
			if err != nil {
				t.Errorf("round %d: %q", round, lines.Text())
			}
			kept[journal.Stream(stream)] = max(kept[journal.Stream(stream)], records)
			if left == 0 { // go on reading what it said before it died
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || left > 0 {
			t.Fatalf("round %d: ended by itself: %v", round, err)
		}

		s := open(t, dir, Options{})
		for stream, n := range kept {
			records, err := s.Records(t.Context(), stream)
			if err != nil || len(records) < n {
				t.Errorf("round %d: %d records of %s are kept, %v, want %d", round, len(records), stream, err, n)
			}
			if h, err := s.Head(t.Context(), stream); err != nil || h.Records != len(records) {
				t.Errorf("round %d: head of %s with %d records, %v", round, stream, h.Records, err)
			}
		}
		v, err := s.Verify(t.Context())
		if err != nil || v.Fault != "" || v.Streams < len(kept) {
			t.Errorf("round %d: verified %+v, %v", round, v, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
