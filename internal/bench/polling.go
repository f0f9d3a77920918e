package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// polling compares what a poll of a sale that runs costs with a handler that has
// nothing to do but write the same bytes.
func (b *bench) polling(ctx context.Context) (Group, error) {
	n := b.Pollers
	g := Group{
		Meaning: "Tills that each have a sale running and ask after it over REST, each on a connection of its own that is kept open. Once a second each, which is the " +
			"contract's pace: how long the slowest in a hundred answers takes. As fast as they are answered: polls a second, and the processor's time of a poll, " +
			"of this whole process, tills included. Each over the same for an HTTP server of the standard library whose handler writes the same bytes. " +
			"For memory the server's process is one of its own: what it holds of the system's for each such till, its sale and its terminal included.",
	}
	var p99, barep99, rates, bareRates, cpu, bareCPU []float64
	for round := range b.Rounds {
		b.say("polling: %d tills, round %d of %d", n, round+1, b.Rounds)
		for _, side := range []struct {
			bare            bool
			late, fast, cpu *[]float64
		}{{false, &p99, &rates, &cpu}, {true, &barep99, &bareRates, &bareCPU}} {
			one, err := b.pollSide(ctx, n, side.bare)
			if err != nil {
				return Group{}, err
			}
			*side.late = append(*side.late, one.p99)
			*side.fast = append(*side.fast, one.perSecond)
			*side.cpu = append(*side.cpu, one.cpuMicros)
		}
	}
	g.Figures = []Figure{
		Figure{
			Case: fmt.Sprintf("%d tills at their pace, 99 of 100 answers: the gateway / a bare handler", n), Figure: spread(ratios(p99, barep99)),
			Values: []Value{{"the gateway", "ms", spread(p99)}, {"a bare handler", "ms", spread(barep99)}},
		}.atMost(1.5),
		{
			Case: "as fast as answered: the gateway / a bare handler", Figure: spread(ratios(rates, bareRates)),
			Values: []Value{{"the gateway", "polls/s", spread(rates)}, {"a bare handler", "polls/s", spread(bareRates)}},
		},
		{
			Case: "processor of a poll: the gateway / a bare handler", Figure: spread(ratios(cpu, bareCPU)),
			Values: []Value{{"the gateway", "µs", spread(cpu)}, {"a bare handler", "µs", spread(bareCPU)}},
		},
	}
	var ours, bare []float64
	for round := range b.MemoryRounds {
		b.say("polling: memory, %d tills, round %d of %d", n, round+1, b.MemoryRounds)
		for _, side := range []struct {
			role string
			to   *[]float64
		}{{RolePolled, &ours}, {RolePolledBare, &bare}} {
			cost, err := b.pollMemory(ctx, side.role, n)
			if err != nil {
				return Group{}, fmt.Errorf("%s: %w", side.role, err)
			}
			*side.to = append(*side.to, cost)
		}
	}
	g.Figures = append(g.Figures, Figure{
		Case: fmt.Sprintf("%d tills, memory of each: the gateway / a bare handler", n), Figure: spread(ratios(ours, bare)),
		Values: []Value{{"the gateway", "kB each", spread(ours)}, {"a bare handler", "kB each", spread(bare)}},
	})
	return g, nil
}

// A polledSide is what one turn of one side came to.
type polledSide struct{ p99, perSecond, cpuMicros float64 }

// pollSide has n tills poll one side, at their pace and then as fast as they can.
func (b *bench) pollSide(ctx context.Context, n int, bare bool) (_ polledSide, err error) {
	s, err := openPolled(ctx, n)
	if err != nil {
		return polledSide{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if bare {
		if err := s.copyBare(ctx); err != nil {
			return polledSide{}, err
		}
	}
	tills, err := s.tills(ctx)
	defer func() {
		for _, t := range tills {
			t.nc.Close()
		}
	}()
	if err != nil {
		return polledSide{}, err
	}
	runtime.GC()
	late, err := atPace(ctx, tills, b.PollEvery, 4*b.PollEvery)
	if err != nil {
		return polledSide{}, err
	}
	r, err := atOnce(ctx, tills[:min(len(tills), 64)], b.Window)
	return polledSide{p99: late, perSecond: r.perSecond(), cpuMicros: r.cpuMicros()}, err
}

// A polledShop is a shop whose every terminal has a sale that does not end.
type polledShop struct {
	*shop
	requests [][]byte // one for each till
	addr     string
	bare     *http.Server
	wg       sync.WaitGroup
}

func openPolled(ctx context.Context, n int) (_ *polledShop, err error) {
	s := &polledShop{}
	if s.shop, err = openShop(ctx, memory.New(), n, func(m *machine, r terminal.Request) {
		for _, value := range []txn.Notification{"PRESENT_CARD", "PIN_ENTRY", "CONNECTING", "CONNECTION_MADE"} {
			m.note(r.ID, value)
		}
	}); err != nil {
		return nil, err
	}
	s.addr = s.shop.addr
	till, err := s.gw.Till(key, txn.Caller{})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	for i := range n {
		begun, err := till.Begin(ctx, gateway.Wish{TID: tid(i), Txn: txn.Request{Type: txn.Sale, Currency: "GBP", Amount: 1250}})
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.requests = append(s.requests, pollRequest(s.addr, string(tid(i)), string(begun.ID)))
	}
	return s, nil
}

func pollRequest(host, tid, id string) []byte {
	return fmt.Appendf(nil, "GET /pac/terminals/%s/transactions/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\n"+
		"Accept: application/connect.v2+json\r\nSoftware-House-Id: BENCH\r\nInstaller-Id: BENCH\r\nUser-Agent: till\r\n\r\n",
		tid, id, host, base64.StdEncoding.EncodeToString([]byte("till:"+key)))
}

// copyBare asks for each answer once, and serves those bytes from then on.
func (s *polledShop) copyBare(ctx context.Context) error {
	tills, err := s.tills(ctx)
	if err != nil {
		return err
	}
	answers := map[string]copied{}
	for i, t := range tills {
		header, body, err := t.whole(s.requests[i])
		t.nc.Close()
		if err != nil {
			return err
		}
		path, _, _ := strings.Cut(strings.TrimPrefix(string(s.requests[i]), "GET "), " ")
		answers[path] = copied{header, body}
	}
	return s.serveBare(func(path string) copied { return answers[path] })
}

// copied is an answer of the gateway's.
type copied struct {
	header http.Header
	body   []byte
}

// serveBare has the standard library's server answer from now on.
func (s *polledShop) serveBare(answer func(path string) copied) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.addr = ln.Addr().String()
	s.bare = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := answer(r.URL.Path)
		for name, values := range a.header {
			w.Header()[name] = values
		}
		_, _ = w.Write(a.body)
	})}
	s.wg.Go(func() { _ = s.bare.Serve(ln) }) // until it is closed
	return nil
}

func (s *polledShop) close() error {
	if s.bare != nil {
		_ = s.bare.Close()
		s.wg.Wait()
	}
	return s.shop.close()
}

// A poller is one till's connection.
type poller struct {
	nc      net.Conn
	br      *bufio.Reader
	request []byte
}

// tills connects one till for each sale. Each has asked once.
func (s *polledShop) tills(ctx context.Context) (tills []*poller, err error) {
	for _, request := range s.requests {
		t, err := dialPoller(ctx, s.addr, request)
		if err != nil {
			return tills, err
		}
		tills = append(tills, t)
		if err := t.poll(); err != nil {
			return tills, err
		}
	}
	return tills, nil
}

func dialPoller(ctx context.Context, addr string, request []byte) (*poller, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &poller{nc, bufio.NewReaderSize(nc, 4<<10), request}, nil
}

// poll asks once and reads the answer, looking at no more of it than it has to.
func (t *poller) poll() error {
	if _, err := t.nc.Write(t.request); err != nil {
		return err
	}
	length := -1
	for first := true; ; first = false {
		line, err := t.br.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch text := strings.TrimRight(string(line), "\r\n"); {
		case first && !strings.Contains(text, " 200 "):
			return fmt.Errorf("the answer was %q", text)
		case text == "":
			_, err := t.br.Discard(length)
			return err
		case strings.HasPrefix(text, "Content-Length: "):
			if length, err = strconv.Atoi(text[len("Content-Length: "):]); err != nil {
				return err
			}
		}
	}
}

// whole asks once and returns the answer.
func (t *poller) whole(request []byte) (http.Header, []byte, error) {
	if _, err := t.nc.Write(request); err != nil {
		return nil, nil, err
	}
	resp, err := http.ReadResponse(t.br, nil)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.Header, body, err
}

// atPace has each till poll once in a while, one after the other, and returns how
// long 99 in 100 answers took at most, in milliseconds.
func atPace(ctx context.Context, tills []*poller, every, window time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, window, errEnough)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	var all sync.WaitGroup
	for i, t := range tills {
		all.Go(func() {
			begin := time.NewTimer(every * time.Duration(i) / time.Duration(len(tills)))
			defer begin.Stop()
			next := begin.C
			tick := time.NewTicker(every)
			defer tick.Stop()
			for first := true; ; first = false {
				select {
				case <-next:
				case <-ctx.Done():
					return
				}
				if first {
					tick.Reset(every)
					next = tick.C
				}
				start := time.Now()
				err := t.poll()
				d := time.Since(start)
				mu.Lock()
				took = append(took, d)
				failed = errors.Join(failed, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); failed == nil && !errors.Is(err, errEnough) {
		failed = err
	}
	if len(took) == 0 {
		return 0, errors.Join(failed, errors.New("nobody polled"))
	}
	return float64(slowest(took, 99)) / float64(time.Millisecond), failed
}

// slowest is the longest of the fastest so many in a hundred.
func slowest(took []time.Duration, percent int) time.Duration {
	slices.Sort(took)
	return took[min(len(took)*percent/100, len(took)-1)]
}

var errEnough = errors.New("the window is over")

// atOnce has each till poll again whenever it is answered.
func atOnce(ctx context.Context, tills []*poller, window time.Duration) (rate, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, window, errEnough)
	defer cancel()
	var mu sync.Mutex
	var r rate
	var failed error
	var all sync.WaitGroup
	start, used := time.Now(), cpuTime()
	for _, t := range tills {
		all.Go(func() {
			n := int64(0)
			var err error
			for ; err == nil && ctx.Err() == nil; n++ {
				err = t.poll()
			}
			mu.Lock()
			defer mu.Unlock()
			r.sales += n
			failed = errors.Join(failed, err)
		})
	}
	all.Wait()
	r.took, r.cpu = time.Since(start), cpuTime()-used
	if err := context.Cause(ctx); failed == nil && !errors.Is(err, errEnough) {
		failed = err
	}
	return r, failed
}

// The roles of servers that are polled.
const (
	RolePolled     = "polled"
	RolePolledBare = "polled-bare"
)

// servePolled serves so many tills as it reads a number of, prints its address and
// the requests, then what it holds of the system's memory for each line that it
// reads.
func servePolled(bare bool, in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return errors.Join(errors.New("nobody said how many tills there are"), lines.Err())
	}
	n, err := strconv.Atoi(lines.Text())
	if err != nil {
		return err
	}
	s, err := openPolled(context.Background(), n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if bare { // with none of the gateway left, and the bytes of one answer for all
		t, err := dialPoller(context.Background(), s.addr, s.requests[0])
		if err != nil {
			return err
		}
		header, body, err := t.whole(t.request)
		t.nc.Close()
		if err = errors.Join(err, s.shop.close()); err != nil {
			return err
		}
		s.shop = &shop{store: memory.New(), shut: func() {}}
		if err := s.serveBare(func(string) copied { return copied{header, body} }); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(out, s.addr); err != nil {
		return err
	}
	for _, r := range s.requests {
		if _, err := fmt.Fprintln(out, base64.StdEncoding.EncodeToString(r)); err != nil {
			return err
		}
	}
	for lines.Scan() {
		if _, err := fmt.Fprintln(out, held()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// pollMemory returns what each polling till costs a server, in kB: what many hold,
// less what few do.
func (b *bench) pollMemory(ctx context.Context, role string, n int) (float64, error) {
	few, many := max(n/8, 1), n
	less, err := b.polledHolds(ctx, role, few)
	if err != nil {
		return 0, err
	}
	more, err := b.polledHolds(ctx, role, many)
	return max(more-less, 1) / float64(many-few) / 1000, err
}

// polledHolds is what a server holds while so many tills poll it, in bytes.
func (b *bench) polledHolds(ctx context.Context, role string, n int) (_ float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, err := startAssistant(b.Assistant(ctx, role))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.tell(strconv.Itoa(n)); err != nil {
		return 0, err
	}
	addr, err := p.hear()
	if err != nil {
		return 0, err
	}
	var tills []*poller
	defer func() {
		for _, t := range tills {
			t.nc.Close()
		}
	}()
	for range n {
		text, err := p.hear()
		if err != nil {
			return 0, err
		}
		request, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return 0, err
		}
		t, err := dialPoller(ctx, addr, request)
		if err != nil {
			return 0, err
		}
		tills = append(tills, t)
		for range 2 {
			if err := t.poll(); err != nil {
				return 0, err
			}
		}
	}
	return heldBy(p)
}
