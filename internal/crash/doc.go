// Command crash breaks a running shop on purpose and counts what became of the
// money: the gateway and its card machines are killed, stopped, and starved of
// disk, while tills and waiters work at them, and in the end a referee holds the
// acquirers' books against the journal and against what each till was told.
//
// Everything is real: processes, loopback sockets, files. Tills are programs
// over package epos. Most are processes of their own that are killed, too: they
// write down each request's key before they send it, drop lines as they like, and
// ask again after a restart; some of these have no connection and ask over REST. The till with the tables is one of these. A few
// others keep to the plain contract. Some card machines live in the gateway's
// process with their memory on disk, so that a kill ends them, too; others are
// processes of their own, linked to the gateway, so that one of the two knows
// what the other must find out.
//
// Half of the kills hit the tillwire binary at a random instant. The other half
// hit a second house, made of the same rooms over the same folder, which has a
// switch before and after each append, each send and each word between gateway
// and terminal, and kills itself there: so each named point is hit, and no such
// switch is in what is shipped. Card machines are killed in both ways, too.
//
// Between tills and gateway, the till with the tables and gateway, and card
// machines and gateway lies a network of our own that cuts and resets
// connections, delays what is said, swallows it for a while and leaves ghosts.
// Gateways and card machines are also stopped for a while, and then go on as if
// nothing had been.
//
// Some of the kills take the power with them. Those lives write over a layer,
// package powercut, under the journal's database and the machines' files; what
// was not synced when they died is then gone, or torn, or there in part.
//
// Beside that, copies of the journal are cut at random places, where it must
// open at a whole earlier state or be refused by name; and where this user may
// make a small disk, one is filled under a gateway.
//
// The referee believes nobody: it reads the acquirers' files with a reader of its
// own. What must hold stands in judge.go. A seed repeats the schedule of a run;
// what the processes do between two blows is up to the system.
package main
