package docs

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/spec"
)

// sideTitles are the headings of the two sides.
var sideTitles = map[spec.Side]string{spec.PAC: "Pay-At-Counter", spec.PAT: "Pay-At-Table"}

// The sections of the site.
const (
	sectionStart       = "Start"
	sectionGuides      = "Guides"
	sectionAPI         = "WebSockets API"
	sectionExtensions  = "Extensions"
	sectionREST        = "REST API"
	sectionRESTCounter = "REST at the counter"
	sectionRESTTable   = "REST at the table"
	sectionLink        = "Terminal link"
	sectionRunning     = "Running a gateway"
	sectionAbout       = "About"
)

// messagePages are the pages of the contract's messages, of one version.
func (s *Site) messagePages(version string) ([]*Page, error) {
	var pages []*Page
	for _, m := range s.index.Messages() {
		base := path.Join(version, string(m.Side), m.Name)
		more, err := s.message(m, base, version, "/docs/"+base)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", base, err)
		}
		p := more[0]
		p.Section = sectionAPI + ": " + sideTitles[m.Side]
		p.Version, p.twin = version, path.Join(other(version), string(m.Side), m.Name)
		for _, q := range more[1:] {
			q.Section, q.Version = p.Section, version
		}
		pages = append(pages, more...)
	}
	return pages, nil
}

func other(version string) string {
	if version == spec.V1 {
		return spec.V0
	}
	return spec.V1
}

// message makes the page of a message, and the page of what is refused if there
// is any.
func (s *Site) message(m spec.Message, base, version, url string) ([]*Page, error) {
	about, old := cutV0(m.About)
	lead, rest := firstParagraph(about)
	p := &Page{Path: base, Title: m.Title, Lead: lead, names: methodsOf(m, version)}
	p.badges = append(p.badges, badge{Text: string(m.Direction), Kind: "accent"}, badge{Text: string(m.Kind)})
	for _, method := range methodsOf(m, version) {
		p.badges = append(p.badges, badge{Text: method, Code: true})
	}
	if m.IngenicoOnly {
		p.badges = append(p.badges, badge{Text: "Ingenico only"})
	}
	if version == spec.V0 {
		p.badges = append(p.badges, badge{Text: "v0 is deprecated", Kind: "warn", Href: "/docs/versions"})
		p.blocks = append(p.blocks, note{Kind: "warn", Text: "**In v0.** " + old})
	}
	var parts []block
	for _, kind := range []spec.Kind{spec.KindRequest, spec.KindResponse, spec.KindNotification, spec.KindError} {
		sc, ok := m.Schema(version, kind)
		if !ok {
			continue
		}
		root, err := readSchema(sc.Raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sc.File, err)
		}
		parts = append(parts,
			heading{Level: 2, ID: string(kind), Text: titleOf(kind), Badges: []badge{{Text: string(sc.Direction)}}},
			schemaView{ID: string(kind), Root: root, File: sc.Folder + "/" + sc.File})
	}
	if s.options.Try && m.Direction == spec.ToConnect && m.Kind == spec.KindRequest {
		p.blocks = append(p.blocks, s.tryIt(m.Examples, string(m.Side), version, ""))
	}
	p.blocks = append(p.blocks, parts...)
	if rest != "" {
		p.blocks = append(p.blocks, heading{Level: 2, ID: "about", Text: "What the schema cannot say"}, prose{withoutHeading(rest)})
	}
	p.blocks = append(p.blocks, s.words(m)...)

	var shown []spec.Example
	var faults []example
	for _, e := range m.Examples {
		switch {
		case e.Version != version:
		case e.Valid:
			shown = append(shown, e)
		default:
			faults = append(faults, example{
				ID: "example-" + e.Name, Title: e.Title, Text: e.Text, Direction: string(e.Direction), Kind: string(e.Kind),
				Fault: &fault{Place: e.Place, Rule: e.Rule},
			})
		}
	}
	slices.SortStableFunc(shown, func(a, b spec.Example) int {
		switch {
		case a.Published == b.Published:
			return 0
		case a.Published:
			return -1
		}
		return 1
	})
	if len(shown) > 0 {
		p.blocks = append(p.blocks, heading{Level: 2, ID: "examples", Text: "Examples"})
		for _, e := range shown {
			p.blocks = append(p.blocks, example{ID: "example-" + e.Name, Title: e.Title, Text: e.Text, Direction: string(e.Direction), Kind: string(e.Kind)})
		}
	}
	if m.Kind == spec.KindError {
		pairs, err := errorPairs(m, faults, version)
		if err != nil {
			return nil, err
		}
		p.blocks = append(p.blocks, pairs...)
		faults = nil
	}
	pages := []*Page{p}
	if len(faults) > 0 {
		p.blocks = append(p.blocks, heading{Level: 2, ID: "refused", Text: "What does not fit"},
			prose{fmt.Sprintf("[%d messages with one fault each](%s/faults), with the place of the fault and the rule that it breaks. Each is tried against the gateway's decoder and against the schema.", len(faults), url)})
		pages = append(pages, faultPages(m, faults, base, url)...)
	}
	return pages, nil
}

// faultWeight is how many bytes of messages stand on one page of those that are
// refused.
const faultWeight = 80_000

// faultPages list what is refused, on as many pages as it takes to keep each
// light.
func faultPages(m spec.Message, faults []example, base, url string) []*Page {
	var parts [][]example
	weight := faultWeight
	for _, f := range faults {
		if weight+len(f.Text)+500 > faultWeight {
			parts, weight = append(parts, nil), 0
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], f)
		weight += len(f.Text) + 500
	}
	address := func(i int) string {
		if i == 0 {
			return "/faults"
		}
		return fmt.Sprintf("/faults-%d", i+1)
	}
	var pages []*Page
	for i, part := range parts {
		p := &Page{
			Path: base + address(i), Title: m.Title + ": what does not fit", aside: true,
			Lead:   fmt.Sprintf("Each message here has one fault. The gateway answers such a message with [an error](/docs/errors#-32602) that names the place. Back to [%s](%s).", m.Title, url),
			blocks: []block{faultList{part}},
		}
		if len(parts) > 1 {
			var others []string
			for j := range parts {
				if j == i {
					others = append(others, fmt.Sprintf("%d", j+1))
				} else {
					others = append(others, fmt.Sprintf("[%d](%s%s)", j+1, url, address(j)))
				}
			}
			p.Title += fmt.Sprintf(", %d of %d", i+1, len(parts))
			p.blocks = append([]block{prose{"Part " + strings.Join(others, " · ")}}, p.blocks...)
		}
		pages = append(pages, p)
	}
	return pages
}

// words are the tables that explain values of a message.
func (s *Site) words(m spec.Message) []block {
	switch m.Name {
	case "terminalNotification":
		t := table{Head: []string{"value", "means", "since"}}
		for _, n := range s.index.Notifications() {
			t.Rows = append(t.Rows, row{ID: "value-" + n.Value, Cells: []string{"`" + n.Value + "`", n.Meaning, n.Since}})
		}
		return []block{heading{Level: 2, ID: "values", Text: "The values"}, t}
	case "performTransaction":
		return []block{heading{Level: 2, ID: "results", Text: "The six results"}, s.results()}
	}
	return nil
}

func methodsOf(m spec.Message, version string) []string {
	for _, sc := range m.Schemas {
		if sc.Version == version && len(sc.Methods) > 0 {
			return sc.Methods
		}
	}
	return nil
}

func titleOf(k spec.Kind) string {
	switch k {
	case spec.KindRequest:
		return "Request"
	case spec.KindResponse:
		return "Response"
	case spec.KindNotification:
		return "Notification"
	case spec.KindError:
	}
	return "Error message"
}

var errorNumber = regexp.MustCompile(`\b(error|code) (-32\d{3})\b`)

// cutV0 takes the part about v0 off a message's text, and makes links of the
// errors that it names.
func cutV0(about string) (rest, v0 string) {
	about = errorNumber.ReplaceAllString(about, "$1 [$2](/docs/errors#$2)")
	rest, v0, _ = strings.Cut(about, "### In v0")
	return strings.TrimSpace(rest), strings.TrimSpace(v0)
}

// firstParagraph takes the first paragraph off a text.
func firstParagraph(md string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimSpace(md), "\n\n")
	return first, strings.TrimSpace(rest)
}

// withoutHeading takes off the bold line that says the same as the heading above.
func withoutHeading(md string) string {
	return strings.TrimSpace(strings.TrimPrefix(md, "**What the schema cannot say**"))
}

// errorPairs are the examples of an error message: what was sent, and what came
// back. The texts are those of v1; a v0 till finds tpi in place of tid.
func errorPairs(m spec.Message, faults []example, version string) ([]block, error) {
	blocks := []block{heading{Level: 2, ID: "examples", Text: fmt.Sprintf("%d examples", len(m.Errors))}}
	if version == spec.V0 {
		blocks = append(blocks, prose{"As they go in v1. In v0 the messages of the till say `tpi` for `tid`; the errors are the same but for that word in a pointer."})
	}
	for _, e := range m.Errors {
		var back struct {
			Error struct {
				Code int `json:"code"`
			} `json:"error"`
		}
		if err := json.Unmarshal(e.ErrorToEPOS, &back); err != nil {
			return nil, fmt.Errorf("error %s: %w", e.Name, err)
		}
		blocks = append(blocks, pair{
			ID: "example-" + e.Name, Title: e.Title, Note: e.Note, Sent: []byte(e.ToConnect), Back: e.ErrorToEPOS, Code: back.Error.Code,
		})
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%d faulty examples beside the pairs", len(faults))
	}
	return blocks, nil
}

// tryIt is the part of a page where its requests are sent.
func (s *Site) tryIt(examples []spec.Example, face, version, extensions string) try {
	t := try{ID: "try", Face: face, Version: version, Extensions: extensions}
	for _, e := range examples {
		if e.Version == version && e.Kind == spec.KindRequest && e.Direction == spec.ToConnect && e.Valid {
			t.Messages = append(t.Messages, tryMessage{Title: e.Title, Text: prettyJSON(e.Text)})
		}
	}
	for _, l := range s.index.VirtualTerminals().Listed {
		t.Terminals = append(t.Terminals, tryTerminal{l.TID, l.Meaning})
	}
	return t
}

// extensionPages are an overview, and a page for each extension and version.
func (s *Site) extensionPages(version string) ([]*Page, error) {
	var pages []*Page
	for _, x := range s.index.Extensions() {
		about, old := cutV0(x.About)
		p := &Page{
			Path: path.Join(version, "extensions", x.Name), Section: sectionExtensions, Title: x.Title, Lead: x.Adds,
			Version: version, twin: path.Join(other(version), "extensions", x.Name), names: []string{x.Name},
		}
		p.badges = append(p.badges, badge{Text: "extensions=" + x.Name, Kind: "accent"})
		for _, side := range x.Sides {
			p.badges = append(p.badges, badge{Text: sideTitles[side]})
		}
		if version == spec.V0 {
			p.badges = append(p.badges, badge{Text: "v0 is deprecated", Kind: "warn", Href: "/docs/versions"})
			p.blocks = append(p.blocks, note{Kind: "warn", Text: "**In v0.** " + old})
		}
		p.blocks = append(p.blocks, heading{Level: 2, ID: "why", Text: "Why"}, prose{x.Why}, heading{Level: 2, ID: "how", Text: "How it works"}, prose{about})
		var requests []spec.Example
		for _, m := range x.Messages {
			p.blocks = append(p.blocks, heading{Level: 2, ID: m.Name, Text: m.Title, Badges: []badge{{Text: string(m.Direction), Kind: "accent"}, {Text: string(m.Kind)}}})
			for _, sc := range m.Schemas {
				if sc.Version != version {
					continue
				}
				root, err := readSchema(sc.Raw)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", sc.File, err)
				}
				id := m.Name + "." + string(sc.Kind)
				p.blocks = append(p.blocks, heading{Level: 3, ID: id, Text: titleOf(sc.Kind)}, schemaView{ID: id, Root: root, File: sc.Folder + "/" + sc.File})
			}
			var shown []block
			for _, e := range m.Examples {
				if e.Version != version {
					continue
				}
				v := example{ID: m.Name + "-" + e.Name, Title: e.Title, Text: e.Text, Direction: string(e.Direction), Kind: string(e.Kind)}
				if !e.Valid {
					v.Fault = &fault{Place: e.Place, Rule: e.Rule}
				}
				shown = append(shown, v)
			}
			if len(shown) > 0 {
				p.blocks = append(p.blocks, heading{Level: 3, ID: m.Name + ".examples", Text: "Examples"})
				p.blocks = append(p.blocks, shown...)
			}
			if m.Direction == spec.ToConnect {
				requests = append(requests, m.Examples...)
			}
		}
		if s.options.Try && len(requests) > 0 {
			if t := s.tryIt(requests, string(x.Sides[0]), version, x.Name); len(t.Messages) > 0 {
				p.blocks = slices.Insert(p.blocks, 0, block(t))
			}
		}
		pages = append(pages, p)
	}
	return pages, nil
}

// linkPages are the messages of the terminal link.
func (s *Site) linkPages() ([]*Page, error) {
	var pages []*Page
	for _, m := range s.index.Link() {
		base := "link/" + m.Name
		more, err := s.message(m, base, spec.V1, "/docs/"+base)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", base, err)
		}
		for _, p := range more {
			p.Section = sectionLink
		}
		pages = append(pages, more...)
	}
	return pages, nil
}
