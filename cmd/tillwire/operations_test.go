package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const operations = "../../docs/operations.md"

// TestErrorsAreExplained: docs/operations.md says of each message that is logged
// at error level what it means, and of no other.
func TestErrorsAreExplained(t *testing.T) {
	page, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "## What an error in the log means")
	if !found {
		t.Fatal("the page has no such section")
	}
	explained := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) != 2 {
			continue
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[0], -1) {
			explained[m[1]] = true
		}
	}
	logged := loggedErrors(t, "../..")
	for _, message := range slices.Sorted(maps.Keys(logged)) {
		if !explained[message] {
			t.Errorf("%s logs the error %q: say in docs/operations.md what it means", logged[message], message)
		}
	}
	for _, message := range slices.Sorted(maps.Keys(explained)) {
		if logged[message] == "" {
			t.Errorf("docs/operations.md explains %q, which nobody logs", message)
		}
	}
	if len(logged) < 20 {
		t.Errorf("only %d messages were found", len(logged))
	}
}

// loggedErrors returns the messages of all calls of a logger's Error in the
// product, and where they are.
func loggedErrors(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "internal" || d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "bench" || d.Name() == "examples"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			text, isText := call.Args[0].(*ast.BasicLit)
			if !ok || f.Sel.Name != "Error" || !isText {
				return true
			}
			if message, err := strconv.Unquote(text.Value); err == nil {
				out[message] = path
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMetricsAreThere: the metrics that docs/operations.md tells people to watch
// are served.
func TestMetricsAreThere(t *testing.T) {
	page, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(tillwire_[a-z_]+)").FindAllStringSubmatch(string(page), -1)
	if len(named) < 10 {
		t.Fatalf("only %d metrics are named", len(named))
	}
	source := ""
	for _, name := range []string{"../../gateway/metrics.go", "../../gateway/figures.go", "house.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source += string(text)
	}
	for _, m := range named {
		if !strings.Contains(source, strconv.Quote(strings.TrimPrefix(m[1], "tillwire_"))) {
			t.Errorf("nobody serves %s", m[1])
		}
	}
}
