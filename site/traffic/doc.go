// Package traffic keeps the latest messages between a gateway and its peers,
// tills and terminals that dial in, for people who look at them: a ring bounded
// in messages and bytes, in which requests and replies have found each other,
// and what a message has that its published schema forbids is named.
//
// It never slows the gateway: whoever tells it a message copies the bytes into a
// bounded queue and goes on; while that is full, messages are left out and
// counted, and all that is shown says so. It is no record: what must survive is
// in the journal. It keeps no card number (they are masked before a message is
// kept), no key, and nothing on disk. Schemas are the published ones of package
// spec; they are looked at only for what somebody looks at.
//
// # From the wire to a page
//
// A [Hub] is told of connections ([Hub.Opened]) and messages ([Line.Message]).
// Some fifty times a second, and whenever somebody looks, what waits is masked, its
// envelope read, matched, and appended to the ring: to do so at each message would
// have the gateway's goroutine wake another, which costs more than all the rest.
// A [Reader] is one page: it takes what has come since it last looked, the newest
// of it where that is more than it can show, and says how many it passed over.
// A [Judge] says what is wrong with a message. A [Script] writes conversations
// down in the form of scenarios, which can be played again.
package traffic
