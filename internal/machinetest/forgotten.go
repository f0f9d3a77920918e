package machinetest

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
)

// NamesAreUnique holds each name in the table to one meaning.
func (m Machine[V, S, E]) NamesAreUnique(t testing.TB) {
	t.Helper()
	seen := map[string]bool{}
	once := func(what, name string) {
		if seen[name] {
			t.Errorf("two %s are called %s", what, name)
		}
		seen[name] = true
	}
	for _, v := range m.Variants {
		once("variants", label(stateName(m.State(Stand(t, m.Replay, v.Story))), v.Name))
	}
	for _, try := range m.Trials {
		once("trials", label(NameOf(try.Event), try.Name))
	}
}

// NothingIsForgotten reads the machine's source, the Go files of a folder: each
// event declared there is tried, and each state listed. An event is a type with
// a method called EventMethod, a state a constant of the type StateType.
func (m Machine[V, S, E]) NothingIsForgotten(t testing.TB, folder string) {
	t.Helper()
	var tried, listed, events, states []string
	for _, try := range m.Trials {
		tried = append(tried, NameOf(try.Event))
	}
	for _, s := range m.States {
		listed = append(listed, string(s))
	}
	for _, d := range declarations(t, folder) {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil && d.Name.Name == cmp.Or(m.EventMethod, "event") {
				events = append(events, d.Recv.List[0].Type.(*ast.Ident).Name)
			}
		case *ast.GenDecl:
			states = append(states, statesIn(t, d, cmp.Or(m.StateType, "State"))...)
		}
	}
	slices.Sort(tried)
	for _, c := range []struct {
		what, done     string
		declared, have []string
	}{
		{"events", "tried", events, slices.Compact(tried)},
		{"states", "listed", states, listed},
	} {
		if len(c.declared) == 0 {
			t.Errorf("no %s are declared in %s", c.what, folder)
		}
		slices.Sort(c.declared)
		slices.Sort(c.have)
		if d := diff.Diff(c.declared, c.have); d != "" {
			t.Errorf("the declared %s and those %s differ:\n%s", c.what, c.done, d)
		}
	}
}

// declarations returns those of a folder's production code.
func declarations(t testing.TB, folder string) []ast.Decl {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all []ast.Decl
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Decls...)
	}
	return all
}

// statesIn returns the values of the constants of that type in d, but for the
// empty one, in which nothing has begun.
func statesIn(t testing.TB, d *ast.GenDecl, of string) []string {
	t.Helper()
	var values []string
	for _, spec := range d.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok || d.Tok != token.CONST {
			continue
		}
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != of {
			continue
		}
		for _, value := range v.Values {
			s, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if s != "" {
				values = append(values, s)
			}
		}
	}
	return values
}
