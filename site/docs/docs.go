// Package docs makes the documentation: finished HTML, and the same as Markdown,
// of the contract as data (package spec), of the texts in docs/ and of the
// conversations that the gateway is tested with. Nothing in it is written twice:
// what a reader sees is what the tests ran.
//
// Pages work without scripts and ask no other host for anything. The package
// knows no gateway; what a development gateway adds to the pages goes over its
// public WebSocket.
package docs

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/tillwire/tillwire"
	"github.com/tillwire/tillwire/site/look"
	"github.com/tillwire/tillwire/spec"
)

//go:embed docs.js
var docsScript []byte

//go:embed try.js
var tryScript []byte

// Options say how the docs are made. The zero value is what a gateway serves.
type Options struct {
	// Ending stands behind the address of each page: ".html" for files on a
	// disk or a plain host, nothing where a server finds pages by their names.
	Ending string
	// Try puts "Try it" on the pages of requests; for a gateway with the
	// development site only.
	Try bool
	// Console links to the console at /console.
	Console bool
	// Base is the address at which the docs will stand, as in
	// https://docs.example.com/, for the sitemap; empty for none.
	Base string
}

// A Site is the docs, made.
type Site struct {
	options Options
	index   *spec.Index
	texts   fs.FS
	pages   []*Page
	byPath  map[string]*Page
	sources map[string]string // path in the repository, to path of a page
	files   map[string]File
	outside map[string]bool // files of the repository that texts name; no page shows them
	assets  []look.File
}

// A File is one file of the site.
type File struct {
	Type string // for Content-Type
	Body []byte
}

// Build makes the docs of what is embedded in this program. An error names the
// page; there is none that the tests of this package would not find.
func Build(o Options) (*Site, error) { return build(o, spec.Default(), tillwire.Texts()) }

func build(o Options, x *spec.Index, texts fs.FS) (*Site, error) {
	s := &Site{
		options: o, index: x, texts: texts,
		byPath: map[string]*Page{}, sources: map[string]string{}, files: map[string]File{}, outside: map[string]bool{},
	}
	s.assets = append(look.Files(),
		look.NewFile("docs", ".js", "text/javascript; charset=utf-8", docsScript),
		look.NewFile("try", ".js", "text/javascript; charset=utf-8", tryScript))
	if err := s.plan(); err != nil {
		return nil, err
	}
	for _, p := range s.pages {
		if s.byPath[p.Path] != nil {
			return nil, fmt.Errorf("docs: %s: two pages have this path", p.Path)
		}
		s.byPath[p.Path] = p
	}
	for _, p := range s.pages {
		if err := s.render(p); err != nil {
			return nil, fmt.Errorf("docs: %s: %w", p.Path, err)
		}
	}
	return s, s.collect()
}

// Pages returns all pages in the order of the navigation.
func (s *Site) Pages() []*Page { return slices.Clone(s.pages) }

// script is the name of a script's file, which lies beside the others.
func (s *Site) script(stem string) string {
	i := slices.IndexFunc(s.assets, func(f look.File) bool { return strings.HasPrefix(f.Name, stem+"-") })
	return s.assets[i].Name
}

// add puts a page behind those that are there.
func (s *Site) add(pages ...*Page) {
	s.pages = append(s.pages, pages...)
}

// render makes HTML and Markdown of a page.
func (s *Site) render(p *Page) error {
	r := newRenderer(s, p)
	for _, id := range []string{"main", "contents", "q"} {
		r.ids[id] = true
	}
	lead := r.inline(p.Lead)
	if lead != "" && !strings.HasPrefix(string(lead), "<p>") {
		lead = "<p>" + lead + "</p>"
	}
	var body strings.Builder
	md := []string{"# " + p.Title}
	if p.Lead != "" {
		md = append(md, r.mdLinks(p.Lead))
	}
	for _, b := range p.blocks {
		h, err := b.html(r)
		if err != nil {
			return err
		}
		body.WriteString(string(h))
		if t := b.markdown(r); t != "" {
			md = append(md, t)
		}
	}
	if len(r.broken) > 0 {
		return errors.New(strings.Join(r.broken, "; "))
	}
	p.headings, p.entries = r.headings, r.entries
	p.Markdown = []byte(strings.Join(md, "\n\n") + "\n")
	out, err := r.run("page", s.layout(r, p, lead, template.HTML(body.String())))
	p.HTML = []byte(out)
	return err
}

type navSection struct {
	Title, Name  string // the name is without the part of the site that the one above has as well
	Links        []navLink
	Folded, Open bool // long ones are folded away until the reader is in them
}

type navLink struct {
	Href, Text string
	Current    bool
}

// pageView is what the page template gets.
type pageView struct {
	Root, Ending, Version                     string
	Title, Section, Description               string
	MarkdownHref, Home, AllPages              string
	LLMs, AsyncAPI, OpenAPI, ContractVersions string
	Console                                   bool
	Lead, Body                                template.HTML
	Badges                                    []badge
	Twin                                      []navLink
	Nav                                       []navSection
	Contents                                  []heading
	Previous, Next                            *navLink
	asset                                     map[string]string
}

// Asset is where the page finds a file of the look, by the stem of its name.
func (v pageView) Asset(stem string) (string, error) {
	if href, ok := v.asset[stem]; ok {
		return href, nil
	}
	return "", fmt.Errorf("no asset %s", stem)
}

func (s *Site) layout(r *renderer, p *Page, lead, body template.HTML) pageView {
	v := pageView{
		Root: relative(p.Path, "/docs/", ""), Ending: s.options.Ending, Version: p.Version,
		Title: p.Title, Section: p.Section, Description: plain(firstSentence(cmp.Or(p.Lead, p.Title))),
		MarkdownHref: r.mdHref("/docs/" + p.Path), Home: r.href("/docs/"), AllPages: r.href("/docs/all"),
		LLMs: relative(p.Path, "/docs/llms.txt", ""), AsyncAPI: relative(p.Path, "/docs/asyncapi.json", ""),
		OpenAPI:          relative(p.Path, "/docs/openapi.json", ""),
		ContractVersions: "WebSockets v1 and v0, REST v2, v1 and v0", Console: s.options.Console,
		Lead: lead, Body: body, Badges: slices.Clone(p.badges), asset: map[string]string{},
	}
	for i, b := range v.Badges {
		if b.Href != "" {
			v.Badges[i].Href = r.href(b.Href)
		}
	}
	for _, f := range s.assets {
		stem, _, _ := strings.Cut(f.Name, "-")
		v.asset[stem] = relative(p.Path, "/docs/assets/"+f.Name, "")
	}
	for _, h := range r.headings {
		if h.Level <= 3 {
			v.Contents = append(v.Contents, h)
		}
	}
	if len(v.Contents) < 2 {
		v.Contents = nil
	}
	if p.twin != "" {
		other := s.byPath[p.twin]
		for _, q := range []*Page{p, other} {
			v.Twin = append(v.Twin, navLink{Href: r.href(q.url()), Text: q.Version, Current: q == p})
		}
		slices.SortFunc(v.Twin, func(a, b navLink) int { return cmp.Compare(b.Text, a.Text) })
	}
	v.Nav = s.nav(r, p)
	v.Previous, v.Next = s.neighbours(r, p)
	return v
}

// inVersion reports whether a page belongs to the navigation of another one:
// readers of v0 are shown v0.
func (s *Site) inVersion(q, p *Page) bool {
	return q.Version == "" || q.twin == "" || q.Version == cmp.Or(p.Version, spec.V1)
}

func (s *Site) nav(r *renderer, p *Page) []navSection {
	var nav []navSection
	for _, q := range s.pages {
		if q.aside || !s.inVersion(q, p) {
			continue
		}
		if len(nav) == 0 || nav[len(nav)-1].Title != q.Section {
			name := q.Section
			if _, after, ok := strings.Cut(q.Section, ": "); ok {
				name = after
			}
			nav = append(nav, navSection{Title: q.Section, Name: name})
		}
		last := &nav[len(nav)-1]
		last.Links = append(last.Links, navLink{Href: r.href(q.url()), Text: cmp.Or(q.short, q.Title), Current: q == p})
		last.Folded, last.Open = len(last.Links) > 12, last.Open || q == p
	}
	return nav
}

func (s *Site) neighbours(r *renderer, p *Page) (before, after *navLink) {
	var last *Page
	found := false
	for _, q := range s.pages {
		if q.aside || !s.inVersion(q, p) {
			continue
		}
		if found {
			return before, &navLink{Href: r.href(q.url()), Text: q.Title}
		}
		if q == p {
			found = true
			if last != nil {
				before = &navLink{Href: r.href(last.url()), Text: last.Title}
			}
		}
		last = q
	}
	if !found {
		return nil, nil
	}
	return before, nil
}

// target finds what a link in the repository's Markdown means on the site. It
// returns an address from the root, and false if there is nothing.
func (s *Site) target(p *Page, to string) (string, bool) {
	switch {
	case strings.HasPrefix(to, "#"):
		return p.url() + to, true
	case strings.HasPrefix(to, "https://"), strings.HasPrefix(to, "http://"):
		return to, true
	case strings.HasPrefix(to, "/docs/"):
		file, _, _ := strings.Cut(strings.TrimPrefix(to, "/docs/"), "#")
		if path.Ext(file) != "" {
			return to, true // a file; the tests look whether it is there
		}
		if file == "" || strings.HasSuffix(file, "/") {
			file += "index"
		}
		return s.sameVersion(p, file, to), s.byPath[file] != nil
	case strings.HasPrefix(to, "/"):
		return to, true
	}
	file, anchor, has := strings.Cut(to, "#")
	page, ok := s.sources[path.Join(path.Dir(p.source), file)]
	if !ok {
		return to, false
	}
	href := "/docs/" + strings.TrimSuffix(page, "index")
	if has {
		href += "#" + anchor
	}
	return s.sameVersion(p, page, href), true
}

// sameVersion turns an address of a page of one version into that of the page
// about the same in the version of the page that the link stands on.
func (s *Site) sameVersion(p *Page, page, href string) string {
	q := s.byPath[page]
	if q == nil || q.twin == "" || p.Version == "" || q.Version == p.Version {
		return href
	}
	return strings.Replace(href, "/docs/"+q.Version+"/", "/docs/"+p.Version+"/", 1)
}

func firstSentence(s string) string {
	if i := strings.Index(s, ". "); i > 0 {
		return s[:i+1]
	}
	return s
}
