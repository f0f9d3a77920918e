// Package arch keeps the floor plan true: it holds the plan as data and finds
// every import that the plan does not allow, with the reason. It also finds
// switches that forget a type of a closed set. It is used by its own tests only;
// it reads code and never runs or changes it.
//
// Production code may import the rooms that its room's line lists, and no
// library that is not listed for it. Test code may import any room that is not
// above its own, so that a test can use the real thing beside it.
package arch

import (
	"fmt"
	"slices"
	"strings"
)

// A Package is what the checker needs to know of one package of the module.
type Package struct {
	Path        string
	Imports     []string // of its production code
	TestImports []string // of its test code, in and beside the package
}

// Check returns everything in packages that plan does not allow, one line each.
// Packages are those of the module with the given path.
func Check(plan Plan, module string, packages []Package) []string {
	c := checker{plan: plan, module: module, packages: map[string]Package{}}
	for _, p := range packages {
		c.packages[p.Path] = p
	}
	for _, p := range packages {
		c.check(p)
	}
	slices.Sort(c.found)
	return slices.Compact(c.found)
}

type checker struct {
	plan     Plan
	module   string
	packages map[string]Package
	found    []string
}

func (c *checker) say(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func (c *checker) check(p Package) {
	name := c.inside(p.Path)
	room := c.room(name)
	if room == nil {
		c.say("%s is in no room: give it a line in internal/arch/floors.go, on the lowest floor that lets it import what it needs, or move it into a room", name)
		return
	}
	for _, path := range p.Imports {
		c.production(name, *room, path)
	}
	for _, path := range p.TestImports {
		other := c.room(c.inside(path))
		if other != nil && other.Floor > room.Floor {
			c.say("the tests of %s (floor %d) import %s (floor %d): tests do not look up either; write this one beside the upper room",
				name, room.Floor, c.inside(path), other.Floor)
		}
	}
	for _, ban := range room.Not {
		if way := c.way(p.Path, ban.Room); way != nil {
			c.say("%s reaches %s by %s: %s", name, ban.Room, strings.Join(way, " -> "), ban.Why)
		}
	}
}

// production checks one import of production code.
func (c *checker) production(name string, room Room, path string) {
	switch inside := c.inside(path); {
	case inside != "":
		other := c.room(inside)
		if other != nil && other.Name != room.Name && !slices.Contains(room.May, other.Name) {
			c.say("%s (floor %d) imports %s (floor %d): %s; it may import %s",
				name, room.Floor, inside, other.Floor, room.Why, list(room.May))
		}
	case standard(path):
		if slices.Contains(c.plan.Pure, room.Name) && slices.Contains(c.plan.Impure, path) {
			c.say("%s imports %s: %s", name, path, c.plan.PureWhy)
		}
	default:
		i := slices.IndexFunc(c.plan.Libraries, func(l Library) bool { return within(path, l.Path) })
		if i < 0 {
			c.say("%s imports %s, a library without a line in internal/arch/floors.go: say there which rooms may use it and why", name, path)
			return
		}
		if lib := c.plan.Libraries[i]; !slices.Contains(lib.Rooms, room.Name) {
			c.say("%s imports %s, which is for %s: %s", name, path, list(lib.Rooms), lib.Why)
		}
	}
}

// way returns the shortest chain of production imports from a package to a room
// that is not its own, or nil.
func (c *checker) way(from, to string) []string {
	type step struct {
		path string
		way  []string
	}
	seen := map[string]bool{from: true}
	for queue := []step{{from, nil}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		way := append(slices.Clone(at.way), c.inside(at.path))
		if r := c.room(c.inside(at.path)); r != nil && r.Name == to && at.path != from {
			return way
		}
		for _, next := range c.packages[at.path].Imports {
			if c.inside(next) != "" && !seen[next] {
				seen[next] = true
				queue = append(queue, step{next, way})
			}
		}
	}
	return nil
}

// inside returns the path within the module, or "" for a package of others.
func (c *checker) inside(path string) string {
	if path == c.module {
		return "."
	}
	rest, ok := strings.CutPrefix(path, c.module+"/")
	if !ok {
		return ""
	}
	return rest
}

// room returns the room that a package lies in: the one with the longest name
// that its path begins with.
func (c *checker) room(name string) *Room {
	var best *Room
	for i, r := range c.plan.Rooms {
		if within(name, r.Name) && (best == nil || len(r.Name) > len(best.Name)) {
			best = &c.plan.Rooms[i]
		}
	}
	return best
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// standard reports whether a path is one of the standard library's: those have
// no dot in their first element.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func list(names []string) string {
	if len(names) == 0 {
		return "no other room"
	}
	return strings.Join(names, ", ")
}
