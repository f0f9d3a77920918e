package console

import (
	"html/template"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/site/look"
)

// A shell is a page before its module has drawn it.
type shell struct {
	pattern string // of the path
	module  string // of assets, without its ending
	title   string
	entry   string // its place in the navigation; empty for a page that is reached from another
	icon    template.HTML
}

// pages lists the pages, in the order of the navigation.
func pages() []shell {
	return []shell{
		{root + "{$}", "terminals", "Terminals", root, iconTerminals},
		{root + "terminals/{tid}", "machine", "Terminal", "", ""},
		{root + "till", "till", "Till", root + "till", iconTill},
		{root + "traffic", "traffic", "Traffic", root + "traffic", iconTraffic},
		{root + "checklist", "checklist", "Checklist", root + "checklist", iconChecklist},
		{root + "transactions", "transactions", "Transactions", root + "transactions", iconTransactions},
		{root + "transactions/{id}", "transactions", "Transaction", "", ""},
	}
}

// shells lists the pages of this console.
func (c *Console) shells() []shell {
	return slices.DeleteFunc(pages(), func(p shell) bool { return p.module == "checklist" && c.cfg.Score == nil })
}

// Icons of the navigation, drawn on a field of 24 by 24.
const (
	iconTerminals    template.HTML = `<rect x="6" y="2.5" width="12" height="19" rx="2.5"/><path d="M9 6h6v4H9zM9 13.5h.01M12 13.5h.01M15 13.5h.01M9 17h.01M12 17h.01M15 17h.01"/>`
	iconTill         template.HTML = `<path d="M4 14h16v6.5H4zM6 14l1.5-5h9L18 14M9 9V4h6v5M10.5 17.25h3"/>`
	iconTransactions template.HTML = `<path d="M6 2.5h12v19l-3-2-3 2-3-2-3 2zM9 7.5h6M9 11.5h6M9 15.5h3"/>`
	iconChecklist    template.HTML = `<path d="M4 6l1.5 1.5L8.5 4.5M4 12.5l1.5 1.5 3-3M4 19l1.5 1.5 3-3M12.5 6H20M12.5 12.5H20M12.5 19H20"/>`
	iconTraffic      template.HTML = `<path d="M4 8h13M13 4l4 4-4 4M20 16H7M11 12l-4 4 4 4"/>`
)

// setting is what a page's module is told, as data.
type setting struct {
	Token string   `json:"token"`
	Sites []string `json:"sites"`
	Hands bool     `json:"hands"` // machines can be touched
	Dev   bool     `json:"dev"`
}

// A view is what the templates are filled with.
type view struct {
	Title, Module, Here string
	Style, Theme, Mark  string
	Soon                []string // modules that the page's will ask for
	Nav                 []shell
	Setting             string // JSON
	Token               string
	Leave               bool // somebody can log out
	Heading, Text       string
	Key                 bool // a key is asked for
}

// Entry and the others are what the template needs of a shell.
func (s shell) Entry() string       { return s.entry }
func (s shell) Title() string       { return s.title }
func (s shell) Icon() template.HTML { return s.icon }

// shown answers with a page's shell.
func (c *Console) shown(p shell) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, ok := c.viewer(r)
		if !ok {
			http.Redirect(w, r, root+"login", http.StatusSeeOther)
			return
		}
		told, err := json.Marshal(setting{c.token(v), v.sites, v.hands, c.cfg.Dev})
		if err != nil {
			panic("console: " + err.Error()) // plain data
		}
		c.draw(w, http.StatusOK, view{
			Title: p.title, Module: c.assets.path(p.module + ".js"), Soon: c.assets.shared(), Here: p.entry, Nav: c.navigation(), Setting: string(told),
			Token: c.token(v), Leave: !c.cfg.Dev,
		})
	}
}

// navigation lists the pages that stand in it.
func (c *Console) navigation() []shell {
	var out []shell
	for _, p := range c.shells() {
		if p.entry != "" {
			out = append(out, p)
		}
	}
	return out
}

// problem answers with a page that says what is wrong.
func (c *Console) problem(w http.ResponseWriter, _ *http.Request, status int, heading, text string) {
	c.draw(w, status, view{Title: heading, Nav: c.navigation(), Heading: heading, Text: text})
}

// loginPage asks for a key.
func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	if _, ok := c.viewer(r); ok {
		http.Redirect(w, r, root, http.StatusSeeOther)
		return
	}
	c.showLogin(w, http.StatusOK, "")
}

func (c *Console) showLogin(w http.ResponseWriter, status int, wrong string) {
	c.draw(w, status, view{Title: "Log in", Heading: "Log in", Text: wrong, Key: true})
}

// draw writes a page.
func (c *Console) draw(w http.ResponseWriter, status int, v view) {
	v.Style, v.Theme, v.Mark = c.assets.path(look.Stylesheet().Name), c.assets.path(look.Theme().Name), c.assets.path(look.Mark().Name)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := document.Execute(w, v); err != nil {
		c.log.Debug("a page was not written", "error", err) // its reader has gone
	}
}

// document is the one template.
var document = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} · Tillwire console</title>
<link rel="icon" href="{{.Mark}}">
<link rel="stylesheet" href="{{.Style}}">
<script src="{{.Theme}}"></script>
{{with .Module}}<script type="module" src="{{.}}"></script>{{end}}
{{range .Soon}}<link rel="modulepreload" href="{{.}}">
{{end}}</head>
<body class="console"{{with .Setting}} data-setting="{{.}}"{{end}}>
<a class="skip" href="#page">To the content</a>
<header class="console-bar">
<a class="console-brand" href="/console/"><img src="{{.Mark}}" alt="" width="22" height="22">Tillwire <span>console</span></a>
{{if .Nav}}<nav aria-label="Pages of the console"><ul>
{{range .Nav}}<li><a href="{{.Entry}}"{{if eq .Entry $.Here}} aria-current="page"{{end}}><svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">{{.Icon}}</svg><span>{{.Title}}</span></a></li>
{{end}}</ul></nav>{{end}}
<span id="line" class="console-line" role="status"></span>
<a class="console-docs" href="/docs/">Docs</a>
<span class="switch console-theme" role="group" aria-label="Light or dark"><button type="button" data-theme-choice="light">Light</button><button type="button" data-theme-choice="system">Auto</button><button type="button" data-theme-choice="dark">Dark</button></span>
{{if .Leave}}<form method="post" action="/console/logout"><input type="hidden" name="token" value="{{.Token}}"><button class="button quiet">Log out</button></form>{{end}}
</header>
<main id="page" tabindex="-1">
{{with .Heading}}<h1>{{.}}</h1>{{end}}
{{with .Text}}<p class="note bad" role="alert">{{.}}</p>{{end}}
{{if .Key}}<form method="post" action="/console/login" class="panel stack console-login">
<p>A key opens the console for the one site that it was made for: <code>tillwire key add SITE --for console</code>.</p>
<p class="field"><label for="key">Key</label><input id="key" type="password" name="key" required autocomplete="current-password" autofocus></p>
<p><button class="button first">Log in</button></p>
</form>{{end}}
{{if .Module}}<noscript><p class="note">The console shows what happens at this moment, so its pages need scripts; they come from this gateway and from nowhere else.
In a terminal window <code>tillwire terminals list</code> and <code>tillwire history list</code> tell the same.</p></noscript>{{end}}
</main>
</body>
</html>
`))
