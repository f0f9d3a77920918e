package epos_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/rest"
)

// A counter is a shop whose tills ask over REST, through something that may play
// tricks on them.
type counter struct {
	*shop
	url string

	asked    chan string // of each request that came, if anybody listens
	noEvents bool        // it knows keys, and has no event streams

	mu    sync.Mutex
	face  *rest.Handler
	n     int // requests so far
	trick func(n int, r *http.Request) string
	seen  []string // method, last word of the path and key of each
}

func openCounter(t *testing.T) *counter {
	c := &counter{shop: openShop(t), asked: make(chan string, 1000)}
	c.open()
	server := httptest.NewServer(c)
	c.url = server.URL
	t.Cleanup(func() {
		c.handler().Close()
		server.Close()
	})
	return c
}

// open opens the face of the gateway that is there now.
func (c *counter) open() {
	face := rest.New(rest.Config{Gateway: c.g, Pace: rest.Pace{Burst: 1 << 20}})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.face = face
}

func (c *counter) handler() *rest.Handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.face
}

// playing has each request meet what trick says: "" for nothing.
func (c *counter) playing(trick func(n int, r *http.Request) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trick, c.n, c.seen = trick, 0, nil
}

func (c *counter) requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen)
}

// The tricks.
const (
	reset    = "reset"    // the line is lost before anything has arrived
	lost     = "lost"     // it arrives, and its answer does not
	half     = "half"     // half an answer
	garbled  = "garbled"  // an answer that is no JSON
	failing  = "failing"  // 500
	between  = "between"  // 502, of a machine in between
	nothing  = "nothing"  // 404
	nowhere  = "nowhere"  // 200 and somebody else's page
	keyless  = "keyless"  // a gateway that knows the published contract only
	streamed = "streamed" // the answer ends after some bytes of a stream
	silent   = "silent"   // no answer, until the till has gone
)

// ServeHTTP passes a request on, or does something to it.
func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.noEvents && strings.HasSuffix(r.URL.Path, "/events") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	c.mu.Lock()
	c.n++
	trick := ""
	if c.trick != nil {
		trick = c.trick(c.n, r)
	}
	words := strings.Split(r.URL.Path, "/")
	line := strings.TrimSpace(r.Method + " " + words[len(words)-1] + " " + r.Header.Get("Idempotency-Key"))
	c.seen = append(c.seen, line)
	face := c.face
	c.mu.Unlock()
	defer func() {
		select {
		case c.asked <- line:
		default:
		}
	}()
	switch trick {
	case reset:
		panic(http.ErrAbortHandler)
	case lost:
		face.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case half, garbled:
		whole := httptest.NewRecorder()
		face.ServeHTTP(whole, r)
		w.Header().Set("Access-Control-Expose-Headers", whole.Header().Get("Access-Control-Expose-Headers"))
		w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
		body := whole.Body.Bytes()
		if trick == half {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		w.WriteHeader(whole.Code)
		_, _ = w.Write(body[:len(body)/2])
		if trick == half {
			panic(http.ErrAbortHandler)
		}
	case failing:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"userMessage":"An internal Connect error has occurred."}`)
	case between:
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, `<html>502 Bad Gateway</html>`)
	case nothing:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"userMessage":"The requestId could not be found."}`)
	case nowhere:
		_, _ = io.WriteString(w, `{"hello":"this is the hotel's wireless network"}`)
	case keyless, lost + keyless:
		if strings.HasSuffix(r.URL.Path, "/events") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		r.Header.Del("Idempotency-Key")
		whole := httptest.NewRecorder()
		face.ServeHTTP(whole, r)
		if trick != keyless {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(whole.Code)
		_, _ = w.Write(whole.Body.Bytes())
	case streamed:
		face.ServeHTTP(&short{ResponseWriter: w, left: 700}, r)
	case silent:
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the till goes
		<-r.Context().Done()
	default:
		face.ServeHTTP(w, r)
	}
}

// A short writer breaks off in the middle of what it writes.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	if len(p) > s.left {
		_, _ = s.ResponseWriter.Write(p[:s.left])
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	s.left -= len(p)
	return s.ResponseWriter.Write(p)
}

func (s *short) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// till makes a client that hurries.
func (c *counter) till(h epos.Handler, change ...func(*epos.RESTOptions)) *epos.REST {
	c.t.Helper()
	o := epos.RESTOptions{URL: c.url, Key: "key", SoftwareHouseID: "S", InstallerID: "I", Till: "till 1", Handler: h}
	for _, f := range change {
		f(&o)
	}
	till, err := epos.NewREST(o)
	if err != nil {
		c.t.Fatal(err)
	}
	epos.Hurry(till)
	c.t.Cleanup(func() { _ = till.Close() })
	return till
}

func plain(o *epos.RESTOptions) { o.Plain = true }

func inVersion(v epos.Version) func(*epos.RESTOptions) {
	return func(o *epos.RESTOptions) { o.Version = v }
}

var twelveFifty = money.Amount{Minor: 1250, Currency: money.GBP}

func saleOn(tid epos.TID) epos.Sale { return epos.Sale{TID: tid, Amount: twelveFifty} }

// A sale over REST says the same as one over the WebSocket, by its events and by
// looks, in each version.
func TestRESTSale(t *testing.T) {
	c := openCounter(t)
	heard := &account{}
	socket := c.dial(heard.handler(true))
	defer socket.Close()
	want, err := socket.Sale(t.Context(), saleOn("VCMDEMOSIP0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change []func(*epos.RESTOptions)
	}{
		{"events", nil},
		{"looks", []func(*epos.RESTOptions){plain}},
		{"events of v1", []func(*epos.RESTOptions){inVersion(epos.V1)}},
		{"looks of v1", []func(*epos.RESTOptions){inVersion(epos.V1), plain}},
		{"looks of v0", []func(*epos.RESTOptions){inVersion(epos.V0), plain}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mine := &account{}
			h := mine.handler(true)
			var begun []epos.Begun
			h.Begun = func(b epos.Begun) { begun = append(begun, b) }
			till := c.till(h, tt.change...)
			got, err := till.Sale(t.Context(), saleOn("VCMDEMOSIP0"))
			if err != nil || got.Result != epos.Successful || got.TID != "VCMDEMOSIP0" || got.Time == "" || len(got.Receipts.Merchant) < 10 {
				t.Fatalf("%+v, %v", got, err)
			}
			for _, p := range []*epos.Payment{&got, &want} {
				p.TransactionID, p.TransactionNumber, p.Time, p.AuthCode = "", "", "", ""
				p.PAN, p.PANSequence, p.ExpiryDate, p.StartDate = "", "", "", ""
				p.Receipts, p.Scheme, p.ApplicationID, p.ApplicationLabel = receipt.Copies{}, "", "", ""
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-websocket +rest):\n%s", diff)
			}
			if diff := cmp.Diff(heard.notifications, mine.notifications); diff != "" {
				t.Errorf("(-websocket +rest):\n%s", diff)
			}
			if len(begun) != 1 || begun[0].RequestID == "" || !strings.HasSuffix(begun[0].Location, begun[0].RequestID) {
				t.Errorf("%+v", begun)
			}
		})
	}
	if n, _ := c.charged(); n != 6 {
		t.Errorf("%d charges", n)
	}
}

// Each request of a sale, in turn, meets each trick. The sale ends as it does
// where nobody plays any, by one call and with one charge, and the till has heard
// everything once and in order.
func TestRESTTricks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tid    epos.TID
		accept bool
		want   epos.Result
		charge int
		looks  bool
		tricks []string
	}{
		{"events", "VCMDEMOSIP0", false, epos.Successful, 1, false, []string{reset, lost, half, garbled, failing, between, nothing, nowhere, streamed}},
		{"looks", "VCMDEMODIP0", false, epos.Declined, 0, true, []string{reset, lost, half, garbled, failing, between, nothing, nowhere}},
		{"signature", "VCMDEMOSIS0", false, epos.Void, 0, false, []string{reset, lost, half, failing, streamed}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openCounter(t)
			c.noEvents = tt.looks
			sell := func(trick func(int, *http.Request) string) (*account, int) {
				t.Helper()
				before, _ := c.charged()
				a := &account{}
				till := c.till(a.handler(tt.accept))
				c.playing(trick)
				p, err := till.Sale(t.Context(), saleOn(tt.tid))
				if err != nil || p.Result != tt.want || p.TransactionID == "" {
					t.Errorf("%s, %v; want %s", p.Result, err, tt.want)
				}
				if after, _ := c.charged(); after-before != tt.charge {
					t.Errorf("%d charges, want %d", after-before, tt.charge)
				}
				return a, len(c.requests())
			}
			whole, _ := sell(nil)
			first := 5 // requests: the rest are more of the same
			if tt.tid == "VCMDEMOSIS0" {
				first = 3 // a signature takes its time
			}
			for at := 1; at <= first; at++ {
				for _, trick := range tt.tricks {
					if at == 1 && trick == nothing {
						continue // that is an answer
					}
					t.Run(fmt.Sprintf("%s at %d", trick, at), func(t *testing.T) {
						got, _ := sell(func(n int, _ *http.Request) string {
							if n == at {
								return trick
							}
							return ""
						})
						if diff := cmp.Diff(whole.notifications, got.notifications); diff != "" || got.questions != whole.questions || len(got.errors) > 0 {
							t.Errorf("%d questions, errors %v, notifications (-want +got):\n%s", got.questions, got.errors, diff)
						}
					})
				}
			}
		})
	}
}

// A request whose answer is lost is sent again under its key, and is one.
func TestRESTKeys(t *testing.T) {
	c := openCounter(t)
	till := c.till(epos.Handler{})
	posted := 0
	c.playing(func(_ int, r *http.Request) string {
		if r.Method != http.MethodPost {
			return ""
		}
		posted++
		return map[int]string{1: lost, 2: half, 3: reset}[posted]
	})
	p, err := till.Sale(t.Context(), saleOn("VCMDEMOSIP0"), epos.WithKey("receipt-1"))
	if err != nil || p.Result != epos.Successful {
		t.Fatalf("%+v, %v", p, err)
	}
	posts := slices.DeleteFunc(c.requests(), func(line string) bool { return !strings.HasPrefix(line, http.MethodPost) })
	want := slices.Repeat([]string{"POST transactions receipt-1"}, len(posts))
	if len(posts) != 4 || !slices.Equal(posts, want) {
		t.Errorf("%q", posts)
	}
	again, err := till.Sale(t.Context(), saleOn("VCMDEMOSIP0"), epos.WithKey("receipt-1"))
	if err != nil || again.TransactionID != p.TransactionID {
		t.Errorf("%+v, %v", again, err)
	}
	if n, _ := c.charged(); n != 1 {
		t.Errorf("%d charges", n)
	}
	_, err = till.Sale(t.Context(), saleOn("VCMDEMOSIS0"), epos.WithKey("receipt-1"))
	if e, ok := errors.AsType[*epos.Error](err); !ok || e.Status != http.StatusConflict {
		t.Errorf("the same key for another terminal: %v", err)
	}
}

// Where the gateway knows no keys, a request that may have arrived is not sent
// again.
func TestRESTWithoutKeys(t *testing.T) {
	for _, change := range [][]func(*epos.RESTOptions){nil, {plain}} {
		c := openCounter(t)
		till := c.till((&account{}).handler(true), change...)
		c.playing(func(_ int, r *http.Request) string {
			if r.Method == http.MethodPost {
				return lost + keyless
			}
			return keyless
		})
		_, err := till.Sale(t.Context(), saleOn("VCMDEMOSIP0"))
		unknown, ok := errors.AsType[*epos.OutcomeUnknownError](err)
		if !ok || unknown.Location != "" || unknown.Key != "" {
			t.Fatalf("%+v, %v", unknown, err)
		}
		if n := strings.Count(strings.Join(c.requests(), "\n"), http.MethodPost); n != 1 {
			t.Errorf("it was sent %d times", n)
		}
		c.playing(func(int, *http.Request) string { return keyless })
		if _, err := till.TryAgain(t.Context(), unknown); !errors.Is(err, epos.ErrNoExtension) {
			t.Errorf("tried again: %v", err)
		}
		if _, err := till.Sale(t.Context(), saleOn("VCMDEMODIP0"), epos.WithKey("receipt-1")); !errors.Is(err, epos.ErrNoExtension) {
			t.Errorf("with a key that nobody heeds: %v", err)
		}
		if n := strings.Count(strings.Join(c.requests(), "\n"), http.MethodPost); n != 0 {
			t.Errorf("it was sent %d times", n)
		}
		p, err := till.Duplicate(t.Context(), "VCMDEMOSIP0")
		for errors.Is(err, epos.ErrTerminalBusy) {
			p, err = till.Duplicate(t.Context(), "VCMDEMOSIP0")
		}
		if err != nil || p.Result != epos.Successful {
			t.Errorf("%+v, %v", p, err)
		}
		if p, err = till.Sale(t.Context(), saleOn("VCMDEMOSIS0")); err != nil || p.Result != epos.Successful {
			t.Errorf("a sale on a gateway that knows the published contract only: %+v, %v", p, err)
		}
	}
}
