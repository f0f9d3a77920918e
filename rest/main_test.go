package rest_test

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/openapi"
)

// described judges each answer by the description of the interface.
var described = sync.OnceValue(func() *openapi.Recorder {
	r, err := openapi.New(spec.Default().REST())
	if err != nil {
		panic(err)
	}
	return r
})

func TestMain(m *testing.M) { goleak.VerifyTestMain(whole{m}) }

// Whole is a run of tests that fails where an answer is not as described. If all
// tests ran, each answer that is described was seen too.
type whole struct{ m *testing.M }

func (w whole) Run() int {
	code := w.m.Run()
	bad := described().Faults()
	if code == 0 && everything() {
		for _, unseen := range described().Unseen() {
			bad = append(bad, "described and never seen: "+unseen)
		}
	}
	for _, b := range bad {
		fmt.Fprintln(os.Stderr, "rest:", b)
		code = max(code, 1)
	}
	return code
}

// everything reports whether all tests were to run.
func everything() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}
