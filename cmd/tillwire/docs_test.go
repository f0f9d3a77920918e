package main

import (
	"strings"
	"testing"

	"github.com/tillwire/tillwire/internal/browser"
)

// TestTryIt sends messages from the docs to a real gateway and its simulated
// terminals: a sale that ends well, one with a mistake that is named, a signature,
// and v0.
func TestTryIt(t *testing.T) {
	b := browser.Start(t)
	root := strings.TrimSuffix(devHouse(t), "console/") + "docs/"
	const all = `[...document.querySelectorAll(".talk summary .badge:last-child")].every((e) => e.textContent === "fits its schema")`

	t.Run("a sale", func(t *testing.T) {
		for _, width := range []int{390, 1280} {
			tab := b.Open(t, root+"v1/pac/performTransaction#try", width, 900)
			tab.Click("#try [name=send]")
			tab.WaitText(".talk", "TRANSACTION_FINISHED")
			tab.WaitText(".talk", "SUCCESSFUL")
			tab.Wait(all)
			for _, fault := range append(tab.TooWide(), tab.Unlabelled()...) {
				t.Error(fault)
			}
			tab.Shot("docs-try")
		}
	})
	t.Run("a mistake", func(t *testing.T) {
		tab := b.Open(t, root+"v1/pac/performTransaction#try", 1280, 900)
		tab.Fill("#try-text", `{"jsonrpc":"2.0","id":3,"method":"sale","params":{"tid":"VCMDEMOSIP0","currency":"GBP","amount":"1250"}}`)
		tab.Click("#try [name=send]")
		tab.WaitText(".talk", "1 deviation")
		tab.WaitText(".talk .faults", "/params/amount")
		tab.WaitText(".talk", "error -32602")
		tab.Shot("docs-try-mistake")
		tab.Go(strings.TrimSuffix(root, "docs/") + "console/traffic")
		tab.Click("#f-wrong")
		tab.WaitText("main", "/params/amount")
	})
	t.Run("a signature", func(t *testing.T) {
		tab := b.Open(t, root+"v1/pac/performTransaction#try", 1280, 900)
		tab.Choose("#try-tid", "VCMDEMOSIS0")
		tab.Click("#try [name=send]")
		tab.WaitText(".talk", "Does the signature match?")
		tab.Click(".talk .button.first")
		tab.WaitText(".talk", "SUCCESSFUL")
		tab.Wait(all)
	})
	t.Run("v0", func(t *testing.T) {
		tab := b.Open(t, root+"v0/pac/terminalDetails#try", 1280, 900)
		tab.Click("#try [name=send]")
		tab.WaitText(".talk", "result")
		tab.Wait(`document.querySelectorAll(".talk > li").length === 2 && ` + all)
		tab.Click("#try [name=stop]")
		tab.WaitText("#try .status", "Closed")
	})
	t.Run("extensions", func(t *testing.T) {
		tab := b.Open(t, root+"v1/extensions/status#try", 1280, 900)
		tab.Click("#try [name=send]")
		tab.Wait(`document.querySelectorAll(".talk > li").length === 2 && ` + all)
		for _, name := range []string{"keys", "resume"} {
			tab.Go(root + "v1/extensions/" + name + "#try")
			tab.Click("#try [name=send]")
			tab.WaitText(".talk", "SUCCESSFUL")
			tab.Wait(all)
		}
	})
}
