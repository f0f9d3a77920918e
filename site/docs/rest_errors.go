package docs

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/tillwire/tillwire/spec"
)

// refusals are errors, some of them folded away. Their anchors are their names
// behind Prefix.
type refusals struct {
	Prefix       string
	List, Folded []refusal
	Summary      string // of what is folded
}

// A refusal is one way in which a request is refused.
type refusal struct {
	Name   string
	Status int
	When   string
	Body   link // the object, if it is not the usual one
	Texts  []wording
	On     []link // the endpoints that have it, unless all have
}

// A wording is what the error says in some versions.
type wording struct {
	Versions []string
	Text     string
}

// A refusalView is a refusal as the template shows it.
type refusalView struct {
	refusal
	ID, Href, BodyHref string
	When               template.HTML
	On                 []navLink
}

func (x refusals) html(r *renderer) (template.HTML, error) {
	return r.run("refusals", map[string]any{"List": x.view(r, x.List), "Folded": x.view(r, x.Folded), "Summary": x.Summary})
}

func (x refusals) view(r *renderer, list []refusal) []refusalView {
	var out []refusalView
	for _, e := range list {
		v := refusalView{refusal: e, ID: r.own(x.Prefix + e.Name), Href: r.href(restErrors + "#" + e.Name)}
		if x.Prefix == "" {
			r.at(v.ID, fmt.Sprintf("%d %s", e.Status, e.Name))
		}
		v.When = r.inline(e.When)
		for _, w := range e.Texts {
			r.say(w.Text)
		}
		if e.Body.Href != "" {
			v.BodyHref = r.href(e.Body.Href)
		}
		for _, l := range e.On {
			v.On = append(v.On, navLink{Href: r.href(l.Href), Text: l.Text})
		}
		out = append(out, v)
	}
	return out
}

func (x refusals) markdown(r *renderer) string {
	var b strings.Builder
	for _, e := range slices.Concat(x.List, x.Folded) {
		fmt.Fprintf(&b, "- %d [%s](%s): %s", e.Status, e.Name, r.mdHref(restErrors+"#"+e.Name), r.mdLinks(e.When))
		if e.Body.Href != "" {
			fmt.Fprintf(&b, " The body is a [%s](%s).", e.Body.Text, r.mdHref(e.Body.Href))
		}
		b.WriteString("\n")
		for _, w := range e.Texts {
			fmt.Fprintf(&b, "  - %s: `%s`\n", strings.Join(w.Versions, ", "), w.Text)
		}
		if len(e.On) > 0 {
			var on []string
			for _, l := range e.On {
				on = append(on, fmt.Sprintf("[%s](%s)", l.Text, r.mdHref(l.Href)))
			}
			fmt.Fprintf(&b, "  - on %s\n", strings.Join(on, ", "))
		}
	}
	return strings.TrimSpace(b.String())
}

// A textList is sentences with their names, each an anchor.
type textList struct{ List []textItem }

type textItem struct{ ID, Name, Text, When string }

func (t textList) html(r *renderer) (template.HTML, error) {
	type view struct {
		textItem
		When template.HTML
	}
	var views []view
	for _, x := range t.List {
		x.ID = r.own(x.ID)
		r.at(x.ID, x.Name)
		r.say(x.Text)
		views = append(views, view{x, r.inline(x.When)})
	}
	return r.run("texts", views)
}

func (t textList) markdown(*renderer) string {
	var b strings.Builder
	for _, x := range t.List {
		fmt.Fprintf(&b, "- %s: `%s`", x.Name, x.Text)
		if x.When != "" {
			b.WriteString(". " + x.When)
		}
		b.WriteString("\n")
	}
	return strings.TrimSpace(b.String())
}

// restErrorList is every error, by its status.
func (s *Site) restErrorList() []block {
	r := s.index.REST()
	on := map[string][]link{}
	for _, e := range r.Endpoints() {
		for _, name := range e.Errors {
			on[name] = append(on[name], link{Href: restBase + e.Name, Text: e.Title})
		}
	}
	var blocks []block
	last := 0
	var list refusals
	for _, e := range r.Errors() {
		if e.Status != last && last != 0 {
			blocks = append(blocks, statusHeading(last), list)
			list = refusals{}
		}
		last = e.Status
		x := newRefusal(r, e, spec.RESTVersions())
		x.On = on[e.Name]
		list.List = append(list.List, x)
	}
	return append(blocks, statusHeading(last), list)
}

func statusHeading(status int) heading {
	return heading{Level: 2, ID: fmt.Sprint(status), Text: fmt.Sprintf("%d %s", status, http.StatusText(status))}
}

// restFaults are the sentences about a body.
func (s *Site) restFaults() block {
	var t textList
	for _, x := range s.index.REST().Faults() {
		t.List = append(t.List, textItem{ID: "fault-" + x.Name, Name: x.Name, Text: x.Text, When: x.When})
	}
	return t
}

// restTexts are the other sentences.
func (s *Site) restTexts() block {
	var t textList
	for _, x := range s.index.REST().Texts() {
		t.List = append(t.List, textItem{ID: "text-" + x.Name, Name: x.Name, Text: x.Text, When: x.When})
	}
	return t
}

// restStatuses is what each status means, and who answers with it.
func (s *Site) restStatuses() block {
	r := s.index.REST()
	success, failure := map[int][]string{}, map[int][]string{}
	var statuses []int
	for _, e := range r.Endpoints() {
		for _, a := range e.Answers {
			title := fmt.Sprintf("[%s](%s%s)", e.Title, restBase, e.Name)
			if !slices.Contains(success[a.Status], title) {
				success[a.Status] = append(success[a.Status], title)
			}
			statuses = append(statuses, a.Status)
		}
	}
	for _, e := range r.Errors() {
		failure[e.Status] = append(failure[e.Status], fmt.Sprintf("[%s](%s#%s)", e.Name, restErrors, e.Name))
		statuses = append(statuses, e.Status)
	}
	slices.Sort(statuses)
	t := table{Dense: true, Head: []string{"status", "where, or why"}}
	for _, status := range slices.Compact(statuses) {
		where := strings.Join(slices.Concat(success[status], failure[status]), ", ")
		t.Rows = append(t.Rows, row{ID: fmt.Sprintf("status-%d", status), Cells: []string{fmt.Sprintf("**%d** %s", status, http.StatusText(status)), where}})
	}
	return t
}
