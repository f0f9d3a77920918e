// Package sim is a park of simulated card machines and the acquirer behind
// them, for one site. Each machine keeps the driver contract of package
// terminal: it remembers before it speaks, starts a request once, tells an
// outcome until it is acknowledged, and says what it cannot know.
//
// What a machine does is in its name (the contract, section 12): the account's
// letters, then result, entry, verification and machine. Tests may change it
// for the next transactions with Script, cut its link and its power.
//
// A machine never sends what the gateway says by itself: TRANSACTION_STARTED,
// TRANSACTION_FINISHED, ATTEMPTING_CANCEL and the signature notifications. It
// never stores, prints or logs a full card number; one exists only inside a
// card while it is in the reader.
//
// What no contract says is decided here: a machine that reverses (VOID) names
// a sale SALE_REVERSAL and a refund REFUND_REVERSAL, other types keep their
// name; a machine whose part is to time out has taken no money; a completion
// may take up to the sum of the card's pre-authorisations.
//
// Under one seed, card numbers, auth codes and transaction ids are the same in
// every run; times are not.
package sim
