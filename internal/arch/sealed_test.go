package arch_test

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/internal/arch"
)

// TestClosedSets: no switch over a closed set of events or effects forgets one.
func TestClosedSets(t *testing.T) {
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var (
		fset    = token.NewFileSet()
		sources []arch.Source
		known   bool
	)
	for dec := jsontext.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir string
			GoFiles         []string
		}
		err := json.UnmarshalDecode(dec, &p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		s := arch.Source{Path: p.ImportPath}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			s.Files = append(s.Files, f)
		}
		sources = append(sources, s)
		known = known || p.ImportPath == module+"/txn" && len(s.Files) > 0
	}
	if !known {
		t.Fatal("go list did not find txn")
	}
	for _, finding := range arch.Sealed(fset, sources) {
		t.Error(finding)
	}
}

// TestSealedFinds shows that the checker can fail, on made-up code.
func TestSealedFinds(t *testing.T) {
	const events = `package events
type Event interface{ event() }
type ( Began struct{}; Ended struct{}; Lost struct{} )
func (Began) event() {}
func (Ended) event() {}
func (*Lost) event() {}
type Effect interface{ effect() }
type Tell struct{}
func (Tell) effect() {}
type Store interface{ open(string) }
type Disk struct{}
func (Disk) open(string) {}
`
	for _, c := range []struct {
		name, body string
		forgotten  []string
	}{
		{"all", `case e.Began: case e.Ended: case *e.Lost:`, nil},
		{"all in one case, and nil", `case nil: case e.Began, e.Ended, *e.Lost:`, nil},
		{"one forgotten", `case e.Began: case e.Ended:`, []string{"events.Lost"}},
		{"two forgotten", `case *e.Lost:`, []string{"events.Began", "events.Ended"}},
		{"a default that panics is no answer", `case e.Began, e.Ended: default: panic("x")`, []string{"events.Lost"}},
		{"a default that does something is one", `case e.Began: default: println("rest")`, nil},
		{"an empty default says that nothing is to be done", `case e.Began: default:`, nil},
		{"the other set", `case e.Tell:`, nil},
		{"types of no set", `case e.Disk: case int:`, nil},
		{"types of several sets", `case e.Began: case e.Tell:`, nil},
		{"no cases", ``, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			fset := token.NewFileSet()
			var sources []arch.Source
			for path, text := range map[string]string{
				"example.org/events": events,
				"example.org/user":   "package user\nimport e \"example.org/events\"\nfunc f(v any) { switch v.(type) { " + c.body + " } }\n",
			} {
				f, err := parser.ParseFile(fset, path+"/file.go", text, 0)
				if err != nil {
					t.Fatal(err)
				}
				sources = append(sources, arch.Source{Path: path, Files: []*ast.File{f}})
			}
			found := arch.Sealed(fset, sources)
			if len(found) != len(c.forgotten) {
				t.Fatalf("found %q, want %q", found, c.forgotten)
			}
			for i, name := range c.forgotten {
				if !strings.Contains(found[i], name) || !strings.Contains(found[i], "user/file.go:3") {
					t.Errorf("found %q, want it to name %s and the place", found[i], name)
				}
			}
		})
	}
}
