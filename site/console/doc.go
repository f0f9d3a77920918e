// Package console is the console at /console: pages in which people of a shop,
// or of a workshop, see the terminals of a gateway, touch simulated ones, read
// what tills and terminals say to each other, see how far a till has come with the
// integration checklist, and work a till.
//
// It never decides about a payment, holds no key and no card number, and makes
// no request to another host. What it reads and moves it is given as a [House].
// A page's scripts use the same addresses as anybody: the till in the page is a
// till like any other, on /pac and /pat.
//
// # How a page comes about
//
// Each page has an address of its own, listed in pages (shell.go) with the name
// of its module. The server answers with finished HTML: head, navigation, an
// empty main, a word for browsers without scripts. The module, assets/NAME.js,
// draws the main. Nothing is built: modules are served as they lie here, under a
// path that holds the hash of them all, so that they may be cached for ever and
// relative imports stay right. Libraries are in vendor/, unchanged.
//
// To add a page: one line in pages, one module that ends in mount(Component),
// and a topic where it shows something live.
//
// # The live socket
//
// A page opens one WebSocket, /console/live, and never more: browsers allow
// only a few plain connections a host. It carries JSON objects. The page first
// says {"hello": token} with the token of its shell, and hears
// {"as": 0, "data": "welcome"}. Then it may send
//
//	{"watch": topic, "as": n, …}    what is watched comes as {"as": n, "data": …}, first at once
//	{"unwatch": n}
//	{"do": deed, "as": n, …}        answered once by {"as": n, "data": …}
//
// and a watch or deed that is refused is answered by {"as": n, "error": text}.
// Topics and deeds are Go functions, registered by name in New: see [topic] and
// [deed]. A topic runs on a goroutine of its own for each watch and sends as
// fast as the page takes it; what changed in between is left out, so that a slow
// page sees fewer states and nobody waits for it. All that changes anything is a
// deed, because the socket has been checked once for good.
//
// # Components
//
// assets/lib.js is what modules import: html (htm bound to Preact), signals and
// hooks; useWatch, act and tried over the live socket; money and minor for
// amounts; and the parts that pages share: Receipt, Badge, Dot, Button, Field,
// Clock, Empty, Notice. Their rules: a component is a function of its props;
// state that more than one of them reads is a signal at the top of the module;
// text is put in as text, never as HTML; no style attribute (the policy forbids
// it) but classes of site/look; each control has a label that can be read out;
// money is whole minor units, read and written by digits.
//
// # Who may look
//
// On a development gateway (Config.Dev, loopback only) nobody logs in, but the
// Host must be a loopback name, so that no foreign name bent to this address
// gets in, and the live socket and every POST must come from a page of this
// origin and bear its token. Elsewhere a key for the face console is exchanged
// for a session cookie; the session sees the key's site and nothing else, ends
// with the key, and touches no machine.
package console
