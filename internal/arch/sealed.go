package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
)

// A Source is the parsed production code of one package.
type Source struct {
	Path  string
	Files []*ast.File
}

// Sealed returns every type switch over a closed set of types that forgets one
// of them. A set is closed when its interface is one unexported method without
// arguments, such as event(): only its own package can add to it. A switch with
// a default that does more than panic has said what it does with the rest.
func Sealed(fset *token.FileSet, sources []Source) []string {
	sets := map[string][]string{} // set by its package and method: its types
	setOf := map[string]string{}  // type: its set
	for _, s := range sources {
		for name, types := range closedSets(s) {
			sets[name] = types
			for _, t := range types {
				setOf[t] = name
			}
		}
	}
	var found []string
	for _, s := range sources {
		for _, f := range s.Files {
			imports := importNames(f)
			ast.Inspect(f, func(n ast.Node) bool {
				sw, ok := n.(*ast.TypeSwitchStmt)
				if !ok {
					return true
				}
				cases, open := casesOf(sw, s.Path, imports)
				if len(cases) == 0 || open {
					return true
				}
				set := setOf[cases[0]]
				if set == "" || slices.ContainsFunc(cases, func(c string) bool { return setOf[c] != set }) {
					return true
				}
				for _, t := range sets[set] {
					if !slices.Contains(cases, t) {
						found = append(found, fmt.Sprintf("%s: this switch forgets %s: give it a case, or a default that says what becomes of the rest",
							fset.Position(sw.Pos()), t))
					}
				}
				return true
			})
		}
	}
	slices.Sort(found)
	return found
}

// closedSets returns the closed sets that a package declares.
func closedSets(s Source) map[string][]string {
	methods := map[string]bool{}
	for _, f := range s.Files {
		ast.Inspect(f, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok && len(i.Methods.List) == 1 {
				if m := i.Methods.List[0]; len(m.Names) == 1 && !m.Names[0].IsExported() && bare(m.Type.(*ast.FuncType)) {
					methods[m.Names[0].Name] = true
				}
			}
			return true
		})
	}
	sets := map[string][]string{}
	for _, f := range s.Files {
		for _, d := range f.Decls {
			m, ok := d.(*ast.FuncDecl)
			if !ok || m.Recv == nil || !methods[m.Name.Name] || !bare(m.Type) {
				continue
			}
			if t := typeName(m.Recv.List[0].Type, s.Path, nil); t != "" {
				set := s.Path + "." + m.Name.Name
				sets[set] = append(sets[set], t)
			}
		}
	}
	return sets
}

// bare reports whether a method takes and returns nothing: it is there to mark.
func bare(f *ast.FuncType) bool {
	return f.Params.NumFields() == 0 && f.Results.NumFields() == 0
}

// casesOf returns the full names of the types that a switch has cases for, and
// whether a default does something with the others.
func casesOf(sw *ast.TypeSwitchStmt, pkg string, imports map[string]string) (cases []string, open bool) {
	for _, stmt := range sw.Body.List {
		clause := stmt.(*ast.CaseClause)
		if clause.List == nil && !panics(clause.Body) {
			open = true
		}
		for _, e := range clause.List {
			if id, ok := e.(*ast.Ident); ok && id.Name == "nil" {
				continue
			}
			cases = append(cases, typeName(e, pkg, imports))
		}
	}
	return cases, open
}

// panics reports whether a clause does nothing but panic.
func panics(body []ast.Stmt) bool {
	if len(body) != 1 {
		return false
	}
	e, ok := body[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	id, ok := call.Fun.(*ast.Ident)
	return ok && id.Name == "panic"
}

// typeName returns "path/of/package.Type" for a type or a pointer to one, ""
// for what has no name.
func typeName(e ast.Expr, pkg string, imports map[string]string) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X, pkg, imports)
	case *ast.Ident:
		return pkg + "." + e.Name
	case *ast.SelectorExpr:
		if id, ok := e.X.(*ast.Ident); ok && imports[id.Name] != "" {
			return imports[id.Name] + "." + e.Sel.Name
		}
	}
	return ""
}

// importNames returns the packages that a file imports by the names it uses.
func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(p) // as all packages of this module are named
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = p
	}
	return names
}
