package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/txn"
)

// tillwire runs a command line, and returns its exit code and what it wrote.
func tillwire(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, streams{out: &o, err: &e, in: strings.NewReader("")})
	return code, o.String(), e.String()
}

// oldSales puts sales into a data folder, an hour between them. The last is r0, a
// little over 100 days old.
func oldSales(t *testing.T, dir string, n int) {
	t.Helper()
	store, err := openStore(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for i := n - 1; i >= 0; i-- {
		at := time.Now().Add(-100*24*time.Hour - 30*time.Minute - time.Duration(i)*time.Hour)
		for _, a := range journaltest.Appends(txn.RequestID(fmt.Sprintf("r%d", i)), "shop", "1001", at) {
			if err := store.Append(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestHistoryPrune(t *testing.T) {
	dir := t.TempDir()
	oldSales(t, dir, 40)
	want := func(code int, text string, args ...string) {
		t.Helper()
		got, out, errs := tillwire(append(args, "--data", dir)...)
		if got != code || !strings.Contains(out+errs, text) {
			t.Errorf("%v: exit code %d, want %d with %q:\n%s%s", args, got, code, text, out, errs)
		}
	}
	want(exitUsage, "at least 7d", "history", "prune", "--older-than", "6d")
	want(exitUsage, "older-than", "history", "prune", "--older-than", "soon")
	want(0, "would remove 0 requests", "history", "prune", "--older-than", "102d", "--dry-run")
	want(0, "would remove 39 requests with 468 records\nkept 1: the last of their terminals\n", "history", "prune", "--older-than", "90d", "--dry-run")
	want(0, "whole: 480 records of 40 requests, chain", "history", "verify")
	want(0, `{"requests":16,"records":192,"kept":{}}`, "history", "prune", "--older-than", "101d", "--json")
	want(0, "removed 0 requests", "history", "prune", "--older-than", "90d", "--site", "bar")
	want(0, "removed 23 requests with 276 records\nkept 1: the last of their terminals\n", "history", "prune", "--older-than", "90d")
	want(0, "whole: 12 records of 1 requests, 156 appends pruned, chain", "history", "verify")
	want(0, "rebuilt from the records: 1 requests", "history", "rebuild")
	want(exitError, `nothing has the id "r1"`, "history", "show", "r1")
	want(0, "SUCCESSFUL", "history", "show", "r0")
}

func TestParseAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "1d12h": 36 * time.Hour, "90s": 90 * time.Second, "0d": 0,
	} {
		if got, err := parseAge(text); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "d", "-1d", "1d-1h", "1d1d", "1.5d", "99999999999d", "x"} {
		if got, err := parseAge(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}
