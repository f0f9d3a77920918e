package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScenarioPageIsFresh(t *testing.T) {
	data, err := os.ReadFile("../../scenarios.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := scenarioPage(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/scenarios.md is stale; run go generate ./spec (-want +got):\n%s", diff)
	}
	if _, err := scenarioPage([]byte("[]")); err == nil {
		t.Error("a list is taken for the table of scenarios")
	}
}
