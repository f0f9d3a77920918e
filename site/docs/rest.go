package docs

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tillwire/tillwire/spec"
)

// The folder of the pages on the REST interface, and pages in it that others
// link to.
const (
	restBase    = "/docs/rest/"
	restErrors  = restBase + "errors"
	restObjects = restBase + "objects"
	restWords   = restBase + "words"
)

// restTitles are the sections of the endpoints of a side.
var restTitles = map[spec.Side]string{spec.PAC: sectionRESTCounter, spec.PAT: sectionRESTTable}

// restPages are the endpoints of the REST interface, each with all its versions.
func (s *Site) restPages() []*Page {
	var pages []*Page
	for _, e := range s.index.REST().Endpoints() {
		pages = append(pages, s.endpoint(e))
	}
	return pages
}

func (s *Site) endpoint(e spec.RESTEndpoint) *Page {
	r := s.index.REST()
	lead, how := firstParagraph(e.About)
	p := &Page{Path: "rest/" + e.Name, Section: restTitles[e.Side], Title: e.Title, Lead: lead, names: []string{e.Name}}
	for _, m := range e.Methods {
		p.badges = append(p.badges, badge{Text: m, Kind: "accent"})
	}
	p.badges = append(p.badges, badge{Text: e.Path, Code: true})
	for _, v := range newestFirst(e.Versions) {
		p.badges = append(p.badges, badge{Text: v})
	}
	if e.Ours {
		p.badges = append(p.badges, badge{Text: "Tillwire's own", Kind: "news"})
	}
	if how != "" {
		p.blocks = append(p.blocks, heading{Level: 2, ID: "how", Text: "How it works"}, prose{how})
	}
	p.blocks = append(p.blocks, heading{Level: 2, ID: "curl", Text: "With curl"}, prose{curlText(e)})
	p.blocks = append(p.blocks, curls(r, e)...)

	f := fieldMaker{rest: r, nested: true}
	p.blocks = append(p.blocks, heading{Level: 2, ID: "request", Text: "Request"})
	p.blocks = append(p.blocks, prose{fmt.Sprintf("%s `%s`%s What holds for every request is in the [overview](%s).", anyOf(e.Methods), e.Path, whereElse(e), restBase)})
	p.blocks = append(p.blocks, requestParts(f, e)...)
	p.blocks = append(p.blocks, heading{Level: 2, ID: "answers", Text: "Answers"})
	for _, a := range e.Answers {
		p.blocks = append(p.blocks, answerParts(f, e, a)...)
	}
	p.blocks = append(p.blocks, heading{Level: 2, ID: "errors", Text: "Errors"}, endpointRefusals(r, e))
	p.blocks = append(p.blocks, restExamples(e)...)
	return p
}

// whereElse says which other path an endpoint has, and in which versions it is
// if not in all.
func whereElse(e spec.RESTEndpoint) string {
	var out string
	if len(e.Versions) < len(spec.RESTVersions()) {
		out = " in " + strings.Join(newestFirst(e.Versions), " and ")
	}
	if rest, ok := strings.CutPrefix(e.Path, "/pac/"); ok {
		out += ", in v0 also `/retail/" + rest + "`"
	}
	return out + "."
}

// newestFirst is how versions are listed on the pages.
func newestFirst(versions []string) []string {
	out := slices.Sorted(slices.Values(versions))
	slices.Reverse(out)
	return out
}

// requestParts are the parameters, the headers and the body that an endpoint
// takes.
func requestParts(f fieldMaker, e spec.RESTEndpoint) []block {
	var blocks []block
	for _, part := range []struct{ in, title string }{{"path", "In the path"}, {"query", "In the query"}} {
		var list []field
		for _, name := range e.Parameters {
			if p, _ := f.rest.Parameter(name); p.In == part.in {
				list = append(list, f.parameter(p, e.Versions))
			}
		}
		if len(list) > 0 {
			blocks = append(blocks, heading{Level: 3, ID: part.in, Text: part.title}, fields{ID: part.in, List: list})
		}
	}
	var own, all []field
	for _, h := range f.rest.Headers() {
		switch {
		case h.To != "gateway":
		case slices.Contains(e.Headers, h.Name):
			own = append(own, f.header(h, e.Versions))
		case h.Common && slices.ContainsFunc(h.Required, func(v string) bool { return slices.Contains(e.Versions, v) }):
			all = append(all, f.header(h, e.Versions))
		}
	}
	if len(own)+len(all) > 0 {
		blocks = append(blocks, heading{Level: 3, ID: "header", Text: "Headers"}, fields{ID: "header", List: append(own, all...)})
	}
	if e.Body != "" {
		o, _ := f.rest.Object(e.Body)
		blocks = append(blocks, heading{Level: 3, ID: "body", Text: "Body"}, f.object("body", o, e.Versions))
	}
	return blocks
}

// answerParts are one way in which an endpoint succeeds.
func answerParts(f fieldMaker, e spec.RESTEndpoint, a spec.RESTAnswer) []block {
	id := fmt.Sprintf("answer-%d", a.Status)
	h := heading{Level: 3, Text: fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))}
	if !slices.Equal(a.Versions, e.Versions) {
		in := newestFirst(a.Versions)
		id += "-" + strings.Join(in, "-")
		h.Text += ", in " + strings.Join(in, " and ")
	}
	h.ID = id
	when := a.When
	if a.Body == "" && !a.Stream {
		when += " There is no body."
	}
	blocks := []block{h, prose{when}}
	var headers []field
	for _, name := range a.Headers {
		x, _ := f.rest.Header(name)
		v := f.header(x, a.Versions)
		if x.Format == "uri" {
			v.Example = "" // it is about another endpoint, perhaps; that of the body is not
		}
		headers = append(headers, v)
	}
	if len(headers) > 0 {
		blocks = append(blocks, fields{ID: id + ".header", Title: "Headers", List: headers})
	}
	if a.Body != "" {
		o, _ := f.rest.Object(a.Body)
		view := f.object(id, o, a.Versions)
		view.Title = "Body"
		blocks = append(blocks, view)
	}
	if a.Stream {
		blocks = append(blocks, streamed(f, id, a.Versions)...)
	}
	return blocks
}

// streamed are the events of a stream.
func streamed(f fieldMaker, id string, versions []string) []block {
	var blocks []block
	for _, o := range f.rest.Objects() {
		if o.Event == "" {
			continue
		}
		view := f.object(id+"."+o.Event, o, versions)
		view.Title = "Event `" + o.Event + "`"
		blocks = append(blocks, view)
	}
	blocks = append(blocks, snippet{Language: "text", Title: "text/event-stream", Text: streamOf(f.rest)})
	return append(blocks, prose{fmt.Sprintf("The data of `finished` is what [polling](%stransaction) gives.", restBase)})
}

// streamOf is a piece of a stream, of the events whose fields all have an example.
func streamOf(r spec.REST) string {
	var b strings.Builder
	n := 0
	for _, o := range r.Objects() {
		whole := o.Event != "" && !slices.ContainsFunc(o.Fields, func(x spec.RESTField) bool { return x.Example == "" || x.Type != "string" })
		if !whole {
			continue
		}
		var data []string
		for _, x := range o.Fields {
			data = append(data, value{kind: '"', text: x.Name}.JSON()+":"+value{kind: '"', text: x.Example}.JSON())
		}
		n++
		fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: {%s}\n\n", n, o.Event, strings.Join(data, ","))
	}
	return b.String() + ": keep-alive\n"
}

// endpointRefusals are the errors of an endpoint, its own before those that all
// have.
func endpointRefusals(r spec.REST, e spec.RESTEndpoint) block {
	out := refusals{Prefix: "error-", Summary: "and those that every request can meet"}
	in := map[string][]string{}
	for _, v := range spec.RESTVersions() {
		for _, refused := range r.Refusals(e, v) {
			in[refused.Name] = append(in[refused.Name], v)
		}
	}
	for _, refused := range r.Errors() {
		switch x := newRefusal(r, refused, in[refused.Name]); {
		case len(in[refused.Name]) == 0:
		case slices.Contains(e.Errors, refused.Name):
			out.List = append(out.List, x)
		default:
			out.Folded = append(out.Folded, x)
		}
	}
	return out
}

func newRefusal(r spec.REST, e spec.RESTError, versions []string) refusal {
	out := refusal{Name: e.Name, Status: e.Status, When: e.When}
	if o, ok := r.Object(e.Body); ok && e.Body != "error" {
		out.Body = link{Href: restObjects + "#" + o.Name, Text: o.Title}
	}
	for _, w := range e.Texts {
		var in []string
		for _, v := range newestFirst(w.Versions) {
			if slices.Contains(versions, v) {
				in = append(in, v)
			}
		}
		if len(in) > 0 {
			out.Texts = append(out.Texts, wording{Versions: in, Text: w.Text})
		}
	}
	slices.SortStableFunc(out.Texts, func(a, b wording) int { return strings.Compare(b.Versions[0], a.Versions[0]) })
	return out
}

// restExamples are the bodies of an endpoint: what is sent, what is answered,
// what is taken all the same, and what does not fit.
func restExamples(e spec.RESTEndpoint) []block {
	var sent, answered []block
	var taken, refused []example
	for _, x := range e.Examples {
		v := newExample(e, x, "example-"+x.Name)
		switch {
		case x.Valid && x.Kind == spec.KindRequest:
			sent = append(sent, v)
		case x.Valid:
			answered = append(answered, v)
		case x.Tolerated:
			taken = append(taken, v)
		default:
			refused = append(refused, v)
		}
	}
	blocks := []block{heading{Level: 2, ID: "examples", Text: "Examples"}}
	if len(sent) > 0 {
		blocks = append(blocks, heading{Level: 3, ID: "examples-sent", Text: "Requests"})
		blocks = append(blocks, sent...)
	}
	if len(answered) > 0 {
		blocks = append(blocks, heading{Level: 3, ID: "examples-answered", Text: "Answers"})
		blocks = append(blocks, answered...)
	}
	if len(refused) > 0 {
		text := "Each has one fault."
		if has(e, spec.KindRequest) {
			text += " A request like these is refused with 422 and a sentence that names the field."
		}
		if has(e, spec.KindResponse) {
			text += " An answer like these is never given."
		}
		blocks = append(blocks, heading{Level: 2, ID: "refused", Text: "What does not fit"},
			prose{text + " All are tried against the schemas and against what reads them."}, faultList{refused})
	}
	if len(taken) > 0 {
		blocks = append(blocks, heading{Level: 2, ID: "taken", Text: "What is taken all the same"},
			prose{"No schema has these, but tills in the field send them."}, faultList{taken})
	}
	return blocks
}

// has reports whether there is an invalid example of a kind.
func has(e spec.RESTEndpoint, kind spec.Kind) bool {
	return slices.ContainsFunc(e.Examples, func(x spec.RESTExample) bool { return !x.Valid && !x.Tolerated && x.Kind == kind })
}

func newExample(e spec.RESTEndpoint, x spec.RESTExample, id string) example {
	v := example{ID: id, Title: x.Title, Text: x.Text, Badges: exampleBadges(e, x)}
	if !x.Valid {
		v.Fault = &fault{Place: x.Place, Rule: x.Rule}
	}
	return v
}

func exampleBadges(e spec.RESTEndpoint, x spec.RESTExample) []badge {
	var out []badge
	switch {
	case x.Kind == spec.KindRequest:
		out = append(out, badge{Text: "request"})
	case x.Status < 300:
		out = append(out, badge{Text: fmt.Sprint(x.Status), Kind: "good"})
	default:
		out = append(out, badge{Text: fmt.Sprint(x.Status), Kind: "bad"})
	}
	if len(x.Versions) < len(e.Versions) || !slices.Equal(newestFirst(x.Versions), newestFirst(e.Versions)) {
		for _, v := range newestFirst(x.Versions) {
			out = append(out, badge{Text: v})
		}
	}
	switch {
	case x.Tolerated:
		out = append(out, badge{Text: "taken", Kind: "warn"})
	case !x.Valid:
		out = append(out, badge{Text: "invalid", Kind: "bad"})
	}
	return out
}
