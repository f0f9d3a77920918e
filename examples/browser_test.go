package examples_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tillwire/tillwire/internal/browser"
)

// A way is what the page goes through to the gateway. It is at another address than
// the page, counts what goes by, and may lose the answers to some requests.
type way struct {
	proxy *httputil.ReverseProxy

	mu    sync.Mutex
	lose  int // answers to POSTs that are still to be lost
	asked map[string]int
	keys  map[string]int // requests by Idempotency-Key
	again int            // that were answered as the same
}

func newWay(t *testing.T, gateway string) (*way, string) {
	t.Helper()
	u, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	u.Scheme, u.Path, u.RawQuery = "http", "", ""
	w := &way{proxy: httputil.NewSingleHostReverseProxy(u), asked: map[string]int{}, keys: map[string]int{}}
	w.proxy.FlushInterval = -1
	w.proxy.ModifyResponse = func(r *http.Response) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if r.Request.Method != http.MethodPost {
			return nil
		}
		if w.lose > 0 {
			w.lose--
			return errors.New("lost")
		}
		if r.Header.Get("Idempotency-Replayed") == "true" {
			w.again++
		}
		return nil
	}
	w.proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	return w, server.URL
}

func (w *way) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked[r.Method]++
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		w.keys[key]++
	}
	w.mu.Unlock()
	w.proxy.ServeHTTP(rw, r)
}

// TestBrowserOverREST has a page that is served elsewhere make sales: the browser
// asks the gateway whether it may, before each kind of request.
func TestBrowserOverREST(t *testing.T) {
	way, address := newWay(t, serve(t, build(t, t.TempDir(), "tillwire", "../cmd/tillwire")))
	pages := httptest.NewServer(http.FileServer(http.Dir("browser")))
	t.Cleanup(pages.Close)
	tab := browser.Start(t).Open(t, pages.URL+"/rest.html", 1280, 800)
	tab.Fill("#gateway", address)

	sell := func(tid, want string) {
		t.Helper()
		tab.Fill("#tid", tid)
		tab.Click("#sale")
		tab.WaitText("#result", want)
		tab.Wait(`!document.getElementById('sale').disabled`)
	}
	sell("VCMDEMOSIP0", "Paid: 12.50 GBP")
	tab.WaitText("#log", "PIN_ENTRY")
	tab.WaitText("#log", "CUSTOMER COPY")
	sell("VCMDEMODIP0", "DECLINED: nothing paid of 12.50 GBP")
	sell("VCMDEMOTIP0", "Not known whether money was taken (TIMED_OUT)")
	sell("12345678", "12345678 is unavailable.")
	way.mu.Lock()
	if way.asked[http.MethodOptions] == 0 || way.asked[http.MethodPost] != 4 {
		t.Errorf("requests: %v", way.asked)
	}
	way.lose = 1
	way.mu.Unlock()

	// The answer to the POST is lost: it is sent again, and is one sale.
	sell("VCMDEMOSIP0", "Paid: 12.50 GBP")
	way.mu.Lock()
	most := 0
	for _, n := range way.keys {
		most = max(most, n)
	}
	if way.again != 1 || most != 2 {
		t.Errorf("%d answers as of the same sale, at most %d requests under a key", way.again, most)
	}
	way.mu.Unlock()

	// Signatures.
	for button, want := range map[string]string{"#yes": "Paid: 12.50 GBP", "#no": "VOID: nothing paid"} {
		tab.Fill("#tid", "VCMDEMOSIS0")
		tab.Click("#sale")
		tab.WaitFor("#sign[open]")
		tab.Click(button)
		tab.WaitText("#result", want)
		tab.Wait(`!document.getElementById('sale').disabled`)
	}

	tab.Fill("#key", "wrong")
	sell("VCMDEMOSIP0", "credentials were not correct")
	for _, fault := range tab.Faults() { // the browser notes each refusal
		if !strings.Contains(fault, "404") && !strings.Contains(fault, "401") {
			t.Error(fault)
		}
	}
	if bad := tab.Unlabelled(); len(bad) > 0 {
		t.Errorf("without a name: %v", bad)
	}
	for _, width := range []int{390, 1280} {
		tab.Size(width, 800)
		if wide := tab.TooWide(); len(wide) > 0 {
			t.Errorf("at %d: %v", width, wide)
		}
		if low := tab.LowContrast(); len(low) > 0 {
			t.Errorf("at %d: %v", width, low)
		}
	}
}
