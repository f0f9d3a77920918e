package docs

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/spec"
)

// collect makes the files beside the pages: schemas, the search index, the
// overview for language models, the descriptions for tools.
func (s *Site) collect() error {
	messages := append(s.index.Messages(), s.index.Link()...)
	for _, x := range s.index.Extensions() {
		messages = append(messages, x.Messages...)
	}
	for _, m := range messages {
		for _, sc := range m.Schemas {
			s.files["schemas/"+sc.Folder+"/"+sc.File] = File{"application/schema+json; charset=utf-8", sc.Raw}
		}
	}
	search, err := s.searchIndex()
	if err != nil {
		return fmt.Errorf("docs: %w", err)
	}
	s.files["search.json"] = File{"application/json; charset=utf-8", search}
	s.files["llms.txt"] = File{"text/plain; charset=utf-8", s.llms()}
	async, err := s.asyncAPI()
	if err != nil {
		return fmt.Errorf("docs: %w", err)
	}
	s.files["asyncapi.json"] = File{"application/json; charset=utf-8", async}
	s.files["openapi.json"] = File{"application/json; charset=utf-8", s.index.REST().OpenAPI()}
	return nil
}

// searchIndex is what the script searches: pages with their parts and words.
func (s *Site) searchIndex() ([]byte, error) {
	type part struct {
		Anchor  string `json:"a,omitzero"`
		Heading string `json:"h"`
		Text    string `json:"t,omitzero"`
	}
	type page struct {
		URL     string   `json:"u"`
		Title   string   `json:"n"`
		Section string   `json:"s"`
		Version string   `json:"v,omitzero"`
		Names   []string `json:"k,omitzero"` // words of the wire that it is about
		Weight  float64  `json:"w"`
		Parts   []part   `json:"p"`
	}
	var pages []page
	for _, p := range s.pages {
		if p.aside {
			continue // its page leads there
		}
		v := page{URL: p.Path, Title: p.Title, Section: p.Section, Version: p.Version, Names: p.names, Weight: 1}
		switch p.Section {
		case sectionLink:
			v.Weight = 0.5 // for who builds card machines
		case sectionGuides, sectionRunning, sectionAbout, sectionREST, sectionRESTCounter, sectionRESTTable:
			v.Weight = 0.8
		}
		for _, e := range p.entries {
			text := strings.Join(strings.Fields(e.Text), " ")
			if p.Version == spec.V0 {
				text = "" // it is as in v1, which is found
			}
			v.Parts = append(v.Parts, part{e.Anchor, e.Heading, text})
		}
		pages = append(pages, v)
	}
	return json.Marshal(pages)
}

// llms is the overview for language models, in the form of llmstxt.org.
func (s *Site) llms() []byte {
	var b strings.Builder
	b.WriteString("# Tillwire\n\n> A self-hosted gateway between tills (EPOS) and card terminals, speaking the Connect WebSockets API, versions v1 and v0, and the Connect REST API, versions v2, v1 and v0. " +
		"Amounts are integers of minor units. The result of a transaction alone decides whether money was taken; TIMED_OUT means that nobody knows yet.\n")
	section := ""
	for _, p := range s.pages {
		if p.Version == spec.V0 || p.aside {
			continue
		}
		if p.Section != section {
			section = p.Section
			fmt.Fprintf(&b, "\n## %s\n\n", section)
		}
		fmt.Fprintf(&b, "- [%s](%s.md)", p.Title, p.Path)
		if p.Lead != "" {
			b.WriteString(": " + plain(firstSentence(strings.ReplaceAll(mdLink.ReplaceAllString(p.Lead, "]"), "\n", " "))))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## Optional\n\n- [AsyncAPI description](asyncapi.json) of the WebSocket\n- [OpenAPI description](openapi.json) of the REST interface\n- [All pages](all.md): with those of v0 and the messages that are refused\n")
	return []byte(b.String())
}

// sitemap lists the pages below base.
func (s *Site) sitemap(base string) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">` + "\n")
	base = strings.TrimSuffix(base, "/") + "/"
	for _, p := range s.pages {
		at := strings.TrimSuffix(p.Path, "index")
		if at == p.Path {
			at += s.options.Ending
		}
		b.WriteString("<url><loc>")
		_ = xml.EscapeText(&b, []byte(base+at)) // a Builder takes everything
		b.WriteString("</loc></url>\n")
	}
	b.WriteString("</urlset>\n")
	return []byte(b.String())
}
