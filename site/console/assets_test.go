package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxWeight is what all files of the console together may weigh, before
// compression.
const maxWeight = 200_000

// TestWeight: the console loads on a slow phone.
func TestWeight(t *testing.T) {
	a, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, name := range a.names() {
		all += len(a.files[name].body)
	}
	t.Logf("%d bytes in %d files", all, len(a.files))
	if all >= maxWeight {
		t.Errorf("the console weighs %d bytes, want less than %d", all, maxWeight)
	}
}

var imports = regexp.MustCompile(`\b(?:from|import)\s*\(?\s*"([^"\s,]+)"`)

// TestImports: what a module imports is there, beside it. Nothing is asked of
// another host, and no name is left that a browser cannot find.
func TestImports(t *testing.T) {
	a, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range a.names() {
		if ext := path.Ext(name); ext != ".js" && ext != ".mjs" {
			continue
		}
		for _, m := range imports.FindAllStringSubmatch(string(a.files[name].body), -1) {
			found++
			file, beside := strings.CutPrefix(m[1], "./")
			if _, ok := a.files[file]; !beside || !ok {
				t.Errorf("%s imports %q", name, m[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d imports were found", found)
	}
}

// TestVendor: the libraries are those of npm, unchanged.
func TestVendor(t *testing.T) {
	sums, err := os.ReadFile("vendor/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for line := range strings.Lines(string(sums)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		body, err := files.ReadFile("vendor/" + name)
		if err != nil {
			t.Error(err)
			continue
		}
		listed++
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s was changed", name)
		}
	}
	entries, err := files.ReadDir("vendor")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != listed {
		t.Errorf("%d libraries, of which %d have a sum", len(entries), listed)
	}
}

// inline finds scripts and styles that stand in a page, which the policy forbids.
var inline = regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:`)

// TestShells: each page is finished HTML with a title, a heading of navigation, a
// word for browsers without scripts, and nothing that the policy forbids.
func TestShells(t *testing.T) {
	c, err := New(Config{House: &fakeHouse{sites: []string{`"><script>alert(1)</script>`}}, Score: &fakeScorer{}, Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	get := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:9"
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		return w
	}
	for _, p := range pages() {
		at := strings.NewReplacer("{$}", "", "{tid}", "VCMDEMOSIP0", "{id}", "x").Replace(p.pattern)
		w := get(at)
		body := w.Body.String()
		for _, want := range []string{"<title>" + p.title + " · Tillwire console</title>", "<noscript>", `<nav aria-label=`, `<html lang="en">`, p.module + ".js"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q", at, want)
			}
		}
		if bad := inline.FindString(body); bad != "" {
			t.Errorf("%s has %q in it", at, bad)
		}
		if p.entry != "" && !strings.Contains(body, `href="`+p.entry+`" aria-current="page"`) {
			t.Errorf("%s is not marked in the navigation", at)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: it bears a token", at)
		}
		if module := get(c.assets.path(p.module + ".js")); module.Code != 200 || !strings.Contains(module.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("the module of %s: %d %v", at, module.Code, module.Header())
		}
	}
	if w := get(strings.Replace(c.assets.path("lib.js"), c.assets.hash, "0123456789abcdef", 1)); w.Code != 404 {
		t.Errorf("a module of another build: %d, want 404", w.Code)
	}
	if w := get("/console/nowhere"); w.Code != 404 || !strings.Contains(w.Body.String(), "<nav") {
		t.Errorf("no such page: %d %s", w.Code, w.Body)
	}
}

// TestPacked: who takes gzip gets the same file by it, and nobody else.
func TestPacked(t *testing.T) {
	for accepted, want := range map[string]bool{
		"": false, "gzip": true, "br, GZIP;q=0.5, *": true, "gzip;q=0": false, "gzip; q=0.000": false, "xgzip": false, "br": false,
	} {
		if got := packs(accepted); got != want {
			t.Errorf("%q: %v, want %v", accepted, got, want)
		}
	}
	c, err := New(Config{House: &fakeHouse{sites: []string{"demo"}}, Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range c.assets.names() {
		r := httptest.NewRequest(http.MethodGet, c.assets.path(name), nil)
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:9"
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(body, c.assets.files[name].body) || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s does not come back as it was: %v", name, err)
		}
	}
}
