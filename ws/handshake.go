package ws

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// A HandshakeError is why a request was not upgraded. Nothing has been
// answered yet: that is left to the caller, with this status.
type HandshakeError struct {
	Status int // 400, 426 or 500
	Reason string
}

func (e *HandshakeError) Error() string { return "not upgraded: " + e.Reason }

// IsUpgrade says whether the request asks for a WebSocket. If it does not, the
// answer is 426.
func IsUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor >= 1 &&
		hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket")
}

// hasToken looks for a token in a comma-separated header, without regard to
// case.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h[name] {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// Upgrade answers a request with 101 and takes its connection over. All checks
// of the caller's own come first. On a *HandshakeError nothing was answered;
// any other error means that the client has gone.
//
// The HTTP server keeps its buffers and stack as long as the handler runs. To
// be rid of them, return from the handler and read on a fresh goroutine.
func Upgrade(w http.ResponseWriter, r *http.Request, o Options) (*Conn, error) {
	if !IsUpgrade(r) {
		return nil, &HandshakeError{http.StatusUpgradeRequired, "this is not a WebSocket request"}
	}
	if v := r.Header.Values("Sec-Websocket-Version"); len(v) != 1 || v[0] != "13" {
		return nil, &HandshakeError{http.StatusUpgradeRequired, "Sec-WebSocket-Version must be 13"}
	}
	keys := r.Header.Values("Sec-Websocket-Key")
	if len(keys) != 1 {
		return nil, &HandshakeError{http.StatusBadRequest, "one Sec-WebSocket-Key is needed"}
	}
	if raw, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(raw) != 16 {
		return nil, &HandshakeError{http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64"}
	}
	if r.ContentLength != 0 {
		return nil, &HandshakeError{http.StatusBadRequest, "a WebSocket request has no body"}
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		return nil, &HandshakeError{http.StatusInternalServerError, "the server cannot hand over the connection"}
	}
	if err != nil {
		return nil, fmt.Errorf("taking over the connection: %w", err)
	}
	o.fill()
	var more strings.Builder
	_ = o.Answer.Write(&more) // a Builder takes everything
	o.Answer = nil            // the connection does not keep it
	reply := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + accept(keys[0]) + "\r\n" + more.String() + "\r\n"
	_ = nc.SetDeadline(time.Now().Add(o.WriteTimeout))
	if _, err := io.WriteString(nc, reply); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("answering the upgrade: %w", err)
	}
	_ = nc.SetDeadline(time.Time{})
	return newConn(nc, Server, o, buffered(rw.Reader)), nil
}

// accept is the answer to a key, by RFC 6455, section 4.2.2.
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// buffered copies what a reader of the handshake has read too much: the first
// frames of a peer in a hurry.
func buffered(r *bufio.Reader) []byte {
	n := r.Buffered()
	if n == 0 {
		return nil
	}
	p, _ := r.Peek(n)
	return bytes.Clone(p)
}

// DialOptions are the client's side of the handshake.
type DialOptions struct {
	Options
	Header http.Header // sent with the request
	// OnHeader is called with each header of the answer that is not of the
	// handshake itself; nil looks at none.
	OnHeader func(name, value string)
	TLS      *tls.Config // for wss; nil for the system's
	// Timeout bounds connecting and the handshake; 0 means 30 s.
	Timeout time.Duration
}

// A RefusedError is the server's answer to an upgrade when it was not 101.
type RefusedError struct {
	Status int
	Header http.Header
	Body   []byte // at most 64 KiB of it
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("upgrade refused: %d %s", e.Status, http.StatusText(e.Status))
	if body := strings.TrimSpace(string(e.Body)); body != "" {
		s += ": " + body
	}
	return s
}

const maxRefusal = 64 << 10

// Dial opens a connection to a ws: or wss: URL. A refusal by the server is a
// *RefusedError. No error repeats the URL's query, which may bear a key.
func Dial(ctx context.Context, address string, o DialOptions) (*Conn, error) {
	var refused *RefusedError
	d := ws.Dialer{
		Timeout:   o.Timeout,
		TLSConfig: o.TLS,
		OnStatusError: func(status int, _ []byte, answer io.Reader) {
			refused = &RefusedError{Status: status}
			res, err := http.ReadResponse(bufio.NewReader(io.LimitReader(answer, 2*maxRefusal)), nil)
			if err != nil {
				return
			}
			defer res.Body.Close()
			refused.Header = res.Header
			refused.Body, _ = io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		},
	}
	if d.Timeout <= 0 {
		d.Timeout = 30 * time.Second
	}
	if o.Header != nil {
		d.Header = ws.HandshakeHeaderHTTP(o.Header)
	}
	if o.OnHeader != nil {
		d.OnHeader = func(name, value []byte) error {
			o.OnHeader(string(name), string(value))
			return nil
		}
	}
	nc, br, _, err := d.Dial(ctx, address)
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, fmt.Errorf("dialling: %w", err)
	}
	var ahead []byte
	if br != nil {
		ahead = buffered(br)
		ws.PutReader(br)
	}
	return newConn(nc, Client, o.Options, ahead), nil
}
