package docs

import (
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire"
	"github.com/tillwire/tillwire/spec"
)

// The site as it is written to files, and as a development gateway serves it.
var (
	static = sync.OnceValues(func() (*Site, error) { return Build(Options{Ending: ".html", Base: "https://docs.example.com/"}) })
	served = sync.OnceValues(func() (*Site, error) { return Build(Options{Try: true, Console: true}) })
)

func must(t *testing.T, made func() (*Site, error)) *Site {
	t.Helper()
	s, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWrite(t *testing.T) {
	s := must(t, static)
	dir := t.TempDir()
	n, err := s.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found++
		}
		return err
	})
	if err != nil || found != n || n != len(s.Files()) {
		t.Errorf("said %d files, wrote %d of %d: %v", n, found, len(s.Files()), err)
	}
	if _, err := s.Write(filepath.Join(dir, "index.html")); err == nil {
		t.Error("wrote below a file")
	}
}

var tagsPattern = regexp.MustCompile(`<[^>]+>`)

// tags yields each tag of a page, without its brackets.
func tags(page string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			_, rest, ok := strings.Cut(page, "<")
			if !ok {
				return
			}
			tag, rest, _ := strings.Cut(rest, ">")
			if !yield(tag) {
				return
			}
			page = rest
		}
	}
}

// attributes yields the names and values of a tag's attributes.
func attributes(tag string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		_, rest, _ := strings.Cut(tag, " ")
		for {
			name, after, ok := strings.Cut(rest, `="`)
			if !ok {
				return
			}
			name = name[strings.LastIndexByte(name, ' ')+1:]
			value, after, _ := strings.Cut(after, `"`)
			if !yield(name, value) {
				return
			}
			rest = after
		}
	}
}

// A reading is what a test reads out of a page.
type reading struct {
	ids    map[string]bool
	links  []string
	faults []string
}

// read reads a page: its anchors and links, and what no page may have in it.
func read(page string) reading {
	r := reading{ids: map[string]bool{}}
	fault := func(format string, args ...any) { r.faults = append(r.faults, fmt.Sprintf(format, args...)) }
	for tag := range tags(page) {
		name, _, _ := strings.Cut(tag, " ")
		sourced := false
		for k, v := range attributes(tag) {
			switch {
			case k == "id":
				if r.ids[v] {
					fault("the id %s stands twice", v)
				}
				if v == "" || strings.ContainsAny(v, " \t") {
					fault("%q is no id", v)
				}
				r.ids[v] = true
			case k == "href", k == "src", k == "action":
				sourced = sourced || k == "src"
				r.links = append(r.links, strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(v))
				if name != "a" && (strings.HasPrefix(v, "//") || strings.Contains(v, "://")) {
					fault("loads something from elsewhere: %s", tag)
				}
			case k == "data-script":
				r.links = append(r.links, "/docs/assets/"+v)
			case k == "style", strings.HasPrefix(k, "on"):
				fault("has %s in its HTML: %s", k, tag)
			}
		}
		if name == "style" || name == "script" && !sourced {
			fault("has a %s in its HTML", name)
		}
	}
	return r
}

// readings are those of all pages of a site, by path.
func readings(t *testing.T, made func() (*Site, error)) map[string]reading {
	out := map[string]reading{}
	for _, p := range must(t, made).Pages() {
		out[p.Path] = read(string(p.HTML))
	}
	return out
}

// TestRead shows that what no page may have is found.
func TestRead(t *testing.T) {
	for page, want := range map[string]string{
		`<p id="a"></p><p class="x" id="a">`: "twice",
		`<p id="a b">`:                       "no id",
		`<p style="x">`:                      "style",
		`<p onclick="x">`:                    "onclick",
		`<script>1</script>`:                 "script",
		`<style>p{}</style>`:                 "style",
		`<script src="https://example.com/x.js"></script>`:     "elsewhere",
		`<link rel="stylesheet" href="//example.com/x.css">`:   "elsewhere",
		`<img src="http://example.com/x.png">`:                 "elsewhere",
		`<a href="https://example.com/">x</a><p id="a">on="x"`: "",
	} {
		if got := strings.Join(read(page).faults, "; "); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", page, got, want)
		}
	}
}

// TestLinks follows each link of each page, in files and as they are served: to a
// page that is there, and to an anchor that is on it.
func TestLinks(t *testing.T) {
	for name, made := range map[string]func() (*Site, error){"files": static, "served": served} {
		t.Run(name, func(t *testing.T) {
			s := must(t, made)
			files := s.Files()
			pages := readings(t, made)
			count := 0
			for _, p := range s.Pages() {
				base := &url.URL{Path: "/docs/" + p.Path + s.options.Ending}
				if strings.HasSuffix(p.Path, "index") && s.options.Ending == "" {
					base.Path = "/docs/" + strings.TrimSuffix(p.Path, "index")
				}
				for _, l := range pages[p.Path].links {
					count++
					u, err := url.Parse(l)
					if err != nil {
						t.Errorf("%s: %q: %v", p.Path, l, err)
						continue
					}
					if u.Host != "" || l == "/console" {
						continue // somebody else's
					}
					to := base.ResolveReference(u)
					file, ok := strings.CutPrefix(to.Path, "/docs/")
					if !ok {
						t.Errorf("%s: %s leads out of the docs, to %s", p.Path, l, to.Path)
						continue
					}
					if s.options.Ending == "" && (file == "" || strings.HasSuffix(file, "/")) {
						file += "index"
					}
					if _, ok := files[file]; !ok {
						t.Errorf("%s: the link %s is dead: there is no %s", p.Path, l, file)
						continue
					}
					if to.Fragment != "" {
						target := pages[strings.TrimSuffix(file, s.options.Ending)]
						if !target.ids[to.Fragment] {
							t.Errorf("%s: the link %s is dead: %s has no such anchor", p.Path, l, file)
						}
					}
				}
			}
			if count < 5000 {
				t.Errorf("only %d links were followed", count)
			}
		})
	}
}

// TestMarkdownLinks follows the links of the pages' Markdown, and of llms.txt.
func TestMarkdownLinks(t *testing.T) {
	s := must(t, static)
	texts := map[string][]byte{"llms.txt": s.files["llms.txt"].Body}
	for _, p := range s.Pages() {
		texts[p.Path+".md"] = p.Markdown
	}
	files := s.Files()
	for from, text := range texts {
		for _, m := range mdLink.FindAllStringSubmatch(regexp.MustCompile("(?s)```.*?```|`[^`]*`").ReplaceAllString(string(text), ""), -1) {
			u, err := url.Parse(m[1])
			if err != nil || u.Host != "" || u.Path == "" {
				continue
			}
			to := path.Join(path.Dir(from), u.Path)
			if _, ok := files[to]; !ok && !s.outside[strings.TrimPrefix(path.Join("docs", m[1]), "/")] {
				t.Errorf("%s: the link %s is dead", from, m[1])
			}
		}
	}
}

// TestOutside keeps the files that texts name true: they are in the repository.
func TestOutside(t *testing.T) {
	for file := range must(t, static).outside {
		if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(file))); err != nil {
			t.Errorf("a text of the docs names %s: %v", file, err)
		}
	}
}

// TestPages holds each page to what all of them promise.
func TestPages(t *testing.T) {
	s := must(t, served)
	heavy := 0
	pages := readings(t, served)
	for _, p := range s.Pages() {
		page := string(p.HTML)
		for _, f := range pages[p.Path].faults {
			t.Errorf("%s %s", p.Path, f)
		}
		for name, text := range map[string]string{p.Path: strings.ToLower(page), p.Path + ".md": strings.ToLower(string(p.Markdown))} {
			for _, banned := range []string{"failed to load", "&lt;no value", "<no value", "%!", "zgotmplz", "<!-- weave", "<!-- only", "todo", "javascript:"} {
				if strings.Contains(text, banned) {
					t.Errorf("%s contains %q", name, banned)
				}
			}
		}
		for _, need := range []string{`<html lang="en"`, `<main id="main"`, `class="skip"`, `<h1>`, `<meta name="viewport"`, `<meta name="description"`} {
			if strings.Count(page, need) != 1 {
				t.Errorf("%s has %d of %s", p.Path, strings.Count(page, need), need)
			}
		}
		for _, e := range emptySections(page) {
			t.Errorf("%s: the section %s is empty", p.Path, e)
		}
		weight := len(p.HTML)
		for _, f := range s.assets {
			if strings.Contains(page, f.Name) {
				weight += len(f.Body)
			}
		}
		heavy = max(heavy, weight)
		if weight >= 200_000 {
			t.Errorf("%s weighs %d bytes with its stylesheet and scripts; the limit is 200,000", p.Path, weight)
		}
		if p.Title == "" || p.Section == "" || len(p.Markdown) < 40 {
			t.Errorf("%s: title %q, section %q, %d bytes of Markdown", p.Path, p.Title, p.Section, len(p.Markdown))
		}
	}
	t.Logf("%d pages; the heaviest weighs %d bytes with stylesheet and scripts", len(s.Pages()), heavy)
}

var headingPattern = regexp.MustCompile(`(?s)<h([2-4]) id="([^"]*)"[^>]*>.*?</h[2-4]>`)

// emptySections lists the headings that nothing follows but a heading of the
// same or a higher level, or the end.
func emptySections(page string) []string {
	_, body, _ := strings.Cut(page, `<div class="body">`)
	body, _, _ = strings.Cut(body, `<footer class="ends">`)
	var empty []string
	at := headingPattern.FindAllStringSubmatchIndex(body, -1)
	for i, m := range at {
		end, deeper := len(body), false
		if i+1 < len(at) {
			end = at[i+1][0]
			deeper = body[at[i+1][2]:at[i+1][3]] > body[m[2]:m[3]]
		}
		words := strings.TrimSpace(tagsPattern.ReplaceAllString(body[m[1]:end], ""))
		if words == "" && !deeper {
			empty = append(empty, body[m[4]:m[5]])
		}
	}
	return empty
}

// TestEmptySections shows that an empty section is found.
func TestEmptySections(t *testing.T) {
	page := `<div class="body"><h2 id="a">A</h2><h3 id="b">B</h3><p>x</p><h2 id="c">C</h2><h2 id="d">D</h2><div></div><footer class="ends">`
	if got := emptySections(page); !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("found %v, want c and d", got)
	}
}

// TestReference holds the pages of messages to the contract: all of it is there.
func TestReference(t *testing.T) {
	s := must(t, static)
	for _, m := range s.index.Messages() {
		for _, version := range []string{spec.V1, spec.V0} {
			name := path.Join(version, string(m.Side), m.Name)
			p := s.byPath[name]
			if p == nil {
				t.Errorf("there is no page %s", name)
				continue
			}
			page := string(p.HTML)
			all := page
			for _, q := range s.Pages() {
				if strings.HasPrefix(q.Path, name+"/faults") {
					all += string(q.HTML)
				}
			}
			for _, sc := range m.Schemas {
				if sc.Version == version && !strings.Contains(page, "schemas/"+sc.Folder+"/"+sc.File) {
					t.Errorf("%s does not link to %s", name, sc.File)
				}
			}
			for _, e := range m.Examples {
				if e.Version != version {
					continue
				}
				if !strings.Contains(all, ` id="example-`+e.Name+`"`) {
					t.Errorf("%s lacks the example %s", name, e.Name)
				}
				shown := string(markedJSON(e.Text, "-"))
				if e.Valid && !strings.Contains(page, shown) {
					t.Errorf("%s does not show the text of %s", name, e.Name)
				}
				if !e.Valid && !strings.Contains(all, string(element(string(e.Text)))) {
					t.Errorf("%s/faults does not show the text of %s", name, e.Name)
				}
			}
			if m.Kind == spec.KindError && strings.Count(page, `class="pair"`) != 10 {
				t.Errorf("%s has %d pairs, want 10", name, strings.Count(page, `class="pair"`))
			}
			if twin := s.byPath[p.twin]; twin == nil || twin.twin != p.Path {
				t.Errorf("%s has no page in the other version", name)
			} else if a, b := sections(p), sections(twin); !slices.Equal(a, b) {
				t.Errorf("%s has the sections %v, its twin %v", name, a, b)
			}
		}
	}
	for _, e := range s.index.Errors() {
		file, anchor, _ := strings.Cut(strings.TrimPrefix(spec.ErrorDocs(e.Code), "/docs/"), "#")
		p := s.byPath[file]
		if p == nil || !strings.Contains(string(p.HTML), fmt.Sprintf(` id="%s"`, anchor)) {
			t.Errorf("%s, where error.data.docs points, is not there", spec.ErrorDocs(e.Code))
		}
	}
	for _, x := range s.index.Extensions() {
		for _, version := range []string{spec.V1, spec.V0} {
			if s.byPath[path.Join(version, "extensions", x.Name)] == nil {
				t.Errorf("the extension %s has no page in %s", x.Name, version)
			}
		}
	}
	for _, m := range s.index.Link() {
		if s.byPath["link/"+m.Name] == nil {
			t.Errorf("the link's message %s has no page", m.Name)
		}
	}
}

// sections are the anchors of a page's second level, which both versions share.
func sections(p *Page) []string {
	var out []string
	for _, h := range p.headings {
		if h.Level == 2 && h.ID != "refused" {
			out = append(out, h.ID)
		}
	}
	return out
}

// TestSchemasAreWhole looks for each member of each schema on its page.
func TestSchemasAreWhole(t *testing.T) {
	s := must(t, static)
	for _, m := range s.index.Messages() {
		for _, sc := range m.Schemas {
			page := string(s.byPath[path.Join(sc.Version, string(m.Side), m.Name)].HTML)
			v, err := parseJSON(sc.Raw)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range membersOf(v) {
				if !strings.Contains(page, "<code>"+name+"</code>") {
					t.Errorf("%s %s: the member %s is not shown", sc.Version, m.Name, name)
				}
			}
		}
	}
}

func membersOf(v value) []string {
	var out []string
	for _, m := range v.members {
		if m.name == "properties" {
			for _, p := range m.value.members {
				out = append(out, p.name)
				out = append(out, membersOf(p.value)...)
			}
			continue
		}
		out = append(out, membersOf(m.value)...)
	}
	for _, e := range v.items {
		out = append(out, membersOf(e)...)
	}
	return out
}

// TestTexts: every text in docs/ is a page, also one that no list names.
func TestTexts(t *testing.T) {
	s := must(t, static)
	files, err := fs.Glob(tillwire.Texts(), "docs/*.md")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d texts: %v", len(files), err)
	}
	for _, f := range files {
		if s.sources[f] == "" {
			t.Errorf("%s is no page", f)
		}
	}
	more, err := s.unlisted(guides()[:3])
	if err != nil || len(more) == 0 {
		t.Errorf("texts that are not listed were not found: %v", err)
	}
}

// TestTryIsForDevelopment: only pages of a development gateway offer to send.
func TestTryIsForDevelopment(t *testing.T) {
	for _, p := range must(t, static).Pages() {
		if strings.Contains(string(p.HTML), `class="try`) {
			t.Errorf("%s offers to send without a gateway", p.Path)
		}
	}
	s := must(t, served)
	for _, m := range s.index.Messages() {
		want := m.Direction == spec.ToConnect && m.Kind == spec.KindRequest
		for _, version := range []string{spec.V1, spec.V0} {
			name := path.Join(version, string(m.Side), m.Name)
			if got := strings.Contains(string(s.byPath[name].HTML), `class="try`); got != want {
				t.Errorf("%s: offers to send: %t, want %t", name, got, want)
			}
		}
	}
}

func TestSearchIndex(t *testing.T) {
	s := must(t, static)
	var pages []struct {
		U string
		P []struct{ A, H, T string }
	}
	if err := json.Unmarshal(s.files["search.json"].Body, &pages, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, p := range s.pages {
		if !p.aside {
			want++
		}
	}
	if len(pages) != want || want < 80 {
		t.Errorf("%d pages of %d are in the index", len(pages), want)
	}
	found := map[string]bool{}
	read := readings(t, static)
	for _, p := range pages {
		ids := read[p.U].ids
		for _, part := range p.P {
			found[p.U+" "+part.H] = true
			if part.A != "" && !ids[part.A] {
				t.Errorf("the index leads to %s#%s, which is not there", p.U, part.A)
			}
		}
	}
	for _, want := range []string{
		"v1/pac/performTransaction amountCashback", "errors -32071 Terminal Busy", "glossary How they end",
		"v1/pac/terminalNotification REPLACE_PAPER", "results After TIMED_OUT", "v0/pac/terminalDetails tpis",
	} {
		if !found[want] {
			t.Errorf("the index lacks %s", want)
		}
	}
}

func TestSitemap(t *testing.T) {
	s := must(t, static)
	text := string(s.Files()["sitemap.xml"].Body)
	if got := strings.Count(text, "<loc>"); got != len(s.pages) {
		t.Errorf("the sitemap has %d addresses, want %d", got, len(s.pages))
	}
	for _, want := range []string{"<loc>https://docs.example.com/</loc>", "<loc>https://docs.example.com/v1/pac/performTransaction.html</loc>"} {
		if !strings.Contains(text, want) {
			t.Errorf("the sitemap lacks %s", want)
		}
	}
	if _, ok := must(t, served).Files()["sitemap.xml"]; ok {
		t.Error("a sitemap without an address")
	}
}

// TestAsyncAPI checks the description's structure: what it must have, and that
// each reference in it leads somewhere.
func TestAsyncAPI(t *testing.T) {
	s := must(t, static)
	var d map[string]any
	if err := json.Unmarshal(s.files["asyncapi.json"].Body, &d); err != nil {
		t.Fatal(err)
	}
	if d["asyncapi"] != "3.0.0" {
		t.Errorf("asyncapi: %v", d["asyncapi"])
	}
	files := s.Files()
	refs := 0
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				refs++
				if local, ok := strings.CutPrefix(ref, "#/"); ok {
					var to any = d
					for part := range strings.SplitSeq(local, "/") {
						m, _ := to.(map[string]any)
						to = m[part]
					}
					if to == nil {
						t.Errorf("%s: %s leads nowhere", at, ref)
					}
				} else if _, ok := files[ref]; !ok {
					t.Errorf("%s: there is no file %s", at, ref)
				}
			}
			for k, e := range v {
				walk(at+"/"+k, e)
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s/%d", at, i), e)
			}
		}
	}
	walk("", d)
	if refs < 60 {
		t.Errorf("only %d references", refs)
	}
	operations, _ := d["operations"].(map[string]any)
	for _, m := range s.index.Messages() {
		op, _ := operations[string(m.Side)+"."+m.Name].(map[string]any)
		want := "send"
		if m.Direction == spec.ToConnect {
			want = "receive"
		}
		if op == nil || op["action"] != want {
			t.Errorf("%s %s: the operation is %v, want one to %s", m.Side, m.Name, op["action"], want)
		}
		if _, replies := op["reply"]; replies != (m.Kind == spec.KindRequest) {
			t.Errorf("%s %s: has a reply: %t", m.Side, m.Name, replies)
		}
	}
}

func TestRelative(t *testing.T) {
	for _, c := range []struct{ from, to, ending, want string }{
		{"index", "/docs/errors#-32602", "", "errors#-32602"},
		{"index", "/docs/", "", "./"},
		{"index", "/docs/", ".html", "index.html"},
		{"errors", "/docs/", "", "./"},
		{"v1/pac/report", "/docs/errors", ".html", "../../errors.html"},
		{"v1/pac/report", "/docs/v1/pac/duplicate#x", "", "duplicate#x"},
		{"v1/pac/report", "/docs/v1/connection", ".html", "../connection.html"},
		{"v1/pac/report", "/docs/v1/pac/report#x", ".html", "#x"},
		{"v1/pac/report", "/docs/", "", "../../"},
		{"v1/pac/report", "/docs/v1/pac/report/faults", "", "report/faults"},
		{"v1/pac/report/faults", "/docs/v1/pac/report", "", "../report"},
		{"extensions/index", "/docs/v1/extensions/keys", "", "../v1/extensions/keys"},
		{"link/hello", "/docs/link/", ".html", "index.html"},
		{"errors", "/docs/schemas/v1/A.json", ".html", "schemas/v1/A.json"},
		{"errors", "https://example.com/", "", "https://example.com/"},
	} {
		if got := relative(c.from, c.to, c.ending); got != c.want {
			t.Errorf("from %s to %s with %q: %s, want %s", c.from, c.to, c.ending, got, c.want)
		}
	}
}

// TestSchemaReader: what the docs cannot show is refused rather than left out.
func TestSchemaReader(t *testing.T) {
	for _, c := range []struct{ name, schema, want string }{
		{"unknown keyword", `{"multipleOf": 5}`, "cannot show"},
		{"unknown reference", `{"$ref": "#/definitions/x"}`, "not defined"},
		{"foreign reference", `{"$ref": "other.json"}`, "out of the file"},
		{"two at once", `{"type": "string", "allOf": [{"type": "integer"}]}`, "as one"},
		{"not JSON", `{`, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := readSchema([]byte(c.schema)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	n, err := readSchema([]byte(`{"properties": {"a": {"$ref": "#/definitions/list"}}, "definitions": {"list": {"description": "d", "type": "array", "maxItems": 3, "items": {"$ref": "#/definitions/list"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	a := n.Properties[0].Node
	if a.Description != "d" || a.Type() != "array of values, at most 3 items" || !a.Items.Recursive {
		t.Errorf("read %+v, type %q", a, a.Type())
	}
}

func TestOnly(t *testing.T) {
	const text = "a\n<!-- only: v0 -->\nb\n<!-- end -->\nc"
	for version, want := range map[string]string{spec.V0: "a\nb\nc", spec.V1: "a\nc"} {
		if got, err := only(text, version); err != nil || got != want {
			t.Errorf("for %s: %q, %v", version, got, err)
		}
	}
	if _, err := only("<!-- only: v1 -->", spec.V1); err == nil {
		t.Error("a part without an end was taken")
	}
}

// TestWeaveLines: a word that is not known, and a part that is not there, fail.
func TestWeaveLines(t *testing.T) {
	s := must(t, static)
	for _, text := range []string{
		"<!-- weave: nothing -->", "<!-- weave: flow no_such_conversation -->", "<!-- weave: flow sale_chip_and_pin of=x -->",
		"<!-- weave: flow sale_chip_and_pin from=NEVER -->", "<!-- weave: snippet examples/go/main.go none -->", "<!-- weave: states no -->",
	} {
		if _, err := s.weave(text, spec.V1); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

// TestConversations reads all conversations of the gateway's tests, those that no
// page draws yet as well.
func TestConversations(t *testing.T) {
	files, err := fs.Glob(tillwire.Texts(), conversations+"*.txt")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d conversations: %v", len(files), err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".txt")
		c, err := readConversation(tillwire.Texts(), name)
		if err != nil {
			t.Errorf("%s has what no drawing knows: %v", name, err)
			continue
		}
		drawn := string(c.draw("x"))
		for _, e := range c.Lines {
			if e.Kind == "request" && !strings.Contains(drawn, escape(e.Text)) {
				t.Errorf("%s: %s is not drawn", name, e.Text)
			}
		}
	}
}

// FuzzPrettyJSON: set for reading, JSON is the same JSON; the marked form is the
// same text.
func FuzzPrettyJSON(f *testing.F) {
	for _, m := range spec.Default().Messages() {
		for i, e := range m.Examples {
			if i%10 == 0 {
				f.Add(e.Text)
			}
		}
	}
	f.Add([]byte(`{"a":[{"b":"<&>\" "},1e3,-0.10,null,true,[],{}],"":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parseJSON(text)
		if err != nil {
			return
		}
		pretty := prettyJSON(text)
		again, err := parseJSON([]byte(pretty))
		if err != nil {
			t.Fatalf("%q became %q: %v", text, pretty, err)
		}
		if fmt.Sprint(v) != fmt.Sprint(again) {
			t.Errorf("%q became %q", text, pretty)
		}
		marked := tagsPattern.ReplaceAllString(string(markedJSON(text, "-")), "")
		if got := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(marked); got != pretty {
			t.Errorf("marked %q, plain %q", got, pretty)
		}
	})
}

// TestStates: each state and event of the machines is drawn.
func TestStates(t *testing.T) {
	for _, name := range []string{"transaction", "visit", "table", "report"} {
		m, err := readMachine(name)
		if err != nil {
			t.Fatal(err)
		}
		drawn := string(m.draw())
		for _, st := range m.States {
			if !strings.Contains(drawn, ">"+st.Name+"<") {
				t.Errorf("%s: the state %s is not drawn", name, st.Name)
			}
		}
		for _, tr := range m.Transitions {
			if !strings.Contains(drawn, tr.Event) || m.at(tr.To) < 0 {
				t.Errorf("%s: %s from %s to %s is not drawn", name, tr.Event, tr.From, tr.To)
			}
		}
	}
}
