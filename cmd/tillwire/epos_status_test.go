package main

import (
	"testing"

	"github.com/tillwire/tillwire/epos"
)

// TestStateExits: an exit status never says that nothing was taken unless that is
// certain.
func TestStateExits(t *testing.T) {
	for state, want := range map[epos.State]error{
		epos.Pending: exitStatus(exitUnknown), epos.Finished: nil, epos.Unresolved: exitStatus(exitUnknown),
		epos.NotRun: exitStatus(exitError), epos.NotFound: exitStatus(exitUnknown), "new": exitStatus(exitUnknown),
	} {
		if meaning, got := stateOf(state); got != want || meaning == "" {
			t.Errorf("%s: %q, %v; want %v", state, meaning, got, want)
		}
	}
}
