package door

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/ws"
)

// TestTerminals: /terminal is for terminals, where there is somebody for them:
// the refusal is theirs, and the connection is until they let go of it.
func TestTerminals(t *testing.T) {
	served := make(chan string, 10)
	s := open(t, Config{Gateway: closedGateway{}, Terminals: func(k gateway.Knock) (Link, error) {
		if k.Face != gateway.FaceTerminal || k.Query.Get("token") != planted+"good" {
			return Link{}, &gateway.Refusal{Status: 401, UserMessage: "Not this key."}
		}
		return Link{Site: "demo", Key: "k1", PingInterval: time.Hour, Serve: func(c *ws.Conn) {
			for {
				text, err := c.Read()
				if err != nil {
					served <- err.Error()
					return
				}
				if string(text) == "panic" {
					panic("a terminal provoked it")
				}
				if string(text) == "enough" {
					return
				}
				if err := c.Send([]byte("heard " + string(text))); err != nil {
					served <- err.Error()
				}
			}
		}}, nil
	}})
	const path = "/Terminal/?token=" + planted + "good"
	if res, body := s.get("GET", "/terminal?token=no", upgrade()); res.StatusCode != 401 || !strings.Contains(body, "Not this key.") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if res, _ := s.get("GET", path, nil); res.StatusCode != 426 {
		t.Errorf("no upgrade: %d", res.StatusCode)
	}
	c := s.dial(path)
	c.say("hello")
	if got, err := c.hear(); got != "heard hello" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	c.say("enough")
	c.closed(1000)
	c = s.dial(path)
	c.say("panic")
	c.closed(1011)
	c = s.dial(path)
	s.stop()
	c.closed(1001)
	if why := take(t, served); why == "" {
		t.Error("nobody was told of the end")
	}
	for range s.done {
	}
	if log := s.log.String(); !strings.Contains(log, "terminal connected") || strings.Contains(log, planted) {
		t.Errorf("log: %s", log)
	}
}

// TestNoTerminals: without anybody for them the path is not there.
func TestNoTerminals(t *testing.T) {
	s := open(t, Config{Gateway: closedGateway{}})
	if res, _ := s.get("GET", "/terminal?token=x", upgrade()); res.StatusCode != 404 {
		t.Errorf("%d", res.StatusCode)
	}
}

// A closedGateway lets no till in.
type closedGateway struct{}

func (closedGateway) Admit(gateway.Knock) (*gateway.Ticket, error) {
	return nil, errors.New("no till here")
}

func (closedGateway) Ready() error { return nil }
