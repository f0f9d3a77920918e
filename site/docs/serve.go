package docs

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/site/look"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
)

// Handler serves the docs below /docs/. They are made when the first reader
// comes, so that a gateway whose docs nobody reads pays nothing for them.
func Handler(o Options) http.Handler {
	o.Ending = ""
	return &server{
		options: o, packed: map[string][]byte{},
		made:  sync.OnceValues(func() (*Site, error) { return Build(o) }),
		check: sync.OnceValues(func() (*schema.Validator, error) { return schema.New(spec.Default()) }),
	}
}

type server struct {
	options Options
	made    func() (*Site, error)
	check   func() (*schema.Validator, error)

	mu     sync.Mutex
	packed map[string][]byte // by path
}

// checkPath is where a message is judged, for "Try it".
const checkPath = "/docs/try/check"

func (h *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", look.Policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "same-origin")
	if r.URL.Path == checkPath && h.options.Try {
		h.judge(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The docs are only read: use GET.", http.StatusMethodNotAllowed)
		return
	}
	s, err := h.made()
	if err != nil {
		http.Error(w, "The docs cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	name, ok := strings.CutPrefix(strings.TrimLeft(r.URL.Path, "/"), "docs/")
	if !ok { // /docs: links are relative to the folder
		w.Header().Set("Location", "docs/")
		w.WriteHeader(http.StatusMovedPermanently)
		return
	}
	if asset, ok := s.asset(name); ok {
		look.Serve(w, asset)
		return
	}
	if name == "sitemap.xml" {
		scheme := "http"
		if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
			scheme = "https"
		}
		send(w, r, File{"application/xml; charset=utf-8", s.sitemap(scheme + "://" + r.Host + "/docs/")}, nil)
		return
	}
	if strings.HasSuffix(name, ".html") { // an address of the static site
		w.Header().Set("Location", relative(strings.TrimSuffix(name, ".html"), "/docs/"+strings.TrimSuffix(strings.TrimSuffix(name, ".html"), "index"), ""))
		w.WriteHeader(http.StatusMovedPermanently)
		return
	}
	if name == "" || strings.HasSuffix(name, "/") {
		name += "index"
	} else if s.byPath[name+"/index"] != nil && s.byPath[name] == nil {
		w.Header().Set("Location", path.Base(name)+"/")
		w.WriteHeader(http.StatusMovedPermanently)
		return
	}
	f, ok := s.file(name)
	if !ok {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(lost(name)) // a reader that has gone is no news
		return
	}
	send(w, r, f, func() []byte { return h.pack(name, f.Body) })
}

// lost is the page that says that there is none. Its links must work wherever
// it is shown, so it is not one of the site's.
func lost(name string) []byte {
	home := strings.Repeat("../", strings.Count(name, "/"))
	css := look.Stylesheet()
	return fmt.Appendf(nil, `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>No such page · Tillwire docs</title><link rel="stylesheet" href="%[1]sassets/%[2]s"></head><body><main class="lost"><h1>There is no such page</h1><p>Perhaps it has moved. <a href="%[1]sall">All pages</a> are listed, and <a href="%[1]s.">the docs begin here</a>.</p></main></body></html>
`, cmp.Or(home, "./"), css.Name)
}

// pack compresses a file once.
func (h *server) pack(name string, body []byte) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := h.packed[name]; ok {
		return p
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	h.packed[name] = b.Bytes()
	return b.Bytes()
}

// send answers with a file, compressed where the reader can and it pays.
func send(w http.ResponseWriter, r *http.Request, f File, packed func() []byte) {
	sum := sha256.Sum256(f.Body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	head := w.Header()
	head.Set("Content-Type", f.Type)
	head.Set("Cache-Control", "no-cache")
	head.Set("ETag", tag)
	head.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.Body
	if packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = packed()
		head.Set("Content-Encoding", "gzip")
	}
	head.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a reader that has gone is no news
}

func (s *Site) asset(name string) (look.File, bool) {
	for _, f := range s.assets {
		if name == "assets/"+f.Name {
			return f, true
		}
	}
	return look.File{}, false
}

// file finds a page, its Markdown, or one of the other files, by its path below
// the root.
func (s *Site) file(name string) (File, bool) {
	if p := s.byPath[name]; p != nil {
		return File{"text/html; charset=utf-8", p.HTML}, true
	}
	if md, ok := strings.CutSuffix(name, ".md"); ok && s.byPath[md] != nil {
		return File{"text/markdown; charset=utf-8", s.byPath[md].Markdown}, true
	}
	f, ok := s.files[name]
	return f, ok
}

// Files returns every file of the site for static hosting, by its path. Pages
// have the ending of the options.
func (s *Site) Files() map[string]File {
	out := maps.Clone(s.files)
	for _, p := range s.pages {
		out[p.file(s.options.Ending)] = File{"text/html; charset=utf-8", p.HTML}
		out[p.Path+".md"] = File{"text/markdown; charset=utf-8", p.Markdown}
	}
	for _, f := range s.assets {
		out["assets/"+f.Name] = File{f.Type, f.Body}
	}
	if s.options.Base != "" {
		out["sitemap.xml"] = File{"application/xml; charset=utf-8", s.sitemap(s.options.Base)}
	}
	return out
}

// Write puts every file below dir, which is made if it is not there. It does not
// remove what lies there already, and writes no link but relative ones. It
// returns how many files it wrote.
func (s *Site) Write(dir string) (int, error) {
	files := s.Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return 0, fmt.Errorf("docs: %w", err)
		}
		if err := os.WriteFile(at, files[name].Body, 0o644); err != nil {
			return 0, fmt.Errorf("docs: %w", err)
		}
	}
	return len(files), nil
}

// A checkOrder names a message to be judged.
type checkOrder struct {
	Version    string         `json:"version"`
	Face       spec.Side      `json:"face"`
	Extensions string         `json:"extensions"`
	Direction  spec.Direction `json:"direction"`
	Method     string         `json:"method"` // of the request that it answers, where it is an answer
	Text       string         `json:"text"`
}

// A verdict is what is wrong with a message.
type verdict struct {
	Message string      `json:"message"` // its name in the docs, empty where it is none
	Kind    spec.Kind   `json:"kind"`
	Page    string      `json:"page"`
	Faults  []faultView `json:"faults"`
}

type faultView struct {
	Pointer string `json:"pointer"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

// maxCheck is the longest message that is judged.
const maxCheck = 256 << 10

// judge says what is wrong with a message that was sent to "Try it". It changes
// nothing; only pages of this gateway may ask, because each costs some work.
func (h *server) judge(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "A message is checked with POST.", http.StatusMethodNotAllowed)
		return
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" || !sameOrigin(r) {
		http.Error(w, "Messages are checked for the pages of this gateway only.", http.StatusForbidden)
		return
	}
	var o checkOrder
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxCheck), &o, json.RejectUnknownMembers(true)); err != nil {
		http.Error(w, "This is no order to check a message: "+err.Error(), http.StatusBadRequest)
		return
	}
	s, err := h.made()
	check, failed := h.check()
	if err := errors.Join(err, failed); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.MarshalWrite(w, s.judge(check, o)) // one that is gone needs no answer
}

// sameOrigin reports whether a request comes from a page of the same host.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	_, host, ok := strings.Cut(origin, "://")
	return ok && host == r.Host
}

// judge finds the schema of a message and says what is wrong with it.
func (s *Site) judge(check *schema.Validator, o checkOrder) verdict {
	v := verdict{Faults: []faultView{}}
	var m struct {
		Method string `json:"method"`
		Result any    `json:"result"`
		Error  any    `json:"error"`
	}
	if err := json.Unmarshal([]byte(o.Text), &m); err != nil {
		v.Faults = append(v.Faults, faultView{Rule: "JSON", Message: err.Error()})
		return v
	}
	kind, method := spec.KindResponse, o.Method
	switch {
	case m.Error != nil:
		kind = spec.KindError
	case m.Method != "":
		kind, method = spec.KindRequest, m.Method
	}
	sc, name, page, ok := s.schemaFor(o, kind, method)
	if !ok {
		v.Faults = append(v.Faults, faultView{Pointer: "/method", Rule: "enum", Message: "there is no such message in this direction"})
		return v
	}
	v.Message, v.Kind, v.Page = name, sc.Kind, page
	faults, err := check.Check(sc.Folder, sc.File, []byte(o.Text))
	switch {
	case errors.Is(err, schema.ErrNotJSON):
		v.Faults = append(v.Faults, faultView{Rule: "JSON", Message: err.Error()})
	case err != nil:
		v.Faults = append(v.Faults, faultView{Message: err.Error()})
	}
	for _, f := range faults {
		v.Faults = append(v.Faults, faultView{f.Pointer, f.Rule, f.Message})
	}
	return v
}

// schemaFor finds the schema of a message; an extension that the connection has
// comes before the contract.
func (s *Site) schemaFor(o checkOrder, kind spec.Kind, method string) (spec.Schema, string, string, bool) {
	fits := func(m spec.Message) (spec.Schema, bool) {
		var knows bool
		for _, sc := range m.Schemas {
			knows = knows || sc.Version == o.Version && slices.Contains(sc.Methods, method)
		}
		for _, sc := range m.Schemas {
			switch {
			case sc.Version != o.Version || sc.Direction != o.Direction:
			case sc.Kind == spec.KindError && kind == spec.KindError,
				knows && sc.Kind == kind, knows && sc.Kind == spec.KindNotification && kind == spec.KindRequest:
				return sc, true
			}
		}
		return spec.Schema{}, false
	}
	for _, name := range strings.Split(o.Extensions, ",") {
		x, ok := s.index.Extension(name)
		if !ok {
			continue
		}
		for _, m := range x.Messages {
			if sc, ok := fits(m); ok {
				return sc, m.Title, "/docs/" + path.Join(o.Version, "extensions", x.Name), true
			}
		}
	}
	for _, m := range s.index.Messages() {
		if m.Side != o.Face {
			continue
		}
		if sc, ok := fits(m); ok {
			return sc, m.Title, "/docs/" + path.Join(o.Version, string(m.Side), m.Name), true
		}
	}
	return spec.Schema{}, "", "", false
}
