// Package browser has tests look at pages in a real browser: a Chromium without
// a window, driven over its own protocol.
//
// It is for tests only. It never sleeps: it waits for conditions inside the
// page. A test is skipped, with a word, where there is no Chromium; where CI is
// set it fails instead, so that CI cannot pass by not looking.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Limit is how long a condition may take to come true. It is long because the
// machine may be busy, and is only waited for when a test fails.
const Limit = 30 * time.Second

// ShotsEnv names the folder that pictures of pages are put into; without it none
// are taken.
const ShotsEnv = "TILLWIRE_SCREENSHOTS"

// A Browser is one running Chromium.
type Browser struct {
	ctx context.Context
}

// Start runs a browser until the test is over.
func Start(t testing.TB) *Browser {
	t.Helper()
	path := find()
	if path == "" {
		const text = "there is no Chromium to look at pages with; install chromium, or name it in CHROMIUM"
		if os.Getenv("CI") != "" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options,
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.WSURLReadTimeout(Limit), chromedp.Flag("force-color-profile", "srgb"),
	)
	if os.Getuid() == 0 { // its sandbox does not run as root, as in a container
		options = append(options, chromedp.NoSandbox)
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until the process is gone
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return &Browser{ctx}
}

// find returns the path of a Chromium, or nothing.
func find() string {
	names := []string{"chromium", "chromium-browser", "google-chrome", "chrome"}
	if own := os.Getenv("CHROMIUM"); own != "" {
		names = []string{own}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// A Tab is one page that is open. It is a window of its own: none hides another.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string
}

// Open opens an address in a new tab of that size, in CSS pixels. Up to 500 wide
// it is a phone that is touched. What goes wrong in the page until the end of the
// test, or until Faults was called, fails the test.
func (b *Browser) Open(t testing.TB, address string, width, height int) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewWindow(true))
	tab := &Tab{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil { // not under a limit: the tab lives as long as this context
		t.Fatalf("browser: a new tab: %v", err)
	}
	if err := chromedp.Listen(ctx, tab.hear); err != nil {
		t.Fatalf("browser: %v", err)
	}
	t.Cleanup(func() {
		for _, f := range tab.Faults() {
			t.Errorf("%s: %s", address, f)
		}
		cancel()
	})
	tab.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		return err
	}))
	tab.Size(width, height)
	tab.Dark(false)
	tab.Go(address)
	return tab
}

// hear notes what goes wrong.
func (tab *Tab) hear(event any) {
	var fault string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault = fmt.Sprintf("%s at %s:%d", e.ExceptionDetails.Text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber+1)
		if x := e.ExceptionDetails.Exception; x != nil {
			fault += " " + x.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.ConsoleAPICalledTypeError && e.Type != runtime.ConsoleAPICalledTypeWarning {
			return
		}
		words := []string{string(e.Type)}
		for _, a := range e.Args {
			words = append(words, string(a.Value)+a.Description)
		}
		fault = strings.Join(words, " ")
	case *log.EventEntryAdded:
		if e.Entry.Level != log.EntryLevelError {
			return
		}
		fault = e.Entry.Text + " " + e.Entry.URL
	default:
		return
	}
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.faults = append(tab.faults, fault)
}

// Faults returns what went wrong in the page since it was opened or last asked:
// exceptions, errors on its console, what could not be loaded or was forbidden.
func (tab *Tab) Faults() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	f := tab.faults
	tab.faults = nil
	return f
}

// limited bounds one action.
func (tab *Tab) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(tab.ctx, Limit+10*time.Second)
}

// do runs an action and fails the test with its error.
func (tab *Tab) do(a chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := tab.limited()
	defer cancel()
	if err := chromedp.Do(ctx, a); err != nil {
		tab.t.Fatalf("browser: %v%s", err, tab.why())
	}
}

// why adds what went wrong in the page to an error about it.
func (tab *Tab) why() string {
	if f := tab.Faults(); len(f) > 0 {
		return "\nin the page: " + strings.Join(f, "\nin the page: ")
	}
	return ""
}

// Size changes the tab's size, in CSS pixels.
func (tab *Tab) Size(width, height int) {
	tab.t.Helper()
	if width <= 500 {
		tab.do(chromedp.EmulateViewport(int64(width), int64(height), chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait))
		return
	}
	tab.do(chromedp.EmulateViewport(int64(width), int64(height)))
}

// Dark says whether the system prefers dark colours. In either, it prefers that
// nothing moves: what is clicked on stands still.
func (tab *Tab) Dark(on bool) {
	tab.t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	tab.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// Go opens another address in the tab.
func (tab *Tab) Go(address string) {
	tab.t.Helper()
	tab.do(chromedp.Navigate(address))
}

// Eval returns the value of an expression in the page. A promise is waited for.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	v, err := eval[T](tab, expression)
	if err != nil {
		tab.t.Fatalf("browser: %s: %v%s", expression, err, tab.why())
	}
	return v
}

func eval[T any](tab *Tab, expression string) (T, error) {
	ctx, cancel := tab.limited()
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// moved reports whether an evaluation ended because its page did.
func moved(err error) bool {
	return strings.Contains(err.Error(), "navigated or closed") || strings.Contains(err.Error(), "context was destroyed") ||
		strings.Contains(err.Error(), "Cannot find context")
}

// Wait waits until an expression is true in the page, and fails the test with
// what the page shows when it does not come true.
func (tab *Tab) Wait(expression string) {
	tab.t.Helper()
	await[bool](tab, "!!("+expression+")")
}

// await waits until an expression has a value that counts as true, and returns it.
func await[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	const loop = `new Promise((done) => {
		const end = performance.now() + %d;
		(function look() {
			let is; try { is = (%s); } catch { is = null; }
			if (is || performance.now() > end) done(is || null); else setTimeout(look, 15);
		})();
	})`
	for end := time.Now().Add(Limit); ; {
		v, err := eval[*T](tab, fmt.Sprintf(loop, Limit.Milliseconds(), expression))
		if err == nil && v != nil {
			return *v
		}
		// A page that goes to another takes the wait with it; the next one may have it.
		if err == nil || !moved(err) || time.Now().After(end) {
			tab.t.Fatalf("browser: this did not come true: %s\n%v\nthe page shows:\n%s%s", expression, err, tab.Text("body"), tab.why())
		}
	}
}

// WaitText waits until the first element of a selector shows a text.
func (tab *Tab) WaitText(selector, text string) {
	tab.t.Helper()
	tab.Wait(fmt.Sprintf(`document.querySelector(%s).innerText.includes(%s)`, quote(selector), quote(text)))
}

// WaitFor waits until there is an element of a selector.
func (tab *Tab) WaitFor(selector string) {
	tab.t.Helper()
	tab.Wait(fmt.Sprintf(`!!document.querySelector(%s)`, quote(selector)))
}

// Text is what the first element of a selector shows, or nothing without one.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	return Eval[string](tab, fmt.Sprintf(`document.querySelector(%s)?.innerText ?? ""`, quote(selector)))
}

// Click clicks on the first element of a selector, once it is there, enabled and
// not covered by another, or touches it on a phone.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	at := await[struct{ X, Y float64 }](tab, fmt.Sprintf(`(() => {
		const e = document.querySelector(%s);
		if (!e || e.disabled || e.getAttribute("aria-disabled") === "true") return null;
		e.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
		const b = e.getBoundingClientRect(), at = { X: b.x + b.width / 2, Y: b.y + b.height / 2 }, hit = document.elementFromPoint(at.X, at.Y);
		if (b.width === 0 || !(e.contains(hit) || hit?.contains(e) && hit.tagName === "LABEL")) return null;
		const place = at.X + " " + at.Y, still = e.browserPlace === place; // seen twice, so nothing moves it
		e.browserPlace = still ? "" : place;
		return still && at;
	})()`, quote(selector)))
	tab.do(chromedp.MouseClickXY(at.X, at.Y))
}

// Keys presses keys, as if a person typed them: letters and digits, or names of
// package kb.
func (tab *Tab) Keys(keys string) {
	tab.t.Helper()
	tab.do(chromedp.KeyEvent(keys))
}

// Fill puts a text into a field as if it was typed.
func (tab *Tab) Fill(selector, text string) {
	tab.t.Helper()
	tab.WaitFor(selector)
	Eval[bool](tab, fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.focus(); e.select?.(); return true; })()`, quote(selector)))
	if text == "" {
		tab.Keys(kb.Delete)
		return
	}
	tab.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// Choose chooses an option of a select by its value.
func (tab *Tab) Choose(selector, value string) {
	tab.t.Helper()
	tab.Wait(fmt.Sprintf(`[...document.querySelector(%s).options].some((o) => o.value === %s)`, quote(selector), quote(value)))
	Eval[bool](tab, fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.value = %s; e.dispatchEvent(new Event("input", { bubbles: true })); e.dispatchEvent(new Event("change", { bubbles: true })); return true; })()`, quote(selector), quote(value)))
}

// Shot takes a picture of the whole page into the folder of ShotsEnv, if one is
// named.
func (tab *Tab) Shot(name string) {
	tab.t.Helper()
	dir := os.Getenv(ShotsEnv)
	if dir == "" {
		return
	}
	// A picture of all of it shows what sticks to the window's top where it is now.
	Eval[bool](tab, `(scrollTo({ top: 0, behavior: "instant" }), true)`)
	ctx, cancel := tab.limited()
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		if err = os.MkdirAll(dir, 0o755); err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
		}
	}
	if err != nil {
		tab.t.Errorf("browser: picture %s: %v", name, err)
	}
}

// Unlabelled lists what can be used in the page and has no name that could be
// read out, and pictures without a text.
func (tab *Tab) Unlabelled() []string {
	tab.t.Helper()
	return Eval[[]string](tab, `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [tabindex='0'], img, svg[role=img], dialog[open], nav, section")]
		.filter((e) => {
			if (e.closest("[hidden]") || !e.checkVisibility?.()) return false;
			const by = (e.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent ?? "").join("");
			const label = [...(e.labels ?? [])].map((l) => l.textContent).join("");
			const own = e.matches("input, select, textarea, nav, dialog") ? "" : e.matches("[tabindex='0']:not(button, a)") || e.matches("section") ? "" : e.textContent;
			if (e.matches("img")) return !e.hasAttribute("alt");
			if (e.matches("section") && !e.hasAttribute("aria-labelledby") && !e.hasAttribute("aria-label")) return false;
			return !(e.getAttribute("aria-label") ?? "").trim() && !by.trim() && !label.trim() && !own.trim() && !(e.title ?? "").trim();
		})
		.map((e) => e.outerHTML.slice(0, 120))`)
}

// TooWide lists what makes the page scroll sideways, with the first elements
// that stick out; empty when nothing does.
func (tab *Tab) TooWide() []string {
	tab.t.Helper()
	return Eval[[]string](tab, `(() => {
		const wide = document.documentElement.scrollWidth, room = document.documentElement.clientWidth;
		if (wide <= room) return [];
		return ["the page is " + wide + " wide in a window of " + room, ...[...document.body.querySelectorAll("*")]
			.filter((e) => e.getBoundingClientRect().right > room + 1).slice(0, 5).map((e) => e.outerHTML.slice(0, 120))];
	})()`)
}

// quote writes a text as JavaScript.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("browser: " + err.Error()) // every string can be written
	}
	return string(b)
}

// LowContrast lists texts that are too faint to be read on what is behind them:
// less than 4.5:1, or 3:1 where they are large (WCAG 2.2 AA). What is disabled,
// what is on a picture or a gradient, and what screen readers are not told are
// left out.
func (tab *Tab) LowContrast() []string {
	tab.t.Helper()
	return Eval[[]string](tab, `(() => {
		const brush = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
		const rgba = (color) => {
			brush.clearRect(0, 0, 1, 1);
			brush.fillStyle = color;
			brush.fillRect(0, 0, 1, 1);
			const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
			return [r, g, b, a / 255];
		};
		const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
		const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
		const behind = (e) => {
			const layers = [];
			for (; e; e = e.parentElement) {
				const s = getComputedStyle(e);
				if (s.backgroundImage !== "none" || +s.opacity < 1) return null;
				const c = rgba(s.backgroundColor);
				if (c[3] > 0) layers.push(c);
				if (c[3] === 1) break;
			}
			return layers.reduceRight((under, top) => over(top, under), [255, 255, 255, 1]);
		};
		const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		for (let n = walk.nextNode(); n; n = walk.nextNode()) {
			const e = n.parentElement;
			if (!n.data.trim() || !e.checkVisibility({ visibilityProperty: true }) || e.closest("[aria-hidden=true], :disabled, [aria-disabled=true], .vh, option, script, noscript")) continue;
			const under = behind(e);
			if (!under) continue;
			const s = getComputedStyle(e), size = parseFloat(s.fontSize), large = size >= 24 || size >= 18.66 && +s.fontWeight >= 700;
			const a = light(over(rgba(s.color), under)), b = light(under), ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
			if (ratio < (large ? 3 : 4.5)) found.push(ratio.toFixed(2) + ":1 " + JSON.stringify(n.data.trim().slice(0, 40)) + " in " + e.outerHTML.slice(0, 80));
		}
		return found;
	})()`)
}
