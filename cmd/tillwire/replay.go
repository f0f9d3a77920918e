package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/ws"
)

type replayCmd struct {
	File    string        `arg:"" type:"path" help:"The scenario, as the console's page of the traffic exports it."`
	URL     string        `name:"url" default:"${dev_url}" env:"TILLWIRE_URL" placeholder:"URL" help:"Address of the gateway with key and partner ids, as the gateway prints it; path, version and extensions are the scenario's."`
	Site    string        `default:"demo" placeholder:"SITE" help:"The site of the simulated terminals, where the scenario has them do something."`
	Speed   simSpeed      `default:"human" placeholder:"SPEED" help:"How tills pause: human as recorded, max not at all, or how many times faster."`
	Limit   time.Duration `default:"4m" placeholder:"TIME" help:"How long to wait for each message."`
	Verbose bool          `short:"v" help:"Print each message as it goes."`
}

// Help is shown with the command's own help.
func (replayCmd) Help() string {
	return `It is the tills of a recorded conversation: it sends what they sent, each message
once what came before it has come, and compares what the gateway says by its shape.
Ids, times, receipts and what else is another each time may differ; the file lists
which. Exit code 0 when all went as recorded, 1 with the differences when not.

    tillwire replay demo-20261007-123015.txt
    tillwire replay demo-20261007-123015.txt --speed max --verbose
    tillwire replay --url "wss://pay.example/pac?token=KEY&software-house-id=S&installer-id=I" sale.txt`
}

// Run plays the conversation.
func (c replayCmd) Run(s streams) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	script, err := readReplay(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	address, err := url.Parse(c.URL)
	if err != nil || address.Host == "" { // the address is not repeated: it bears the key
		return usageError{hint(errors.New("--url: it is not an address like ws://127.0.0.1:8484/pac?token=…"), "tillwire serve prints it")}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	interrupts, ignore := onInterrupt()
	defer ignore()
	go func() {
		select {
		case <-interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()
	p := &player{
		script: script, address: address, speed: float64(c.Speed), limit: c.Limit, tills: map[string]*replayTill{}, keys: map[string]string{},
		run: rand.Text()[:12], say: func(string, ...any) {},
		dev: func() (*devClient, error) { return devFlags{URL: c.URL, Site: c.Site}.client() },
	}
	if c.Verbose {
		p.say = func(format string, args ...any) { fmt.Fprintf(s.err, format+"\n", args...) }
	}
	began := time.Now()
	err = p.play(ctx)
	for _, d := range p.differences {
		fmt.Fprintln(s.out, d)
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("stopped before the end")
	case err != nil:
		return err
	case len(p.differences) > 0:
		return hint(fmt.Errorf("the conversation went another way: %d differences", len(p.differences)),
			"what may be another each time stands behind %q in the file", replayMayDiffer)
	}
	_, err = fmt.Fprintf(s.out, "as recorded: %d messages sent, %d received, in %v\n", p.sent, p.received, time.Since(began).Round(10*time.Millisecond))
	return err
}

// maxDifferences ends a replay that has nothing to do with the recording.
const maxDifferences = 20

// A player plays a conversation.
type player struct {
	script  *replayScript
	address *url.URL
	speed   float64
	limit   time.Duration
	run     string // names this run
	dev     func() (*devClient, error)
	say     func(format string, args ...any)

	tills               map[string]*replayTill
	keys                map[string]string // request keys of the recording, and those of this run
	authCode, requestID string            // told last
	sent, received      int
	differences         []string

	atTerminals sync.WaitGroup
	failedMu    sync.Mutex
	failed      error // at a terminal
}

// errAnotherWay ends a replay whose differences are noted.
var errAnotherWay = errors.New("another way")

func (p *player) play(ctx context.Context) error {
	ctx, leave := context.WithCancel(ctx)
	defer p.atTerminals.Wait()
	defer leave()
	defer func() {
		for _, t := range p.tills {
			t.close()
		}
	}()
	for _, step := range p.script.steps {
		if err := p.step(ctx, step); err != nil {
			if errors.Is(err, errAnotherWay) {
				return nil
			}
			return fmt.Errorf("line %d: %w", step.line, err)
		}
		if len(p.differences) >= maxDifferences {
			return nil
		}
	}
	for name, t := range p.tills {
		if err := p.nothingMore(ctx, name, t); err != nil {
			return err
		}
	}
	p.failedMu.Lock()
	defer p.failedMu.Unlock()
	return p.failed
}

func (p *player) differs(line int, format string, args ...any) {
	p.differences = append(p.differences, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
}

func (p *player) step(ctx context.Context, s replayStep) error {
	switch s.act {
	case replayConnect:
		return p.connect(ctx, s)
	case replayWait:
		if p.speed <= 0 || p.speed == sim.Max {
			return nil
		}
		t := time.NewTimer(time.Duration(float64(s.wait) / p.speed))
		defer t.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return nil
		}
	case replayAtTerminal:
		return p.atTerminal(ctx, s)
	case replaySend, replayReceive, replayHangUp, replayClosed: // of a till that is there
	}
	t := p.tills[s.who]
	if t == nil {
		return fmt.Errorf("there is no till %q; a line till %s v1 comes first", s.who, s.who)
	}
	switch s.act {
	case replaySend:
		text, err := p.rewrite(t, s.text)
		if err != nil {
			return err
		}
		p.say("%s> %s", s.who, text)
		p.sent++
		if err := t.conn.Send([]byte(text)); err != nil {
			return fmt.Errorf("till %s: %w", s.who, err)
		}
	case replayHangUp:
		t.close()
		delete(p.tills, s.who)
	case replayClosed:
		return p.expectClose(ctx, t, s)
	case replayReceive:
		return p.expect(ctx, t, s)
	case replayConnect, replayWait, replayAtTerminal: // done above
	}
	return nil
}

// A replayTill is one till of the conversation.
type replayTill struct {
	conn  *ws.Conn
	in    chan string // closed at the end of the connection
	stop  chan struct{}
	close func()
	ids   map[int]int // of the gateway's requests: as recorded, and as they are now
}

// connect opens a till's connection.
func (p *player) connect(ctx context.Context, s replayStep) error {
	if old := p.tills[s.who]; old != nil {
		old.close()
	}
	u := *p.address
	u.Path = "/" + s.face
	q := u.Query()
	for _, name := range []string{"extensions", "final-pos-receipt", "final-pos-receipt-request", "stream", "since"} {
		q.Del(name)
	}
	q.Set("api-version", s.version)
	if len(s.extensions) > 0 {
		q.Set("extensions", strings.Join(s.extensions, ","))
	}
	if s.final {
		q.Set("final-pos-receipt-request", "1")
	}
	for _, e := range s.extensions {
		if e == "resume" {
			q.Set("stream", "replay-"+p.run+"-"+s.who)
		}
	}
	u.RawQuery = q.Encode()
	conn, err := ws.Dial(ctx, u.String(), ws.DialOptions{})
	if refused, ok := errors.AsType[*ws.RefusedError](err); ok {
		return hint(fmt.Errorf("till %s: %w", s.who, refused), "key and partner ids stand in --url or TILLWIRE_URL")
	}
	if err != nil {
		return fmt.Errorf("till %s: %w", s.who, err)
	}
	t := &replayTill{conn: conn, in: make(chan string, 64), stop: make(chan struct{}), ids: map[int]int{}}
	t.close = sync.OnceFunc(func() {
		close(t.stop)
		conn.StartClose(ws.Normal, "")
		for range t.in {
		}
		<-conn.Done()
	})
	go func() {
		defer close(t.in)
		for {
			text, err := conn.Read()
			if err != nil {
				return
			}
			select {
			case t.in <- string(text):
			case <-t.stop: // nobody wants it; read on until the end
			}
		}
	}()
	p.tills[s.who] = t
	p.say("%s connects to /%s %s", s.who, s.face, s.version)
	return nil
}

var (
	toldAuthCode  = regexp.MustCompile(`"authCode":"([^"]+)"`)
	toldRequestID = regexp.MustCompile(`"requestId":"([^"]+)"`)
)

// next waits for a message. It reports false when the connection has ended.
func (p *player) next(ctx context.Context, t *replayTill) (text string, ok bool, err error) {
	limit := time.NewTimer(p.limit)
	defer limit.Stop()
	select {
	case text, ok = <-t.in:
		return text, ok, nil
	case <-ctx.Done():
		return "", false, ctx.Err()
	case <-limit.C:
		return "", false, errTooLong
	}
}

var errTooLong = errors.New("nothing came in time")

// expect waits for a message and compares it.
func (p *player) expect(ctx context.Context, t *replayTill, s replayStep) error {
	got, ok, err := p.next(ctx, t)
	switch {
	case errors.Is(err, errTooLong):
		p.differs(s.line, "till %s got nothing in %v\n  want %s", s.who, p.limit, s.text)
		return errAnotherWay
	case err != nil:
		return err
	case !ok:
		p.differs(s.line, "the connection of till %s was closed: %v\n  want %s", s.who, t.conn.Err(), s.text)
		return errAnotherWay
	}
	p.received++
	p.say("%s< %s", s.who, got)
	if found := toldAuthCode.FindStringSubmatch(got); found != nil {
		p.authCode = found[1]
	}
	if found := toldRequestID.FindStringSubmatch(got); found != nil {
		p.requestID = found[1]
	}
	want, have := envelopeOf(s.text), envelopeOf(got)
	if want.kind() != have.kind() || want.Method != have.Method || want.Params.Notification != have.Params.Notification {
		p.differs(s.line, "till %s got another message\n  want %s\n  got  %s", s.who, s.text, got)
		return errAnotherWay
	}
	ignore := ""
	if want.Method != "" && want.ID != nil && have.ID != nil { // the gateway numbers its requests as it likes
		t.ids[*want.ID] = *have.ID
		ignore = "/id"
	}
	for _, d := range compareMessages(s.text, got, p.script.differ, ignore) {
		p.differs(s.line, "till %s: %s", s.who, d)
	}
	return nil
}

// expectClose waits for the gateway to close.
func (p *player) expectClose(ctx context.Context, t *replayTill, s replayStep) error {
	got, ok, err := p.next(ctx, t)
	switch {
	case errors.Is(err, errTooLong):
		p.differs(s.line, "the connection of till %s was not closed in %v", s.who, p.limit)
		return errAnotherWay
	case err != nil:
		return err
	case ok:
		p.differs(s.line, "till %s got a message where the gateway closed\n  got  %s", s.who, got)
		return errAnotherWay
	}
	code := 0
	if closed, is := errors.AsType[*ws.CloseError](t.conn.Err()); is {
		code = int(closed.Code)
	}
	if want, _, _ := strings.Cut(s.text, " "); want != strconv.Itoa(code) {
		p.differs(s.line, "the connection of till %s was closed with %d, want %s", s.who, code, s.text)
	}
	return nil
}

// nothingMore sees that nothing came that was not recorded. What the gateway
// sent before the pong has arrived with it.
func (p *player) nothingMore(ctx context.Context, name string, t *replayTill) error {
	pong := make(chan struct{})
	if err := t.conn.Ping(func() { close(pong) }); err != nil {
		return nil // closed, as recorded or after the end
	}
	limit := time.NewTimer(p.limit)
	defer limit.Stop()
	for {
		select {
		case got, ok := <-t.in:
			if ok {
				p.differences = append(p.differences, fmt.Sprintf("at the end: till %s got one more message\n  got  %s", name, got))
				continue
			}
			return nil
		case <-pong:
			select {
			case got, ok := <-t.in:
				if ok {
					p.differences = append(p.differences, fmt.Sprintf("at the end: till %s got one more message\n  got  %s", name, got))
				}
			default:
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("till %s: the gateway does not answer", name)
		}
	}
}

// rewrite makes what a till says now of what it said: answers bear the ids that
// the gateway's requests have now, request keys are new ones, and what it repeats
// of what it was told is what it was told now.
func (p *player) rewrite(t *replayTill, text string) (string, error) {
	text = strings.NewReplacer("$authCode", p.authCode, "$requestId", p.requestID).Replace(text)
	m := envelopeOf(text)
	if m.Method == "" && m.ID != nil {
		if now, ok := t.ids[*m.ID]; ok && now != *m.ID {
			return replaceAt(text, "/id", strconv.Itoa(now))
		}
	}
	if old := m.Params.RequestKey; old != "" {
		if p.keys[old] == "" {
			// The old one names a transaction that has been.
			p.keys[old] = fmt.Sprintf("replay-%s-%d", p.run, len(p.keys)+1)
		}
		return replaceAt(text, "/params/requestKey", strconv.Quote(p.keys[old]))
	}
	return text, nil
}

// An envelope is what must be known of a message to play it.
type envelope struct {
	ID     *int   `json:"id"`
	Method string `json:"method"`
	Params struct {
		Notification string `json:"notificationValue"`
		RequestKey   string `json:"requestKey"`
	} `json:"params"`
	Result jsontext.Value `json:"result"`
	Error  jsontext.Value `json:"error"`
}

// envelopeOf reads as much as it can: what tills said need not be right.
func envelopeOf(text string) envelope {
	var m envelope
	if json.Unmarshal([]byte(text), &m, jsontext.AllowDuplicateNames(true)) != nil {
		return envelope{}
	}
	return m
}

func (m envelope) kind() string {
	switch {
	case m.Method != "" && m.ID != nil:
		return "request"
	case m.Method != "":
		return "notification"
	case m.Error != nil:
		return "error"
	case m.Result != nil:
		return "result"
	}
	return "no message"
}

// atTerminal has people do something at a simulated terminal.
func (p *player) atTerminal(ctx context.Context, s replayStep) error {
	client, err := p.dev()
	if err != nil {
		return err
	}
	const advice = "the gateway must run with --dev, for somebody has to be at its terminals"
	tid := s.words[1]
	switch s.words[0] {
	case "script":
		name, ok := strings.CutPrefix(s.words[2], "scenario=")
		if !ok {
			return errors.New("of a terminal's scripts only scenario=NAME can be played")
		}
		resp, err := client.ask(ctx, http.MethodPost, scenarioOrder{Name: name, Times: 1}, tid, "scenario")
		if err != nil {
			return hint(err, advice)
		}
		return resp.Body.Close()
	case "report":
		p.begin(ctx, client, reportOrder{Type: report.Type(s.words[2])}, tid, "report")
	case "visit":
		o, err := visitOrderOf(s.words[2:])
		if err != nil {
			return err
		}
		p.begin(ctx, client, o, tid, "visit")
	}
	return nil
}

// begin does something that takes a while, beside the conversation.
func (p *player) begin(ctx context.Context, client *devClient, order any, words ...string) {
	p.atTerminals.Go(func() {
		resp, err := client.ask(ctx, http.MethodPost, order, words...)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			err = errors.Join(err, resp.Body.Close())
		}
		if err != nil && ctx.Err() == nil {
			p.failedMu.Lock()
			defer p.failedMu.Unlock()
			p.failed = errors.Join(p.failed, fmt.Errorf("at terminal %s: %w", words[0], err))
		}
	})
}

// visitOrderOf reads what a waiter does.
func visitOrderOf(words []string) (visitOrder, error) {
	o := visitOrder{Split: 1}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		switch key {
		case "waiter":
			o.Waiter, err = table.WaiterID(value), nil
		case "table":
			o.Table, err = table.TableID(value), nil
		case "bill":
			o.PrintBill, err = true, nil
		case "split":
			o.Split = int(n)
		case "amount":
			o.Pay = money.Minor(n)
		case "tip":
			o.Tip = money.Minor(n)
		case "declineFirst":
			o.DeclineFirst, err = true, nil
		case "contactless":
			o.Contactless, err = true, nil
		case "signature":
			o.Signature, err = true, nil
		case "cancelAt":
			o.CancelAt, err = sim.Step(value), nil
		default:
			return o, fmt.Errorf("a visit has no %q", key)
		}
		if err != nil {
			return o, fmt.Errorf("visit: %s: %w", key, err)
		}
	}
	return o, nil
}
