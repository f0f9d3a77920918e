package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/terminal/link"
	"github.com/tillwire/tillwire/ws"
)

// TestScreenStanding: a gateway that is not there is shown once, not once a dial.
func TestScreenStanding(t *testing.T) {
	var out strings.Builder
	v := &screen{out: &out}
	refused, lost := errors.New("link: dialling: connection refused"), errors.New("link: lost")
	for _, s := range []link.Standing{
		{Err: refused, Next: time.Second},
		{Err: refused, Next: 2 * time.Second},
		{Up: true},
		{Err: lost, Next: time.Second},
		{Err: refused, Next: time.Second},
		{Err: refused, Next: 2 * time.Second},
		{Up: true},
		{Err: refused, Next: time.Second},
		{Err: fmt.Errorf("link: %w", &ws.CloseError{Code: ws.Policy, Reason: "a newer connection of this terminal took over", Remote: true}), Next: time.Second},
		{Err: &link.RejectedError{Reason: "401"}},
	} {
		v.stands(s)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got = append(got, text)
	}
	down := "no link to the gateway, which is dialled until it is there: "
	want := []string{
		down + "dialling: connection refused", "linked to the gateway", down + "lost", down + "dialling: connection refused",
		"linked to the gateway", down + "dialling: connection refused",
		down + "websocket closed by the peer: 1008 a newer connection of this terminal took over; if this goes on, see whether another machine dials with the same key",
		"no link to the gateway",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
