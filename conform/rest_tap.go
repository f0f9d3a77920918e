package conform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tillwire/tillwire/spec"
)

// A restTap is the relay's part for tills that ask over REST. What such a till asks,
// and what it is shown when it looks, is told in the messages that a till with a
// connection would have sent and received, so that the same judges can look at it.
// An answer counts from when the till saw it. Each request is told as it stood
// before that, as [Asked].
type restTap struct {
	client *http.Transport
	ids    int
	conns  map[restTill]*restConn
	runs   map[string]*restRun // by the path of what was begun
}

// A restTill is how a till names itself.
type restTill struct{ version, softwareHouse, installer string }

// A restConn is what stands for its connection: from its first request until the
// checker cuts it.
type restConn struct {
	number int
	ctx    context.Context
	cut    context.CancelFunc
}

// A restRun is a transaction or a report that was begun.
type restRun struct {
	path, tid string
	conn, id  int      // of the request
	told      []string // notifications, the oldest first
	signature int      // id of the question about it; 0 while there is none
	ended     bool     // the till has seen its end
	unknown   *addition
}

// An addition is a notification of the checker's own in the list of those that the
// gateway tells.
type addition struct {
	after int // so many of the gateway's
	text  string
	shown bool // to the till
}

// unknownEvent is what no gateway says in a stream of events. It has no number, so
// that the others keep theirs.
const unknownEvent = "event: CHECK_UNKNOWN\ndata: {\"a\":[1]}\n\n"

func newRESTTap() *restTap {
	return &restTap{
		client: &http.Transport{DisableCompression: true, ResponseHeaderTimeout: time.Minute},
		conns:  map[restTill]*restConn{}, runs: map[string]*restRun{},
	}
}

// isREST reports whether a request is one of a till that asks over REST.
func isREST(req *http.Request) bool {
	words := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	return len(words) > 1 && slices.Contains([]string{"pac", "pat", "retail"}, strings.ToLower(words[0]))
}

var restAccept = regexp.MustCompile(`(?i)application/connect\.(v\d+)\+json`)

// maxRESTBody bounds what is read of a body; the gateway refuses smaller ones.
const maxRESTBody = 1 << 20

// cutREST ends what stands for connections. The caller holds r.mu.
func (r *Relay) cutREST() {
	for till, c := range r.rest.conns {
		delete(r.rest.conns, till)
		r.cfg.Saw(Frame{At: time.Now(), Conn: c.number, Kind: Closed, Cut: true, REST: true})
		c.cut()
	}
}

// serveREST hands one request on, and its answer.
func (r *Relay) serveREST(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, maxRESTBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	x := &restExchange{relay: r, w: w, req: req, body: body, words: strings.Split(strings.Trim(req.URL.Path, "/"), "/")}
	if x.words[0] = strings.ToLower(x.words[0]); x.words[0] == "retail" {
		x.words[0] = "pac"
	}
	x.till = restTill{"v1", req.Header.Get("Software-House-Id"), req.Header.Get("Installer-Id")}
	if m := restAccept.FindStringSubmatch(strings.Join(req.Header.Values("Accept"), ",")); m != nil {
		x.till.version = strings.ToLower(m[1])
	} else if strings.EqualFold(strings.Split(strings.Trim(req.URL.Path, "/"), "/")[0], "retail") {
		x.till.version = "v0"
	}
	x.serve()
}

// A restExchange is one request with its answer.
type restExchange struct {
	relay *Relay
	w     http.ResponseWriter
	req   *http.Request
	body  []byte
	words []string // of the path
	till  restTill
	conn  *restConn
	run   *restRun // that it is about; nil for none
}

func (x *restExchange) serve() {
	r := x.relay
	auth, right := r.restKey(x.req.Header.Get("Authorization"))
	refused := x.req.Method != http.MethodOptions && (!right || x.till.version == "v2" && (x.till.softwareHouse == "" || x.till.installer == ""))
	ctx := x.req.Context()
	if x.req.Method != http.MethodOptions && !refused {
		x.arrive()
		stopped, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(x.conn.ctx, cancel)()
		ctx = stopped
	}
	answer, err := r.restSend(ctx, x.req, auth, x.body)
	if err != nil {
		panic(http.ErrAbortHandler) // the till's line is cut, or the gateway's
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK && strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") && x.conn != nil {
		x.stream(answer)
		return
	}
	said, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	switch {
	case refused:
		r.saw(Frame{
			At: time.Now(), Conn: r.restNumber(), Kind: Refused, REST: true, Path: "/" + x.words[0], Version: x.till.version,
			SoftwareHouse: x.till.softwareHouse, Installer: x.till.installer, Status: answer.StatusCode, WrongKey: !right,
		})
	case x.conn != nil:
		said = x.answered(answer.StatusCode, said)
	}
	x.hand(answer, said)
}

// restNumber numbers what stands for a connection.
func (r *Relay) restNumber() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns++
	return r.conns
}

// restKey puts the gateway's key in the place of the till's, and reports whether
// that was the key of the check.
func (r *Relay) restKey(authorization string) (string, bool) {
	scheme, code, _ := strings.Cut(authorization, " ")
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(code))
	at := bytes.LastIndexByte(plain, ':')
	if !strings.EqualFold(scheme, "basic") || err != nil || at < 0 {
		return authorization, false
	}
	name, key := plain[:at+1], strings.TrimSpace(string(plain[at+1:]))
	gateway := r.cfg.GatewayKey
	if key != r.cfg.Key {
		gateway = "not-the-key-of-this-check"
	}
	return "Basic " + base64.StdEncoding.EncodeToString(append(slices.Clone(name), gateway...)), key == r.cfg.Key
}

// restSend asks the gateway. It is told the till's own way to it, of which it makes
// locations.
func (r *Relay) restSend(ctx context.Context, req *http.Request, authorization string, body []byte) (*http.Response, error) {
	address := url.URL{Scheme: "http", Host: r.cfg.Gateway, Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	out, err := http.NewRequestWithContext(ctx, req.Method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	out.Host = req.Host
	for name, values := range req.Header {
		switch name {
		case "Authorization", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Accept-Encoding":
		default:
			out.Header[name] = values
		}
	}
	if authorization != "" {
		out.Header.Set("Authorization", authorization)
	}
	return r.rest.client.RoundTrip(out)
}

// hand gives the answer to the till.
func (x *restExchange) hand(answer *http.Response, said []byte) {
	x.header(answer)
	if x.req.TLS != nil { // the gateway does not know
		said = bytes.ReplaceAll(said, []byte(`"http://`+x.req.Host+"/"), []byte(`"https://`+x.req.Host+"/"))
	}
	if answer.StatusCode != http.StatusNoContent {
		x.w.Header().Set("Content-Length", strconv.Itoa(len(said)))
	}
	x.w.WriteHeader(answer.StatusCode)
	if x.req.Method != http.MethodHead {
		_, _ = x.w.Write(said) // one that is gone needs no answer
	}
}

func (x *restExchange) header(answer *http.Response) {
	for name, values := range answer.Header {
		if name == "Connection" || name == "Content-Length" || name == "Transfer-Encoding" {
			continue
		}
		for _, v := range values {
			if name == "Location" && x.req.TLS != nil {
				v = strings.Replace(v, "http://", "https://", 1)
			}
			x.w.Header().Add(name, v)
		}
	}
}

// arrive tells of a request that is about to be handed on: a wish to cancel, or the
// answer to a question, has been said when the till has said it.
func (x *restExchange) arrive() {
	r := x.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	x.conn = r.rest.conns[x.till]
	if x.conn == nil {
		r.conns++
		x.conn = &restConn{number: r.conns}
		x.conn.ctx, x.conn.cut = context.WithCancel(context.Background())
		r.rest.conns[x.till] = x.conn
		r.cfg.Saw(Frame{
			At: time.Now(), Conn: x.conn.number, Kind: Opened, REST: true, Path: "/" + x.words[0], Version: x.till.version,
			SoftwareHouse: x.till.softwareHouse, Installer: x.till.installer,
		})
	}
	if len(x.words) >= 5 {
		x.run = r.rest.runs[strings.ToLower(strings.Join(x.words[:5], "/"))]
	}
	r.cfg.Saw(Frame{
		At: time.Now(), Conn: x.conn.number, Kind: Asked, REST: true, Method: x.req.Method, Path: x.req.URL.Path,
		Key: x.req.Header.Get("Idempotency-Key"), Text: odd(x.body),
	})
	if x.run != nil && x.run.signature > 0 && x.req.Method == http.MethodPut && x.is("signature") {
		x.said(false, map[string]any{"id": x.run.signature, "result": raw(x.body)})
	}
}

// is reports whether the path ends with that word.
func (x *restExchange) is(word string) bool { return strings.EqualFold(x.words[len(x.words)-1], word) }

// said tells a message. The caller holds the relay's mu.
func (x *restExchange) said(fromGateway bool, m map[string]any) {
	m["jsonrpc"] = "2.0"
	text, err := json.Marshal(m)
	if err != nil {
		text = []byte(`{"jsonrpc":"2.0"}`) // of a body that is no JSON
	}
	x.relay.cfg.Saw(Frame{At: time.Now(), Conn: x.conn.number, Kind: Message, REST: true, FromGateway: fromGateway, Text: string(text)})
}

// raw is a body as it stands in a message.
func raw(body []byte) any {
	if json.Valid(body) {
		return json.RawMessage(body)
	}
	return string(body)
}

// answered tells what the till is about to see, and returns it, changed where the
// checker has something to add.
func (x *restExchange) answered(status int, said []byte) []byte {
	r := x.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.conn.ctx.Err() != nil {
		panic(http.ErrAbortHandler) // it was cut in between
	}
	post, get := x.req.Method == http.MethodPost, x.req.Method == http.MethodGet
	switch {
	case post && len(x.words) == 4 && (x.is("transactions") || x.is("reports")):
		x.begun(status, said)
		if r.lose == loseREST && status < 300 {
			r.lose = ""
			r.cutREST()
			panic(http.ErrAbortHandler)
		}
	case x.req.Method == http.MethodDelete && x.run != nil:
		id := x.request("cancelTransaction", map[string]any{"tid": x.run.tid})
		if status >= 300 {
			x.fault(id, status, said)
		} else {
			x.said(true, map[string]any{"id": id, "result": map[string]any{"cancelling": true}})
		}
	case get && x.run != nil && len(x.words) == 5 && status == http.StatusOK:
		return x.looked(said)
	case get && len(x.words) == 2 && x.is("terminals"), get && len(x.words) == 3:
		x.terminals(status, said)
	}
	return said
}

// loseREST has the answer to the next transaction lost that is begun.
const loseREST = "transactions"

// request tells of a request and returns its number.
func (x *restExchange) request(method string, params map[string]any) int {
	x.relay.rest.ids++
	id := x.relay.rest.ids
	x.said(false, map[string]any{"id": id, "method": method, "params": params})
	return id
}

// begun tells of a transaction or a report that is asked for.
func (x *restExchange) begun(status int, said []byte) {
	var asked map[string]json.RawMessage
	_ = json.Unmarshal(x.body, &asked) // the gateway says what is wrong with it
	params := map[string]any{"tid": x.words[2]}
	method := methodOf(text1(asked["transactionType"]))
	if x.is("reports") {
		method = "report" + methodName(text1(asked["reportType"]))
	}
	for name, value := range asked {
		if name != "transactionType" && name != "reportType" {
			params[name] = plainly(name, value)
		}
	}
	if key := x.req.Header.Get("Idempotency-Key"); key != "" {
		params["requestKey"] = key
	}
	id := x.request(method, params)
	if status >= 300 {
		x.fault(id, status, said)
		return
	}
	var b struct {
		ID string `json:"requestId"`
	}
	if json.Unmarshal(said, &b) != nil || b.ID == "" {
		return
	}
	path := strings.ToLower(strings.Join(append(slices.Clone(x.words), b.ID), "/"))
	x.relay.rest.runs[path] = &restRun{path: path, tid: x.words[2], conn: x.conn.number, id: id}
}

// fault tells of a refusal in the numbers of the contract.
func (x *restExchange) fault(id, status int, said []byte) {
	var e struct {
		UserMessage string `json:"userMessage"`
		Messages    struct {
			Error []string `json:"error"`
		} `json:"messages"`
	}
	_ = json.Unmarshal(said, &e) // without a text the status must do
	text := e.UserMessage
	if text == "" && len(e.Messages.Error) > 0 {
		text = e.Messages.Error[0]
	}
	code, message := spec.CodeInvalidParams, text
	switch {
	case status == http.StatusNotFound:
		code = spec.CodeTerminalUnavailable
	case text == spec.Default().REST().Error(spec.RESTTerminalBusy).Text(x.till.version):
		code = spec.CodeTerminalBusy
	case strings.Contains(text, "amount "):
		message = "/params/amount " + text
	}
	x.said(true, map[string]any{"id": id, "error": fault{Code: code, Message: message, UserMessage: text}})
}

// terminals tells of a look at the card machines.
func (x *restExchange) terminals(status int, said []byte) {
	var list struct {
		Terminals json.RawMessage `json:"terminals"`
	}
	method, params, result := "connectedTerminals", map[string]any{}, json.RawMessage(said)
	if len(x.words) == 3 {
		method, params = "terminalDetails", map[string]any{"tid": x.words[2]}
	} else if json.Unmarshal(said, &list) == nil {
		result = list.Terminals
	}
	id := x.request(method, params)
	if status >= 300 {
		x.fault(id, status, said)
	} else if json.Valid(result) {
		x.said(true, map[string]any{"id": id, "result": result})
	}
}

// looked tells what the till sees of a transaction or a report.
func (x *restExchange) looked(said []byte) []byte {
	var seen map[string]json.RawMessage
	if json.Unmarshal(said, &seen) != nil {
		return said
	}
	var list []string
	_ = json.Unmarshal(seen["notifications"], &list)
	run := x.run
	finished := seen["transactionResult"] != nil || seen["reportType"] != nil
	if run.ended || run.conn != x.conn.number {
		// It comes back to something: an answer would belong to a connection that is
		// no more.
		id := x.request("transactionStatus", map[string]any{"tid": run.tid, "requestId": x.words[4]})
		state := "pending"
		if finished {
			state = "finished"
		}
		x.said(true, map[string]any{"id": id, "result": map[string]any{"state": state, "seen": raw(said)}})
		return said
	}
	oldest := slices.Clone(list)
	slices.Reverse(oldest)
	if a := run.unknown; a != nil && !a.shown && a.after <= len(oldest) {
		// The till sees it while the transaction runs: this is how it stood then.
		a.shown = true
		oldest, finished = oldest[:a.after], false
		list = list[len(list)-a.after:]
		seen = map[string]json.RawMessage{"requestId": seen["requestId"], "location": seen["location"]}
	}
	if x.is("reports") || seen["reportType"] != nil {
		oldest = nil
	}
	for i, value := range oldest {
		x.notified(i, value)
	}
	if finished {
		x.finish(said)
	}
	if a := run.unknown; a != nil && a.after <= len(list) {
		list = slices.Insert(list, len(list)-a.after, notificationIn(a.text))
		seen["notifications"], _ = json.Marshal(list)
		seen["checkUnknownMember"] = json.RawMessage(`{"a":[1]}`)
		if changed, err := json.Marshal(seen); err == nil {
			return changed
		}
	}
	return said
}

// notified tells of the notification in a place of their list, once.
func (x *restExchange) notified(place int, value string) {
	run := x.run
	if place < len(run.told) {
		return
	}
	run.told = append(run.told, value)
	x.said(true, map[string]any{"method": "terminalNotification", "params": map[string]any{"notificationValue": value, "tid": run.tid}})
	if value == "SIGNATURE_VERIFICATION" && run.signature == 0 {
		x.relay.rest.ids++
		run.signature = x.relay.rest.ids
		x.said(true, map[string]any{"id": run.signature, "method": "signatureVerificationRequest", "params": map[string]any{"tid": run.tid}})
	}
}

// finish tells the end.
func (x *restExchange) finish(said []byte) {
	if x.run.ended {
		return
	}
	x.run.ended = true
	x.said(true, map[string]any{"id": x.run.id, "result": raw(said)})
}

// stream hands on events, and tells them.
func (x *restExchange) stream(answer *http.Response) {
	x.header(answer)
	x.w.WriteHeader(answer.StatusCode)
	flush := http.NewResponseController(x.w)
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	var event bytes.Buffer
	name, data, place := "", "", 0
	for lines.Scan() {
		line := lines.Text()
		if x.req.TLS != nil {
			line = strings.ReplaceAll(line, `"http://`+x.req.Host+"/", `"https://`+x.req.Host+"/")
		}
		event.WriteString(line + "\n")
		if value, ok := strings.CutPrefix(line, "event: "); ok {
			name = value
		}
		if value, ok := strings.CutPrefix(line, "data: "); ok {
			data = value
		}
		if line != "" {
			continue
		}
		if data == "" {
			x.listens()
		}
		added := x.event(name, data, &place)
		if _, err := x.w.Write(append(event.Bytes(), added...)); err != nil || flush.Flush() != nil {
			return
		}
		event.Reset()
		name, data = "", ""
	}
	if x.conn.ctx.Err() != nil {
		panic(http.ErrAbortHandler)
	}
}

// listens tells that the till still follows the events.
func (x *restExchange) listens() {
	x.relay.saw(Frame{
		At: time.Now(), Conn: x.conn.number, Kind: Asked, REST: true, Method: http.MethodGet, Path: x.req.URL.Path, Text: "it follows the events",
	})
}

// event tells one event, and returns what the checker adds behind it.
func (x *restExchange) event(name, data string, place *int) []byte {
	r := x.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.run == nil || x.conn.ctx.Err() != nil || x.run.conn != x.conn.number {
		return nil
	}
	switch name {
	case "notification":
		var n struct {
			Notification string `json:"notification"`
		}
		if json.Unmarshal([]byte(data), &n) == nil {
			x.notified(*place, n.Notification)
			*place++
		}
	case "finished":
		x.finish([]byte(data))
	}
	if a := x.run.unknown; a != nil && !a.shown && !x.run.ended {
		a.shown = true
		return []byte(unknownEvent)
	}
	return nil
}

// sayREST puts a notification before a till that asks: it is in what the till sees
// next. The caller holds r.mu.
func (r *Relay) sayREST(conn int, text string) bool {
	for _, run := range r.rest.runs {
		if run.conn != conn || run.ended || notificationIn(text) == "" {
			continue
		}
		if run.unknown == nil { // one is enough: the member goes with it
			run.unknown = &addition{after: len(run.told), text: text}
		}
		r.cfg.Saw(Frame{At: time.Now(), Conn: conn, Kind: Message, REST: true, FromGateway: true, Added: true, Text: text})
		return true
	}
	return false
}

func notificationIn(text string) string { return text1(read(text).params["notificationValue"]) }

// methodOf is the method that stands for a type of transaction.
func methodOf(typ string) string {
	name := methodName(typ)
	if name == "" {
		return "no transactionType"
	}
	return strings.ToLower(name[:1]) + name[1:]
}

// methodName is a word of REST as it stands in the name of a method: EndOfDay for
// END_OF_DAY.
func methodName(word string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(strings.ToLower(word), "_") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

var oddWhole = regexp.MustCompile(`^(?:"(\d+)"|(\d+)\.0+)$`)

func isAmount(name string) bool { return strings.HasPrefix(name, "amount") }

// plainly is a field as the contract wants it written: REST takes amounts as text, and
// with zeros behind a point.
func plainly(name string, value json.RawMessage) json.RawMessage {
	if m := oddWhole.FindSubmatch(bytes.TrimSpace(value)); m != nil && isAmount(name) {
		return slices.Concat(m[1], m[2])
	}
	return value
}

// odd says what is tolerated of a body and had better be written otherwise.
func odd(body []byte) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return ""
	}
	var names []string
	for name, value := range fields {
		if isAmount(name) && oddWhole.Match(bytes.TrimSpace(value)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, ", ") + " is not written as an integer, which is tolerated"
}
