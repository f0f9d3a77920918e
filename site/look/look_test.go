package look_test

import (
	"fmt"
	"math"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/site/look"
)

// tokens reads the custom properties of the block that begins with head.
func tokens(t *testing.T, head string) map[string]string {
	t.Helper()
	css := string(look.Stylesheet().Body)
	_, rest, ok := strings.Cut(css, head+" {")
	if !ok {
		t.Fatalf("the stylesheet has no block %s", head)
	}
	block, _, _ := strings.Cut(rest, "}")
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+):\s*([^;]+);`).FindAllStringSubmatch(block, -1) {
		out[m[1]] = m[2]
	}
	return out
}

// TestContrast holds text to 4.5:1 on everything that it is set on, and the
// edges of what can be used to 3:1, in light and in dark (WCAG 2.2 AA).
func TestContrast(t *testing.T) {
	light := tokens(t, ":root")
	dark := tokens(t, `:root[data-theme="dark"]`)
	if diff := cmp.Diff(tokens(t, `:root:not([data-theme="light"])`), dark); diff != "" {
		t.Errorf("dark by choice differs from dark by the system:\n%s", diff)
	}
	for name := range light {
		if _, ok := dark[name]; !ok {
			dark[name] = light[name]
		}
	}
	grounds := []string{"ground", "paper", "sunk"}
	const text, edge = 4.5, 3.0
	type pair struct {
		ink, on string
		least   float64
	}
	var pairs []pair
	for _, on := range grounds {
		for _, ink := range []string{"ink", "quiet", "accent", "good", "warn", "bad", "unsure", "news", "code-key", "code-string", "code-number", "code-word"} {
			pairs = append(pairs, pair{ink, on, text})
		}
		pairs = append(pairs, pair{"edge", on, edge}, pair{"focus", on, edge})
	}
	for _, soft := range []string{"accent", "good", "warn", "bad", "unsure", "news"} {
		pairs = append(pairs, pair{soft, soft + "-soft", text}, pair{"ink", soft + "-soft", text}, pair{"accent", soft + "-soft", text})
	}
	pairs = append(pairs,
		pair{"on-accent", "accent", text}, pair{"ground", "ink", text},
		pair{"receipt-ink", "receipt", text}, pair{"receipt-quiet", "receipt", text},
		pair{"screen-ink", "screen", text}, pair{"screen-quiet", "screen", text},
		pair{"machine-ink", "machine", text}, pair{"machine-ink", "key", text},
		pair{"machine-ink", "key-green", text}, pair{"machine-ink", "key-red", text}, pair{"key-yellow-ink", "key-yellow", text},
	)
	for _, theme := range []struct {
		name   string
		tokens map[string]string
	}{{"light", light}, {"dark", dark}} {
		for _, p := range pairs {
			t.Run(fmt.Sprintf("%s/%s on %s", theme.name, p.ink, p.on), func(t *testing.T) {
				if got := contrast(t, theme.tokens[p.ink], theme.tokens[p.on]); got < p.least {
					t.Errorf("%s on %s is %.2f:1, want %v:1", theme.tokens[p.ink], theme.tokens[p.on], got, p.least)
				}
			})
		}
	}
}

// contrast is the ratio of two colours as WCAG defines it.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (math.Max(la, lb) + 0.05) / (math.Min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	if !regexp.MustCompile(`^#[0-9a-f]{6}$`).MatchString(colour) {
		t.Fatalf("%q is no colour of six digits", colour)
	}
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// TestContrastFinds shows that the measure is the known one.
func TestContrastFinds(t *testing.T) {
	if got := contrast(t, "#000000", "#ffffff"); math.Abs(got-21) > 0.01 {
		t.Errorf("black on white is %.2f:1, want 21:1", got)
	}
	if got := contrast(t, "#777777", "#ffffff"); got >= 4.5 || got < 4.4 {
		t.Errorf("#777777 on white is %.2f:1, want 4.48:1", got)
	}
}

// TestStylesheet keeps the sheet free of what the pages promise not to have:
// requests, colours that no token names, and unknown tokens.
func TestStylesheet(t *testing.T) {
	css := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(string(look.Stylesheet().Body), "")
	for _, banned := range []string{"url(", "@import", "http:", "https:"} {
		if strings.Contains(css, banned) {
			t.Errorf("the stylesheet contains %s: nothing is fetched", banned)
		}
	}
	defined := map[string]bool{}
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+):`).FindAllStringSubmatch(css, -1) {
		defined[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`var\(--([a-z0-9-]+)`).FindAllStringSubmatch(css, -1) {
		if !defined[m[1]] {
			t.Errorf("var(--%s) is no token", m[1])
		}
	}
	// A card machine is drawn in colours of its own; text keeps to the tokens.
	whole := string(look.Stylesheet().Body)
	_, rules, _ := strings.Cut(whole, "/* ---- ground ---- */")
	before, after, _ := strings.Cut(rules, "/* ---- console ---- */")
	_, docs, _ := strings.Cut(after, "/* ---- docs ---- */")
	rules = before + docs
	for _, m := range regexp.MustCompile(`[:\s](#[0-9a-fA-F]{6})\b`).FindAllStringSubmatch(rules, -1) {
		t.Errorf("the rules name the colour %s: give it a token, so that its contrast is computed", m[1])
	}
	if got := strings.Count(css, "{") - strings.Count(css, "}"); got != 0 {
		t.Errorf("%d braces are not closed", got)
	}
	if n := len(look.Stylesheet().Body); n > 60_000 {
		t.Errorf("the stylesheet weighs %d bytes; pages promise to be light", n)
	}
}

func TestHandler(t *testing.T) {
	extra := look.NewFile("more", ".js", "text/javascript; charset=utf-8", []byte("1"))
	h := look.Handler(extra)
	for _, f := range append(look.Files(), extra) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", look.Path(f), nil))
		if w.Code != 200 || w.Body.String() != string(f.Body) || w.Header().Get("Content-Type") != f.Type {
			t.Errorf("%s: %d, %d bytes of %s", f.Name, w.Code, w.Body.Len(), w.Header().Get("Content-Type"))
		}
		if got := w.Header().Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: Cache-Control %q", f.Name, got)
		}
	}
	for _, c := range []struct {
		method, path string
		want         int
	}{{"GET", "/assets/tillwire.css", 404}, {"GET", "/assets/", 404}, {"POST", look.Path(extra), 405}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
}
