package arch

import "slices"

// A Room is a folder of the floor plan with everything in it that is not a
// room of its own.
type Room struct {
	Name  string   // its folder, from the module's root
	Floor int      // imports go down
	May   []string // rooms whose packages its code may import
	Not   []Ban    // what its code may not reach, by whatever way
	Why   string   // the reason for the list, shown when it is broken
}

// A Ban is a room that must not be reached, and why.
type Ban struct {
	Room string
	Why  string
}

// A Library is a module of others that production code imports, and the rooms
// that may.
type Library struct {
	Path  string // the module, or the beginning of its packages' paths
	Rooms []string
	Why   string
}

// A Plan is the floor plan.
type Plan struct {
	Rooms     []Room
	Libraries []Library
	// Pure rooms may not import these packages of the standard library, nor
	// any library.
	Pure    []string
	Impure  []string
	PureWhy string
}

// domain are the words of the domain: who may speak of a transaction may name
// its amounts and receipt lines.
var domain = []string{"money", "receipt", "txn", "table", "report"}

func rooms(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

// Floors returns the floor plan of this repository. A new room gets its line
// here, on the lowest floor that lets it import what it needs.
func Floors() Plan {
	const (
		alone    = "the rooms of floor 0 stand alone: each can be read, tested and replaced without the others"
		pure     = "the machines know money and receipts and nothing of how messages travel or are kept"
		backends = "a backend keeps records; what they mean for a till or a terminal is decided above it"
		apart    = "it needs none of the other rooms"
		drivers  = "a driver knows the contract with the gateway and its own machine, never the gateway"
	)
	var (
		ground   = []string{"money", "jsonrpc", "ws", "spec"}
		contract = []string{"terminal", "journal"}
		backend  = Room{Floor: 4, May: rooms([]string{"journal"}, domain), Why: backends}
	)
	journalRoom := func(name string) Room {
		r := backend
		r.Name = "journal/" + name
		return r
	}
	return Plan{
		Rooms: []Room{
			{Name: "money", Floor: 0, Why: alone},
			{Name: "jsonrpc", Floor: 0, Why: alone},
			{Name: "ws", Floor: 0, Why: alone},
			{Name: "spec", Floor: 0, Why: alone},
			{Name: ".", Floor: 0, Why: "the texts at the front of the house are given out as they are; " + alone},

			{Name: "receipt", Floor: 1, May: []string{"money"}, Why: "a receipt is lines with amounts in them"},

			{Name: "txn", Floor: 2, May: []string{"money", "receipt"}, Why: pure},
			{Name: "table", Floor: 2, May: []string{"money", "receipt"}, Why: pure},
			{Name: "report", Floor: 2, May: []string{"money", "receipt"}, Why: pure},

			{
				Name: "wire", Floor: 3, May: rooms(ground, []string{"receipt"}),
				Why: "wire is the form of messages without rules; only the gateway and rest convert them to the domain",
			},
			{
				Name: "wire/rest", Floor: 3, May: rooms(ground, []string{"receipt", "wire"}),
				Why: "wire/rest is the form of bodies without rules; only rest converts them to the domain",
			},
			{
				Name: "journal", Floor: 3, May: domain,
				Why: "the journal's interface speaks of the domain only, so that any backend can keep it and any face can read it",
			},
			{
				Name: "terminal", Floor: 3, May: domain,
				Why: "the contract with drivers speaks of the domain only, so that it fits machines that know nothing of tills",
			},

			journalRoom("memory"),
			{
				Name: "journal/sqlite", Floor: 4, May: rooms([]string{"journal", "internal/disk"}, domain), Why: backends,
			},
			journalRoom("postgres"),
			journalRoom("journaltest"),
			{Name: "terminal/sim", Floor: 4, May: rooms([]string{"terminal", "spec", "internal/disk"}, domain), Why: drivers},
			{Name: "terminal/link", Floor: 4, May: rooms([]string{"terminal", "wire", "jsonrpc", "ws"}, domain), Why: drivers},
			{
				Name: "gateway", Floor: 4,
				May: rooms([]string{"money", "jsonrpc", "spec", "wire", "wire/rest"}, domain, contract),
				Not: []Ban{
					{"ws", "the gateway talks over any message channel: the door brings sockets, tests bring pipes"},
					{"journal/sqlite", "the gateway must run on every backend; cmd/tillwire chooses"},
					{"journal/postgres", "the gateway must run on every backend; cmd/tillwire chooses"},
					{"journal/memory", "a gateway that can fall back on memory can lose money; cmd/tillwire chooses"},
					{"terminal/sim", "the gateway must treat a simulated terminal as any other"},
					{"terminal/link", "the gateway must treat a remote terminal as any other"},
				},
				Why: "the gateway runs the machines between a till and a terminal and knows neither's transport",
			},

			{
				Name: "door", Floor: 5, May: []string{"gateway", "ws", "jsonrpc", "spec"},
				Why: "the door checks and upgrades connections and hands them over; it decides nothing about payments",
			},
			{
				Name: "rest", Floor: 5, May: rooms([]string{"gateway", "wire/rest", "spec"}, domain),
				Why: "rest converts bodies and asks the gateway",
			},
			{
				Name: "epos", Floor: 5, May: []string{"wire", "wire/rest", "jsonrpc", "ws", "money", "receipt", "spec"},
				Not: []Ban{{"gateway", "software on a till must not carry a gateway with it"}},
				Why: "the client library is what a till links: messages and the way they travel",
			},
			{
				Name: "conform", Floor: 5, May: []string{"spec", "ws"},
				Not: []Ban{
					{"wire", "a checker that shares message code with what it judges shares its mistakes"},
					{"jsonrpc", "a checker that shares message code with what it judges shares its mistakes"},
					{"gateway", "the checker sees a gateway from outside only"},
				},
				Why: "the checker judges by the published contract and by the bytes it sees",
			},
			{Name: "site/look", Floor: 4, Why: "how pages look is the same whatever they show; " + apart},
			{
				Name: "site/docs", Floor: 5, May: []string{".", "spec", "site/look"},
				Not: []Ban{
					{"gateway", "the docs show the contract, and are the same without a gateway"},
					{"site/console", "the docs can be read where there is no console"},
				},
				Why: "the docs are made of the contract as data and of the texts in this repository",
			},
			{
				Name: "site/traffic", Floor: 4, May: []string{"spec", "receipt"},
				Why: "what is said to a gateway is judged by the published contract alone, so that a message is found wrong whatever the gateway takes",
			},
			{
				Name: "site/console", Floor: 5, May: []string{"spec", "receipt", "ws", "site/look", "site/traffic"},
				Not: []Ban{{"gateway", "the console reads the gateway through a narrow interface of its own"}},
				Why: "the console shows what it is given, and judges messages by the contract",
			},

			{Name: "internal/arch", Floor: 6, Why: "this test looks at the code and needs none of it"},
			{
				Name: "internal/bench", Floor: 6,
				May: rooms(
					ground, domain, contract,
					[]string{"wire", "wire/rest", "journal/memory", "journal/sqlite", "journal/postgres", "terminal/sim", "terminal/link"},
					[]string{"gateway", "door", "rest", "epos", "site/traffic", "site/console"},
				),
				Why: "the measurements set any part of the product against less of it, and are no part of it",
			},
			{
				Name: "internal/crash", Floor: 6,
				May: rooms(
					domain, contract,
					[]string{"journal/sqlite", "terminal/sim", "terminal/link", "gateway", "door", "rest", "epos", "ws"},
					[]string{"internal/disk", "internal/faultproxy", "internal/folder", "internal/powercut"},
				),
				Why: "the crash harness starts the product as processes, and puts switches around the rooms that move money",
			},
			{Name: "internal/disk", Floor: 0, Why: "a disk knows nothing of what is written; " + alone},
			{Name: "internal/faultproxy", Floor: 0, Why: "a network knows nothing of what is said over it; " + alone},
			{Name: "internal/folder", Floor: 0, Why: "a data folder knows nothing of what lies in it; " + alone},
			{Name: "internal/browser", Floor: 0, Why: "a browser looks at addresses and knows nothing of who answers there; tests bring it along, and no code but theirs may import it; " + alone},
			{
				Name: "internal/powercut", Floor: 1, May: []string{"internal/disk"},
				Why: "a disk that can lose its power is a disk like any other",
			},
			{Name: "internal/machinetest", Floor: 0, Why: "the machines' tests bring their machine along, and no code but theirs may import it; " + alone},
			{
				Name: "examples", Floor: 6, May: []string{"epos", "money", "receipt", "spec"},
				Why: "an example shows what software outside this repository can do, with the packages that promise to stay",
			},
			{
				Name: "cmd/tillwire", Floor: 7,
				May: rooms(
					ground, domain, contract,
					[]string{"wire", "wire/rest", "journal/memory", "journal/sqlite", "journal/postgres", "terminal/sim", "terminal/link"},
					[]string{"gateway", "door", "rest", "epos", "conform", "site/look", "site/docs", "site/console", "site/traffic", "internal/folder", "internal/bench"},
				),
				Why: "the command wires everything, but no test code belongs in it",
			},
		},
		Libraries: []Library{
			{"github.com/gobwas/ws", []string{"ws", "internal/bench"}, "sockets are frames in one room only, so that limits and liveness hold everywhere; the measurements set it against that room"},
			{"modernc.org/sqlite", []string{"journal/sqlite", "internal/powercut"}, "a backend's database stays inside it; a disk for tests goes under it"},
			{"modernc.org/libc", []string{"internal/powercut"}, "who is called by what was C speaks its language"},
			{"github.com/pressly/goose/v3", []string{"journal/sqlite", "journal/postgres"}, "a backend's schema stays inside it"},
			{"github.com/jackc/pgx/v5", []string{"journal/postgres"}, "a backend's database stays inside it"},
			{"github.com/santhosh-tekuri/jsonschema/v6", []string{"spec"}, "schemas are read in one room, which others ask"},
			{
				"github.com/go-json-experiment/json",
				[]string{
					"jsonrpc", "spec", "wire", "wire/rest", "journal", "journal/sqlite", "journal/postgres", "terminal/sim", "terminal/link",
					"gateway", "door", "rest", "conform", "site/docs", "site/console", "site/traffic", "internal/bench", "internal/folder", "internal/machinetest", "cmd/tillwire",
				},
				"domain types have rules and no encoding; epos leaves encoding to wire",
			},
			{"github.com/prometheus/client_golang", []string{"gateway", "door", "cmd/tillwire"}, "who measures is the gateway, who shows it is the door"},
			{"github.com/gofrs/flock", []string{"internal/folder", "cmd/tillwire"}, "one place decides who owns a data folder"},
			{"github.com/google/go-cmp", []string{"journal/journaltest", "internal/machinetest"}, "for tests, and for what every backend's and every machine's tests run"},
			{"github.com/alecthomas/kong", []string{"cmd/tillwire"}, "flags are read in the command only"},
			{"github.com/goccy/go-yaml", []string{"cmd/tillwire"}, "files that people edit are read in the command only"},
			{"github.com/mattn/go-isatty", []string{"cmd/tillwire"}, "only the command talks to a screen"},
			{"github.com/chromedp", []string{"internal/browser"}, "tests look at pages in a browser; what is shipped has none"},
			{"github.com/yuin/goldmark", []string{"site/docs"}, "guides become pages in one room"},
			{
				"github.com/google/uuid",
				[]string{"gateway", "terminal/sim", "terminal/link", "epos", "cmd/tillwire"},
				"ids are made by who owns what they name; the domain is given them",
			},
			{
				"golang.org/x/time",
				[]string{"gateway", "door", "rest", "terminal/sim", "terminal/link", "cmd/tillwire"},
				"rates are limited where requests come in",
			},
			{
				"golang.org/x/sync",
				[]string{"gateway", "door", "rest", "terminal/sim", "terminal/link", "journal/sqlite", "journal/postgres", "cmd/tillwire"},
				"rooms that start goroutines",
			},
			{
				"golang.org/x/sys",
				[]string{"internal/folder", "journal/sqlite", "cmd/tillwire"},
				"the system is asked where files are kept",
			},
		},
		Pure: []string{"money", "receipt", "txn", "table", "report"},
		Impure: []string{
			"context", "crypto/rand", "database/sql", "embed", "io/fs", "io/ioutil", "log", "log/slog", "math/rand", "math/rand/v2",
			"net", "net/http", "os", "os/exec", "os/signal", "path/filepath", "sync", "syscall",
		},
		PureWhy: "the domain takes values and returns values: no I/O, no chance, no goroutines, no libraries",
	}
}
