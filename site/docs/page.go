package docs

import (
	"html/template"
	"path"
	"strings"
)

// A Page is one page of the docs.
type Page struct {
	Path    string // as in v1/pac/performTransaction; of a folder's own page v1/index
	Title   string
	Lead    string // a sentence, in Markdown
	Section string // the part of the site that it is in
	Version string // of the contract, where the page is about one

	source string // in the repository, of a page that is written there
	badges []badge
	twin   string // the page about the same in the other version
	blocks []block
	aside  bool     // not in the navigation
	short  string   // title in the navigation, if another
	names  []string // methods, or the extension

	HTML     []byte // finished
	Markdown []byte
	headings []heading // as they came out
	entries  []entry   // of the search index
}

// A badge is a short fact under a page's title.
type badge struct {
	Text, Kind, Href string
	Code             bool // a word of the wire
}

// url is the address of the page from the root of the site, without an ending.
func (p *Page) url() string { return "/docs/" + strings.TrimSuffix(p.Path, "index") }

// file is the file that the page is written to.
func (p *Page) file(ending string) string { return p.Path + ending }

// A block is a part of a page: it can be shown as HTML, as Markdown, and be
// searched.
type block interface {
	html(*renderer) (template.HTML, error)
	markdown(*renderer) string
}

// A heading begins a part of a page.
type heading struct {
	Level  int // 2 or 3
	ID     string
	Text   string // in Markdown, one line
	Badges []badge
}

// prose is Markdown, with headings of its own perhaps.
type prose struct{ Text string }

// A table has cells of Markdown. A row's ID, if it has one, is an anchor.
type table struct {
	Caption string
	Head    []string
	Rows    []row
	Dense   bool
}

type row struct {
	ID    string
	Cells []string
}

// A schemaView is a schema with its anchors below ID.
type schemaView struct {
	ID   string
	Root *node
	File string // published at
}

// An example is one message.
type example struct {
	ID        string
	Title     string
	Text      []byte
	Direction string
	Kind      string
	Badges    []badge // in place of direction and kind, where there are any
	Fault     *fault  // nil: valid
}

type fault struct{ Place, Rule string }

// A faultList is messages that are refused, each in short.
type faultList struct{ Rows []example }

// A pair is what a till sent, and the error that came back.
type pair struct {
	ID, Title, Note string
	Sent            []byte // empty: nothing
	Back            []byte
	Code            int
}

// A figure is a drawing, with what it shows in words.
type figure struct {
	ID      string
	Caption string // Markdown
	SVG     template.HTML
	Steps   []step // the same as a list, behind "as a list"
	Summary string // of that list
}

type step struct {
	From, To string
	Text     string // Markdown
	JSON     []byte // the message, if it is one
}

// A snippet is a file, or a part of one.
type snippet struct {
	Language, Title, Text string
}

// A folded block is shown when its summary is opened.
type folded struct {
	Summary string
	Block   block
}

// A note is a paragraph set apart.
type note struct {
	Kind string // warn, bad, good, unsure or empty
	Text string
}

// A linkList is links with a line of explanation each.
type linkList struct{ Links []link }

type link struct{ Href, Text, About string }

// A try is where a message can be edited and sent to a development gateway.
type try struct {
	ID         string
	Face       string // pac or pat
	Version    string
	Extensions string
	Messages   []tryMessage
	Terminals  []tryTerminal
}

type tryMessage struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

type tryTerminal struct{ TID, About string }

// relative returns how a page of this path refers to an address that begins with
// /docs/, with the ending that pages have. Other addresses stay as they are.
func relative(from, href, ending string) string {
	target, ok := strings.CutPrefix(href, "/docs/")
	if !ok {
		if href != "/docs" {
			return href
		}
		target = ""
	}
	target, anchor, hasAnchor := strings.Cut(target, "#")
	if hasAnchor {
		anchor = "#" + anchor
	}
	switch {
	case strings.TrimSuffix(target, "index") == "" || strings.HasSuffix(target, "/"):
		if ending != "" {
			target = strings.TrimSuffix(target, "index") + "index" + ending
		}
	case path.Ext(target) == "":
		target += ending
	}
	if target == from+ending && ending != "" || target == strings.TrimSuffix(from, "index") && ending == "" {
		if hasAnchor {
			return anchor
		}
	}
	up := strings.Repeat("../", strings.Count(from, "/"))
	if up == "" {
		up = "./"
	}
	// Folders that both are in need not be left.
	for {
		folder, rest, ok := strings.Cut(from, "/")
		if !ok || !strings.HasPrefix(target, folder+"/") || up == "./" {
			break
		}
		from, target = rest, strings.TrimPrefix(target, folder+"/")
		up = strings.TrimPrefix(up, "../")
		if up == "" {
			up = "./"
		}
	}
	if up == "./" && target != "" {
		return target + anchor
	}
	return up + target + anchor
}
