package console

import (
	"testing"

	"github.com/tillwire/tillwire/internal/browser"
)

// TestTerminalsPage: the list is there, follows what happens, and is right on a
// phone and on a desk.
func TestTerminalsPage(t *testing.T) {
	b := browser.Start(t)
	house := &fakeHouse{sites: []string{"demo"}}
	house.set("demo",
		Terminal{Site: "demo", TID: "VCMDEMOSIP0", Model: "Desk/5000", Software: "9053", Currency: "GBP", Connected: true, Simulated: true},
		Terminal{Site: "demo", TID: "12345678", Model: "<b>Move</b>", Software: "9053", Currency: "EUR", Enrolled: true})
	_, url := serve(t, Config{House: house, Dev: true})
	for _, size := range []struct {
		name          string
		width, height int
	}{{"phone", 390, 844}, {"desk", 1280, 900}} {
		t.Run(size.name, func(t *testing.T) {
			tab := b.Open(t, url+"/console/", size.width, size.height)
			tab.WaitText("#terminals", "VCMDEMOSIP0")
			tab.WaitText("#terminals", "<b>Move</b>")
			tab.WaitText("#line", "live")
			for _, fault := range append(tab.Unlabelled(), tab.TooWide()...) {
				t.Error(fault)
			}
			tab.Shot("terminals-" + size.name)
		})
	}
	tab := b.Open(t, url+"/console/", 1280, 900)
	tab.WaitText("#terminals tbody tr:last-child", "Not connected")
	house.set("demo", Terminal{Site: "demo", TID: "12345678", Connected: true, Busy: true, Enrolled: true})
	tab.WaitText("#terminals tbody tr:last-child", "Busy")
}

// TestRemoteTerminal: one that dials in from somewhere else shows how it stands,
// and a name that nobody has says so.
func TestRemoteTerminal(t *testing.T) {
	b := browser.Start(t)
	house := &fakeHouse{sites: []string{"demo"}}
	house.set("demo", Terminal{Site: "demo", TID: "12345678", Model: "Move/5000", Software: "9053", Currency: "GBP", Connected: true, Enrolled: true})
	_, url := serve(t, Config{House: house, Dev: true})
	tab := b.Open(t, url+"/console/terminals/12345678", 390, 844)
	tab.WaitText(".facts", "Move/5000")
	tab.WaitText(".facts", "Available")
	if browser.Eval[bool](tab, `!!document.getElementById("machine")`) {
		t.Error("a terminal of somewhere else is drawn as a machine of ours")
	}
	tab.Shot("remote-phone")
	tab.Go(url + "/console/terminals/%3Cimg%20src=x%20onerror=alert(1)%3E")
	tab.WaitText("main", "No terminal of this name")
	tab.WaitText("h1", "<img src=x")
}
