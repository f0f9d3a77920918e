// Package sim is a park of simulated card machines and the acquirer behind
// them, for one site. Each machine keeps the driver contract of package
// terminal: it remembers before it speaks, starts a request once, tells an
// outcome until it is acknowledged, and says what it cannot know.
//
// What a machine does is in its name (the contract, section 12): the account's
// letters, then result, entry, verification and machine. Tests may change it
// for the next transactions with Script, cut its link and its power. Scenario
// has the scripts of package spec by their names: what cards and people do, and
// faults, which are mishaps at points of a transaction.
//
// People can touch a machine instead: after Touch it waits for keys and for the
// test cards of package spec, and its course is the same but for who plays the
// people in it. Face is how any machine looks, touched or not: screen, card,
// paper, cable and power. People who go away are not waited for for ever; the
// limits are constants.
//
// A machine also plays the waiter at a table: Visit goes from the list of
// tables to the final receipt, and Report starts a report at the machine. What
// of it must not be lost is on disk before it is told, and told until the
// gateway has answered it; a card is charged only once the gateway allows it.
// From the lock on the counter finds the machine busy. A visit that loses power
// is over: a payment that was approved stands, any other is not taken, and the
// gateway is told both and that the table was left.
//
// A machine never sends what the gateway says by itself: TRANSACTION_STARTED,
// TRANSACTION_FINISHED, ATTEMPTING_CANCEL and the signature notifications. It
// never stores, prints or logs a full card number; one exists only inside a
// card while it is in the reader.
//
// What no contract says is decided here: a machine that reverses (VOID) names
// a sale SALE_REVERSAL and a refund REFUND_REVERSAL, other types keep their
// name; a machine whose part is to time out has taken no money; a completion
// may take up to the sum of the card's pre-authorisations; a payment at a table
// can be forbidden until it goes to the acquirer; a signature at a table that
// nobody verified before the power went counts as refused; so does one that
// nobody at the machine looks at. A card pays up to 100.00 by a tap. A card that
// three wrong PINs have blocked is a new one the next time. Cards that were typed
// in with their holder there, or swiped after their chip could not be read, are
// signed for. A chip card that is taken out before the acquirer was asked ends the
// transaction without one.
//
// Under one seed, card numbers, auth codes and transaction ids are the same in
// every run; times are not, nor the ids of visits, payments and the machine's
// own reports, which must be unique for ever.
package sim
