package ws

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// sample is as long as a terminal's notification.
var sample = []byte(`{"jsonrpc":"2.0","method":"terminalNotification","params":{"tid":"12345678","notification":"PRESENT_CARD"}}`)

// BenchmarkEcho is one hop to an echoing server and back, over a real socket:
// with the bare library on both sides, with ours, and with ours when each
// message has to wake a goroutine (as over TLS).
func BenchmarkEcho(b *testing.B) {
	sockets := func(b *testing.B) (net.Conn, net.Conn) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		theirs, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		ours, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		return ours, theirs
	}
	b.Run("bare", func(b *testing.B) {
		s, c := sockets(b)
		defer s.Close()
		defer c.Close()
		go func() {
			for {
				p, err := bareRead(s)
				if err != nil || bareWrite(s, p, false) != nil {
					return
				}
			}
		}()
		b.ReportAllocs()
		for b.Loop() {
			if err := bareWrite(c, sample, true); err != nil {
				b.Fatal(err)
			}
			if _, err := bareRead(c); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, direct := range []bool{true, false} {
		name := "ours"
		if !direct {
			name = "ours by goroutine"
		}
		b.Run(name, func(b *testing.B) {
			snc, cnc := sockets(b)
			s, c := New(snc, Server, Options{}), New(cnc, Client, Options{})
			if !direct {
				s.offer, c.offer = false, false
			}
			go func() { _ = echo(s) }()
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Send(sample); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Read(); err != nil {
					b.Fatal(err)
				}
			}
			c.Abort()
			<-s.Done()
		})
	}
}

func bareRead(nc net.Conn) ([]byte, error) {
	h, err := ws.ReadHeader(nc)
	if err != nil {
		return nil, err
	}
	p := make([]byte, h.Length)
	if _, err := io.ReadFull(nc, p); err != nil {
		return nil, err
	}
	if h.Masked {
		ws.Cipher(p, h.Mask, 0)
	}
	return p, nil
}

func bareWrite(nc net.Conn, p []byte, mask bool) error {
	f := ws.NewTextFrame(p)
	if mask {
		f = ws.MaskFrame(f)
	}
	b, err := ws.CompileFrame(f)
	if err != nil {
		return err
	}
	_, err = nc.Write(b)
	return err
}

// BenchmarkIdleMemory prints the memory of an idle connection at 10,000, after
// one message each, in a server process of its own: of the bare library, alone
// and behind net/http, and of this package behind net/http, with Serve, a
// Keeper and a handler that needs a deep stack, and with a plain loop of Read.
func BenchmarkIdleMemory(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Fatal("reads /proc")
	}
	for b.Loop() {
		cost := map[string]float64{}
		for _, kind := range []string{"bare", "bare-http", "ours", "ours-read"} {
			perConn, err := idleCost(kind, 9_500)
			if err != nil {
				b.Fatal(err)
			}
			cost[kind] = perConn
			b.ReportMetric(perConn, kind+"-B/conn")
		}
		b.ReportMetric(cost["ours"]/cost["bare"], "ours/bare")
		b.ReportMetric(cost["ours"]/cost["bare-http"], "ours/bare-http")
	}
}

// idleCost starts this test binary as a server, opens n connections to it and
// returns how much its resident memory grew for each, in bytes.
func idleCost(kind string, n int) (float64, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WS_IDLE_SERVER="+kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	defer in.Close()
	answers := bufio.NewScanner(out)
	ask := func() string {
		fmt.Fprintln(in, "memory")
		answers.Scan()
		return answers.Text()
	}
	if !answers.Scan() {
		return 0, fmt.Errorf("the server said nothing")
	}
	addr := answers.Text()
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, nc := range conns {
			nc.Close()
		}
	}()
	request := "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	hello := text(string(sample)).bytes(true)
	open := func(n int) error {
		for range n {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				return err
			}
			conns = append(conns, nc)
			if _, err := io.WriteString(nc, request); err != nil {
				return err
			}
			answer := make([]byte, 0, 512)
			for !bytes.HasSuffix(answer, []byte("\r\n\r\n")) {
				if _, err := io.ReadFull(nc, answer[len(answer):len(answer)+1]); err != nil {
					return err
				}
				answer = answer[:len(answer)+1]
			}
			if _, err := nc.Write(hello); err != nil {
				return err
			}
			if _, err := io.ReadFull(nc, make([]byte, len(sample)+2)); err != nil {
				return err
			}
			if kind == "ours" { // as answers to the Keeper's pings would
				if _, err := nc.Write(pong("").bytes(true)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := open(500); err != nil { // the server's own needs
		return 0, err
	}
	before, err := strconv.ParseFloat(ask(), 64)
	if err != nil {
		return 0, err
	}
	if err := open(n); err != nil {
		return 0, err
	}
	after, err := strconv.ParseFloat(ask(), 64)
	if err != nil {
		return 0, err
	}
	return (after - before) / float64(n), nil
}

// useStack does what decoding and handling a message does to a stack.
//
//go:noinline
func useStack() {
	var deep [6 << 10]byte
	for i := range deep {
		deep[i] = byte(i)
	}
	runtime.KeepAlive(deep[len(os.Args)])
}

// idleServer is the other process: it prints its address, and its resident
// memory in bytes for each line it reads.
func idleServer(kind string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	bareEcho := func(nc net.Conn) {
		for {
			p, err := bareRead(nc)
			if err != nil || bareWrite(nc, p, false) != nil {
				return
			}
		}
	}
	var h http.HandlerFunc
	switch kind {
	case "bare":
		go func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				if _, err := ws.Upgrade(nc); err == nil {
					go bareEcho(nc)
				}
			}
		}()
	case "bare-http":
		h = func(w http.ResponseWriter, r *http.Request) {
			if nc, _, _, err := ws.UpgradeHTTP(r, w); err == nil {
				go bareEcho(nc)
			}
		}
	case "ours":
		k := NewKeeper(30*time.Second, 2)
		h = func(w http.ResponseWriter, r *http.Request) {
			if c, err := Upgrade(w, r, Options{Keeper: k}); err == nil {
				c.Serve(served{func(msg []byte) { useStack(); _ = c.Send(msg) }, func(error) {}})
			}
		}
	case "ours-read":
		h = func(w http.ResponseWriter, r *http.Request) {
			if c, err := Upgrade(w, r, Options{}); err == nil {
				go func() { _ = echo(c) }()
			}
		}
	}
	if h != nil {
		go func() { _ = http.Serve(l, h) }()
	}
	fmt.Println(l.Addr())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		runtime.GC()
		debug.FreeOSMemory()
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		kb, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			return err
		}
		fmt.Println(kb << 10)
	}
	return nil
}
