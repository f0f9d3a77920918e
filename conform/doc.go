// Package conform is the integration checklist of the contract (section 14) as
// a program: it tells a till, or the person at it, what to do, watches what goes
// over the wire, and decides each line from that evidence.
//
// It never judges a gateway, never books anything, and proves nothing about a
// till beyond what it saw: a line that was not reached is said to be so. What a
// till shows and books cannot be seen on a wire; lines that need it are decided
// by somebody's word as well, and the report says which.
//
// # How it is laid out
//
// A [Check] decides one line of spec/checklist.json. Most are a row of [Act]s:
// the [Stage] is prepared, the [Order] is given to the [Hands], and the act's
// Judge looks at what was [Seen]. Judges keep nothing between two looks. Other
// checks stand over the whole run and look at every frame of it. Each check is
// one file.
//
// At the table it is the card machines that ask. There a [Scene] is played once,
// with a few orders and questions to the hands and visits of simulated waiters in
// between, and several checks judge it.
//
// The [Relay] stands between till and gateway: it hands every message on as it
// is, and each ping, and tells it to the [Run]. It can also cut a till's
// connections, lose what it acknowledges, keep it away, and say something that no
// gateway would say, which some lines need. Messages are read
// by a small decoder of this package, which it shares with nobody.
//
// A till that asks over REST goes through the same relay. What it asks, and what it
// sees when it looks, is told in the messages that a till with a connection would have
// sent and received, so that the same judges look at it; each request is told as it
// stood besides, for the few that are about asking.
//
// A [Scorer] asks for nothing. It is told what tills say by themselves, in any
// order, and finds in it the occasions at which the same judges can look: a rule
// for each part of a line says where. What cannot be seen so, it says how to.
//
// A [Report] has each line's verdict with the messages that decided it, as text,
// JUnit XML, JSON or a page of HTML. The JSON can be signed: that proves who made
// the report and that nobody changed it, not that the till was honest.
package conform
