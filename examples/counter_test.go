package examples_test

import (
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestCounter goes through a day of the whole till in Go, in which one sale is
// never known the end of.
func TestCounter(t *testing.T) {
	bin := t.TempDir()
	gateway := serve(t, build(t, bin, "tillwire", "../cmd/tillwire"))
	counter, books := build(t, bin, "counter", "./go/counter"), t.TempDir()
	run := func(exit int, keys string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), counter, append([]string{"-data", books}, args...)...)
		cmd.Env = append(cmd.Environ(), "TILLWIRE_URL="+gateway)
		cmd.Stdin = strings.NewReader(keys)
		out, err := cmd.CombinedOutput()
		if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != exit {
			t.Fatalf("%v: exit code %d, want %d:\n%s", args, got, exit, out)
		}
		return string(out)
	}
	says := func(out string, all ...string) {
		t.Helper()
		for _, want := range all {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not in:\n%s", want, out)
			}
		}
	}
	says(run(0, "", "sale", "12.50"), "PIN_ENTRY", "SUCCESSFUL: GBP 12.50, of which gratuity 0.00 and cashback 0.00")
	says(run(0, "", "-cashback", "5.00", "sale", "10.00"), "SUCCESSFUL: GBP 15.00, of which gratuity 0.00 and cashback 5.00")
	says(run(0, "y\n", "-tid", "VCMDEMOSIS0", "refund", "3.00"), "Does the signature match the card?", "SUCCESSFUL: GBP 3.00")
	says(run(10, "n\n", "-tid", "VCMDEMOSIS0", "sale", "3.00"), "VOID: no money has moved")
	says(run(11, "", "-tid", "VCMDEMOCIP0", "sale", "3.00"), "CANCELLED: no money has moved")
	run(0, "", "preauth", "50.00")
	says(run(0, "", "complete", "40.00"), "SUCCESSFUL: GBP 40.00")
	says(run(0, "", "last"), "40.00", "SUCCESSFUL")
	says(run(1, "", "-tid", "12345678", "sale", "3.00"), "12345678 is unavailable.")
	run(2, "", "sale", "1.999")
	run(2, "", "sell")

	says(run(12, "", "-tid", "VCMDEMOTIP0", "sale", "9.00"), "NOT KNOWN whether money was taken")
	next := run(0, "", "sale", "1.00")
	says(next, "The end of day is due")
	open := regexp.MustCompile(`Still not known: sale of 9\.00 on VCMDEMOTIP0, (\S+)`).FindStringSubmatch(next)
	if open == nil {
		t.Fatalf("the till has forgotten what nobody knows:\n%s", next)
	}
	says(run(2, "", "settle"), open[1])
	run(2, "", "settle", open[1], "perhaps")
	run(0, "", "settle", open[1], "nothing")
	run(2, "", "settle", open[1], "nothing")
	says(run(0, "", "report", "end-of-day"), "END OF DAY")
	if last := run(0, "", "sale", "1.00"); strings.Contains(last, "not known") || strings.Contains(last, "due") {
		t.Errorf("what was settled, or done, is still asked for:\n%s", last)
	}
}
