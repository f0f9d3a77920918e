package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
)

// TestTerminal runs the card machine in Python, which shares no code with the
// gateway, nor its language, against a real one, through a proxy that reads along.
// Sales, cancels and signatures go well; the link is cut, messages are lost, the
// machine and the gateway are killed. Every message fits its schema, every sale has
// the end that the till was told, and the acquirer's books agree with the gateway's.
func TestTerminal(t *testing.T) {
	c := openCounter(t)
	c.terminal = c.startTerminal()
	c.await(c.terminal, "linked")

	// What goes well.
	c.sells(1250, "SUCCESSFUL", nil)
	c.sells(1205, "DECLINED", nil)
	c.sells(1300, "CANCELLED", map[string]func(*till){"PRESENT_CARD": (*till).cancel})
	c.sells(1301, "SUCCESSFUL", map[string]func(*till){"PIN_ENTRY": (*till).cancel})
	c.sells(1408, "SUCCESSFUL", map[string]func(*till){"signature": func(c *till) { c.sign(true) }})
	c.sells(1508, "VOID", map[string]func(*till){"signature": func(c *till) { c.sign(false) }})

	// The link is lost: during the PIN, with an open signature, before the end is
	// told, before it is acknowledged, before the start arrives.
	c.sells(1600, "SUCCESSFUL", map[string]func(*till){"PIN_ENTRY": func(*till) { c.proxy.cut() }})
	c.sells(1708, "SUCCESSFUL", map[string]func(*till){"signature": func(till *till) { c.proxy.cut(); till.sign(true) }})
	c.proxy.lose("ended")
	c.sells(1800, "SUCCESSFUL", nil)
	c.proxy.lose("acknowledge")
	c.sells(1900, "SUCCESSFUL", nil)
	c.proxy.lose("start")
	c.sells(2000, "error -32074", nil)
	c.fenced()

	// The power is lost.
	kill := func(*till) { c.kill(c.terminal); c.terminal = c.startTerminal() }
	c.sells(2100, "UNSUCCESSFUL", map[string]func(*till){"PIN_ENTRY": kill})
	c.sells(2200, "SUCCESSFUL", map[string]func(*till){"APPROVED": kill})
	c.sells(2308, "VOID", map[string]func(*till){"signature": kill})
	c.sells(2400, "", map[string]func(*till){"PIN_ENTRY": func(*till) { c.kill(c.gateway); c.serve() }})
	c.sells(2500, "", map[string]func(*till){"PIN_ENTRY": func(*till) { c.kill(c.gateway); kill(nil); c.serve() }})
	c.sells(2600, "SUCCESSFUL", nil)

	c.booksAgree(map[int]string{
		1250: "SUCCESSFUL", 1205: "DECLINED", 1300: "CANCELLED", 1301: "SUCCESSFUL", 1408: "SUCCESSFUL", 1508: "VOID",
		1600: "SUCCESSFUL", 1708: "SUCCESSFUL", 1800: "SUCCESSFUL", 1900: "SUCCESSFUL", 2000: "",
		2100: "UNSUCCESSFUL", 2200: "SUCCESSFUL", 2308: "VOID", 2400: "SUCCESSFUL", 2500: "UNSUCCESSFUL", 2600: "SUCCESSFUL",
	})
	for _, method := range []string{"hello", "start", "cancel", "answerSignature", "query", "acknowledge", "notified", "signatureWanted", "ended"} {
		if c.proxy.count(method) == 0 {
			t.Errorf("%s was never said", method)
		}
	}
}

// A counter is a site with a till, a card machine, and a proxy between that and
// the gateway.
type counter struct {
	t                  *testing.T
	binary, data, addr string
	tillURL, key       string
	memory             string
	proxy              *readingProxy
	gateway, terminal  *process
}

const counterTID = "10001234"

func openCounter(t *testing.T) *counter {
	dir := t.TempDir()
	c := &counter{t: t, binary: build(t, dir, "tillwire", "../cmd/tillwire"), data: filepath.Join(dir, "data"), memory: filepath.Join(dir, "machine"), addr: "127.0.0.1:0"}
	c.command("site", "add", "shop")
	till := strings.TrimSpace(c.command("key", "add", "shop"))
	c.key = strings.TrimSpace(c.command("terminals", "enrol", "shop", counterTID))
	c.serve()
	c.tillURL = "ws://" + c.addr + "/pac?token=" + till + "&api-version=v1&software-house-id=SWH&installer-id=INST"
	c.proxy = newReadingProxy(t, c.addr)
	return c
}

// command runs a command on the data folder and returns what it prints.
func (c *counter) command(args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.binary, append(args, "--data", c.data)...)
	var errors buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("tillwire %s: %v\n%s", strings.Join(args, " "), err, errors.String())
	}
	return string(out)
}

// A process is one that the test may kill.
type process struct {
	*exec.Cmd
	said buffer
	done chan struct{}
}

func (c *counter) start(cmd *exec.Cmd) *process {
	c.t.Helper()
	p := &process{Cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	c.t.Cleanup(func() {
		c.kill(p)
		if c.t.Failed() {
			c.t.Logf("%s said:\n%s", filepath.Base(cmd.Path), p.said.String())
		}
	})
	return p
}

func (c *counter) kill(p *process) {
	_ = p.Process.Kill()
	<-p.done
}

// await waits until a process has said it, and returns it.
func (c *counter) await(p *process, pattern string) []string {
	c.t.Helper()
	limit := time.After(patience)
	for re := regexp.MustCompile(pattern); ; {
		more := p.said.grown()
		if found := re.FindStringSubmatch(p.said.String()); found != nil {
			return found
		}
		select {
		case <-more:
		case <-p.done:
			c.t.Fatalf("it ended before it said %q:\n%s", pattern, p.said.String())
		case <-limit:
			c.t.Fatalf("it does not say %q:\n%s", pattern, p.said.String())
		}
	}
}

// serve starts the gateway, from the second time on at the same address.
func (c *counter) serve() {
	c.t.Helper()
	c.gateway = c.start(exec.Command(c.binary, "serve", "--listen", c.addr, "--data", c.data))
	c.addr = c.await(c.gateway, `ready at ws://(\S+)/pac`)[1]
}

func (c *counter) startTerminal() *process {
	c.t.Helper()
	cmd := exec.Command(python(c.t), "terminal/terminal.py", "ws://"+c.proxy.addr+"/terminal?token="+c.key+"&link-version=1", counterTID, c.memory)
	cmd.Env = append(os.Environ(), "PACE=0.05", "LONGEST_PAUSE=0.5")
	return c.start(cmd)
}

// sells makes a sale, does what is to be done at a notification, or at the question
// for a signature, and compares what the till is told; the empty string where the
// gateway goes away before it is told anything. It returns once each end that was
// told is acknowledged.
func (c *counter) sells(amount int, want string, at map[string]func(*till)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, c.tillURL, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.CloseNow() //nolint:errcheck // it may be gone
	till := &till{t: c.t, ctx: ctx, conn: conn}
	again := time.NewTicker(10 * time.Millisecond) // a till may not ask as often as it can
	defer again.Stop()
	for busy := true; busy; <-again.C {
		till.says(`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals","params":{"status":"AVAILABLE"}}`)
		m, err := till.hears()
		if err != nil {
			c.t.Fatal(err)
		}
		busy = !strings.Contains(string(m.Result), counterTID)
	}
	till.says(fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"sale","params":{"tid":%q,"currency":"GBP","amount":%d}}`, counterTID, amount))
	got := ""
	for got == "" {
		m, err := till.hears()
		if err != nil {
			break
		}
		place := m.Params.Value
		var result struct {
			Result string `json:"transactionResult"`
		}
		switch {
		case m.Method == "signatureVerificationRequest":
			place, till.question = "signature", *m.ID
		case m.Error != nil && m.ID != nil && *m.ID == 2:
			got = fmt.Sprintf("error %d", m.Error.Code)
		case m.Method == "" && m.ID != nil && *m.ID == 2:
			if err := json.Unmarshal(m.Result, &result); err != nil {
				c.t.Fatal(err)
			}
			got = result.Result
		}
		if do := at[place]; do != nil {
			do(till)
		}
	}
	if got != want {
		c.t.Fatalf("a sale of %d: the till was told %q, want %q", amount, got, want)
	}
	c.proxy.settled()
}

// A till is the other end of the gateway.
type till struct {
	t        *testing.T
	ctx      context.Context
	conn     *websocket.Conn
	question int
}

type heard struct {
	ID     *int            `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Params struct {
		Value string `json:"notificationValue"`
	} `json:"params"`
	Error *struct {
		Code int `json:"code"`
	} `json:"error"`
}

func (c *till) says(text string) {
	c.t.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *till) hears() (heard, error) {
	c.t.Helper()
	_, text, err := c.conn.Read(c.ctx)
	if err != nil {
		if c.ctx.Err() != nil {
			c.t.Fatal("nothing more is heard")
		}
		return heard{}, err
	}
	var m heard
	if err := json.Unmarshal(text, &m); err != nil {
		c.t.Fatal(err)
	}
	return m, nil
}

func (c *till) cancel() {
	c.says(fmt.Sprintf(`{"jsonrpc":"2.0","id":3,"method":"cancelTransaction","params":{"tid":%q}}`, counterTID))
}

func (c *till) sign(accepted bool) {
	c.says(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{"accepted":%t}}`, c.question, accepted))
}

// fenced sends the machine the start that was lost, as if it came late after all.
func (c *counter) fenced() {
	c.t.Helper()
	answer := c.proxy.ask(c.proxy.lost("start"))
	if !strings.Contains(answer, `"refused"`) {
		c.t.Errorf("a start that was asked about before it came is answered with %s", answer)
	}
}

// booksAgree compares what the gateway has recorded with what was charged.
func (c *counter) booksAgree(want map[int]string) {
	c.t.Helper()
	var charged []int
	books, err := os.ReadFile(filepath.Join(c.memory, "acquirer.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	var byName map[string]int
	if err := json.Unmarshal(books, &byName); err != nil {
		c.t.Fatal(err)
	}
	for _, amount := range byName {
		charged = append(charged, amount)
	}
	slices.Sort(charged)
	var recorded []int
	got := map[int]string{}
	for line := range strings.Lines(c.command("history", "list", "--json", "--limit", "100")) {
		var tx struct {
			Amount int    `json:"amount"`
			Result string `json:"result"`
			State  string `json:"state"`
		}
		if err := json.Unmarshal([]byte(line), &tx); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
		if tx.State != "finished" {
			c.t.Errorf("not finished: %s", line)
		}
		got[tx.Amount] = tx.Result
		if tx.Result == "SUCCESSFUL" {
			recorded = append(recorded, tx.Amount)
		}
	}
	slices.Sort(recorded)
	if !slices.Equal(charged, recorded) {
		c.t.Errorf("charged %v, recorded %v", charged, recorded)
	}
	for amount, result := range want {
		if r, ok := got[amount]; !ok || r != result {
			c.t.Errorf("the sale of %d is recorded as %q, want %q", amount, r, result)
		}
	}
}

// A readingProxy passes the messages of one card machine on, and holds each
// against its schema.
type readingProxy struct {
	t       *testing.T
	addr    string
	schemas *schema.Validator

	mu      sync.Mutex
	live    context.CancelFunc // cuts the newest link
	machine *websocket.Conn
	said    map[string]int    // how often, by method
	owed    map[string]bool   // requests whose end was told and not acknowledged, or not for all we know
	more    chan struct{}     // closed when that changes
	losing  string            // a message of that method is lost, and the link with it
	gone    map[string]string // what was lost so, by method
	answer  chan string       // to a request of the proxy's own
}

// An open is a request that is not answered.
type open struct{ method, requestID string }

func newReadingProxy(t *testing.T, gateway string) *readingProxy {
	v, err := schema.New(spec.Default())
	if err != nil {
		t.Fatal(err)
	}
	p := &readingProxy{
		t: t, schemas: v, said: map[string]int{}, owed: map[string]bool{}, more: make(chan struct{}),
		gone: map[string]string{}, answer: make(chan string, 1),
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, _, err := websocket.Dial(r.Context(), "ws://"+gateway+r.URL.RequestURI(), nil)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway) // nobody there
			return
		}
		defer out.CloseNow() //nolint:errcheck // it may be gone
		in, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer in.CloseNow() //nolint:errcheck // it may be gone
		p.carry(in, out)
	}))
	s.Config.BaseContext = func(net.Listener) context.Context { return t.Context() }
	s.Start()
	t.Cleanup(s.Close)
	p.addr = s.Listener.Addr().String()
	return p
}

// carry passes messages on until one side is gone or the link is cut.
func (p *readingProxy) carry(machine, gateway *websocket.Conn) {
	ctx, cut := context.WithCancel(p.t.Context())
	defer cut()
	p.mu.Lock()
	p.live, p.machine = cut, machine
	p.mu.Unlock()
	asked := [2]map[string]open{{}, {}} // by who asked, and the id
	var both sync.WaitGroup
	for side, ends := range [][2]*websocket.Conn{{machine, gateway}, {gateway, machine}} {
		both.Go(func() {
			defer cut()
			for {
				_, text, err := ends[0].Read(ctx)
				if err != nil || !p.pass(side, asked, text) {
					return
				}
				if p.own(side, text) {
					continue
				}
				if err := ends[1].Write(ctx, websocket.MessageText, text); err != nil {
					return
				}
			}
		})
	}
	both.Wait()
}

// ownID is the id of the proxy's own requests.
const ownID = 999_000

// own takes the answer to a request of the proxy's own.
func (p *readingProxy) own(side int, text []byte) bool {
	var m heard
	if err := json.Unmarshal(text, &m); err != nil || side != 0 || m.ID == nil || *m.ID != ownID {
		return false
	}
	p.answer <- string(text)
	return true
}

// pass judges a message. Side 0 is the machine. It reports false where the message
// is to be lost.
func (p *readingProxy) pass(side int, asked [2]map[string]open, text []byte) bool {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			RequestID string `json:"requestId"`
		} `json:"params"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		p.t.Errorf("%s: %v", text, err)
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	kind, method, done := "Response", m.Method, open{}
	switch {
	case m.Method != "" && m.ID != nil:
		kind = "Request"
		asked[side][string(m.ID)] = open{m.Method, m.Params.RequestID}
	case m.Method != "":
		kind = "Notification"
	default:
		done = asked[1-side][string(m.ID)]
		method = done.method
	}
	if m.Error != nil {
		p.t.Errorf("an error was said by side %d: %s", side, text)
		return true
	}
	if string(m.ID) != fmt.Sprint(ownID) {
		faults, err := p.schemas.Check("link/v1", "TL_"+method+"_"+kind+".json", text)
		if err != nil || len(faults) > 0 {
			p.t.Errorf("%s does not fit its schema: %v %v", text, faults, err)
		}
	}
	p.said[m.Method]++
	switch {
	case m.Method == "ended":
		p.owed[m.Params.RequestID] = true
	case done.method == "acknowledge":
		delete(p.owed, done.requestID)
		close(p.more)
		p.more = make(chan struct{})
	}
	if m.Method != "" && m.Method == p.losing {
		p.losing, p.gone[m.Method] = "", string(text)
		return false
	}
	return true
}

func (p *readingProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live()
}

// lose has the next message of that method lost, together with the link.
func (p *readingProxy) lose(method string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losing = method
}

func (p *readingProxy) lost(method string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone[method]
}

func (p *readingProxy) count(method string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said[method]
}

// settled waits until each end that was told is acknowledged.
func (p *readingProxy) settled() {
	p.t.Helper()
	limit := time.After(patience)
	for {
		p.mu.Lock()
		owed, more := len(p.owed), p.more
		p.mu.Unlock()
		if owed == 0 {
			return
		}
		select {
		case <-more:
		case <-limit:
			p.t.Fatalf("%d ends are not acknowledged", owed)
		}
	}
}

// ask sends the machine a message under the proxy's own id and returns the answer.
func (p *readingProxy) ask(message string) string {
	p.t.Helper()
	p.mu.Lock()
	machine := p.machine
	p.mu.Unlock()
	message = regexp.MustCompile(`"id":\d+`).ReplaceAllString(message, fmt.Sprintf(`"id":%d`, ownID))
	if err := machine.Write(p.t.Context(), websocket.MessageText, []byte(message)); err != nil {
		p.t.Fatal(err)
	}
	select {
	case answer := <-p.answer:
		return answer
	case <-time.After(patience):
		p.t.Fatal("the machine does not answer")
	}
	panic("not reached")
}
