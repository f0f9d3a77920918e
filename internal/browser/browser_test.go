package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tillwire/tillwire/internal/browser"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// page is one that has a body.
func page(t *testing.T, body string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>t</title><link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">%s`, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestFinds: what is wrong with a page is found, and nothing in one that is right.
func TestFinds(t *testing.T) {
	b := browser.Start(t)
	for _, c := range []struct {
		name, body string
		wrong      func(*browser.Tab) []string
		want       string // a word of what is found; empty for nothing
	}{
		{"a button without a name", `<button></button>`, (*browser.Tab).Unlabelled, "<button>"},
		{"a button that shows a picture", `<button aria-label="Close"><svg></svg></button>`, (*browser.Tab).Unlabelled, ""},
		{"a field without a label", `<input id="a">`, (*browser.Tab).Unlabelled, "<input"},
		{"a field with one", `<label>A<input></label><label for="b">B</label><select id="b"></select>`, (*browser.Tab).Unlabelled, ""},
		{"a picture without a text", `<img src="data:,">`, (*browser.Tab).Unlabelled, "<img"},
		{"what is hidden needs none", `<div hidden><button></button></div>`, (*browser.Tab).Unlabelled, ""},
		{"too wide", `<div style="width: 3000px">x</div>`, (*browser.Tab).TooWide, "3000px"},
		{"wide inside what scrolls", `<div style="overflow: auto"><div style="width: 3000px">x</div></div>`, (*browser.Tab).TooWide, ""},
		{"faint", `<p style="color: #999">hard to read</p>`, (*browser.Tab).LowContrast, "hard to read"},
		{"faint on its own ground", `<div style="background: #333"><p style="color: #555">dark</p></div>`, (*browser.Tab).LowContrast, "dark"},
		{"half transparent", `<p style="color: rgb(0 0 0 / 30%)">thin</p>`, (*browser.Tab).LowContrast, "thin"},
		{"faint but large", `<p style="color: #949494; font-size: 30px">large</p>`, (*browser.Tab).LowContrast, ""},
		{"plain", `<p>black on white</p>`, (*browser.Tab).LowContrast, ""},
		{"faint as it is disabled", `<button disabled style="color: #ccc">not now</button>`, (*browser.Tab).LowContrast, ""},
		{"an exception", `<script>throw new Error("broken")</script>`, (*browser.Tab).Faults, "broken"},
		{"a word on the console", `<script>console.error("bad", 7)</script>`, (*browser.Tab).Faults, "bad"},
		{"a file that is not there", `<script src="/nowhere.js"></script>`, (*browser.Tab).Faults, "nowhere"},
		{"talk", `<script>console.log("all is well")</script>`, (*browser.Tab).Faults, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := b.Open(t, page(t, c.body), 390, 844)
			tab.WaitFor("body")
			got := strings.Join(c.wrong(tab), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// TestHands: clicks, keys and choices arrive in the page, and a wait lasts until
// what is waited for is there.
func TestHands(t *testing.T) {
	b := browser.Start(t)
	tab := b.Open(t, page(t, `<form>
		<label>Name<input id="name" value="old"></label>
		<label>Kind<select id="kind"><option value="a">A</option><option value="b">B</option></select></label>
		<button type="button" id="go" disabled>Go</button></form><p id="said"></p>
		<script>
			const by = (id) => document.getElementById(id);
			by("name").oninput = () => setTimeout(() => { by("go").disabled = false; }, 50);
			by("go").onclick = () => setTimeout(() => { by("said").textContent = by("name").value + by("kind").value; }, 50);
		</script>`), 1280, 800)
	tab.Fill("#name", "new")
	tab.Choose("#kind", "b")
	tab.Click("#go")
	tab.WaitText("#said", "newb")
	tab.Fill("#name", "")
	tab.Keys("xyz")
	if got := browser.Eval[string](tab, `document.getElementById("name").value`); got != "xyz" {
		t.Errorf("the field has %q", got)
	}
	if got := browser.Eval[bool](tab, `matchMedia("(prefers-color-scheme: dark)").matches`); got {
		t.Error("the page is dark")
	}
	tab.Dark(true)
	tab.Wait(`matchMedia("(prefers-color-scheme: dark)").matches`)
}
