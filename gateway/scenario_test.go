package gateway_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestScenarios plays each conversation of testdata/scenario in fake time,
// with the real gateway and the real simulated terminals, and compares every
// message that the tills get. A line of a scenario is one of
//
//	# a comment; the first ones say what the scenario is about
//	till NAME v0|v1               a till connects to /pac
//	till NAME v0|v1 pat [final] [acks]   to /pat; it wants final receipts, acknowledges
//	till NAME v0|v1 ext=keys,late        with extensions
//	till NAME v0|v1 ext=resume stream=S [since=N]   with a stream; its numbers are held, and not shown
//	visit TID key=value …         a waiter begins a visit at the terminal
//	TID| TEXT                     what its screen shows (written by -update)
//	report TID TYPE               somebody starts a report at the terminal itself
//	NAME> MESSAGE                 it sends a message; $authCode and $requestId are the last told
//	NAME< MESSAGE                 it got one (written by -update)
//	NAME closes                   its connection is gone
//	NAME falls mute, NAME answers pings
//	wait 80s                      time passes
//	script TID key=value …        what the terminal's next request will be like; scenario=NAME
//	                              names one of spec/scenarios.json
//	cut TID, restore TID, power TID   the link, the link again, a restart of the machine
//	restart                       the gateway is restarted on the same journal
//	site key=value                a setting of the site
//	log TEXT                      what is said aloud (written by -update, none so far)
//
// After each of them everything that can happen without time passing happens.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenario/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, string(data), nil) })
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(data), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (- as written, + as it went):\n%s", file, diff)
			}
		})
	}
}

// A world is a gateway with the simulated terminals of one site.
type world struct {
	t     *testing.T
	store journal.Store
	park  *sim.Park
	g     *gateway.Gateway
	tills map[string]*till
	names []string // of the tills, in the order of their coming
	check *schema.Validator
	links *exchange  // the machines dial in over a link; nil when they are plugged in
	cut   func() cut // where lines of streams are cut; nil for nowhere

	ctx context.Context
	wg  sync.WaitGroup // visits

	mu      sync.Mutex
	screens []string

	authCode string   // the last that a till was told
	requests []string // the gateway's ids of requests that tills were told, in the order of their coming
	payments []string // payment ids, in the order of their coming
}

// validator is made once: that takes longer than most tests.
var validator = sync.OnceValue(func() *schema.Validator {
	v, err := schema.New(spec.Default())
	if err != nil {
		panic(err)
	}
	return v
})

var (
	authCode  = regexp.MustCompile(`"authCode":"([^"]+)"`)
	requestID = regexp.MustCompile(`"requestId":"([^"]+)"`)
	uuid      = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
)

const demoKey = "demo"

// newWorld opens a world. In a test whose name says OverLinks its machines dial
// in.
func newWorld(t *testing.T, store journal.Store, o sim.Options) *world {
	t.Helper()
	if strings.Contains(t.Name(), "OverLinks") {
		return newWorldOver(t, store, o, newExchange(t))
	}
	return newWorldOver(t, store, o, nil)
}

func newWorldOver(t *testing.T, store journal.Store, o sim.Options, links *exchange) *world {
	t.Helper()
	w := &world{t: t, store: store, tills: map[string]*till{}, check: validator(), links: links}
	if links != nil {
		links.store = store
	}
	ctx := t.Context()
	w.ctx = ctx
	if _, err := gateway.FindSite(ctx, store, "demo"); err != nil {
		if err := gateway.AddSite(ctx, store, journal.Site{ID: "demo", TimeZone: "UTC", Simulated: "DEMO"}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := gateway.AddKey(ctx, store, "demo", demoKey, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	o.Zone = time.UTC
	var err error
	if w.park, err = sim.Open(o); err != nil {
		t.Fatal(err)
	}
	w.start(gateway.Limits{})
	t.Cleanup(func() {
		w.links.end()
		w.g.Close()
		defer w.wg.Wait()
		if err := w.park.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// start starts a gateway on the store and plugs the listed machines in.
func (w *world) start(limits gateway.Limits) {
	w.t.Helper()
	var err error
	w.g, err = gateway.New(w.t.Context(), gateway.Config{
		Store: w.store, Log: slog.New(slog.NewTextHandler(testLog{w.t}, nil)), Limits: limits,
		Summon: func(g *gateway.Gateway, s journal.Site, tid txn.TID) bool {
			m, ok := w.park.Machine(tid)
			return ok && w.plug(g, m) == nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.g.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	for _, tid := range w.park.Listed() {
		m, _ := w.park.Machine(tid)
		if err := w.plug(w.g, m); err != nil {
			w.t.Fatal(err)
		}
	}
}

// plug connects a machine: right here, or over a link that it dials.
func (w *world) plug(g *gateway.Gateway, m *sim.Machine) error {
	if w.links != nil {
		return w.links.plug(g, m)
	}
	return g.Plug("demo", m.TID(), m.Connect)
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// A till is one end of an in-memory connection.
type till struct {
	name    string
	face    string
	acks    bool
	mute    bool // does not answer pings
	version string
	sess    *gateway.Session

	mu      sync.Mutex
	got     []string
	when    []time.Time    // got came
	methods map[int]string // by id
	shut    string
	pingErr error // of each ping
	stream  *streamed
}

func (c *till) Send(m []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream != nil {
		if m = c.stream.read(m); m == nil {
			return nil
		}
	}
	c.got, c.when = append(c.got, string(m)), append(c.when, time.Now())
	return nil
}

func (c *till) Close(code int, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut = fmt.Sprintf("%d %s", code, reason)
	return nil
}

func (c *till) Ping(answered func()) error {
	c.mu.Lock()
	err := c.pingErr
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if !c.mute {
		go answered() // its pong comes later, on the goroutine that reads
	}
	return nil
}

func (c *till) RemoteAddr() string { return "till " + c.name }

// take returns what came since the last take.
func (c *till) take() []string {
	got, _ := c.takeTimed()
	return got
}

func (c *till) takeTimed() (got []string, when []time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	got, when = c.got, c.when
	c.got, c.when = nil, nil
	return got, when
}

func pacQuery(key, version string) url.Values {
	q := url.Values{"token": {key}, "api-version": {version}}
	if version == "v1" {
		q.Set("software-house-id", "SWH")
		q.Set("installer-id", "INST")
	}
	return q
}

func (w *world) connect(name, version string, flags ...string) *till {
	w.t.Helper()
	face, query := "pac", pacQuery(demoKey, version)
	for _, f := range flags {
		switch f {
		case "pat":
			face = f
		case "final":
			query.Set("final-pos-receipt-request", "")
		case "acks":
			query.Set("extensions", "acks")
		default:
			key, value, _ := strings.Cut(f, "=")
			name, ok := map[string]string{"ext": "extensions", "stream": "stream", "since": "since"}[key]
			if !ok {
				w.t.Fatalf("no flag %q of a till", f)
			}
			query.Set(name, value)
		}
	}
	ticket, err := w.g.Admit(gateway.Knock{Face: face, Query: query})
	if err != nil {
		w.t.Fatal(err)
	}
	c := &till{name: name, face: face, acks: slices.Contains(flags, "acks"), version: version, methods: map[int]string{}}
	if query.Has("stream") {
		c.stream = &streamed{query: query, cut: w.cut}
		c.stream.last, _ = strconv.ParseInt(query.Get("since"), 10, 64)
	}
	if c.sess, err = ticket.Open(c); err != nil {
		w.t.Fatal(err)
	}
	if w.tills[name] == nil {
		w.names = append(w.names, name)
	}
	w.tills[name] = c
	return c
}

// sends has the till send a message, and remembers which method its id is for.
func (c *till) sends(message string) {
	var m struct {
		ID     *int   `json:"id"`
		Method string `json:"method"`
	}
	if json.Unmarshal([]byte(message), &m) == nil && m.ID != nil && m.Method != "" {
		c.mu.Lock()
		if _, flies := c.methods[*m.ID]; !flies || m.Method != "cancelTransaction" && m.Method != "transactionStatus" {
			c.methods[*m.ID] = m.Method
		}
		c.mu.Unlock()
	}
	c.sess.Receive([]byte(message))
}

// fits fails the test when a message of the gateway does not fit its schema.
func (w *world) fits(c *till, message string) {
	w.t.Helper()
	var m struct {
		ID     *int           `json:"id"`
		Method string         `json:"method"`
		Result jsontext.Value `json:"result"`
	}
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		w.t.Errorf("%s: %v", message, err)
		return
	}
	folder, file := c.version, "StCE_ErrorMessage.json"
	switch {
	case m.Method == "transactionCorrected":
		folder, file = "extensions/late/"+c.version, "StCN_transactionCorrected.json"
	case m.Result != nil && strings.HasPrefix(string(m.Result), `{"state"`):
		folder, file = "extensions/status/"+c.version, "CtSR_transactionStatus_Response.json"
	case m.Method == "terminalNotification":
		file = "StCN_terminalNotification.json"
	case m.Method == "signatureVerificationRequest":
		file = "StCR_verifySignature_Request.json"
	case m.Method != "":
		msg, ok := spec.Default().ByMethod(spec.Side(c.face), c.version, m.Method)
		if !ok {
			w.t.Errorf("%s: not a method of /%s", message, c.face)
			return
		}
		kind := msg.Kind
		if kind == spec.KindNotification && m.ID != nil {
			folder, file = "extensions/acks/"+c.version, "StCR_"+msg.Name+"_Request.json"
			break
		}
		sch, _ := msg.Schema(c.version, kind)
		file = sch.File
	case m.Result != nil:
		method := c.methods[*m.ID]
		if strings.HasPrefix(string(m.Result), `{"cancel`) {
			method = "cancelTransaction"
		}
		msg, ok := spec.Default().ByMethod(spec.PAC, c.version, method)
		if !ok {
			w.t.Errorf("%s: answers the method %q", message, method)
			return
		}
		sch, _ := msg.Schema(c.version, spec.KindResponse)
		file = sch.File
	}
	faults, err := w.check.Check(folder, file, []byte(message))
	if err != nil {
		w.t.Errorf("%s: %v", message, err)
	}
	for _, f := range faults {
		w.t.Errorf("%s\ndoes not fit %s: %s %s %s", message, file, f.Pointer, f.Rule, f.Message)
	}
}

func play(t *testing.T, text string, links *exchange) string {
	return playCut(t, text, links, nil)
}

// playCut is play with the lines of streams cut.
func playCut(t *testing.T, text string, links *exchange, where func() cut) string {
	w := newWorldOver(t, memory.New(), sim.Options{Seed: 1, Speed: 1}, links)
	w.cut = where
	var out []string
	flush := func() {
		synctest.Wait()
		for _, name := range w.names {
			c := w.tills[name]
			w.mend(c)
			for _, m := range c.take() {
				w.fits(c, m)
				if found := authCode.FindStringSubmatch(m); found != nil {
					w.authCode = found[1]
				}
				if found := requestID.FindStringSubmatch(m); found != nil && !slices.Contains(w.requests, found[1]) {
					w.requests = append(w.requests, found[1])
				}
				out = append(out, name+"< "+w.named(shorten(m)))
			}
			if c.shut != "" {
				out = append(out, name+"< closed: "+c.shut)
				c.shut = ""
			}
		}
		w.mu.Lock()
		out = append(out, w.screens...)
		w.screens = nil
		w.mu.Unlock()
	}
	flush()
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		first, rest, _ := strings.Cut(line, " ")
		if strings.HasSuffix(first, "<") || strings.HasSuffix(first, "|") {
			continue
		}
		out = append(out, line)
		w.step(first, rest)
		flush()
	}
	return strings.Join(out, "\n") + "\n"
}

// named gives payment ids, which are random, names in the order of their coming.
func (w *world) named(message string) string {
	for i, id := range w.requests {
		message = strings.ReplaceAll(message, id, fmt.Sprintf("request %d", i+1))
	}
	return uuid.ReplaceAllStringFunc(message, func(id string) string {
		i := slices.Index(w.payments, id)
		if i < 0 {
			i = len(w.payments)
			w.payments = append(w.payments, id)
		}
		return fmt.Sprintf("payment %d", i+1)
	})
}

// shorten leaves the lines of receipts out: package sim tests those.
func shorten(message string) string {
	for _, name := range []string{`"receiptLines":`, `"reportLines":`} {
		start := strings.Index(message, name)
		if start < 0 {
			continue
		}
		start += len(name)
		depth, end := 0, start
		for i, r := range message[start:] {
			switch r {
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			if depth == 0 {
				end = start + i + 1
				break
			}
		}
		lines := message[start:end]
		texts := strings.Count(lines, `"value"`)
		word := fmt.Sprintf(`"%d lines"`, texts)
		if strings.Contains(lines, `"DUPLICATE"`) {
			word = fmt.Sprintf(`"%d lines, DUPLICATE"`, texts)
		}
		message = message[:start] + word + message[end:]
	}
	return message
}

func (w *world) step(first, rest string) {
	w.t.Helper()
	words := strings.Fields(rest)
	switch {
	case first == "", first == "#":
	case first == "till":
		w.connect(words[0], words[1], words[2:]...)
	case first == "visit":
		w.visit(words[0], words[1:])
	case first == "report":
		m := w.machine(words[0])
		w.wg.Go(func() {
			if _, err := m.Report(w.ctx, report.Type(words[1])); err != nil {
				w.screen(words[0], "report failed: "+err.Error())
			}
		})
	case strings.HasSuffix(first, ">"):
		request := ""
		if len(w.requests) > 0 {
			request = w.requests[len(w.requests)-1]
		}
		w.tills[strings.TrimSuffix(first, ">")].sends(strings.NewReplacer("$authCode", w.authCode, "$requestId", request).Replace(rest))
	case rest == "falls mute", rest == "answers pings":
		w.tills[first].mute = rest == "falls mute"
	case rest == "closes":
		w.tills[first].sess.Ended(nil)
	case first == "wait":
		d, err := time.ParseDuration(rest)
		if err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(d) // fake time: a synctest bubble
	case first == "script":
		w.machine(words[0]).Script(script(w.t, words[1:]))
	case first == "cut":
		w.machine(rest).CutLink()
	case first == "restore":
		w.machine(rest).RestoreLink()
	case first == "power":
		if err := w.machine(rest).PowerCycle(); err != nil {
			w.t.Fatal(err)
		}
	case first == "restart":
		w.links.down()
		w.g.Close()
		for _, c := range w.tills {
			c.sess.Ended(nil)
		}
		w.start(gateway.Limits{})
	case first == "site":
		w.setSite(words)
	default:
		w.t.Fatalf("scenario: unknown line %q", first+" "+rest)
	}
}

func (w *world) machine(tid string) *sim.Machine {
	w.t.Helper()
	m, ok := w.park.Machine(txn.TID(tid))
	if !ok {
		w.t.Fatalf("no machine %q", tid)
	}
	return m
}

func (w *world) setSite(words []string) {
	w.t.Helper()
	s, err := gateway.FindSite(w.t.Context(), w.store, "demo")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		on, _ := strconv.ParseBool(value)
		switch key {
		case "strict":
			s.Strict = on
		case "rejectUnanswered":
			s.RejectUnanswered = on
		default:
			w.t.Fatalf("no site setting %q", key)
		}
	}
	if err := w.store.PutSite(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
	if err := w.g.Reload(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// screen writes a line of a terminal's screen into the transcript.
func (w *world) screen(tid, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.screens = append(w.screens, tid+"| "+text)
}

func (w *world) visit(tid string, words []string) {
	w.t.Helper()
	m := w.machine(tid)
	v := waiter(w.t, words)
	w.wg.Go(func() {
		r, err := m.Visit(w.ctx, v, func(s sim.VisitStep) {
			text := s.Text
			if lines := strings.Count(text, "\n"); lines > 8 {
				text = fmt.Sprintf("(%d lines)", lines)
			}
			for line := range strings.SplitSeq(text, "\n") {
				w.screen(tid, fmt.Sprintf("%-9s %s", s.Step, line))
			}
		})
		if err != nil {
			w.screen(tid, "error: "+err.Error())
			return
		}
		w.screen(tid, fmt.Sprintf("end: %s, paid %d, gratuity %d, balance %d", r.End, r.Paid, r.Gratuity, r.Balance))
	})
}

func waiter(t *testing.T, words []string) sim.Visit {
	t.Helper()
	var v sim.Visit
	number := func(s string) money.Minor {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return money.Minor(n)
	}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "waiter":
			v.Waiter = table.WaiterID(value)
		case "table":
			v.Table = table.TableID(value)
		case "bill":
			v.PrintBill = true
		case "split":
			v.Split = int(number(value))
		case "amount":
			v.Amount = number(value)
		case "tip":
			v.Tip.Amount = number(value)
		case "declineFirst":
			v.DeclineFirst = true
		case "contactless":
			v.Contactless = true
		case "signature":
			v.Signature = true
		case "cancelAt":
			v.CancelAt = sim.Step(value)
		default:
			t.Fatalf("no visit key %q", key)
		}
	}
	return v
}

func script(t *testing.T, words []string) sim.Script {
	t.Helper()
	var s sim.Script
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "scenario":
			var ok bool
			if s, ok = sim.Scenario(value); !ok {
				t.Fatalf("no scenario %q", value)
			}
		case "result":
			s.Result = txn.Result(value)
		case "entry":
			s.Entry = txn.PaymentMethod(value)
		case "cvm":
			s.CVM = txn.CVM(value)
		case "sameCard":
			s.SameCard = true
		case "loseReply":
			s.LoseReply = true
		default:
			t.Fatalf("no script key %q", key)
		}
	}
	return s
}
