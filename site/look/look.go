// Package look is how Tillwire's pages look: the one stylesheet of docs and
// console, the script that keeps the choice of light or dark, and the mark. It
// has the files only and knows no page. Nothing in it asks another host for
// anything.
package look

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

var (
	//go:embed tillwire.css
	css []byte
	//go:embed theme.js
	theme []byte
	//go:embed mark.svg
	mark []byte
)

// Policy is the Content-Security-Policy of all pages: nothing from elsewhere,
// and no script or style but those in files of their own.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// A File is one file that pages refer to.
type File struct {
	Name string // with a hash of what is in it, so that it can be kept for ever
	Type string // for Content-Type
	Body []byte // not to be changed
}

// NewFile returns a file whose name is stem, a hash of the body, and ext, as in
// tillwire-0a1b2c3d.css.
func NewFile(stem, ext, kind string, body []byte) File {
	sum := sha256.Sum256(body)
	return File{Name: stem + "-" + hex.EncodeToString(sum[:4]) + ext, Type: kind, Body: body}
}

// Stylesheet is the stylesheet.
func Stylesheet() File { return NewFile("tillwire", ".css", "text/css; charset=utf-8", css) }

// Theme is the script that sets light or dark before the page is painted, as
// chosen on this machine. A page has it in its head, neither deferred nor as a
// module. Elements with data-theme-choice ("light", "dark" or "system") are its
// buttons.
func Theme() File { return NewFile("theme", ".js", "text/javascript; charset=utf-8", theme) }

// Mark is the little picture of the site, for link rel=icon.
func Mark() File { return NewFile("mark", ".svg", "image/svg+xml", mark) }

// Files returns all files of this package.
func Files() []File { return []File{Stylesheet(), Theme(), Mark()} }

// Prefix is where Handler expects to be, and Path puts its files.
const Prefix = "/assets/"

// Path is where a gateway serves a file.
func Path(f File) string { return Prefix + f.Name }

// Handler serves files under Prefix, those of this package and more. Browsers
// may keep them for ever: their names change with what is in them.
func Handler(more ...File) http.Handler {
	files := map[string]File{}
	for _, f := range append(Files(), more...) {
		files[f.Name] = f
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[strings.TrimPrefix(r.URL.Path, Prefix)]
		switch {
		case !ok:
			http.NotFound(w, r)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only read: use GET", http.StatusMethodNotAllowed)
			return
		}
		Serve(w, f)
	})
}

// Serve answers with a file that can be kept for ever.
func Serve(w http.ResponseWriter, f File) {
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("Content-Length", strconv.Itoa(len(f.Body)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(f.Body) // a reader that has gone is no news
}
