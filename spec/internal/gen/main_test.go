package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The committed constants are those of the tables.
func TestGeneratedIsCurrent(t *testing.T) {
	errors, err := os.ReadFile("../../errors.json")
	if err != nil {
		t.Fatal(err)
	}
	timers, err := os.ReadFile("../../timers.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(errors, timers)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../codes_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("codes_gen.go is stale; run go generate ./spec (-want +got):\n%s", diff)
	}
}
