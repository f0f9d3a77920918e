package examples_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestChecklist tries the tills at the counter against the integration
// checklist. The whole one passes every line; those in a page of code miss the
// lines of which the documentation says so, and no others.
func TestChecklist(t *testing.T) {
	bin := t.TempDir()
	tillwire := build(t, bin, "tillwire", "../cmd/tillwire")
	leftOut := linesLeftOut(t, "README.md")
	if diff := cmp.Diff(leftOut, linesLeftOut(t, "../docs/checklist.md")); diff != "" {
		t.Errorf("README.md and docs/checklist.md name other lines (-README +docs):\n%s", diff)
	}
	drive := "sh " + whole(t, "drive.sh") + " "
	tills := []struct {
		name, command string
		leftOut       map[string]string
	}{
		{"counter", build(t, bin, "counter", "./go/counter"), map[string]string{}},
		{"go", drive + build(t, bin, "till", "./go"), leftOut},
		{"node", drive + node(t) + " " + whole(t, "node/till.mjs"), leftOut},
		{"python", drive + python(t) + " " + whole(t, "python/till.py"), leftOut},
	}
	for _, till := range tills {
		t.Run(till.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), tillwire, "check", "pac", "--till-command", till.command, "--settle", "200ms", "--json", "--data", t.TempDir())
			cmd.Dir = t.TempDir()
			var told strings.Builder
			cmd.Stderr = &told
			out, err := cmd.Output()
			var signed struct {
				Report struct {
					Lines []struct{ ID, State, Hint string }
				}
			}
			if jsonErr := json.Unmarshal(out, &signed); jsonErr != nil {
				t.Fatalf("%v, %v:\n%s", err, jsonErr, told.String())
			}
			missed := map[string]string{}
			for _, l := range signed.Report.Lines {
				if l.State != "passed" {
					missed[l.ID] = l.State
				}
			}
			if diff := cmp.Diff(till.leftOut, missed); diff != "" {
				t.Errorf("lines that are not passed (-documented +found):\n%s\n%s", diff, told.String())
			}
			if passed := len(signed.Report.Lines) - len(missed); passed < 20 || (err == nil) != (len(missed) == 0) {
				t.Errorf("%d lines passed, and the check ended with %v", passed, err)
			}
		})
	}
}

// linesLeftOut reads the table of the lines that the tills in a page of code
// leave out.
func linesLeftOut(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-zA-Z.]+)` \\| (failed|not reached) \\| [^|]+ \\|$").FindAllStringSubmatch(string(text), -1) {
		lines[m[1]] = m[2]
	}
	if len(lines) == 0 {
		t.Fatalf("%s names no line that is left out", path)
	}
	return lines
}

// whole is a path that is good from any folder.
func whole(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
