package examples_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestChecklist tries the tills against the integration checklist. The whole ones
// pass every line; those in a page of code miss the lines of which the
// documentation says so, and no others.
func TestChecklist(t *testing.T) {
	bin := t.TempDir()
	tillwire := build(t, bin, "tillwire", "../cmd/tillwire")
	leftOut := linesLeftOut(t, "README.md")
	if diff := cmp.Diff(leftOut, linesLeftOut(t, "../docs/checklist.md")); diff != "" {
		t.Errorf("README.md and docs/checklist.md name other lines (-README +docs):\n%s", diff)
	}
	const atCounter, atTable = 0, 1
	none := map[string]string{}
	drive, driveTables := "sh "+whole(t, "drive.sh")+" ", "sh "+whole(t, "drive-tables.sh")+" "
	tills := []struct {
		name, side, command string
		leftOut             map[string]string
	}{
		{"counter", "pac", build(t, bin, "counter", "./go/counter"), none},
		{"go", "pac", drive + build(t, bin, "till", "./go"), leftOut[atCounter]},
		{"node", "pac", drive + node(t) + " " + whole(t, "node/till.mjs"), leftOut[atCounter]},
		{"python", "pac", drive + python(t) + " " + whole(t, "python/till.py"), leftOut[atCounter]},
		{"tables", "pat", build(t, bin, "tables", "./go/tables"), none},
		{"node", "pat", driveTables + node(t) + " " + whole(t, "node/tables.mjs"), leftOut[atTable]},
		{"python", "pat", driveTables + python(t) + " " + whole(t, "python/tables.py"), leftOut[atTable]},
	}
	for _, till := range tills {
		t.Run(till.side+"/"+till.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), tillwire, "check", till.side, "--till-command", till.command, "--settle", "200ms", "--limit", "1m", "--json", "--data", t.TempDir())
			cmd.Dir = t.TempDir()
			endTill(t, cmd.Dir)
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
			if passed := len(signed.Report.Lines) - len(missed); passed < 10 || (err == nil) != (len(missed) == 0) {
				t.Errorf("%d lines passed, and the check ended with %v", passed, err)
			}
		})
	}
}

// endTill ends a till that keeps tables with the test, should none have taken
// over from it. It has left its process id in the folder.
func endTill(t *testing.T, dir string) {
	t.Cleanup(func() {
		for _, name := range []string{"tables-data/till.pid", "till-on-trial/pid"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				continue
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			if p, err := os.FindProcess(pid); err == nil && t.Failed() {
				_ = p.Kill() // one that has ended need not be
			}
		}
	})
}

// linesLeftOut reads the tables of the lines that the tills in a page of code
// leave out, at the counter and at the table.
func linesLeftOut(t *testing.T, path string) []map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("^\\| `([a-zA-Z.]+)` \\| (failed|not reached) \\| [^|]+ \\|$")
	var tables []map[string]string
	before := false
	for line := range strings.Lines(string(text)) {
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m != nil && !before {
			tables = append(tables, map[string]string{})
		}
		if before = m != nil; before {
			tables[len(tables)-1][m[1]] = m[2]
		}
	}
	if len(tables) != 2 {
		t.Fatalf("%s has %d tables of lines that are left out, want 2", path, len(tables))
	}
	return tables
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
