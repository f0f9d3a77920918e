// Package epos is the library for EPOS software: it connects a till to a
// gateway, runs card transactions on the site's terminals by the Pay-At-Counter
// side of the contract, and answers for the till's tables by its Pay-At-Table
// side.
//
// It never tries a transaction again unasked, and never decides that money was
// not taken: only the till can know what it has already sold. A [Client] dials
// again by itself only with a Stream, and then delivers what was asked for once;
// [Tables], which starts no payments, does so always. This package keeps its
// promises from one release to the next.
//
// # Connecting
//
// Paste the address that the gateway's operator gave you, or fill in its parts:
//
//	c, err := epos.Dial(ctx, epos.Options{
//		Host: "gateway.example.com",
//		Key:  settings.Key, SoftwareHouseID: "MYHOUSE", InstallerID: settings.Installer,
//	})
//
// A [*RefusedError] says what to correct. A [Client] may be used by many
// goroutines at once, for as many terminals as the site has, and can stay
// connected all day; connecting anew for each sale is as good.
//
// # A sale
//
// [Client.Sale] returns when the transaction has ended:
//
//	p, err := c.Sale(ctx, epos.Sale{TID: "12345678", Amount: money.Amount{Minor: 1250, Currency: money.GBP}})
//
// There are four ways in which it can end, and a till needs all four:
//
//   - err is nil and [Payment.MoneyTaken] is [TakenYes]: clear the amount, and
//     book the amounts in the Payment, not those that were asked for.
//   - err is nil and it is [TakenNo]: tell the operator; Result says why.
//   - err is nil and it is [TakenUnknown], or err is an [*OutcomeUnknownError]:
//     see below. This is not a failure.
//   - err is anything else: no transaction ran. For an [*Error], show its
//     StaffMessage.
//
// Refund, PreAuth, Completion and AccountVerification work alike.
//
// # While it runs
//
// A [Handler] is told what the terminal does, to be shown, and is asked whether
// a signature is right. Give it to Dial, or to one transaction by [WithHandler].
// A till that answers no signature request accepts every signature by default.
//
// [Client.Cancel] asks for the transaction on a terminal to be cancelled. It is
// a wish: the call of the transaction still tells how it ended.
//
// # When the outcome is not known
//
// The card machine does not need the till to go on. If the line is lost, or the
// ctx of the call ends, the transaction runs on, and its answer cannot reach the
// call any more. Letting the customer go could mean not being paid, and a second
// sale could charge the card twice.
//
// A gateway that knows the extension keys ends the doubt. Each request to it has
// a key of its own, and the same request under the same key is one transaction:
//
//	if errors.As(err, &unknown) {
//		p, err = unknown.TryAgain(ctx, options)
//	}
//
// TryAgain connects anew and waits for the end of the sale as Sale does. A till
// that may itself be switched off makes the key first, keeps it on disk with the
// sale, and gives it by [WithKey]; after its restart it asks for the same sale
// with the same key, or for [Client.TransactionStatus], which starts nothing. A
// new key makes a new sale. Should the outcome be TakenUnknown even so, the
// gateway goes on asking the card machine: a later try under the key tells the
// truth, and a [Handler] with Corrected is told by itself.
//
// [Client.Extensions] says what the gateway knows. One that knows no keys, which
// is when Key of the error is empty, leaves the longer way:
//
//  1. Connect again if [Client.Done] is closed.
//  2. Ask [Client.TerminalDetails] until the terminal is [Available]. While it is
//     [Busy] the transaction may still run: [Client.Cancel] may end it sooner.
//  3. Ask [Client.Duplicate] for the terminal's last transaction. If it has a
//     TransactionID, and that is the one of the last Payment which the till
//     already holds for this terminal, the new one did not run and may be tried
//     again. If not, this is the transaction: its MoneyTaken is the answer.
//  4. If that still is TakenUnknown, or the terminal has no Duplicate
//     ([ErrRequestNotSupported]) or does not come back, let the operator record
//     what the card machine's own screen and receipts say.
//
// Keep the TransactionID of the last Payment of each terminal on disk for this;
// the example of [OutcomeUnknownError] shows it whole. In a restaurant or shop
// with several tills on one terminal the last transaction may be another till's:
// compare its amount and time, too.
//
// Give Sale a ctx that ends only when the till gives up for good. The gateway
// itself ends every transaction after some minutes at most, and a lost line is
// noticed within a minute and a half, so no deadline is needed.
//
// # A line that breaks
//
// Give the till a name of its own in Options.Stream, and where the gateway knows
// the extension resume a lost line is no event: the Client dials again and goes on
// where it was. A Sale that waits gets its answer there, notifications come once
// and in order, and a question about a signature that was open is asked, or its
// answer delivered. A request that never reached the gateway is sent again within
// 30 s, and later ends as not sent. Where the gateway has lost its part, because it
// was restarted or the line was down for a day, each call finds its transaction by
// its key.
//
// A call ends as an [*OutcomeUnknownError] once the line was down for two minutes,
// or with its ctx. A wish to cancel is not carried over: it could hit another
// transaction. Done is closed when the gateway does not want the till back: its key
// was revoked, or another till took its name.
//
// # Errors
//
// An [*Error] compares by its code:
//
//	if errors.Is(err, epos.ErrTerminalBusy) { … }
//
// # Reports
//
// Run [Client.ReportEndOfDay] once a day on each terminal and keep its Lines.
// A report whose answer was lost may have closed the session all the same.
//
// # Dialling again
//
// When Done is closed, [Client.Err] says why, as a [*ClosedError]. Without a Stream
// that is for the till to mend: wait a little longer after each failed Dial, at most
// a minute or so. After close code 1008, and after a RefusedError with a status from
// 400 to 428, something must be corrected first.
//
// # Over REST
//
// A [REST] does the same for a gateway that is asked over HTTP, with the same words:
//
//	c, err := epos.NewREST(epos.RESTOptions{URL: settings.URL, Key: settings.Key, SoftwareHouseID: "MYHOUSE", InstallerID: settings.Installer})
//	p, err := c.Sale(ctx, epos.Sale{TID: "12345678", Amount: amount})
//
// It keeps no connection, so that nothing is lost with one: it asks for the
// transaction under a key of its own, again where the answer is lost, and follows its
// events, or looks at it once a second, until it has ended. What is left of doubt is an
// [*OutcomeUnknownError] as above; its Location is where the transaction is found, and
// [Handler].Begun has told it before anything else was done, to be kept on disk:
// [REST.Await] waits there after a restart of the till. [REST.Cancel] goes to the
// transaction that this client runs.
//
// A gateway that does not know keys is never sent a request twice.
//
// Tables are kept by the gateway there, see [REST.StoreTable] and [REST.BookPayments].
//
// # Pay-At-Table
//
// At the table it is the other way round: the till keeps the tables, waiters at
// the card machines choose and pay them, and the gateway asks. Implement a
// [TableHandler] and have it served as long as the till is open:
//
//	err := epos.ServeTables(ctx, epos.Options{URL: settings.URL}, tables)
//
// [Tables] has the rest: it connects again when the line is lost, calls the
// handler about each table in order, and hears what goes wrong.
//
// A visit is: ListTables; LockTable, from which on nobody else edits the table;
// maybe Bill; Paid, once or more, as cards pay all or a part; maybe
// FinalReceipt; UnlockTable. Each of them may come after a restart of either
// side, so keep on disk which terminal has locked a table, and let it stay
// locked until UnlockTable: a card may be being charged.
//
// Paid is where money is booked. The gateway tells of a payment until the till
// has said that it has it, so it may tell more than once; a [PaymentStore] keeps
// what was booked, and Paid sees each payment once. The default one forgets when
// the program ends. A till that keeps its books in a file wants a [FileStore],
// and one with a database makes the store a part of it, which alone is exact
// whatever fails; PaymentStore says how. Return nil only when the payments would
// survive a loss of power: from then on nobody else has to remember them.
//
// One till can serve the tables of a site. When another connects, Run returns
// [ErrDiscontinued], and a person must decide which one stays.
package epos
