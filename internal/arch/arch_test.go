package arch_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/internal/arch"
)

const module = "github.com/tillwire/tillwire"

// goList returns the packages of this module as they are built for an
// operating system.
func goList(t *testing.T, goos string) []arch.Package {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v\n%s", goos, err, &stderr)
	}
	var packages []arch.Package
	for dec := jsontext.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		err := json.UnmarshalDecode(dec, &p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("go list for %s: %v", goos, err)
		}
		packages = append(packages, arch.Package{
			Path: p.ImportPath, Imports: p.Imports, TestImports: slices.Concat(p.TestImports, p.XTestImports),
		})
	}
}

// TestFloors holds the code to the floor plan, on each system that it is built for.
func TestFloors(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		t.Run(goos, func(t *testing.T) {
			packages := goList(t, goos)
			if !slices.ContainsFunc(packages, func(p arch.Package) bool { return p.Path == module+"/money" }) {
				t.Fatalf("go list found %d packages, money not among them", len(packages))
			}
			for _, finding := range arch.Check(arch.Floors(), module, packages) {
				t.Error(finding)
			}
		})
	}
}

// TestPlanIsAPlan: imports go down in the plan itself, its names are rooms, and
// every line says why.
func TestPlanIsAPlan(t *testing.T) {
	plan := arch.Floors()
	floors := map[string]int{}
	for _, r := range plan.Rooms {
		if _, twice := floors[r.Name]; twice {
			t.Errorf("%s has two lines", r.Name)
		}
		floors[r.Name] = r.Floor
	}
	known := func(where, name string) {
		if _, ok := floors[name]; !ok {
			t.Errorf("%s names %q, which is no room", where, name)
		}
	}
	for _, r := range plan.Rooms {
		if r.Why == "" {
			t.Errorf("%s has no reason", r.Name)
		}
		for _, name := range r.May {
			known(r.Name, name)
			if nested := strings.HasPrefix(r.Name, name+"/"); floors[name] >= r.Floor && !nested {
				t.Errorf("%s (floor %d) may import %s (floor %d): imports go down", r.Name, r.Floor, name, floors[name])
			}
		}
		for _, ban := range r.Not {
			known(r.Name, ban.Room)
			if slices.Contains(r.May, ban.Room) || ban.Why == "" {
				t.Errorf("%s: the ban on %s is contradicted or has no reason", r.Name, ban.Room)
			}
		}
	}
	for _, l := range plan.Libraries {
		if l.Why == "" || len(l.Rooms) == 0 {
			t.Errorf("%s has no reason or no room", l.Path)
		}
		for _, name := range l.Rooms {
			known(l.Path, name)
		}
	}
	for _, name := range plan.Pure {
		known("the list of pure rooms", name)
	}
}

// TestCheckFinds shows that the checker can fail: each made-up graph breaks the
// plan in one way, and the finding names both ends and the reason.
func TestCheckFinds(t *testing.T) {
	pkg := func(path string, imports ...string) arch.Package {
		return arch.Package{Path: module + "/" + path, Imports: imports}
	}
	own := func(path string) string { return module + "/" + path }
	for _, c := range []struct {
		name     string
		packages []arch.Package
		want     []string // words of the one finding; none: it is allowed
	}{
		{"down is allowed", []arch.Package{pkg("gateway", own("txn"), own("wire"), "net/http"), pkg("txn", own("money"), "fmt"), pkg("money"), pkg("wire")}, nil},
		{"up", []arch.Package{pkg("txn", own("gateway")), pkg("gateway")}, []string{"txn (floor 2)", "gateway (floor 4)", "how messages travel"}},
		{"across", []arch.Package{pkg("txn", own("report")), pkg("report")}, []string{"txn (floor 2)", "report (floor 2)", "it may import money, receipt"}},
		{"from the ground", []arch.Package{pkg("ws", own("jsonrpc")), pkg("jsonrpc")}, []string{"ws", "jsonrpc", "stand alone", "no other room"}},
		{"banned by a detour", []arch.Package{pkg("gateway", own("wire")), pkg("wire", own("ws")), pkg("ws")}, []string{"gateway -> wire -> ws", "any message channel"}},
		{"message code in the checker", []arch.Package{pkg("conform", own("ws")), pkg("ws", own("wire")), pkg("wire")}, []string{"conform -> ws -> wire", "shares its mistakes"}},
		{"a folder inside a room belongs to it", []arch.Package{pkg("spec/internal/gen", own("spec")), pkg("spec")}, nil},
		{"the inner room wins", []arch.Package{pkg("journal", own("journal/sqlite")), pkg("journal/sqlite")}, []string{"journal (floor 3)", "journal/sqlite (floor 4)"}},
		{"no room", []arch.Package{pkg("util")}, []string{"util is in no room", "floors.go"}},
		{"the front of the house stands alone", []arch.Package{{Path: module, Imports: []string{own("spec")}}, pkg("spec")}, []string{". (floor 0)", "given out as they are"}},
		{"a name that only begins like a room", []arch.Package{pkg("wires")}, []string{"wires is in no room"}},
		{"unknown library", []arch.Package{pkg("ws", "example.org/frames")}, []string{"ws", "example.org/frames", "say there which rooms"}},
		{"library of another room", []arch.Package{pkg("gateway", "modernc.org/sqlite")}, []string{"gateway", "journal/sqlite", "stays inside it"}},
		{"encoding in the domain", []arch.Package{pkg("txn", "github.com/go-json-experiment/json/jsontext")}, []string{"txn", "rules and no encoding"}},
		{"input and output in the domain", []arch.Package{pkg("report", "os")}, []string{"report imports os", "no I/O"}},
		{"the command may read files", []arch.Package{pkg("cmd/tillwire", "os", own("journal/sqlite")), pkg("journal/sqlite")}, nil},
		{"test code in the command", []arch.Package{pkg("cmd/tillwire", own("journal/journaltest")), pkg("journal/journaltest")}, []string{"journaltest", "no test code"}},
		{
			"a test looks beside itself",
			[]arch.Package{{Path: own("gateway"), TestImports: []string{own("terminal/sim"), own("ws"), "testing", "pgregory.net/rapid"}}, pkg("terminal/sim"), pkg("ws")},
			nil,
		},
		{
			"a test looks up",
			[]arch.Package{{Path: own("wire"), TestImports: []string{own("gateway")}}, pkg("gateway")},
			[]string{"the tests of wire (floor 3)", "gateway (floor 4)"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := arch.Check(arch.Floors(), module, c.packages)
			if len(c.want) == 0 {
				if len(found) > 0 {
					t.Errorf("found %q, want nothing", found)
				}
				return
			}
			// A banned edge may break a list and a ban: one finding must say it all.
			if !slices.ContainsFunc(found, func(f string) bool {
				return !slices.ContainsFunc(c.want, func(word string) bool { return !strings.Contains(f, word) })
			}) {
				t.Errorf("found %q, want one with %q", found, c.want)
			}
		})
	}
}
