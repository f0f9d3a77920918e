// Package link is the terminal link: how a card machine in another place speaks
// with the gateway, as JSON-RPC 2.0 over a WebSocket that the machine dials. Both
// sides are here. docs/terminal-link.md tells the protocol to who builds a
// machine; spec/link holds it as data. It carries a compatibility promise.
//
// # The gateway's side
//
// [Greet] reads the hello of a machine that has dialled in. The [Line] that it
// returns plugs in with Gateway.Plug: its Connect gives a terminal.Terminal, and
// a terminal.Waiter where the machine serves tables.
//
// # The machine's side
//
// A [Machine] shows any terminal.Terminal to a gateway: it dials, says hello,
// passes events and requests on, and dials again whenever the link is lost. One
// link at a time is alive: all that came over one has been dealt with, or will
// never be, before the next is dialled. So a start that still lies in an older
// link is dead.
//
// # What it never does
//
// It keeps nothing. What must survive is in the gateway's journal and in the
// machine's memory; whoever was not answered tells it again over the next link.
// It never answers in the machine's stead, and never calls a request undelivered
// that may have arrived.
package link
