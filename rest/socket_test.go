package rest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/spec"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// A house is the face behind the door, on a socket.
type house struct {
	addr string
	pdq  *machine
}

func newHouse(t testing.TB, limit time.Duration) *house {
	t.Helper()
	store := memory.New()
	ctx := context.Background()
	if err := gateway.AddSite(ctx, store, journal.Site{ID: "demo", TimeZone: "UTC"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := gateway.AddKey(ctx, store, "demo", demoKey, "", nil); err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(ctx, gateway.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{pdq: newMachine()}
	if err := g.Plug("demo", tid, h.pdq.connect); err != nil {
		t.Fatal(err)
	}
	face := rest.New(rest.Config{Gateway: g})
	d := door.New(door.Config{Gateway: g, HeaderTimeout: limit, REST: described().Handler(face), Log: slog.New(slog.DiscardHandler)})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, ln) }()
	t.Cleanup(func() {
		face.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		g.Close()
	})
	return h
}

// A line is one connection of a till, in bytes.
type line struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func (h *house) dial(t testing.TB) *line {
	t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &line{t, conn, bufio.NewReader(conn)}
}

// head is the beginning of each request but its first line.
func (h *house) head() string {
	return "Host: " + h.addr + "\r\nAuthorization: " + basic("till", demoKey) + "\r\nAccept: application/connect.v2+json\r\nSoftware-House-Id: a\r\nInstaller-Id: b\r\n"
}

func (l *line) sends(text string) {
	l.t.Helper()
	if _, err := io.WriteString(l.conn, text); err != nil {
		l.t.Fatal(err)
	}
}

// gets reads one answer with its body.
func (l *line) gets(method string) (*http.Response, string) {
	l.t.Helper()
	r, err := http.ReadResponse(l.in, &http.Request{Method: method})
	if err != nil {
		l.t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return r, string(body)
}

// TestOverSockets sends bytes: what the standard library makes of them is what tills
// get.
func TestOverSockets(t *testing.T) {
	h := newHouse(t, patience)
	l := h.dial(t)
	ask := func(method, path, body string, headers ...string) (*http.Response, string) {
		t.Helper()
		text := method + " " + path + " HTTP/1.1\r\n" + h.head()
		if body != "" {
			text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
		l.sends(text + strings.Join(headers, "\r\n") + strings.Repeat("\r\n", min(len(headers), 1)) + "\r\n" + body)
		return l.gets(method)
	}
	r, body := ask("POST", "//pac//terminals/"+tid+"/transactions/", saleBody)
	at, ok := strings.CutPrefix(r.Header.Get("Location"), "http://"+h.addr)
	if r.StatusCode != http.StatusCreated || !ok {
		t.Fatalf("%d %v %s", r.StatusCode, r.Header, body)
	}

	// An empty 202 says so.
	if r, body := ask("DELETE", at, "{}"); r.StatusCode != http.StatusAccepted || body != "" || r.Header.Get("Content-Length") != "0" || len(r.TransferEncoding) > 0 {
		t.Errorf("%d %v %q", r.StatusCode, r.Header, body)
	}
	if r, _ := ask("PUT", at+"/signature", `{"accepted":true}`); r.StatusCode != http.StatusAccepted || r.Header.Get("Content-Length") != "0" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	// A preflight is a 204 with neither.
	if r, body := ask("OPTIONS", at, "", "Origin: https://till.example", "Access-Control-Request-Method: DELETE"); r.StatusCode != http.StatusNoContent || body != "" || r.Header.Get("Content-Length") != "" || r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v %q", r.StatusCode, r.Header, body)
	}
	// HEAD is GET without its body.
	get, body := ask("GET", at, "")
	if r, none := ask("HEAD", at, ""); r.StatusCode != http.StatusOK || none != "" || r.ContentLength != int64(len(body)) || get.ContentLength != r.ContentLength {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	for _, path := range []string{"//pac/terminals", "/pac//terminals/", "/PAC/terminals", "http://" + h.addr + "/pac/terminals", "/retail/terminals"} {
		if r, body := ask("GET", path, ""); r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/connect.v2+json; charset=utf-8" || !strings.Contains(body, tid) {
			t.Errorf("%s: %d %v %s", path, r.StatusCode, r.Header, body)
		}
	}
	// A slash in a name is one of the name.
	if r, body := ask("PUT", "/pat/tables", `{"tableName":"a/b","amount":1,"currency":"GBP"}`, "Accept: application/connect.v1+json;q=1"); r.StatusCode != http.StatusNotFound {
		t.Errorf("tables in v2: %d %s", r.StatusCode, body)
	}
	v1 := strings.Replace(h.head(), "v2", "v1", 1)
	create := `{"tableName":"a/b","amount":1,"currency":"GBP"}`
	l.sends(fmt.Sprintf("PUT /pat/tables HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", v1, len(create), create))
	if r, body := l.gets("PUT"); r.StatusCode != http.StatusCreated || !strings.HasSuffix(r.Header.Get("Location"), "/pat/tables/a%2Fb") {
		t.Errorf("%d %v %s", r.StatusCode, r.Header, body)
	}
	for path, want := range map[string]int{"/pat/tables/a%2Fb": 200, "/pat/tables/a%2fb": 200, "/pat/tables/a/b": 404, "/pat/tables/a%252Fb": 404} {
		l.sends("GET " + path + " HTTP/1.1\r\n" + v1 + "\r\n")
		if r, body := l.gets("GET"); r.StatusCode != want {
			t.Errorf("%s: %d %s", path, r.StatusCode, body)
		}
	}
	// A body in chunks, and one that waits to be asked for.
	l.sends("PUT " + at + "/signature HTTP/1.1\r\n" + h.head() + "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"accept\r\n9\r\ned\":true}\r\n0\r\n\r\n")
	if r, body := l.gets("PUT"); r.StatusCode != http.StatusAccepted {
		t.Errorf("%d %s", r.StatusCode, body)
	}
	l.sends("PUT " + at + "/signature HTTP/1.1\r\n" + h.head() + "Expect: 100-continue\r\nContent-Length: 17\r\n\r\n")
	if r, _ := l.gets("PUT"); r.StatusCode != http.StatusContinue {
		t.Errorf("%d", r.StatusCode)
	}
	l.sends(`{"accepted":true}`)
	if r, body := l.gets("PUT"); r.StatusCode != http.StatusAccepted {
		t.Errorf("%d %s", r.StatusCode, body)
	}
}

// TestProtocols: HTTP/1.1 and 1.0 are spoken, and no other; a till that offers more
// goes on with them.
func TestProtocols(t *testing.T) {
	h := newHouse(t, patience)
	l := h.dial(t)
	l.sends("GET /pac/terminals/" + tid + " HTTP/1.1\r\n" + h.head() + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
	if r, body := l.gets("GET"); r.StatusCode != http.StatusOK || r.ProtoMajor != 1 {
		t.Errorf("%s %d %s", r.Proto, r.StatusCode, body)
	}
	old := h.dial(t)
	old.sends("GET /pac/terminals/" + tid + " HTTP/1.0\r\n" + strings.Replace(h.head(), "Host: "+h.addr+"\r\n", "", 1) + "\r\n")
	r, body := old.gets("GET")
	if want := `"location":"http://` + h.addr + "/pac/terminals/" + tid + `"`; r.StatusCode != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("without a host: %d %s, want %s", r.StatusCode, body, want)
	}
	two := h.dial(t)
	two.sends("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if r, _ := two.gets("PRI"); r.StatusCode/100 == 2 {
		t.Errorf("HTTP/2 is spoken: %d", r.StatusCode)
	}
}

// TestLargeBodies: what is too large is refused, and is not waited for.
func TestLargeBodies(t *testing.T) {
	h := newHouse(t, patience)
	status, text := textOf(spec.RESTBodyTooLarge, "v2")
	for name, framing := range map[string]string{"announced": "Content-Length: 2097152\r\n", "in chunks": "Transfer-Encoding: chunked\r\n"} {
		l := h.dial(t)
		l.sends("POST " + of(tid) + "/transactions HTTP/1.1\r\n" + h.head() + framing + "\r\n")
		go func() { // the answer may come before it is all sent
			chunk := strings.Repeat(" ", 1<<16)
			for range 32 {
				if name == "in chunks" {
					chunk = fmt.Sprintf("%x\r\n%s\r\n", 1<<16, strings.Repeat(" ", 1<<16))
				}
				if _, err := io.WriteString(l.conn, chunk); err != nil {
					return
				}
			}
		}()
		if r, body := l.gets("POST"); r.StatusCode != status || !strings.Contains(body, text) {
			t.Errorf("%s: %d %s", name, r.StatusCode, body)
		}
	}
}

// TestSlowTills: who dribbles a request in is not waited for, and hurts nobody.
func TestSlowTills(t *testing.T) {
	h := newHouse(t, 300*time.Millisecond)
	headers := h.dial(t)
	headers.sends("GET /pac/terminals HTTP/1.1\r\nHost: x\r\nAuthor")
	body := h.dial(t)
	body.sends("POST " + of(tid) + "/transactions HTTP/1.1\r\n" + h.head() + "Content-Length: 60\r\n\r\n{\"transactionType\":")
	quick := h.dial(t)
	quick.sends("GET /pac/terminals HTTP/1.1\r\n" + h.head() + "\r\n")
	if r, _ := quick.gets("GET"); r.StatusCode != http.StatusOK {
		t.Errorf("beside slow ones: %d", r.StatusCode)
	}
	if rest, err := io.ReadAll(headers.in); err != nil || strings.Contains(string(rest), "200") {
		t.Errorf("slow headers are answered by %q, %v", rest, err)
	}
	if r, text := body.gets("POST"); r.StatusCode != http.StatusUnprocessableEntity || !r.Close {
		t.Errorf("a slow body is answered by %d %s, and the connection closed: %t", r.StatusCode, text, r.Close)
	}
	if got := h.pdq.heard("start"); got != 0 {
		t.Errorf("half a request began %d sales", got)
	}
	// A body that breaks off is none either.
	broken := h.dial(t)
	broken.sends("POST " + of(tid) + "/transactions HTTP/1.1\r\n" + h.head() + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(saleBody)+1, saleBody))
	if err := broken.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if r, text := broken.gets("POST"); r.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a body that breaks off: %d %s", r.StatusCode, text)
	}
	if got := h.pdq.heard("start"); got != 0 {
		t.Errorf("half a request began %d sales", got)
	}
}

// TestPatience: what waits longer than a request may take to arrive is not cut off,
// and its connection serves the next.
func TestPatience(t *testing.T) {
	h := newHouse(t, 200*time.Millisecond)
	l := h.dial(t)
	l.sends("POST " + of(tid) + "/transactions HTTP/1.1\r\n" + h.head() + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(saleBody), saleBody))
	r, _ := l.gets("POST")
	at := strings.TrimPrefix(r.Header.Get("Location"), "http://"+h.addr)
	stream := h.dial(t)
	stream.sends("GET " + at + "/events HTTP/1.1\r\n" + h.head() + "\r\n")
	events, err := http.ReadResponse(stream.in, nil)
	if err != nil || events.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", events, err)
	}
	defer func() { _ = events.Body.Close() }()
	h.pdq.cancel = nil // it says nothing to the cancel for a while
	l.sends("DELETE " + at + " HTTP/1.1\r\n" + strings.Replace(h.head(), "v2", "v1", 1) + "\r\n")
	h.pdq.endsIn(600*time.Millisecond, "CANCELLED")
	if r, text := l.gets("DELETE"); r.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s", r.StatusCode, text)
	}
	text, err := io.ReadAll(events.Body)
	if err != nil || !strings.Contains(string(text), "event: finished") {
		t.Errorf("the stream brought %s, %v", text, err)
	}
	l.sends("GET " + at + " HTTP/1.1\r\n" + h.head() + "\r\n")
	if r, text := l.gets("GET"); r.StatusCode != http.StatusOK || !strings.Contains(text, "CANCELLED") {
		t.Errorf("%d %s", r.StatusCode, text)
	}
}

// TestManyTills has many tills poll, each over one connection of its own.
func TestManyTills(t *testing.T) { manyTills(t, 300, 5) }

// BenchmarkManyTills is the same with thousands; one step is one poll of each.
func BenchmarkManyTills(b *testing.B) {
	const tills = 5000
	for b.Loop() {
		manyTills(b, tills, 1)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/tills, "µs/poll")
}

func manyTills(t testing.TB, tills, polls int) {
	h := newHouse(t, patience)
	first := h.dial(t)
	first.sends("POST " + of(tid) + "/transactions HTTP/1.1\r\n" + h.head() + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(saleBody), saleBody))
	r, _ := first.gets("POST")
	at := strings.TrimPrefix(r.Header.Get("Location"), "http://"+h.addr)
	first.sends("GET " + at + " HTTP/1.1\r\n" + h.head() + "\r\n")
	_, want := first.gets("GET")
	lines := make([]*line, tills)
	for i := range lines {
		lines[i] = h.dial(t)
	}
	var wg sync.WaitGroup
	for _, l := range lines {
		wg.Go(func() {
			for range polls {
				if _, err := io.WriteString(l.conn, "GET "+at+" HTTP/1.1\r\n"+h.head()+"\r\n"); err != nil {
					t.Error(err)
					return
				}
				r, err := http.ReadResponse(l.in, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if body, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK || string(body) != want {
					t.Errorf("%d %s, %v", r.StatusCode, body, err)
				}
			}
		})
	}
	wg.Wait()
}
