package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGeneratedRESTIsCurrent(t *testing.T) {
	errors, err := os.ReadFile("../../errors.json")
	if err != nil {
		t.Fatal(err)
	}
	rest, err := os.ReadFile("../../rest/errors.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := generateREST(errors, rest)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../rest_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("rest_gen.go is stale; run go generate ./spec (-want +got):\n%s", diff)
	}
}

// A text cannot be the same as one that there is not.
func TestGenerateRESTNamesWhatIsMissing(t *testing.T) {
	_, err := generateREST([]byte(`[]`), []byte(`{"texts":[{"name":"A","same":"Gone"}]}`))
	if err == nil || !strings.Contains(err.Error(), "Gone") {
		t.Errorf("got %v, want an error that names Gone", err)
	}
}
