package ws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// A frame is one raw frame of the peer under our control, legal or not.
type frame struct {
	op       byte
	more     bool // FIN is not set
	rsv      byte // the three reserved bits
	wrong    bool // masked where it must not be, or the reverse
	form     int  // 0 minimal, 16 or 64: the length field used
	declared uint64
	payload  string
}

func (f frame) bytes(masked bool) []byte {
	b := []byte{f.op | f.rsv<<4}
	if !f.more {
		b[0] |= 0x80
	}
	masked = masked != f.wrong
	n := f.declared
	if n == 0 {
		n = uint64(len(f.payload))
	}
	var bit byte
	if masked {
		bit = 0x80
	}
	switch {
	case f.form == 64, f.form == 0 && n > 0xffff:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), n)
	case f.form == 16, f.form == 0 && n > 125:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(n))
	default:
		b = append(b, bit|byte(n))
	}
	p := []byte(f.payload)
	if masked {
		mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
		b = append(b, mask[:]...)
		for i := range p {
			p[i] ^= mask[i%4]
		}
	}
	return append(b, p...)
}

func text(s string) frame   { return frame{op: 1, payload: s} }
func start(s string) frame  { return frame{op: 1, more: true, payload: s} }
func middle(s string) frame { return frame{op: 0, more: true, payload: s} }
func last(s string) frame   { return frame{op: 0, payload: s} }
func ping(s string) frame   { return frame{op: 9, payload: s} }
func pong(s string) frame   { return frame{op: 10, payload: s} }
func closing(code int, reason string) frame {
	return frame{op: 8, payload: string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason}
}

const limit = 70000 // of a message in the suite

type frameCase struct {
	name   string
	frames []frame
	cut    int      // bytes cut off the end; the peer then hangs up
	want   []string // messages read
	pongs  []string
	code   Code // how it ends; what we send back in the close frame
	told   Code // the code in our close frame, where it is not code; 1 for no frame
	remote bool // the peer ended it
}

func frameCases() []frameCase {
	big := func(n int) string { return strings.Repeat("a", n) }
	var cs []frameCase
	// ok: the frames are taken; then the peer closes.
	ok := func(name string, want []string, fs ...frame) {
		cs = append(cs, frameCase{
			name: name, frames: append(fs, closing(1000, "")), want: want, code: Normal, remote: true,
		})
	}
	bad := func(name string, code Code, fs ...frame) {
		cs = append(cs, frameCase{name: name, frames: fs, code: code})
	}
	ponged := func(pongs ...string) { cs[len(cs)-1].pongs = pongs }
	got := func(want ...string) { cs[len(cs)-1].want = want }

	for _, n := range []int{0, 1, 2, 125, 126, 127, 128, 255, 256, 257, 65535, 65536, limit} {
		ok(fmt.Sprintf("text of %d bytes", n), []string{big(n)}, text(big(n)))
	}
	ok("two messages", []string{"a", "b"}, text("a"), text("b"))
	ok("hundred messages", strings.Split(strings.Repeat("x,", 99)+"x", ","), slicesRepeat(text("x"), 100)...)
	ok("short length in 16 bits", []string{"abc"}, frame{op: 1, form: 16, payload: "abc"})
	ok("short length in 64 bits", []string{"abc"}, frame{op: 1, form: 64, payload: "abc"})
	ok("empty in 64 bits", []string{""}, frame{op: 1, form: 64})
	ok("two fragments", []string{"hello"}, start("he"), last("llo"))
	ok("five fragments", []string{"hello"}, start("h"), middle("e"), middle("l"), middle("l"), last("o"))
	ok("empty fragments", []string{""}, start(""), middle(""), last(""))
	ok("empty last fragment", []string{"ab"}, start("ab"), last(""))
	ok("fragments of an exact limit", []string{big(limit)}, start(big(limit-1)), last("a"))
	ok("fragments across the growth step", []string{big(growth + 2)}, start(big(growth)), last("aa"))
	ok("ping between fragments", []string{"hello"}, start("he"), ping("?"), last("llo"))
	ponged("?")
	ok("pong between fragments", []string{"hello"}, start("he"), pong("?"), last("llo"))
	ok("many pings between fragments", []string{"ab"}, start("a"), ping("1"), ping("2"), ping("3"), last("b"))
	ponged("1", "2", "3")
	ok("empty ping", nil, ping(""))
	ponged("")
	ok("ping of 125 bytes", nil, ping(big(125)))
	ponged(big(125))
	ok("ping of bytes that are no text", nil, ping("\x00\xff\xfe"))
	ponged("\x00\xff\xfe")
	ok("ten pings in order", nil, ping("0"), ping("1"), ping("2"), ping("3"), ping("4"), ping("5"), ping("6"), ping("7"), ping("8"), ping("9"))
	ponged("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	ok("ping then message", []string{"a"}, ping("p"), text("a"))
	ponged("p")
	ok("unsolicited pong", nil, pong("hello"))
	ok("unsolicited numbered pong", nil, pong("1"))
	ok("pong with a huge number", nil, pong("99999999999999999999999999"))
	ok("empty pong", nil, pong(""))
	ok("UTF-8 of every length", []string{"a\u00e9\u20ac\U0001f4b7"}, text("a\u00e9\u20ac\U0001f4b7"))
	ok("UTF-8 split between bytes of one rune", []string{"\u20ac"}, start("\xe2"), middle("\x82"), last("\xac"))
	ok("UTF-8 split around a ping", []string{"\u20ac"}, start("\xe2\x82"), ping(""), last("\xac"))
	ponged("")
	ok("UTF-8 noncharacter", []string{"\uffff"}, text("\uffff"))
	ok("UTF-8 NUL", []string{"\x00"}, text("\x00"))
	ok("UTF-8 largest rune", []string{"\U0010ffff"}, text("\U0010ffff"))

	bad("invalid UTF-8: lone byte", InvalidData, text("\xff"))
	bad("invalid UTF-8: truncated rune", InvalidData, text("\xe2\x82"))
	bad("invalid UTF-8: overlong", InvalidData, text("\xc0\x80"))
	bad("invalid UTF-8: surrogate", InvalidData, text("\xed\xa0\x80"))
	bad("invalid UTF-8: beyond the last rune", InvalidData, text("\xf4\x90\x80\x80"))
	bad("invalid UTF-8: split over fragments", InvalidData, start("\xe2"), last("x"))
	bad("invalid UTF-8: in the last fragment", InvalidData, start("good"), middle("good"), last("\x80"))
	bad("a good message, then an invalid one", InvalidData, text("good"), text("\x80"))
	got("good")

	bad("binary", Unsupported, frame{op: 2, payload: "x"})
	bad("empty binary", Unsupported, frame{op: 2})
	bad("fragmented binary", Unsupported, frame{op: 2, more: true, payload: "x"})
	bad("binary over the limit", Unsupported, frame{op: 2, declared: limit + 1})

	bad("one byte over the limit", TooBig, frame{op: 1, payload: big(limit + 1)})
	bad("over the limit, announced only", TooBig, frame{op: 1, declared: limit + 1})
	bad("a terabyte announced", TooBig, frame{op: 1, declared: 1 << 40})
	bad("the largest length", TooBig, frame{op: 1, declared: 1<<63 - 1})
	bad("fragments over the limit", TooBig, start(big(limit)), last("a"))
	bad("fragments over the limit, announced only", TooBig, start("a"), frame{op: 0, declared: limit})
	bad("fragments that overflow 63 bits", TooBig, start("ab"), frame{op: 0, declared: 1<<63 - 1})
	bad("length with the top bit set", Protocol, frame{op: 1, declared: 1 << 63})
	bad("length of all bits", Protocol, frame{op: 1, declared: 1<<64 - 1})

	for rsv := byte(1); rsv < 8; rsv++ {
		bad(fmt.Sprintf("reserved bits %03b", rsv), Protocol, frame{op: 1, rsv: rsv, payload: "x"})
	}
	bad("reserved bit on a ping", Protocol, frame{op: 9, rsv: 4})
	bad("reserved bit on a continuation", Protocol, start("a"), frame{op: 0, rsv: 4})
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		bad(fmt.Sprintf("opcode %d", op), Protocol, frame{op: op})
	}
	bad("reserved opcode with payload", Protocol, frame{op: 3, payload: "abc"})
	bad("wrong mask on text", Protocol, frame{op: 1, wrong: true, payload: "x"})
	bad("wrong mask on empty text", Protocol, frame{op: 1, wrong: true})
	bad("wrong mask on ping", Protocol, frame{op: 9, wrong: true})
	bad("wrong mask on close", Protocol, frame{op: 8, wrong: true})
	bad("wrong mask on the last fragment", Protocol, start("a"), frame{op: 0, wrong: true, payload: "b"})
	bad("fragmented ping", Protocol, frame{op: 9, more: true})
	bad("fragmented pong", Protocol, frame{op: 10, more: true})
	bad("fragmented close", Protocol, frame{op: 8, more: true})
	bad("ping of 126 bytes", Protocol, ping(big(126)))
	bad("pong of 126 bytes", Protocol, pong(big(126)))
	bad("close of 126 bytes", Protocol, closing(1000, big(124)))
	bad("ping that announces a gigabyte", Protocol, frame{op: 9, declared: 1 << 30})
	bad("continuation of nothing", Protocol, last("x"))
	bad("unfinished continuation of nothing", Protocol, middle("x"))
	bad("continuation after a whole message", Protocol, text("a"), last("b"))
	got("a")
	bad("continuation after a fragmented message", Protocol, start("a"), last("b"), last("c"))
	got("ab")
	bad("text inside a fragmented message", Protocol, start("a"), text("b"))
	bad("new fragmented text inside another", Protocol, start("a"), start("b"))
	bad("binary inside a fragmented message", Protocol, start("a"), frame{op: 2})

	closes := func(name string, code, told Code, f frame) {
		cs = append(cs, frameCase{name: name, frames: []frame{f}, code: code, told: told, remote: true})
	}
	closes("close without a code", NoStatus, NoStatus, frame{op: 8})
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		closes(fmt.Sprintf("close %d", code), Code(code), 0, closing(code, ""))
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		bad(fmt.Sprintf("close %d", code), Protocol, closing(code, ""))
	}
	closes("close with a reason", Normal, 0, closing(1000, "done"))
	closes("close with a reason of 123 bytes", Normal, 0, closing(1000, big(123)))
	closes("close with a reason in UTF-8", Policy, 0, closing(1008, "\u20ac"))
	bad("close of one byte", Protocol, frame{op: 8, payload: "\x03"})
	bad("close with a reason that is no UTF-8", InvalidData, closing(1000, "\xff"))
	bad("close with a truncated rune", InvalidData, closing(1000, "\xe2\x82"))
	cs = append(cs,
		frameCase{name: "close inside a fragmented message", frames: []frame{start("a"), closing(1001, "")}, code: GoingAway, remote: true},
		frameCase{name: "messages after a close are not read", frames: []frame{text("a"), closing(1000, ""), text("b"), ping("c")}, want: []string{"a"}, code: Normal, remote: true},
		frameCase{name: "two closes", frames: []frame{closing(1001, ""), closing(1000, "")}, code: GoingAway, remote: true},
	)
	hangUp := func(name string, cut int, want []string, fs ...frame) {
		cs = append(cs, frameCase{name: name, frames: fs, cut: cut, want: want, code: Abnormal, told: 1, remote: true})
	}
	hangUp("hangs up after a message", 0, []string{"a"}, text("a"))
	hangUp("hangs up in a payload", 1, nil, text("abc"))
	hangUp("hangs up in a long payload", 30000, nil, text(big(60000)))
	hangUp("hangs up between fragments", 0, nil, start("abc"))
	hangUp("hangs up in a header", 1, nil, frame{op: 1, form: 64})
	hangUp("hangs up at once", 0, nil)
	return cs
}

func slicesRepeat(f frame, n int) []frame {
	fs := make([]frame, n)
	for i := range fs {
		fs[i] = f
	}
	return fs
}

func TestFrames(t *testing.T) {
	cases := frameCases()
	if len(cases) < 70 {
		t.Fatalf("%d cases, the suite must have at least 70", len(cases))
	}
	for _, role := range []Role{Server, Client} {
		for _, c := range cases {
			var input []byte
			for _, f := range c.frames {
				input = append(input, f.bytes(role == Server)...)
			}
			input = input[:len(input)-c.cut]
			for _, step := range []int{len(input), 1, 7} {
				if step < len(input) && len(input) > 2000 {
					continue
				}
				name := fmt.Sprintf("%s/%s/%d at a time", [...]string{"server", "client"}[role], c.name, step)
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { c.run(t, role, input, max(step, 1)) })
				})
			}
		}
	}
}

func (fc frameCase) run(t *testing.T, role Role, input []byte, step int) {
	ours, theirs := net.Pipe()
	c := New(ours, role, Options{MaxMessage: limit})

	hangUp := fc.told == 1
	go func() {
		for len(input) > 0 {
			n, err := theirs.Write(input[:min(step, len(input))])
			if err != nil {
				return // closed on us, as some cases should
			}
			input = input[n:]
		}
		if hangUp {
			theirs.Close()
		}
	}()

	var pongs []string
	var told Code
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		pongs, told = hear(t, theirs, role == Client)
	}()

	var got []string
	var err error
	for err == nil {
		var msg []byte
		if msg, err = c.Read(); err == nil {
			got = append(got, string(msg))
		}
	}
	<-c.Done()
	<-heard
	theirs.Close()

	if diff := cmp.Diff(fc.want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(fc.pongs, pongs); diff != "" {
		t.Errorf("pongs (-want +got):\n%s", diff)
	}
	var ce *CloseError
	if !errors.As(err, &ce) {
		t.Fatalf("error %v, want a *CloseError", err)
	}
	if ce.Code != fc.code || ce.Remote != fc.remote {
		t.Errorf("ended %d, remote %v; want %d, %v (%v)", ce.Code, ce.Remote, fc.code, fc.remote, ce)
	}
	wantTold := fc.code
	switch fc.told {
	case 0:
	case 1:
		wantTold = 0
	default:
		wantTold = fc.told
	}
	if told != wantTold {
		t.Errorf("the peer was told %d, want %d", told, wantTold)
	}
	if _, again := c.Read(); again != err {
		t.Errorf("the next Read says %v, want the same %v", again, err)
	}
}

// hear reads what our side sends, demands that it be legal, and returns the
// pongs and the close code (0 for no close frame, NoStatus for one without).
func hear(t *testing.T, r io.Reader, masked bool) (pongs []string, code Code) {
	for {
		h, err := ws.ReadHeader(r)
		if err != nil {
			return pongs, code
		}
		if h.Masked != masked || h.Rsv != 0 || !h.Fin || code != 0 {
			t.Errorf("illegal frame sent: %+v (close code before it: %d)", h, code)
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(r, p); err != nil {
			t.Errorf("reading a payload: %v", err)
			return pongs, code
		}
		if masked {
			ws.Cipher(p, h.Mask, 0)
		}
		switch {
		case h.OpCode == ws.OpPong:
			pongs = append(pongs, string(p))
		case h.OpCode == ws.OpClose && len(p) == 0:
			code = NoStatus
		case h.OpCode == ws.OpClose && len(p) >= 2:
			code = Code(binary.BigEndian.Uint16(p))
		default:
			t.Errorf("unexpected frame sent: %+v %q", h, p)
		}
	}
}
