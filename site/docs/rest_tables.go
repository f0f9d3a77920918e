package docs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tillwire/tillwire/spec"
)

// restWoven is what a weave line about the REST interface stands for.
func (s *Site) restWoven(words []string) ([]block, error) {
	name, of := strings.Join(words, " "), ""
	if len(words) > 1 {
		name, of = words[0], words[1]
	}
	one := func(b block) ([]block, error) { return []block{b}, nil }
	switch name {
	case "about":
		_, rest := firstParagraph(s.index.REST().About())
		return one(prose{rest})
	case "endpoints":
		return one(s.endpointList(spec.Side(of)))
	case "versions":
		return one(restVersions())
	case "headers":
		return one(s.restHeaders(of))
	case "statuses":
		return one(s.restStatuses())
	case "example", "curl":
		if len(words) != 3 {
			break
		}
		e, ok := s.index.REST().Endpoint(of)
		if !ok {
			return nil, fmt.Errorf("no endpoint %q", of)
		}
		if name == "example" {
			return restExample(e, words[2])
		}
		if !slices.Contains(e.Versions, words[2]) {
			return nil, fmt.Errorf("%s is not part of %s", of, words[2])
		}
		return one(snippet{Language: "sh", Title: e.Title, Text: curl(s.index.REST(), e, words[2])})
	case "errors":
		return s.restErrorList(), nil
	case "faults":
		return one(s.restFaults())
	case "texts":
		return one(s.restTexts())
	case "objects":
		return s.restObjectList(), nil
	case "words":
		return s.restWordList(), nil
	}
	return nil, fmt.Errorf("nothing of REST is known as %q", strings.Join(words, " "))
}

// endpointList leads to the endpoints of a side.
func (s *Site) endpointList(side spec.Side) block {
	var l linkList
	for _, e := range s.index.REST().Endpoints() {
		if e.Side != side {
			continue
		}
		about := anyOf(e.Methods) + " `" + e.Path + "`"
		if len(e.Versions) < len(spec.RESTVersions()) {
			about += " in " + strings.Join(newestFirst(e.Versions), ", ")
		}
		l.Links = append(l.Links, link{restBase + e.Name, e.Title, about})
	}
	return l
}

// restVersions is which Accept asks for which version.
func restVersions() block {
	t := table{Head: []string{"`Accept`", "version"}}
	for _, v := range newestFirst(spec.RESTVersions()) {
		t.Rows = append(t.Rows, row{Cells: []string{"`" + spec.MediaType(v) + "`", v}})
	}
	t.Rows = append(t.Rows,
		row{Cells: []string{"none of these: not there, `*/*`, `application/json`, anything", "v1; below `/retail` v0"}},
		row{Cells: []string{"only versions that there are not, as in `" + spec.MediaType("v9") + "`", "none: [406](" + restErrors + "#" + spec.RESTUnknownVersion + ")"}})
	return t
}

// restHeaders are the headers to the gateway or to the till.
func (s *Site) restHeaders(to string) block {
	f := fieldMaker{rest: s.index.REST()}
	out := fields{ID: "to-" + to}
	for _, h := range f.rest.Headers() {
		if h.To != to {
			continue
		}
		v := f.header(h, spec.RESTVersions())
		if len(h.Statuses) > 0 || to == "till" && !h.Common {
			v.Required = false
		}
		for _, status := range h.Statuses {
			v.Notes = append(v.Notes, fmt.Sprintf("with each %d", status))
		}
		var on []string
		for _, e := range f.rest.Endpoints() {
			has := slices.Contains(e.Headers, h.Name)
			for _, a := range e.Answers {
				has = has || slices.Contains(a.Headers, h.Name)
			}
			if has {
				on = append(on, fmt.Sprintf("[%s](%s%s)", e.Title, restBase, e.Name))
			}
		}
		if len(on) > 0 {
			v.Text += " On " + strings.Join(on, ", ") + "."
		}
		out.List = append(out.List, v)
	}
	return out
}

// restExample shows an example of an endpoint.
func restExample(e spec.RESTEndpoint, name string) ([]block, error) {
	x, ok := e.Example(name)
	if !ok {
		return nil, fmt.Errorf("no example %q of %s", name, e.Name)
	}
	return []block{newExample(spec.RESTEndpoint{}, x, e.Name+"-"+name)}, nil
}

// restObjectList is every object with its fields; what is in them is linked.
func (s *Site) restObjectList() []block {
	r := s.index.REST()
	f := fieldMaker{rest: r}
	used := objectUses(r)
	var blocks []block
	for _, o := range r.Objects() {
		h := heading{Level: 2, ID: o.Name, Text: o.Title}
		if o.Body {
			h.Badges = append(h.Badges, badge{Text: "sent by tills", Kind: "accent"})
		}
		if len(o.Versions) < len(spec.RESTVersions()) {
			for _, v := range newestFirst(o.Versions) {
				h.Badges = append(h.Badges, badge{Text: v})
			}
		}
		blocks = append(blocks, h, prose{used[o.Name]}, f.object(o.Name, o, o.Versions))
	}
	return blocks
}

// objectUses says of each object where it is met.
func objectUses(r spec.REST) map[string]string {
	taken, given, within := map[string][]string{}, map[string][]string{}, map[string][]string{}
	add := func(to map[string][]string, name, text string) {
		if name != "" && !slices.Contains(to[name], text) {
			to[name] = append(to[name], text)
		}
	}
	for _, e := range r.Endpoints() {
		at := fmt.Sprintf("[%s](%s%s)", e.Title, restBase, e.Name)
		add(taken, e.Body, at)
		for _, a := range e.Answers {
			add(given, a.Body, at)
			if a.Stream {
				for _, o := range r.Objects() {
					if o.Event != "" {
						add(given, o.Name, at)
					}
				}
			}
		}
	}
	for _, e := range r.Errors() {
		if e.Body == "error" {
			add(given, e.Body, fmt.Sprintf("nearly every [error](%s)", restErrors))
		} else {
			add(given, e.Body, fmt.Sprintf("[%s](%s#%s)", e.Name, restErrors, e.Name))
		}
	}
	for _, o := range r.Objects() {
		in := fmt.Sprintf("[%s](#%s)", o.Title, o.Name)
		add(within, o.Finished, in)
		for _, x := range o.Fields {
			if _, ok := r.Object(x.Of); ok {
				add(within, x.Of, in)
			}
		}
	}
	out := map[string]string{}
	for _, o := range r.Objects() {
		var where []string
		for _, part := range []struct {
			word string
			list []string
		}{{"Sent to", taken[o.Name]}, {"Answered by", given[o.Name]}, {"Part of", within[o.Name]}} {
			if len(part.list) > 0 {
				where = append(where, part.word+" "+strings.Join(part.list, ", ")+".")
			}
		}
		out[o.Name] = strings.Join(where, " ")
	}
	return out
}

// restWordList is every list of words.
func (s *Site) restWordList() []block {
	r := s.index.REST()
	meaning := map[string]map[string]string{"results": {}, "notifications": {}, "terminalLines": {}, "allLines": {}, "lineFormats": {}}
	for _, x := range s.index.Results() {
		meaning["results"][x.Value] = x.Title + "."
	}
	for _, x := range s.index.Notifications() {
		meaning["notifications"][x.Value] = x.Meaning
	}
	for _, x := range s.index.ReceiptLines() {
		meaning["terminalLines"][x.Type], meaning["allLines"][x.Type] = x.Meaning, x.Meaning
	}
	for _, x := range s.index.ReceiptFormats() {
		meaning["lineFormats"][x.Value] = x.Meaning
	}
	f := fieldMaker{rest: r}
	var blocks []block
	for _, e := range r.Enums() {
		where, used := wordUses(r, e.Name)
		h := heading{Level: 2, ID: e.Name, Text: "`" + e.Name + "`"}
		if len(used) < len(spec.RESTVersions()) {
			for _, v := range used {
				h.Badges = append(h.Badges, badge{Text: v})
			}
		}
		list := fields{ID: e.Name}
		for _, w := range e.Values {
			in := slices.DeleteFunc(slices.Clone(used), func(v string) bool { return !slices.Contains(e.In(v), w.Value) })
			list.List = append(list.List, field{Name: w.Value, Versions: f.only(in, used), Text: meaning[e.From][w.Value]})
		}
		blocks = append(blocks, h, prose{where}, list)
	}
	return blocks
}

// wordUses says where a list of words is used, and in which versions, the newest
// first.
func wordUses(r spec.REST, enum string) (string, []string) {
	var where, versions []string
	for _, o := range r.Objects() {
		for _, f := range o.Fields {
			if f.Enum == enum {
				where = append(where, fmt.Sprintf("[`%s` of %s](%s#%s.%s)", f.Name, o.Title, restObjects, o.Name, f.Name))
				if f.Versions != nil {
					versions = append(versions, f.Versions...)
				} else {
					versions = append(versions, o.Versions...)
				}
			}
		}
	}
	for _, e := range r.Endpoints() {
		for _, name := range e.Parameters {
			if p, _ := r.Parameter(name); p.Enum == enum {
				where = append(where, fmt.Sprintf("[the parameter `%s` of %s](%s%s#query.%s)", name, e.Title, restBase, e.Name, name))
				versions = append(versions, p.Versions...)
			}
		}
	}
	return "In " + strings.Join(where, ", ") + ".", slices.Compact(newestFirst(versions))
}
