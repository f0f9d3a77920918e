// Command crash breaks a running shop on purpose and counts what became of the
// money: the gateway is killed, stopped, and starved of disk, while tills and
// waiters work at it, and in the end a referee holds the acquirer's books
// against the journal and against what each till was told.
//
// Everything is real: processes, loopback sockets, files. Tills are programs
// over package epos; the card machines live in the gateway's process with their
// memory on disk, so that a kill takes their power, too. Half of the kills hit
// the tillwire binary at a random instant. The other half hit a second house,
// made of the same rooms over the same folder, which has a switch before and
// after each append, each send and each word between gateway and terminal, and
// kills itself there: so each named point is hit, and no such switch is in what
// is shipped.
//
// The referee believes nobody: it reads the acquirer's file with a reader of its
// own. What must hold stands in judge.go.
package main
