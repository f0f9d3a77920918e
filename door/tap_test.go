package door

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/ws"
)

// listener is a tap that writes down.
type listener struct {
	mu     sync.Mutex
	lines  []string
	opened []Tapped
	closed chan string
}

func (l *listener) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *listener) Opened(t Tapped) TapLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = append(l.opened, t)
	l.lines = append(l.lines, fmt.Sprintf("%d opened", t.Conn))
	return &listenerLine{l, t.Conn}
}

type listenerLine struct {
	*listener
	conn uint64
}

func (l *listenerLine) Message(fromGateway bool, text []byte) {
	l.note("%d %t %s", l.conn, fromGateway, text)
}

func (l *listenerLine) Closed(code int, byPeer bool, reason string) {
	l.note("%d closed %d %t %s", l.conn, code, byPeer, reason)
	l.closed <- fmt.Sprint(l.conn)
}

// TestTap: each connection is told from its opening to its end, tills and
// terminals alike, and nothing of the key.
func TestTap(t *testing.T) {
	heard := &listener{closed: make(chan string, 10)}
	s := open(t, Config{Tap: heard, Terminals: func(gateway.Knock) (Link, error) {
		return Link{Site: "shop", Key: "kTERM", PingInterval: time.Hour, Serve: func(c *ws.Conn) {
			if _, err := c.Read(); err == nil {
				_ = c.Send([]byte("welcome"))
			}
			c.StartClose(ws.Policy, "not let in")
		}}, nil
	}})
	granted := s.door.admit
	s.door.admit = func(k gateway.Knock) (admission, error) {
		if k.Face == gateway.FaceTerminal {
			l, err := s.door.cfg.Terminals(k)
			return admission{site: l.Site, key: l.Key, ping: l.PingInterval, serve: l.Serve}, err
		}
		return granted(k)
	}
	c := s.dial("/PAT?token=" + planted + "good&software-house-id=SWH&installer-id=INST&final-pos-receipt-request")
	c.alive()
	_ = c.Close(websocket.StatusNormalClosure, "bye, "+planted)
	take(t, heard.closed)
	m := s.dial("/terminal?token=" + planted)
	m.say("hello")
	m.closed(websocket.StatusPolicyViolation)
	take(t, heard.closed)

	heard.mu.Lock()
	defer heard.mu.Unlock()
	want := []string{
		"1 opened", "1 false still there?", "1 true still there?", "1 closed 1000 true ",
		"2 opened", "2 false hello", "2 true welcome", "2 closed 1008 false not let in",
	}
	if diff := cmp.Diff(want, heard.lines); diff != "" {
		t.Errorf("the tap heard (- want):\n%s", diff)
	}
	for i := range heard.opened {
		if heard.opened[i].Remote == "" {
			t.Error("no address")
		}
		heard.opened[i].Remote = ""
	}
	if diff := cmp.Diff([]Tapped{
		{Conn: 1, Site: "demo", Key: "kPUBLIC", Face: "pat", Version: "v1", SoftwareHouse: "SWH", Installer: "INST", FinalReceipt: true},
		{Conn: 2, Site: "shop", Key: "kTERM", Face: "terminal"},
	}, heard.opened); diff != "" {
		t.Errorf("connections (- want):\n%s", diff)
	}
	if all := fmt.Sprint(heard.lines, heard.opened); strings.Contains(all, planted) {
		t.Errorf("the key is in %s", all)
	}
}

// TestTapOfOlderTills: nobody checks partner ids in v0, so none is told.
func TestTapOfOlderTills(t *testing.T) {
	heard := &listener{closed: make(chan string, 1)}
	d := &Door{cfg: Config{Tap: heard}}
	c := &conn{door: d, site: "demo"}
	query, err := url.ParseQuery("software-house-id=" + strings.Repeat("x", 5000))
	if err != nil {
		t.Fatal(err)
	}
	c.tapOpened("pac", admission{version: "v0", extensions: []string{"keys"}}, query)
	if got := heard.opened[0]; got.SoftwareHouse != "" || got.Installer != "" || !slices.Equal(got.Extensions, []string{"keys"}) {
		t.Errorf("told %+v", got)
	}
}

// refusals is a listener that hears of those who are not let in as well.
type refusals struct {
	listener
	told []string
}

func (r *refusals) Refused(t Tapped, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf("%d %s %s %q %q %q", status, t.Face, t.Version, t.SoftwareHouse, t.Installer, t.Site+t.Key))
}

// TestTapRefused: who is not let in is told of as well, without the key, and with
// no more of a name than one may have.
func TestTapRefused(t *testing.T) {
	heard := &refusals{listener: listener{closed: make(chan string, 10)}}
	s := open(t, Config{Tap: heard})
	up := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	s.fake.refuse.Store(&gateway.Refusal{Status: http.StatusUnauthorized})
	s.get(http.MethodGet, "/pac?token="+planted+"&api-version=v1&software-house-id=H&installer-id=I", up)
	s.fake.refuse.Store(&gateway.Refusal{Status: http.StatusUnprocessableEntity})
	s.get(http.MethodGet, "/PAT?token="+planted+"&software-house-id="+url.QueryEscape(strings.Repeat("é", 40)), up)
	s.get(http.MethodGet, "/pac?token="+planted, nil) // no till: somebody with a browser
	want := []string{`401 pac v1 "H" "I" ""`, `422 pat  "` + strings.Repeat("é", 32) + `" "" ""`}
	heard.mu.Lock()
	defer heard.mu.Unlock()
	if diff := cmp.Diff(want, heard.told); diff != "" {
		t.Errorf("what was told (-want +got):\n%s", diff)
	}
	if len(heard.opened) > 0 {
		t.Errorf("%d connections were opened", len(heard.opened))
	}
}
