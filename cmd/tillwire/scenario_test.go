package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/txn"
)

func TestTIDScenarios(t *testing.T) {
	for text, want := range map[string]tidScenarios{
		"":                     {},
		"VCMDEMOSIP3=declined": {"VCMDEMOSIP3": "declined"},
		"vcmdemosip4=Paper-Out,VCMDEMOSIP3=declined": {"VCMDEMOSIP3": "declined", "VCMDEMOSIP4": "paper-out"},
		"VCMDEMOSIP3":               nil,
		"VCMDEMOSIP3=":              nil,
		"12345678=declined":         nil,
		"VCMDEMOSIP3=off":           nil,
		"VCMDEMOSIP3=declined,":     nil,
		"VCMDEMOSIP3=declined=void": nil,
	} {
		var got, back tidScenarios
		err := got.UnmarshalText([]byte(text))
		if (err == nil) != (want != nil) {
			t.Errorf("%q: %v", text, err)
		}
		if want == nil {
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
		if err := back.UnmarshalText([]byte(got.String())); err != nil || !cmp.Equal(got, back) {
			t.Errorf("%q is written as %q: %v", text, got, err)
		}
	}
}

// TestScriptedScenario: a machine in its own process takes a scenario, and what
// follows it changes it.
func TestScriptedScenario(t *testing.T) {
	var s scripted
	if err := s.UnmarshalText([]byte("scenario=paper-out,cvm=SIGNATURE")); err != nil {
		t.Fatal(err)
	}
	if s.PaperOut == 0 || s.CVM != txn.CVMSignature {
		t.Errorf("%+v", s)
	}
	if err := s.UnmarshalText([]byte("scenario=lunch")); err == nil {
		t.Error("lunch is a scenario")
	}
}
