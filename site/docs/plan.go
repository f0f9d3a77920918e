package docs

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/tillwire/tillwire/spec"
)

// plan lists all pages, in the order of the navigation.
func (s *Site) plan() error {
	listed := guides()
	more, err := s.unlisted(listed)
	if err != nil {
		return err
	}
	pages := map[string][]*Page{}
	for _, g := range append(listed, more...) {
		versions := []string{spec.V1}
		if g.both {
			versions = append(versions, spec.V0)
		}
		for _, v := range versions {
			p, err := s.readGuide(g, v)
			if err != nil {
				return fmt.Errorf("docs: %w", err)
			}
			if _, ok := s.sources[g.source]; !ok {
				s.sources[g.source] = p.Path
			}
			pages[g.section] = append(pages[g.section], p)
		}
	}
	s.sources["spec/link"] = "link/index"

	var messages, extensions []*Page
	for _, v := range []string{spec.V1, spec.V0} {
		m, err := s.messagePages(v)
		if err != nil {
			return fmt.Errorf("docs: %w", err)
		}
		x, err := s.extensionPages(v)
		if err != nil {
			return fmt.Errorf("docs: %w", err)
		}
		messages, extensions = append(messages, m...), append(extensions, x...)
	}
	link, err := s.linkPages()
	if err != nil {
		return fmt.Errorf("docs: %w", err)
	}
	for _, group := range [][]*Page{
		pages[sectionStart], pages[sectionAPI], messages, pages[sectionExtensions], extensions, pages[sectionREST], s.restPages(),
		pages[sectionGuides], pages[sectionLink], link, pages[sectionRunning], pages[sectionAbout],
	} {
		s.add(group...)
	}
	return nil
}

// A pageList is the list of all pages with their parts: what a search would
// find, for those without scripts.
type pageList struct{ site *Site }

func (l pageList) html(r *renderer) (template.HTML, error) {
	var b strings.Builder
	section := ""
	for _, p := range l.site.pages {
		if p.Section != section {
			if section != "" {
				b.WriteString("</ul>")
			}
			section = p.Section
			id := r.take("section-" + slug(section))
			fmt.Fprintf(&b, "<h2 id=\"%s\">%s</h2><ul>", id, escape(section))
			r.headings = append(r.headings, heading{Level: 2, ID: id, Text: section})
		}
		title := p.Title
		if p.Version != "" {
			title += ", " + p.Version
		}
		fmt.Fprintf(&b, `<li><a href="%s">%s</a></li>`, escape(r.href(p.url())), escape(title))
	}
	b.WriteString("</ul>\n")
	return template.HTML(b.String()), nil
}

func (l pageList) markdown(r *renderer) string {
	var b strings.Builder
	section := ""
	for _, p := range l.site.pages {
		if p.Section != section {
			section = p.Section
			fmt.Fprintf(&b, "\n## %s\n\n", section)
		}
		title := p.Title
		if p.Version != "" {
			title += ", " + p.Version
		}
		fmt.Fprintf(&b, "- [%s](%s)\n", title, r.mdHref("/docs/"+p.Path))
	}
	return strings.TrimSpace(b.String())
}
