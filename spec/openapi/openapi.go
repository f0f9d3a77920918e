// Package openapi holds what a gateway answers over REST against the description
// that package spec makes of it, in both directions: each answer fits, and each
// answer that is described is seen.
//
// It is for tests. It judges forms only, by the description and the tables of
// spec, and knows no rule of the business: that a status was right for what was
// asked is for the tests to say.
package openapi

import (
	"bytes"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
)

// A Recorder judges answers and remembers which it has seen. It may be used by
// many goroutines at once.
type Recorder struct {
	rest   spec.REST
	schema *schema.REST
	doc    document

	mu     sync.Mutex
	seen   map[string]bool
	faults map[string]bool
}

// The parts of a description that answers are judged by.
type (
	document struct {
		Paths      map[string]pathItem `json:"paths"`
		Components struct {
			Responses map[string]response `json:"responses"`
			Headers   map[string]header   `json:"headers"`
		} `json:"components"`
	}
	pathItem struct {
		Ref    string     `json:"$ref"`
		Get    *operation `json:"get"`
		Put    *operation `json:"put"`
		Post   *operation `json:"post"`
		Delete *operation `json:"delete"`
	}
	operation struct {
		Responses map[string]response `json:"responses"`
	}
	response struct {
		Ref     string            `json:"$ref"`
		Headers map[string]header `json:"headers"`
		Content map[string]media  `json:"content"`
	}
	media struct {
		Schema struct {
			Ref   string `json:"$ref"`
			AnyOf []struct {
				Ref string `json:"$ref"`
			} `json:"anyOf"`
		} `json:"schema"`
	}
	header struct {
		Ref      string `json:"$ref"`
		Required bool   `json:"required"`
		Schema   struct {
			Type string   `json:"type"`
			Enum []string `json:"enum"`
		} `json:"schema"`
	}
)

// New reads the description that spec makes of the interface.
func New(r spec.REST) (*Recorder, error) {
	rec := &Recorder{rest: r, seen: map[string]bool{}, faults: map[string]bool{}}
	if err := json.Unmarshal(r.OpenAPI(), &rec.doc); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	var err error
	if rec.schema, err = schema.NewREST(r); err != nil {
		return nil, err
	}
	return rec, nil
}

// An Answer is an answer with as much of its request as is needed to judge it.
type Answer struct {
	Method string
	Path   string // escaped, as it was asked for
	Accept []string
	Status int
	Header http.Header
	Body   []byte
}

// Handler has what a handler answers judged once it has.
func (rec *Recorder) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &tap{ResponseWriter: w}
		next.ServeHTTP(t, r)
		t.WriteHeader(http.StatusOK) // unless it was written before
		rec.Judge(Answer{
			Method: r.Method, Path: r.URL.EscapedPath(), Accept: r.Header.Values("Accept"),
			Status: t.status, Header: t.header, Body: t.body.Bytes(),
		})
	})
}

// A tap keeps what is written.
type tap struct {
	http.ResponseWriter
	status int
	header http.Header
	body   bytes.Buffer
}

func (t *tap) WriteHeader(status int) {
	if t.status == 0 {
		t.status, t.header = status, t.Header().Clone()
		t.ResponseWriter.WriteHeader(status)
	}
}

func (t *tap) Write(data []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	t.body.Write(data)
	return t.ResponseWriter.Write(data)
}

// Flush sends what was written so far.
func (t *tap) Flush() {
	t.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(t.ResponseWriter).Flush() // who cannot flush sends it at the end
}

// Unwrap is for http.ResponseController.
func (t *tap) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Faults returns what did not fit, each once, in order.
func (rec *Recorder) Faults() []string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.Sorted(maps.Keys(rec.faults))
}

// Unseen returns the answers that are described and were not seen, or never
// without a fault, as in "GET /pac/terminals 200 v2". A path below /retail has only to be seen once, as it
// means the one below /pac.
func (rec *Recorder) Unseen() []string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var out []string
	for _, one := range rec.described() {
		if !rec.seen[one] {
			out = append(out, one)
		}
	}
	return out
}

func (rec *Recorder) described() []string {
	var out []string
	for _, e := range rec.rest.Endpoints() {
		for _, method := range e.Methods {
			for _, version := range spec.RESTVersions() {
				for _, status := range rec.statuses(e, version) {
					out = append(out, key(method, e.Path, status, version))
				}
			}
			if retail, ok := retailOf(e.Path); ok {
				out = append(out, method+" "+retail)
			}
		}
	}
	for _, refused := range rec.rest.Elsewhere() {
		for _, version := range spec.RESTVersions() {
			out = append(out, elsewhere(refused.Status, version))
		}
	}
	return out
}

func key(method, path string, status int, version string) string {
	return method + " " + path + " " + strconv.Itoa(status) + " " + version
}

func elsewhere(status int, version string) string {
	return "elsewhere " + strconv.Itoa(status) + " " + version
}

func retailOf(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "/pac/")
	return "/retail/" + rest, ok
}

// statuses are those that an endpoint answers with in a version.
func (rec *Recorder) statuses(e spec.RESTEndpoint, version string) []int {
	var out []int
	for _, a := range e.Answers {
		if slices.Contains(a.Versions, version) {
			out = append(out, a.Status)
		}
	}
	for _, refused := range rec.rest.Refusals(e, version) {
		out = append(out, refused.Status)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Judge judges one answer and remembers it.
func (rec *Recorder) Judge(a Answer) {
	if a.Method == http.MethodOptions {
		rec.judgePreflight(a)
		return
	}
	e, found := rec.endpoint(a.Method, a.Path)
	named, version := askedFor(a.Accept)
	if !named {
		version = rec.defaultOf(a.Method, a.Path)
	}
	if a.Status == http.StatusNotAcceptable {
		named, version = true, spec.V2
	}
	j := judgement{rec: rec, a: a, endpoint: e, version: version, named: named}
	var seen []string
	if found {
		j.judgeEndpoint()
		seen = append(seen, key(strings.Replace(a.Method, http.MethodHead, http.MethodGet, 1), e.Path, a.Status, version))
		if retail, ok := retailOf(e.Path); ok && isRetail(a.Path) {
			seen = append(seen, a.Method+" "+retail)
		}
	} else {
		j.judgeElsewhere()
		seen = append(seen, elsewhere(a.Status, version))
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, fault := range j.faults {
		rec.faults[a.Method+" "+a.Path+" "+strconv.Itoa(a.Status)+" "+version+": "+fault] = true
	}
	if a.Method != http.MethodHead && len(j.faults) == 0 {
		for _, one := range seen {
			rec.seen[one] = true
		}
	}
}

func (rec *Recorder) judgePreflight(a Answer) {
	if a.Status != http.StatusNoContent || len(a.Body) > 0 || a.Header.Get("Access-Control-Allow-Methods") == "" {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.faults[a.Method+" "+a.Path+" "+strconv.Itoa(a.Status)+": no answer to a browser that asks first"] = true
	}
}

// endpoint finds what a path and a method mean. Doubled and trailing slashes do
// not count, nor does the case of fixed words.
func (rec *Recorder) endpoint(method, path string) (spec.RESTEndpoint, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	words := wordsOf(path)
	for _, e := range rec.rest.Endpoints() {
		if slices.Contains(e.Methods, method) && fits(words, split(e.Path)) {
			return e, true
		}
	}
	return spec.RESTEndpoint{}, false
}

// wordsOf splits a path, with one name for each root.
func wordsOf(path string) []string {
	words := split(path)
	if len(words) > 0 && strings.EqualFold(words[0], "retail") {
		words[0] = "pac"
	}
	return words
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
}

func fits(words, pattern []string) bool {
	return slices.EqualFunc(words, pattern, func(word, want string) bool {
		plain, err := url.PathUnescape(word)
		return err == nil && (strings.HasPrefix(want, "{") || strings.EqualFold(plain, want))
	})
}

func isRetail(path string) bool {
	words := split(path)
	return len(words) > 0 && strings.EqualFold(words[0], "retail")
}

// askedFor reads the versions that a request names, and gives the one with the
// highest quality, of equals the newest.
func askedFor(accept []string) (named bool, version string) {
	best := 0.0
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, _ := strings.Cut(strings.ToLower(item), ";")
		kind = strings.TrimSpace(kind)
		quality := qualityOf(params)
		for _, v := range spec.RESTVersions() {
			if kind == spec.MediaType(v) && (quality > best || quality == best && quality > 0 && v > version) {
				named, best, version = true, quality, v
			}
		}
	}
	return named, version
}

// qualityOf reads the first quality that can be one; it is 1 where none is said.
func qualityOf(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if strings.TrimSpace(name) == "q" && err == nil && q >= 0 && q <= 1 {
			return q
		}
	}
	return 1
}

// defaultOf is the version of a request that names none.
func (rec *Recorder) defaultOf(method, path string) string {
	e, found := rec.endpoint(method, path)
	for _, other := range rec.rest.Endpoints() {
		if !found && fits(wordsOf(path), split(other.Path)) {
			e, found = other, true // whatever the method
		}
	}
	return e.Default(isRetail(path))
}

// A judgement is what is found about one answer.
type judgement struct {
	rec      *Recorder
	a        Answer
	endpoint spec.RESTEndpoint
	version  string
	named    bool // by the request, so by the answer too
	faults   []string
}

func (j *judgement) fault(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// judgeElsewhere judges the answer to what is no endpoint.
func (j *judgement) judgeElsewhere() {
	switch j.a.Status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusNotAcceptable:
	case http.StatusMethodNotAllowed:
		if j.a.Header.Get("Allow") == "" {
			j.fault("no Allow")
		}
	default:
		j.fault("there is no such path or method, and the answer does not say so")
		return
	}
	if j.mediaType() {
		j.judgeBody(j.rec.rest.Errors(), []string{j.rec.rest.SchemaNames()["error."+j.version]})
	}
}

// mediaType judges the type of a body that is JSON.
func (j *judgement) mediaType() bool {
	want := "application/json; charset=utf-8"
	if j.named {
		want = spec.MediaType(j.version) + "; charset=utf-8"
	}
	got := j.a.Header.Get("Content-Type")
	if got != want {
		j.fault("the media type is %q, want %q", got, want)
	}
	return got == want
}

// judgeEndpoint judges an answer of an endpoint by its description.
func (j *judgement) judgeEndpoint() {
	if !slices.Contains(j.rec.statuses(j.endpoint, j.version), j.a.Status) {
		j.fault("the status is not described")
		return
	}
	r := j.described()
	for name, h := range r.Headers {
		if h.Ref != "" {
			h = j.rec.doc.Components.Headers[h.Ref[strings.LastIndex(h.Ref, "/")+1:]]
		}
		j.judgeHeader(name, h)
	}
	media, hasBody := r.Content[spec.MediaType(j.version)]
	if _, ok := r.Content[eventStream]; ok {
		j.judgeStream()
		return
	}
	if !hasBody {
		j.judgeEmpty()
		return
	}
	if !j.mediaType() {
		return
	}
	if !j.named {
		if media, hasBody = r.Content["application/json"]; !hasBody {
			j.fault("application/json is not described")
			return
		}
	}
	refs := []string{media.Schema.Ref}
	for _, one := range media.Schema.AnyOf {
		refs = append(refs, one.Ref)
	}
	var names []string
	for _, ref := range refs {
		if name := ref[strings.LastIndex(ref, "/")+1:]; name != "" {
			names = append(names, name)
		}
	}
	j.judgeBody(j.rec.rest.Refusals(j.endpoint, j.version), names)
}

const eventStream = "text/event-stream"

// described is the description of the answer.
func (j *judgement) described() response {
	path := j.endpoint.Path
	if retail, ok := retailOf(path); ok && isRetail(j.a.Path) {
		ref := strings.TrimPrefix(j.rec.doc.Paths[retail].Ref, "#/paths/")
		plain, err := url.PathUnescape(ref)
		if err != nil || ref == "" {
			j.fault("%s is not described", retail)
		}
		path = strings.NewReplacer("~1", "/", "~0", "~").Replace(plain)
	}
	item := j.rec.doc.Paths[path]
	op := map[string]*operation{
		http.MethodGet: item.Get, http.MethodHead: item.Get, http.MethodPut: item.Put, http.MethodPost: item.Post, http.MethodDelete: item.Delete,
	}[j.a.Method]
	if op == nil {
		j.fault("%s %s is not described", j.a.Method, path)
		return response{}
	}
	r, ok := op.Responses[strconv.Itoa(j.a.Status)]
	if !ok {
		j.fault("the status is not described")
	}
	if r.Ref != "" {
		r = j.rec.doc.Components.Responses[r.Ref[strings.LastIndex(r.Ref, "/")+1:]]
	}
	return r
}

func (j *judgement) judgeHeader(name string, h header) {
	values := j.a.Header.Values(name)
	if len(values) == 0 {
		if h.Required {
			j.fault("no header %s", name)
		}
		return
	}
	_, err := strconv.Atoi(values[0])
	switch {
	case len(values) > 1:
		j.fault("the header %s stands there twice", name)
	case len(h.Schema.Enum) > 0 && !slices.Contains(h.Schema.Enum, values[0]):
		j.fault("the header %s is %q", name, values[0])
	case h.Schema.Type == "integer" && err != nil:
		j.fault("the header %s is no number", name)
	}
}

// judgeEmpty judges an answer without a body. Tills know that there is none by
// its length, which a 204 must not have.
func (j *judgement) judgeEmpty() {
	length := j.a.Header.Get("Content-Length")
	switch {
	case len(j.a.Body) > 0:
		j.fault("a body where there is to be none")
	case j.a.Status == http.StatusNoContent && length != "":
		j.fault("a length where there must be none")
	case j.a.Status != http.StatusNoContent && length != "0":
		j.fault("the length of no body is %q", length)
	}
}

// judgeBody judges a body as one of some schemas. Of a refusal it wants one of
// the texts as well.
func (j *judgement) judgeBody(errors []spec.RESTError, names []string) {
	if len(j.a.Body) == 0 && j.a.Method == http.MethodHead {
		return
	}
	var best []schema.Fault
	for i, name := range names {
		faults, err := j.rec.schema.CheckNamed(name, j.a.Body)
		if err != nil {
			j.fault("%v", err)
			return
		}
		if i == 0 || len(faults) < len(best) {
			best = faults
		}
	}
	for _, f := range best {
		j.fault("%s", f.Message)
	}
	var said struct {
		Location    jsontext.Value `json:"location"`
		UserMessage string         `json:"userMessage"`
		Messages    struct {
			Error []string `json:"error"`
		} `json:"messages"`
	}
	if len(best) > 0 || json.Unmarshal(j.a.Body, &said) != nil {
		return
	}
	if at := j.a.Header.Get("Location"); at != "" && string(said.Location) != strconv.Quote(at) {
		j.fault("the header Location is not the location")
	}
	if j.a.Status < 400 {
		return
	}
	text := strings.Join(append(said.Messages.Error, said.UserMessage), "")
	if !slices.ContainsFunc(errors, func(e spec.RESTError) bool { return e.Status == j.a.Status && says(e.Text(j.version), text) }) {
		j.fault("%q is no text of such a refusal", text)
	}
}

var braces = regexp.MustCompile(`\\\{[a-zA-Z]+\\\}`)

// says reports whether a text is the wording with values put in.
func says(wording, text string) bool {
	pattern := "^" + braces.ReplaceAllString(regexp.QuoteMeta(wording), ".+") + "$"
	ok, err := regexp.MatchString(pattern, text)
	return ok && err == nil
}

// judgeStream judges a stream of events, which may be cut off anywhere.
func (j *judgement) judgeStream() {
	got := j.a.Header.Get("Content-Type")
	if kind, _, err := mime.ParseMediaType(got); err != nil || kind != eventStream {
		j.fault("the media type is %q, want %q", got, eventStream)
		return
	}
	last := int64(-1)
	blocks := strings.Split(string(j.a.Body), "\n\n")
	for _, block := range blocks[:len(blocks)-1] { // the last is empty, or cut
		var event, data string
		id := int64(-1)
		for line := range strings.SplitSeq(block, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "id":
				if n, err := strconv.ParseInt(value, 10, 64); err == nil {
					id = n
				}
			case "event":
				event = value
			case "data":
				data = value
			case "", "retry":
			default:
				j.fault("%q is no field of an event", name)
			}
		}
		if event == "" {
			continue
		}
		if id < 1 || last > 0 && id != last+1 {
			j.fault("the event after %d has the number %d", last, id)
		}
		last = id
		j.judgeEvent(event, data)
	}
}

func (j *judgement) judgeEvent(event, data string) {
	object := ""
	if event == "finished" {
		object = "transaction"
	}
	for _, o := range j.rec.rest.Objects() {
		if o.Event == event {
			object = o.Name
		}
	}
	faults, err := j.rec.schema.Check(object, j.version, []byte(data))
	if err != nil {
		j.fault("event %s: %v", event, err)
	}
	for _, f := range faults {
		j.fault("event %s: %s", event, f.Message)
	}
}
