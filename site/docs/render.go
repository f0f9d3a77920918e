package docs

import (
	"bytes"
	"embed"
	"fmt"
	"html"
	"html/template"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	gmhtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"

	"github.com/tillwire/tillwire/spec"
)

//go:embed templates.html rest.html
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "*.html"))

// An entry is one part of a page in the search index.
type entry struct {
	Anchor  string
	Heading string
	Text    string
}

// A renderer makes one page. It knows which ids the page has given out.
type renderer struct {
	site     *Site
	page     *Page
	ids      map[string]bool
	headings []heading
	entries  []entry
	broken   []string
	marked   goldmark.Markdown
}

func newRenderer(s *Site, p *Page) *renderer {
	return &renderer{
		site: s, page: p, ids: map[string]bool{},
		entries: []entry{{Heading: p.Title}},
		marked: goldmark.New(
			goldmark.WithExtensions(extension.Table),
			goldmark.WithParserOptions(parser.WithAutoHeadingID()),
			goldmark.WithRendererOptions(gmhtml.WithXHTML()),
		),
	}
}

// take gives out an id of the page. A second taker of the same one gets another.
func (r *renderer) take(id string) string {
	for n, want := 2, id; ; n++ {
		if !r.ids[id] {
			r.ids[id] = true
			return id
		}
		id = fmt.Sprintf("%s-%d", want, n)
	}
}

// own gives out an id that others link to: it must be free.
func (r *renderer) own(id string) string {
	if r.ids[id] {
		r.broken = append(r.broken, fmt.Sprintf("the id %s stands twice", id))
	}
	r.ids[id] = true
	return id
}

func (r *renderer) href(to string) string { return relative(r.page.Path, to, r.site.options.Ending) }

// say adds words to what a search finds at the last heading.
func (r *renderer) say(words string) {
	last := &r.entries[len(r.entries)-1]
	last.Text = strings.TrimSpace(last.Text + " " + words)
}

// at begins a new part of the search index.
func (r *renderer) at(anchor, heading string) {
	r.entries = append(r.entries, entry{Anchor: anchor, Heading: heading})
}

func (r *renderer) run(name string, data any) (template.HTML, error) {
	var b strings.Builder
	err := templates.ExecuteTemplate(&b, name, data)
	return template.HTML(b.String()), err
}

// slug is the anchor of a heading, as others know it from the same Markdown.
func slug(heading string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(heading) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteRune(c)
		case c == ' ':
			b.WriteByte('-')
		}
	}
	return b.String()
}

// ids lets goldmark take its anchors from the page's.
type ids struct{ r *renderer }

func (g ids) Generate(value []byte, _ ast.NodeKind) []byte {
	return []byte(g.r.take(slug(string(value))))
}
func (g ids) Put(value []byte) { g.r.ids[string(value)] = true }

// prose makes HTML of Markdown. Its links may be as in the repository.
func (r *renderer) prose(md string) (template.HTML, error) {
	source := []byte(md)
	doc := r.marked.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(ids{r}))))
	var outside []*ast.Link
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			to, ok := r.site.target(r.page, string(n.Destination))
			switch {
			case ok:
				n.Destination = []byte(r.href(to))
			case path.Ext(to) != ".md" && !strings.HasPrefix(to, "/"):
				outside = append(outside, n) // a file of the repository
				r.site.outside[path.Join(path.Dir(r.page.source), to)] = true
			default:
				r.broken = append(r.broken, fmt.Sprintf("the link %s leads nowhere", n.Destination))
			}
		case *ast.Heading:
			id, _ := n.AttributeString("id")
			anchor, _ := id.([]byte)
			words := plainText(n, source)
			r.headings = append(r.headings, heading{Level: n.Level, ID: string(anchor), Text: words})
			r.at(string(anchor), words)
			return ast.WalkSkipChildren, nil
		case *ast.Text:
			words := string(n.Segment.Value(source))
			if before, ok := n.PreviousSibling().(*ast.Text); ok && before.Segment.Stop == n.Segment.Start && !strings.HasSuffix(string(before.Segment.Value(source)), " ") {
				r.entries[len(r.entries)-1].Text += words // one word, as in TIMED_OUT
			} else {
				r.say(words)
			}
		case *ast.FencedCodeBlock:
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				r.say(strings.TrimSpace(string(line.Value(source))))
			}
		case *ast.Image, *ast.RawHTML, *ast.HTMLBlock:
			r.broken = append(r.broken, "Markdown with HTML or a picture in it, which the docs do not show")
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return "", err
	}
	for _, n := range outside {
		for c := n.FirstChild(); c != nil; c = n.FirstChild() {
			n.Parent().InsertBefore(n.Parent(), n, c)
		}
		n.Parent().RemoveChild(n.Parent(), n)
	}
	var b bytes.Buffer
	if err := r.marked.Renderer().Render(&b, source, doc); err != nil {
		return "", err
	}
	return template.HTML(dress(b.String())), nil
}

var (
	headingTag = regexp.MustCompile(`(?s)<h([2-4]) id="([^"]+)">(.*?)</h[2-4]>`)
	tagPattern = regexp.MustCompile(`<[^>]*>`)
)

// dress adds to goldmark's HTML what all pages have: tables that scroll by
// themselves, code in figures, headings that can be linked to.
func dress(s string) string {
	s = strings.NewReplacer(
		"<table>", `<div class="scroll"><table>`, "</table>", "</table></div>",
		"<th>", `<th scope="col">`,
		"<pre>", `<figure class="code"><pre>`, "</pre>", "</pre></figure>",
	).Replace(s)
	return headingTag.ReplaceAllStringFunc(s, func(h string) string {
		m := headingTag.FindStringSubmatch(h)
		plain := tagPattern.ReplaceAllString(m[3], "")
		return fmt.Sprintf(`<h%s id="%s">%s <a class="anchor" href="#%s"><span class="vh">Link to %s</span><span aria-hidden="true">#</span></a></h%s>`,
			m[1], m[2], m[3], m[2], plain, m[1])
	})
}

func plainText(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the walker returns no error
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// inline is Markdown without a paragraph around it.
func (r *renderer) inline(md string) template.HTML {
	out, err := r.prose(md)
	if err != nil {
		r.broken = append(r.broken, err.Error())
	}
	s := strings.TrimSpace(string(out))
	if inner, ok := strings.CutPrefix(s, "<p>"); ok && strings.Count(s, "<p>") == 1 {
		s = strings.TrimSuffix(inner, "</p>")
	}
	return template.HTML(s)
}

// plain is Markdown without its marks, for a title.
func plain(md string) string { return strings.NewReplacer("`", "", "**", "", "*", "").Replace(md) }

func (h heading) html(r *renderer) (template.HTML, error) {
	h.ID = r.own(h.ID)
	r.headings = append(r.headings, heading{Level: h.Level, ID: h.ID, Text: plain(h.Text)})
	r.at(h.ID, plain(h.Text))
	text := r.inlineQuiet(h.Text)
	return r.run("heading", map[string]any{"Level": h.Level, "ID": h.ID, "Text": text, "Badges": h.Badges, "Plain": plain(h.Text)})
}

// inlineQuiet is inline without words for the search.
func (r *renderer) inlineQuiet(md string) template.HTML {
	kept := r.entries[len(r.entries)-1].Text
	out := r.inline(md)
	r.entries[len(r.entries)-1].Text = kept
	return out
}

func (h heading) markdown(*renderer) string {
	var badges string
	for _, b := range h.Badges {
		badges += " (" + b.Text + ")"
	}
	return strings.Repeat("#", h.Level) + " " + h.Text + badges
}

func (p prose) html(r *renderer) (template.HTML, error) { return r.prose(p.Text) }

var mdLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func (p prose) markdown(r *renderer) string { return r.mdLinks(strings.TrimSpace(p.Text)) }

// mdLinks points the links of Markdown to the Markdown of other pages.
func (r *renderer) mdLinks(md string) string {
	return mdLink.ReplaceAllStringFunc(md, func(s string) string {
		to, _ := r.site.target(r.page, mdLink.FindStringSubmatch(s)[1])
		return "](" + r.mdHref(to) + ")"
	})
}

// mdHref is an address as it stands in Markdown: pages are those in Markdown.
func (r *renderer) mdHref(to string) string {
	rest, ok := strings.CutPrefix(to, "/docs/")
	if !ok {
		return to
	}
	target, anchor, has := strings.Cut(rest, "#")
	if strings.HasSuffix(target, "/") || target == "" {
		target += "index"
	}
	if path.Ext(target) == "" {
		target += ".md"
	}
	if has {
		target += "#" + anchor
	}
	return relative(r.page.Path, "/docs/"+target, "")
}

func (t table) html(r *renderer) (template.HTML, error) {
	type cells struct {
		ID    string
		Cells []template.HTML
	}
	var rows []cells
	for _, x := range t.Rows {
		c := cells{}
		if x.ID != "" {
			c.ID = r.own(x.ID)
			r.at(x.ID, plain(x.Cells[0]))
		}
		for _, md := range x.Cells {
			c.Cells = append(c.Cells, r.inline(md))
		}
		rows = append(rows, c)
	}
	var head []template.HTML
	for _, md := range t.Head {
		head = append(head, r.inlineQuiet(md))
	}
	return r.run("table", map[string]any{"Caption": t.Caption, "Head": head, "Rows": rows, "Dense": t.Dense})
}

func (t table) markdown(r *renderer) string {
	var b strings.Builder
	if t.Caption != "" {
		b.WriteString(t.Caption + "\n\n")
	}
	b.WriteString("| " + strings.Join(t.Head, " | ") + " |\n|" + strings.Repeat(" --- |", len(t.Head)))
	for _, x := range t.Rows {
		b.WriteString("\n| ")
		for i, c := range x.Cells {
			if i > 0 {
				b.WriteString(" | ")
			}
			b.WriteString(r.mdLinks(strings.ReplaceAll(c, "\n", " ")))
		}
		b.WriteString(" |")
	}
	return b.String()
}

// The members of a schema, as the template shows them.
type (
	membersView struct {
		List    []memberView
		Choices []choiceView
	}
	memberView struct {
		ID, Name, Type   string
		Required         bool
		Description      template.HTML
		Enum             []string
		Pattern, Default string
		Recursive        bool
		Parts            *partsView
	}
	partsView struct {
		Summary      string
		Open, Closed bool
		membersView
	}
	choiceView struct {
		ID, Word string
		When     template.HTML
		Members  *membersView
	}
)

func (s schemaView) html(r *renderer) (template.HTML, error) {
	members := r.members(s.Root, s.ID, 0)
	return r.run("schema", map[string]any{
		"Href": r.href("/docs/schemas/" + s.File), "Name": path.Base(s.File), "Root": s.Root, "Members": members,
		"Inline": r.inline,
	})
}

func (r *renderer) members(n *node, id string, depth int) membersView {
	var v membersView
	for _, p := range n.Properties {
		v.List = append(v.List, r.member(p.Name, p.Node, id, n.IsRequired(p.Name), depth))
	}
	if n.Extra != nil {
		v.List = append(v.List, r.member("any other name", n.Extra, id, false, depth))
	}
	for i, c := range n.Choices {
		choice := choiceView{Word: "either", When: r.inline(c.condition())}
		if i > 0 {
			choice.Word = "or"
		}
		shown := &node{Required: c.Required}
		for _, p := range c.Properties {
			if p.Node.Inner().HasParts() {
				shown.Properties = append(shown.Properties, p)
			}
		}
		if len(shown.Properties) > 0 {
			choice.ID = r.own(id + "." + choiceName(c, i))
			inner := r.members(shown, choice.ID, depth)
			for j := range inner.List {
				if p := inner.List[j].Parts; p != nil && i > 0 {
					p.Open = false
				}
				inner.List[j].Required = n.IsRequired(inner.List[j].Name) || c.IsRequired(inner.List[j].Name)
			}
			choice.Members = &inner
		}
		v.Choices = append(v.Choices, choice)
	}
	return v
}

// choiceName is the anchor of a choice: the first value that it names.
func choiceName(n *node, i int) string {
	for _, p := range n.Properties {
		if len(p.Node.Enum) > 0 {
			return slug(strings.Trim(p.Node.Enum[0], `"`))
		}
	}
	return strconv.Itoa(i + 1)
}

func (r *renderer) member(name string, n *node, id string, required bool, depth int) memberView {
	var enum []string
	for _, e := range n.Enum {
		enum = append(enum, strings.Trim(e, `"`))
	}
	m := memberView{
		ID: r.own(id + "." + strings.ReplaceAll(name, " ", "-")), Name: name, Type: n.Type(), Required: required,
		Enum: enum, Pattern: n.Pattern, Default: n.Default, Recursive: n.Recursive,
	}
	if depth > 0 || name != "jsonrpc" && name != "id" && name != "method" {
		r.at(m.ID, name)
	}
	if n.Description != "" {
		m.Description = r.inline(n.Description)
	}
	r.say(strings.Join(enum, " "))
	inner := n.Inner()
	if len(m.Enum) == 0 && inner != n {
		for _, e := range inner.Enum {
			m.Enum = append(m.Enum, strings.Trim(e, `"`))
		}
		m.Pattern = inner.Pattern
	}
	if inner.HasParts() || len(inner.Choices) > 0 {
		m.Parts = &partsView{
			Summary: inner.Parts(), Open: depth == 0, Closed: inner.Closed,
			membersView: r.members(inner, m.ID, depth+1),
		}
	}
	return m
}

func (s schemaView) markdown(r *renderer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "JSON Schema (draft 04): [%s](%s)\n", path.Base(s.File), r.href("/docs/schemas/"+s.File))
	if s.Root.Description != "" {
		b.WriteString("\n" + s.Root.Description + "\n")
	}
	b.WriteString("\n")
	mdMembers(&b, s.Root, "")
	return strings.TrimSpace(b.String())
}

func mdMembers(b *strings.Builder, n *node, indent string) {
	one := func(name string, p *node, required bool) {
		fmt.Fprintf(b, "%s- `%s`: %s", indent, name, p.Type())
		if required {
			b.WriteString(", required")
		}
		if len(p.Inner().Enum) > 0 {
			b.WriteString(", " + anyOf(p.Inner().Enum))
		}
		if p.Pattern != "" {
			fmt.Fprintf(b, ", pattern `%s`", p.Pattern)
		}
		if p.Description != "" {
			b.WriteString(". " + p.Description)
		}
		b.WriteString("\n")
		mdMembers(b, p.Inner(), indent+"  ")
	}
	for _, p := range n.Properties {
		one(p.Name, p.Node, n.IsRequired(p.Name))
	}
	if n.Extra != nil {
		one("(any other name)", n.Extra, false)
	}
	for i, c := range n.Choices {
		word := "either"
		if i > 0 {
			word = "or"
		}
		fmt.Fprintf(b, "%s- %s %s\n", indent, word, c.condition())
		for _, p := range c.Properties {
			if p.Node.Inner().HasParts() {
				fmt.Fprintf(b, "%s  - `%s`:\n", indent, p.Name)
				mdMembers(b, p.Node.Inner(), indent+"    ")
			}
		}
	}
}

func (e example) html(r *renderer) (template.HTML, error) {
	r.at(e.ID, e.Title)
	return r.run("example", map[string]any{
		"ID": r.own(e.ID), "Title": e.Title, "Badges": e.facts(), "JSON": markedJSON(e.Text, e.place()),
	})
}

// facts are what stands beside the title.
func (e example) facts() []badge {
	if e.Badges != nil {
		return e.Badges
	}
	out := []badge{{Text: e.Direction}, {Text: e.Kind}, {Text: "valid", Kind: "good"}}
	if e.Fault != nil {
		out[2] = badge{Text: "invalid", Kind: "bad"}
	}
	return out
}

func (e example) place() string {
	if e.Fault == nil {
		return "-"
	}
	return e.Fault.Place
}

func (e example) markdown(*renderer) string {
	var facts []string
	for _, b := range e.facts() {
		facts = append(facts, b.Text)
	}
	if e.Fault != nil {
		facts[len(facts)-1] += fmt.Sprintf(": `%s` breaks %s", e.Fault.Place, e.Fault.Rule)
	}
	return fmt.Sprintf("%s (%s):\n\n```json\n%s\n```", e.Title, strings.Join(facts, ", "), prettyJSON(e.Text))
}

func (l faultList) html(r *renderer) (template.HTML, error) {
	type view struct {
		ID, Title, Place, Rule, Found string
		Badges                        []badge
		Text                          template.HTML
		Long                          bool
	}
	const long = 260
	var rows []view
	for _, e := range l.Rows {
		rows = append(rows, view{
			ID: r.own(e.ID), Title: e.Title, Place: e.Fault.Place, Rule: e.Fault.Rule, Badges: e.facts(),
			Found: found(e.Text, e.Fault.Place), Text: element(strings.TrimSpace(string(e.Text))), Long: len(e.Text) > long,
		})
		r.say(e.Title + " " + e.Fault.Place)
	}
	return r.run("faults", map[string]any{"Rows": rows})
}

// found is what stands at a place of a message, if it is short.
func found(text []byte, place string) string {
	v, err := parseJSON(text)
	if err != nil || place == "" {
		return ""
	}
	for part := range strings.SplitSeq(place[1:], "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		inner, ok := v.get(part)
		if n, err := strconv.Atoi(part); err == nil && v.kind == '[' && n < len(v.items) {
			inner, ok = v.items[n], true
		}
		if !ok {
			return ""
		}
		v = inner
	}
	w := jsonWriter{place: "-"}
	if w.value(v, "", ""); w.b.Len() > 60 {
		return ""
	}
	return w.b.String()
}

func (l faultList) markdown(r *renderer) string {
	var out []string
	for _, e := range l.Rows {
		text, place := fmt.Sprintf("`%s`", e.Text), fmt.Sprintf("`%s`", e.Fault.Place)
		if len(bytes.TrimSpace(e.Text)) == 0 {
			text = "(nothing)"
		}
		if e.Fault.Place == "" {
			place = "The message"
		}
		out = append(out, fmt.Sprintf("- %s breaks %s. %s\n  %s", place, e.Fault.Rule, e.Title, text))
	}
	return strings.Join(out, "\n")
}

func (p pair) html(r *renderer) (template.HTML, error) {
	r.at(p.ID, p.Title)
	r.headings = append(r.headings, heading{Level: 3, ID: p.ID, Text: p.Title})
	var sent template.HTML
	if len(p.Sent) > 0 {
		sent = markedJSON(p.Sent, "-")
	}
	return r.run("pair", map[string]any{
		"ID": r.own(p.ID), "Title": p.Title, "Note": r.inline(p.Note), "Sent": sent, "Back": markedJSON(p.Back, "-"),
		"Code": p.Code, "CodeHref": r.href(spec.ErrorDocs(p.Code)),
	})
}

func (p pair) markdown(r *renderer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s ([%d](%s))\n\n", p.Title, p.Code, r.mdHref(spec.ErrorDocs(p.Code)))
	if p.Note != "" {
		b.WriteString(p.Note + "\n\n")
	}
	if len(p.Sent) > 0 {
		fmt.Fprintf(&b, "EPOS → Connect:\n\n```\n%s\n```\n\n", prettyJSON(p.Sent))
	} else {
		b.WriteString("EPOS → Connect: nothing was sent.\n\n")
	}
	fmt.Fprintf(&b, "Connect → EPOS:\n\n```json\n%s\n```", prettyJSON(p.Back))
	return b.String()
}

func (f figure) html(r *renderer) (template.HTML, error) {
	type stepView struct {
		Way  string
		Text template.HTML
		JSON template.HTML
	}
	var steps []stepView
	for _, s := range f.Steps {
		v := stepView{Way: way(s), Text: r.inline(s.Text)}
		if s.JSON != nil {
			v.JSON = markedJSON(s.JSON, "-")
		}
		steps = append(steps, v)
	}
	return r.run("figure", map[string]any{
		"ID": r.own(f.ID), "Caption": r.inline(f.Caption), "SVG": f.SVG, "Steps": steps, "Summary": f.Summary,
	})
}

func way(s step) string {
	switch {
	case s.From == "":
		return ""
	case s.To == "":
		return s.From + ":"
	}
	return s.From + " → " + s.To + ":"
}

func (f figure) markdown(r *renderer) string {
	var b strings.Builder
	b.WriteString(r.mdLinks(f.Caption) + "\n")
	for i, s := range f.Steps {
		fmt.Fprintf(&b, "\n%d. %s", i+1, strings.TrimSpace(way(s)+" "+s.Text))
	}
	return b.String()
}

func (s snippet) html(r *renderer) (template.HTML, error) {
	return r.run("snippet", map[string]any{"Title": s.Title, "Text": s.Text})
}

func (s snippet) markdown(*renderer) string {
	return s.Title + "\n\n```" + s.Language + "\n" + strings.TrimRight(s.Text, "\n") + "\n```"
}

func (f folded) html(r *renderer) (template.HTML, error) {
	inner, err := f.Block.html(r)
	if err != nil {
		return "", err
	}
	return r.run("folded", map[string]any{"Summary": f.Summary, "Block": inner})
}

func (f folded) markdown(r *renderer) string { return f.Block.markdown(r) }

func (n note) html(r *renderer) (template.HTML, error) {
	inner, err := r.prose(n.Text)
	if err != nil {
		return "", err
	}
	return r.run("note", map[string]any{"Kind": n.Kind, "Text": inner})
}

func (n note) markdown(r *renderer) string {
	return "> " + strings.ReplaceAll(r.mdLinks(strings.TrimSpace(n.Text)), "\n", "\n> ")
}

func (l linkList) html(r *renderer) (template.HTML, error) {
	type view struct {
		Href, Text string
		About      template.HTML
	}
	var views []view
	for _, x := range l.Links {
		views = append(views, view{r.href(x.Href), x.Text, r.inline(x.About)})
	}
	return r.run("links", views)
}

func (l linkList) markdown(r *renderer) string {
	var b strings.Builder
	for _, x := range l.Links {
		fmt.Fprintf(&b, "- [%s](%s)", x.Text, r.mdHref(x.Href))
		if x.About != "" {
			b.WriteString(": " + r.mdLinks(x.About))
		}
		b.WriteString("\n")
	}
	return strings.TrimSpace(b.String())
}

func (t try) html(r *renderer) (template.HTML, error) {
	r.ids[t.ID] = true
	return r.run("try", map[string]any{
		"ID": t.ID, "Face": t.Face, "Version": t.Version, "Extensions": t.Extensions, "Messages": t.Messages, "Terminals": t.Terminals,
		"Start": r.href("/docs/start"), "Script": "./" + r.site.script("try"),
	})
}

func (try) markdown(*renderer) string { return "" }

// element is a text within an element, where quotes are themselves.
func element(s string) template.HTML {
	return template.HTML(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s))
}

// escape is for SVG, attributes too.
func escape(s string) string { return html.EscapeString(s) }
