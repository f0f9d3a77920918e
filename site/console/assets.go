package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tillwire/tillwire/site/look"
)

//go:embed assets vendor/*.mjs
var files embed.FS

// An asset is a file as it is served.
type asset struct {
	kind   string
	body   []byte
	packed []byte // by gzip
}

// assets are the files of the pages, by name, and the hash of them all, which
// is part of their path: modules import each other by relative paths, so the
// hash must stand in front of their names and not in them.
type assets struct {
	hash  string
	files map[string]asset
}

// kinds are the types of files that there are.
var kinds = map[string]string{
	".js":  "text/javascript; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8",
}

// bare are the names by which libraries import each other, and what they are
// here. A browser could not find them.
var bare = strings.NewReplacer(
	`from"preact"`, `from"./preact.mjs"`,
	`from"preact/hooks"`, `from"./hooks.mjs"`,
	`from"@preact/signals-core"`, `from"./signals-core.mjs"`,
)

// loadAssets reads the embedded files.
func loadAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}}
	for _, dir := range []string{"assets", "vendor"} {
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			body, err := fs.ReadFile(files, path.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			if dir == "vendor" {
				body = []byte(bare.Replace(string(body)))
			}
			a.files[e.Name()] = asset{kind: kinds[path.Ext(e.Name())], body: body}
		}
	}
	for _, f := range look.Files() {
		a.files[f.Name] = asset{kind: f.Type, body: f.Body}
	}
	sum := sha256.New()
	for _, name := range a.names() {
		sum.Write([]byte(name))
		f := a.files[name]
		sum.Write(f.body)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(f.body) // a Buffer takes everything
		_ = z.Close()
		f.packed = packed.Bytes()
		a.files[name] = f
	}
	a.hash = hex.EncodeToString(sum.Sum(nil))[:16]
	return a, nil
}

// names lists the files in order.
func (a *assets) names() []string {
	names := make([]string, 0, len(a.files))
	for name := range a.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// shared are the paths of the modules that every page's module asks for, so that
// a browser can ask for them before it has read that.
func (a *assets) shared() []string {
	var out []string
	for _, name := range a.names() {
		if name == "lib.js" || path.Ext(name) == ".mjs" {
			out = append(out, a.path(name))
		}
	}
	return out
}

// path is where a file is found.
func (a *assets) path(name string) string { return root + "assets/" + a.hash + "/" + name }

// serve answers with a file. Whoever asks by an old hash has an old page, and
// is not given a file that does not go with it.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[r.PathValue("file")]
	if !ok || r.PathValue("hash") != a.hash {
		http.NotFound(w, r)
		return
	}
	body := f.body
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	if packs(r.Header.Get("Accept-Encoding")) {
		body = f.packed
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // one that is gone needs no answer
}

// packs reports whether an Accept-Encoding takes gzip.
func packs(accepted string) bool {
	for part := range strings.SplitSeq(accepted, ",") {
		coding, q, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			_, weight, _ := strings.Cut(q, "=")
			return strings.Trim(weight, " 0.") != "" || strings.TrimSpace(q) == ""
		}
	}
	return false
}
