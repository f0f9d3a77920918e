package docs

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tillwire/tillwire/internal/browser"
)

// shown are the pages that pictures are taken of.
var shown = []string{
	"index", "start", "results", "flows", "states", "errors", "checklist", "scenarios", "v1/connection", "v0/pac/terminalDetails",
	"v1/pac/performTransaction", "v1/pac/performTransaction/faults", "v1/pat/errorMessage", "v1/extensions/resume", "link/query",
	"rest/index", "rest/startTransaction", "rest/transaction", "rest/createTable", "rest/events", "rest/errors", "rest/objects", "rest/words",
}

// TestEveryPage opens every page in a browser, on a phone and on a desk: nothing
// goes wrong in it, nothing scrolls sideways, everything has a name.
func TestEveryPage(t *testing.T) {
	b := browser.Start(t)
	web := httptest.NewServer(devHandler())
	defer web.Close()
	s := must(t, served)
	sizes := []struct {
		name          string
		width, height int
	}{{"phone", 390, 844}, {"desk", 1280, 900}, {"narrow", 360, 640}}
	tab := b.Open(t, web.URL+"/docs/", 390, 844)
	for _, p := range s.Pages() {
		tab.Go(web.URL + p.url())
		for _, f := range tab.Unlabelled() {
			t.Errorf("%s: without a name: %s", p.Path, f)
		}
		for _, size := range sizes {
			tab.Size(size.width, size.height)
			for _, f := range append(tab.TooWide(), tab.Faults()...) {
				t.Errorf("%s, %s: %s", p.Path, size.name, f)
			}
			if size.name != "narrow" && slices.Contains(shown, p.Path) {
				name := "docs-" + strings.ReplaceAll(p.Path, "/", "-") + "-" + size.name
				tab.Shot(name)
				tab.Dark(true)
				tab.Shot(name + "-dark")
				tab.Dark(false)
			}
		}
		tab.Size(390, 844)
	}
}

// TestPaint says how soon something is seen. It asserts nothing about time, only
// that something is painted.
func TestPaint(t *testing.T) {
	b := browser.Start(t)
	web := httptest.NewServer(devHandler())
	defer web.Close()
	get(devHandler(), "GET", "/docs/") // the pages are made once, for the first reader
	for _, page := range []string{"", "v1/pac/performTransaction", "flows"} {
		tab := b.Open(t, web.URL+"/docs/"+page, 390, 844)
		tab.Wait(`performance.getEntriesByName("first-contentful-paint").length`)
		first := browser.Eval[float64](tab, `performance.getEntriesByName("first-contentful-paint")[0].startTime`)
		sent := browser.Eval[float64](tab, `performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation")).reduce((n, e) => n + e.encodedBodySize, 0)`)
		hosts := browser.Eval[[]string](tab, `performance.getEntriesByType("resource").map((e) => new URL(e.name).host).filter((h) => h !== location.host)`)
		if first <= 0 || len(hosts) > 0 {
			t.Errorf("%s: painted at %v, asked %v", page, first, hosts)
		}
		t.Logf("/docs/%s: first paint after %.0f ms, %.0f bytes sent", page, first, sent)
	}
}

func TestInTheBrowser(t *testing.T) {
	b := browser.Start(t)
	web := httptest.NewServer(plainHandler())
	defer web.Close()
	root := web.URL + "/docs/"

	t.Run("search", func(t *testing.T) {
		tab := b.Open(t, root+"v1/pac/report", 1280, 900)
		tab.Keys("/")
		tab.Wait(`document.activeElement.id === "q"`)
		tab.Fill("#q", "amountcashback")
		tab.WaitText(".results", "amountCashback")
		tab.Keys("\r")
		tab.Wait(`location.pathname.startsWith("/docs/v1/pac/") && location.hash.includes("amountCashback")`)
		tab.Fill("#q", "poll transaction")
		tab.WaitText(".results", "Poll a transaction")
		tab.Fill("#q", "keyreused")
		tab.WaitText(".results", "409 KeyReused")
		tab.Fill("#q", "qqxzzq")
		tab.WaitText(".results", "Nothing has these words")
	})
	t.Run("what is folded opens for its anchor", func(t *testing.T) {
		tab := b.Open(t, root+"v1/pac/report#response.result.banking", 1280, 900)
		tab.Wait(`document.getElementById("response.result.banking").checkVisibility()`)
		folded := browser.Eval[string](tab, `[...document.querySelectorAll("details:not([open]) li[id]")][0].id`)
		tab.Go(root + "v1/pac/report#" + folded)
		tab.Wait(fmt.Sprintf(`document.getElementById(%q).checkVisibility()`, folded))
	})
	t.Run("copy", func(t *testing.T) {
		tab := b.Open(t, root+"v1/pac/performTransaction", 1280, 900)
		tab.Wait(`document.querySelectorAll("figure.example .copy").length === document.querySelectorAll("figure.example pre").length`)
		tab.Click("#example-sale .copy")
		tab.Wait(`/Copied|Selected/.test(document.querySelector("#example-sale .copy").textContent)`)
	})
	t.Run("dark", func(t *testing.T) {
		tab := b.Open(t, root, 1280, 900)
		ground := `getComputedStyle(document.documentElement).backgroundColor`
		light := browser.Eval[string](tab, ground)
		tab.Click(`[data-theme-choice="dark"]`)
		tab.Wait(fmt.Sprintf(`%s !== %q`, ground, light))
		tab.Go(root + "errors")
		tab.Wait(fmt.Sprintf(`%s !== %q && document.querySelector('[data-theme-choice="dark"]').getAttribute("aria-pressed") === "true"`, ground, light))
		tab.Click(`[data-theme-choice="system"]`)
		tab.Wait(fmt.Sprintf(`%s === %q`, ground, light))
	})
	t.Run("versions", func(t *testing.T) {
		tab := b.Open(t, root+"v1/pac/duplicate#response", 1280, 900)
		tab.Click(`[data-choose-version="v0"]`)
		tab.Wait(`location.pathname === "/docs/v0/pac/duplicate" && location.hash === "#response"`)
		tab.Go(root + "errors")
		tab.Wait(`document.querySelector('.side a[href*="v0/pac/report"]')`)
		tab.Click(`.side a[href*="v0/pac/report"]`)
		tab.Wait(`location.pathname === "/docs/v0/pac/report"`)
		tab.Click(`[data-choose-version="v1"]`)
		tab.Wait(`location.pathname === "/docs/v1/pac/report"`)
		tab.Go(root + "errors")
		tab.Wait(`document.querySelector('.side a[href*="v1/pac/report"]')`)
	})
	t.Run("menu on a phone", func(t *testing.T) {
		tab := b.Open(t, root, 390, 844)
		tab.Wait(`!document.getElementById("contents").checkVisibility()`)
		tab.Click(".menu")
		tab.Wait(`document.getElementById("contents").checkVisibility()`)
		tab.Shot("docs-menu-phone")
		tab.Click(`.side a[href="flows"]`)
		tab.Wait(`location.pathname === "/docs/flows" && !document.getElementById("contents").checkVisibility()`)
	})
	t.Run("the navigation shows where the reader is", func(t *testing.T) {
		tab := b.Open(t, root+"rest/tableLock", 1280, 900)
		tab.Wait(`(() => {
			const side = document.querySelector(".side").getBoundingClientRect(), here = document.querySelector(".side a[aria-current]").getBoundingClientRect();
			return here.top >= side.top && here.bottom <= Math.min(side.bottom, innerHeight) && scrollY === 0;
		})()`)
	})
	t.Run("lines of an older version are folded, and are copied", func(t *testing.T) {
		tab := b.Open(t, root+"rest/startTransaction", 1280, 900)
		tab.Wait(`!document.querySelector("details.more pre").checkVisibility()`)
		tab.Click("details.more summary")
		tab.Wait(`document.querySelector("details.more pre").checkVisibility()`)
		tab.Click("details.more .copy")
		tab.Wait(`/Copied|Selected/.test(document.querySelector("details.more .copy").textContent)`)
	})
	t.Run("keyboard", func(t *testing.T) {
		tab := b.Open(t, root, 1280, 900)
		tab.Keys("\t")
		tab.Wait(`document.activeElement.classList.contains("skip") && document.activeElement.getBoundingClientRect().top >= 0`)
		tab.Keys("\r")
		tab.Wait(`location.hash === "#main"`)
	})
}
