package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/site/traffic"
)

// What the page of the traffic is given at most, and what looking for deviations
// may cost: the gateway needs the processor more.
const (
	trafficEvery  = 100 * time.Millisecond
	trafficRows   = 250 // each time
	trafficFirst  = 300 // of what was there before
	judgeTime     = 10 * time.Millisecond
	judgeBacklog  = 1000
	linesEvery    = time.Second
	maxGist       = 120 // characters of a line that says what a message says
	maxTrafficTID = 64
)

// A trafficAsk is which messages a page wants.
type trafficAsk struct {
	Site   string `json:"site"`
	Conn   uint64 `json:"conn"`
	Face   string `json:"face"`
	TID    string `json:"tid"`
	Method string `json:"method"`
	Wrong  bool   `json:"wrong"` // only errors, and what deviates
}

func (q trafficAsk) filter() traffic.Filter {
	return traffic.Filter{Site: q.Site, Conn: q.Conn, Face: q.Face, TID: strings.TrimSpace(q.TID), Method: strings.TrimSpace(q.Method)}
}

// A trafficRow is a message in the list.
type trafficRow struct {
	Seq     uint64  `json:"seq"`
	At      string  `json:"at"`
	Conn    uint64  `json:"conn"`
	Face    string  `json:"face"`
	From    string  `json:"from"` // gateway, till or terminal
	Kind    string  `json:"kind"`
	ID      *int    `json:"id,omitzero"`
	Method  string  `json:"method,omitzero"`
	TID     string  `json:"tid,omitzero"`
	Gist    string  `json:"gist,omitzero"`
	Size    int     `json:"size"`
	Answers uint64  `json:"answers,omitzero"`
	After   float64 `json:"after,omitzero"` // ms since the request
	Answer  uint64  `json:"answer,omitzero"`
	About   uint64  `json:"about,omitzero"`
	Of      uint64  `json:"of,omitzero"`
	// Wrong is how many deviations it has, -1 while nobody has looked.
	Wrong int `json:"wrong"`
	// Tolerated says that all of them are let pass.
	Tolerated bool `json:"tolerated,omitzero"`
}

// A trafficLine is a connection that can be chosen.
type trafficLine struct {
	Conn   uint64 `json:"conn"`
	Face   string `json:"face"`
	Name   string `json:"name"` // for people
	Open   bool   `json:"open"`
	Missed bool   `json:"missed"` // messages of it were not kept
}

// A trafficBatch is what a page is told at once.
type trafficBatch struct {
	First    bool          `json:"first,omitzero"` // forget what was before
	Rows     []trafficRow  `json:"rows,omitzero"`
	Verdicts []verdictNews `json:"verdicts,omitzero"`
	Lines    []trafficLine `json:"lines,omitzero"`
	Before   int           `json:"before,omitzero"`
	Passed   int           `json:"passed,omitzero"`
	Gone     uint64        `json:"gone,omitzero"`
	Dropped  uint64        `json:"dropped,omitzero"`
}

// empty reports whether there is nothing to tell.
func (b trafficBatch) empty() bool {
	return !b.First && len(b.Rows)+len(b.Verdicts)+len(b.Lines) == 0 && b.Passed == 0 && b.Gone == 0 && b.Dropped == 0
}

// A verdictNews is what was found when somebody had time to look.
type verdictNews struct {
	Seq       uint64 `json:"seq"`
	Wrong     int    `json:"wrong"`
	Tolerated bool   `json:"tolerated,omitzero"`
}

var (
	errNoTraffic = errors.New("this gateway does not show its traffic")
	errNoSite    = errors.New("there is no such site here")
	errForgotten = errors.New("this message is not kept any more")
)

// addTraffic registers what the page of the traffic needs.
func (c *Console) addTraffic() {
	c.judge = traffic.NewJudge()
	c.topics["traffic"] = c.watchTraffic
	c.deeds["message"] = c.showMessage
}

// site is the site that is asked for, or the viewer's first.
func (v viewer) site(asked string) (string, error) {
	if asked == "" && len(v.sites) > 0 {
		asked = v.sites[0]
	}
	if !v.sees(asked) {
		return "", errNoSite
	}
	return asked, nil
}

// watchTraffic is the topic "traffic": what was said lately, and what is said
// from now on. It tells ten times a second at most.
func (c *Console) watchTraffic(ctx context.Context, v viewer, ask jsontext.Value, send func(any) error) error {
	if c.cfg.Traffic == nil {
		return errNoTraffic
	}
	q, err := read[trafficAsk](ask)
	if err != nil {
		return err
	}
	if q.Site, err = v.site(q.Site); err != nil {
		return err
	}
	r := c.cfg.Traffic.Read(q.filter())
	defer r.Leave()
	f := &trafficFeed{c: c, q: q, r: r}
	tick := time.NewTicker(trafficEvery)
	defer tick.Stop()
	for {
		b, err := f.next()
		if errors.Is(err, traffic.ErrClosed) {
			return errClosing
		}
		if err != nil {
			return err
		}
		if !b.empty() {
			if err := send(b); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// A trafficFeed is one page's view of the traffic.
type trafficFeed struct {
	c       *Console
	q       trafficAsk
	r       *traffic.Reader
	begun   bool
	backlog []*traffic.Message // shown, and not judged yet; oldest first
	lines   []trafficLine
	looked  time.Time // at the connections
}

// next is what there is to tell now.
func (f *trafficFeed) next() (trafficBatch, error) {
	most := trafficRows
	if !f.begun {
		most = trafficFirst
	}
	got, err := f.r.Take(most)
	if err != nil {
		return trafficBatch{}, err
	}
	b := trafficBatch{First: !f.begun, Before: got.Before, Passed: got.Passed, Gone: got.Gone, Dropped: got.Dropped}
	f.begun = true
	until := time.Now().Add(judgeTime)
	// The newest are looked at first: they are what people see.
	for _, m := range slices.Backward(got.Messages) {
		in := true
		switch {
		case time.Now().Before(until):
			v := f.c.judge.Judge(m)
			in = !f.q.Wrong || m.Kind == traffic.Error || len(v.Deviations) > 0
		case f.q.Wrong && m.Kind != traffic.Error && m.Judged() == nil:
			b.Passed++ // nobody can say whether it belongs here
			in = false
		case m.Judged() == nil:
			f.backlog = append(f.backlog, m)
		}
		if in {
			b.Rows = append(b.Rows, rowOf(m))
		}
	}
	slices.Reverse(b.Rows)
	if n := len(f.backlog) - judgeBacklog; n > 0 {
		f.backlog = slices.Delete(f.backlog, 0, n)
	}
	for len(f.backlog) > 0 && time.Now().Before(until) {
		last := len(f.backlog) - 1
		m := f.backlog[last]
		f.backlog[last] = nil
		f.backlog = f.backlog[:last]
		wrong, tolerated := countOf(f.c.judge.Judge(m))
		b.Verdicts = append(b.Verdicts, verdictNews{m.Seq, wrong, tolerated})
	}
	if now := time.Now(); now.Sub(f.looked) >= linesEvery {
		f.looked = now
		if lines := f.c.trafficLines(f.q.Site); b.First || !slices.Equal(lines, f.lines) {
			b.Lines, f.lines = lines, lines
		}
	}
	return b, nil
}

// trafficLines lists a site's connections, the newest first.
func (c *Console) trafficLines(site string) []trafficLine {
	out := []trafficLine{}
	for _, l := range slices.Backward(c.cfg.Traffic.Lines(site)) {
		out = append(out, trafficLine{Conn: l.Number, Face: l.Face, Name: nameOfLine(l), Open: l.Ending() == nil, Missed: l.Missed()})
	}
	return out
}

// nameOfLine says who is at the other end.
func nameOfLine(l *traffic.Line) string {
	words := []string{l.Face, l.Version}
	switch {
	case l.TID() != "":
		words = append(words, l.TID())
	case l.SoftwareHouse != "":
		words = append(words, l.SoftwareHouse+"/"+l.Installer)
	}
	return strings.Join(slices.DeleteFunc(append(words, l.Remote), func(w string) bool { return w == "" }), " ")
}

func countOf(v *traffic.Verdict) (wrong int, tolerated bool) {
	if v == nil {
		return -1, false
	}
	strict := slices.ContainsFunc(v.Deviations, func(d traffic.Deviation) bool { return !d.Tolerated })
	return len(v.Deviations), len(v.Deviations) > 0 && !strict
}

func rowOf(m *traffic.Message) trafficRow {
	row := trafficRow{
		Seq: m.Seq, At: m.At.UTC().Format("2006-01-02T15:04:05.000Z"), Conn: m.Line.Number, Face: m.Line.Face, From: fromOf(m), Kind: string(m.Kind),
		Method: m.Method, TID: m.TID, Gist: gistOf(m), Size: m.Size,
		Answers: m.Answers, After: float64(m.After.Microseconds()) / 1000, Answer: m.Answer(), About: m.About, Of: m.Of,
	}
	if m.ID != traffic.NoID {
		row.ID = &m.ID
	}
	row.Wrong, row.Tolerated = countOf(m.Judged())
	return row
}

func fromOf(m *traffic.Message) string {
	switch {
	case m.FromGateway:
		return "gateway"
	case m.Line.Face == traffic.FaceTerminal:
		return "terminal"
	}
	return "till"
}

// told are the members of params and result that say the most, the first of
// them first.
var told = []string{
	"notificationValue", "value", "type", "result", "transactionResult", "reportResult", "reportType", "state", "answer", "cancelling", "cancelled", "accepted",
	"confirmed", "recorded", "tableId", "amountTotal", "amountPaid", "amount", "amountBase", "amountCashback", "requestKey", "authCode",
}

// refusals says why tills are refused, by the status of the answer (the contract,
// section 1). Its own text is not kept: it may repeat what stood in the address.
var refusals = map[int]string{
	http.StatusUnauthorized:        "no key, or one that opens nothing here",
	http.StatusForbidden:           "the key is not for this path",
	http.StatusNotFound:            "there is no such path",
	http.StatusBadRequest:          "the address has something that is not known",
	http.StatusUnprocessableEntity: "software-house-id or installer-id is missing",
	http.StatusTooManyRequests:     "there are too many connections",
	http.StatusServiceUnavailable:  "the gateway is stopping",
}

// gistOf says in a few words what a message says.
func gistOf(m *traffic.Message) string {
	switch m.Kind {
	case traffic.Opened:
		return nameOfLine(m.Line)
	case traffic.Closed:
		by := "by the peer"
		if !m.Ending.ByPeer {
			by = "by the gateway"
		}
		return strings.TrimSuffix(fmt.Sprintf("%d %s: %s", m.Ending.Code, by, m.Ending.Reason), ": ")
	case traffic.Refused:
		return strings.TrimSuffix(fmt.Sprintf("%d: %s", m.Status, refusals[m.Status]), ": ")
	case traffic.Unreadable:
		return short(m.Text)
	case traffic.Request, traffic.Reply, traffic.Error, traffic.Notification:
	}
	var body struct {
		Params jsontext.Value `json:"params"`
		Result jsontext.Value `json:"result"`
		Error  struct {
			Code    jsontext.Value `json:"code"`
			Message string         `json:"message"`
		} `json:"error"`
	}
	lenient := []json.Options{jsontext.AllowDuplicateNames(true)}
	// What cannot be read leaves the rest empty, and has its own mark.
	_ = json.Unmarshal([]byte(m.Text), &body, lenient...)
	if m.Kind == traffic.Error {
		return short(strings.TrimSpace(string(body.Error.Code) + " " + body.Error.Message))
	}
	top := body.Params
	if m.Kind == traffic.Reply {
		top = body.Result
	}
	if top.Kind() == '[' {
		var list []jsontext.Value
		_ = json.Unmarshal(top, &list, lenient...)
		return fmt.Sprintf("%d in the list", len(list))
	}
	members := map[string]jsontext.Value{}
	_ = json.Unmarshal(top, &members, lenient...)
	for _, name := range []string{"transaction", "outcome"} { // of the terminal link
		inner := map[string]jsontext.Value{}
		if json.Unmarshal(members[name], &inner, lenient...) == nil {
			for key, v := range inner {
				members[key] = v
			}
		}
	}
	var words []string
	amounts := false
	for _, name := range told {
		v, ok := members[name]
		amount := strings.HasPrefix(name, "amount")
		if !ok || len(words) == 3 || amount && amounts { // the first amount is the one that matters
			continue
		}
		amounts = amounts || amount
		words = append(words, wordOf(name, v, members["currency"]))
	}
	if v, ok := members["tableIds"]; ok {
		words = append(words, "tables "+strings.Trim(string(v), "[]"))
	}
	return short(strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " · "))
}

// wordOf writes a member of a message: amounts as people write them where they
// are right, anything else as it stands.
func wordOf(name string, v, currency jsontext.Value) string {
	text := string(v)
	if v.Kind() == '"' {
		if b, err := jsontext.AppendUnquote(nil, v); err == nil && !strings.HasPrefix(name, "amount") {
			text = string(b)
		}
	}
	switch {
	case strings.HasPrefix(name, "amount"):
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return name + " " + text
		}
		if n == 0 && name != "amount" {
			return ""
		}
		return strings.TrimSpace(strings.Trim(string(currency), `"`) + " " + fmt.Sprintf("%d.%02d", n/100, n%100))
	case v.Kind() == 't' || v.Kind() == 'f':
		return name + ": " + text
	case name == "tableId":
		return "table " + text
	}
	return text
}

func short(s string) string {
	if r := []rune(s); len(r) > maxGist {
		return string(r[:maxGist-1]) + "…"
	}
	return s
}

// A messageView is all that is known of one message.
type messageView struct {
	Row        trafficRow      `json:"row"`
	Lines      []layoutLine    `json:"lines"`
	Deviations []deviationView `json:"deviations"`
	Title      string          `json:"title,omitzero"`
	Schema     string          `json:"schema,omitzero"` // its address
	Unjudged   string          `json:"unjudged,omitzero"`
	Cut        bool            `json:"cut,omitzero"`
	Request    *trafficRow     `json:"request,omitzero"`
	Answer     *trafficRow     `json:"answer,omitzero"`
	About      *trafficRow     `json:"about,omitzero"`
	Of         *trafficRow     `json:"of,omitzero"`
	Part       []trafficRow    `json:"part,omitzero"` // what is part of it
	Peer       peerView        `json:"peer"`
}

type layoutLine struct {
	Depth int    `json:"depth"`
	Text  string `json:"text"`
	Marks []int  `json:"marks,omitzero"` // of the deviations
}

type deviationView struct {
	Pointer   string `json:"pointer"`
	Text      string `json:"text"`
	Tolerated bool   `json:"tolerated,omitzero"`
}

type peerView struct {
	Conn          uint64   `json:"conn"`
	Site          string   `json:"site"`
	Key           string   `json:"key"`
	Face          string   `json:"face"`
	Version       string   `json:"version,omitzero"`
	Remote        string   `json:"remote"`
	SoftwareHouse string   `json:"softwareHouse,omitzero"`
	Installer     string   `json:"installer,omitzero"`
	Extensions    []string `json:"extensions,omitzero"`
	Opened        string   `json:"opened"`
	Ended         string   `json:"ended,omitzero"`
}

// maxPart is how many messages of a transaction are listed with it.
const maxPart = 200

// showMessage is the deed "message": one message in full, judged.
func (c *Console) showMessage(_ context.Context, v viewer, ask jsontext.Value) (any, error) {
	q, err := read[struct {
		Seq uint64 `json:"seq"`
	}](ask)
	switch {
	case err != nil:
		return nil, err
	case c.cfg.Traffic == nil:
		return nil, errNoTraffic
	}
	m := c.cfg.Traffic.Message(q.Seq)
	if m == nil || !v.sees(m.Line.Site) {
		return nil, errForgotten
	}
	verdict := c.judge.Judge(m)
	out := messageView{
		Row: rowOf(m), Lines: []layoutLine{}, Deviations: []deviationView{}, Title: verdict.Title, Unjudged: verdict.Unjudged, Cut: m.Cut,
		Request: c.other(m.Answers), Answer: c.other(m.Answer()), About: c.other(m.About), Of: c.other(m.Of),
	}
	if verdict.Schema != "" {
		out.Schema = "/docs/schemas/" + verdict.Schema
	}
	for _, d := range verdict.Deviations {
		out.Deviations = append(out.Deviations, deviationView{d.Pointer, d.Text, d.Tolerated})
	}
	if m.Kind.IsMessage() {
		for _, r := range traffic.Layout(m.Text, verdict) {
			out.Lines = append(out.Lines, layoutLine{r.Depth, r.Text, r.Marks})
		}
	}
	if m.Kind == traffic.Request {
		for _, other := range c.cfg.Traffic.Of(m.Line.Number) {
			if other.Of == m.Seq && len(out.Part) < maxPart {
				out.Part = append(out.Part, rowOf(other))
			}
		}
	}
	l := m.Line
	out.Peer = peerView{
		Conn: l.Number, Site: l.Site, Key: l.Key, Face: l.Face, Version: l.Version, Remote: l.Remote, SoftwareHouse: l.SoftwareHouse, Installer: l.Installer,
		Extensions: l.Extensions, Opened: l.Opened.UTC().Format(time.RFC3339),
	}
	if e := l.Ending(); e != nil {
		out.Peer.Ended = e.At.UTC().Format(time.RFC3339)
	}
	return out, nil
}

// other is the row of a message that another one belongs to, if it is kept.
func (c *Console) other(seq uint64) *trafficRow {
	m := c.cfg.Traffic.Message(seq)
	if m == nil {
		return nil
	}
	row := rowOf(m)
	return &row
}

// exportTraffic answers with conversations of a site as a file that can be
// played again: of one connection, of one terminal, or all.
func (c *Console) exportTraffic(w http.ResponseWriter, r *http.Request) {
	v, ok := c.viewer(r)
	if !ok {
		http.Redirect(w, r, root+"login", http.StatusSeeOther)
		return
	}
	if c.cfg.Traffic == nil {
		c.problem(w, r, http.StatusNotFound, "There is no traffic to export", errNoTraffic.Error()+".")
		return
	}
	query := r.URL.Query()
	q := trafficAsk{Face: query.Get("face"), TID: query.Get("tid")}
	var err error
	if q.Site, err = v.site(query.Get("site")); err != nil {
		c.problem(w, r, http.StatusNotFound, "There is no such site", "Nothing can be exported of it.")
		return
	}
	if text := query.Get("conn"); text != "" {
		if q.Conn, err = strconv.ParseUint(text, 10, 64); err != nil || q.Conn == 0 {
			c.problem(w, r, http.StatusBadRequest, "There is no such connection", "A connection has a number.")
			return
		}
	}
	messages := c.conversations(q)
	script := traffic.WriteScript(messages)
	if script.Tills == 0 {
		c.problem(w, r, http.StatusNotFound, "There is nothing to export", "No message of a till is kept that fits these filters.")
		return
	}
	name := fmt.Sprintf("%s-%s.txt", cmp.Or(safeName(q.TID), safeName(q.Site), "traffic"), messages[0].At.UTC().Format("20060102-150405"))
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", "attachment; filename="+url.PathEscape(name))
	_, _ = bytes.NewBufferString(script.Text).WriteTo(w) // one that is gone needs no answer
}

// conversations are the messages of the connections that a filter meets. Those
// of a terminal are only what was said about it, or a till's other sales would
// be played with it.
func (c *Console) conversations(q trafficAsk) []*traffic.Message {
	all := c.cfg.Traffic.Select(traffic.Filter{Site: q.Site, Conn: q.Conn, Face: q.Face})
	if q.TID == "" {
		return all
	}
	met := map[*traffic.Line]bool{}
	about := func(m *traffic.Message) bool { return strings.EqualFold(m.TID, strings.TrimSpace(q.TID)) }
	for _, m := range all {
		met[m.Line] = met[m.Line] || about(m)
	}
	return slices.DeleteFunc(all, func(m *traffic.Message) bool {
		return !met[m.Line] || m.Kind.IsMessage() && !about(m)
	})
}

// safeName is a text as it may stand in the name of a file.
func safeName(s string) string {
	if len(s) > maxTrafficTID {
		s = s[:maxTrafficTID]
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, s)
}
