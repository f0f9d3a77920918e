package conform

// The bill of the first table and what is paid of it first. 64.10 times 100 is a
// little less than 6410 for a computer that counts in binary fractions.
const (
	tableDue  = 6410
	tablePart = 2000
	tableTip  = 200
)

// noSuchTable is one that no till has.
const noSuchTable = "NO SUCH TABLE"

// tableScene is a table from its opening to its last payment: it is locked and
// left, paid in part with a gratuity, and paid off with two cards. While it is
// locked, and when it is paid, another card machine asks for it.
func tableScene(o TableOptions) *Scene {
	table, waiter := o.Tables[0], o.Waiters[0]
	asked, half := books(table, waiter), pounds((tableDue-tablePart)/2)
	return &Scene{
		Name: "pat.table", Text: "A table is listed, locked and paid in parts.",
		Steps: []Act{{
			Name:  "open",
			Order: open(table, tableDue, waiter, "Connect the till. Open table "+table+" for waiter "+waiter+" with "+pounds(tableDue)+" to pay."),
		}, {
			Name: "locked", Order: asked,
			Question: "A card machine has table " + table + " now. Does the till keep everybody from editing it?",
		}, {
			Name: "booked", Order: asked,
			Question: "Has the till booked three payments for table " + table + ": " + pounds(tablePart) + ", " + half + " and " + half + "?",
		}, {
			Name: "gratuity", Order: asked,
			Question: "Has it booked a gratuity of " + pounds(tableTip) + " apart from them?",
		}},
		Play: func(p *Play) error {
			if err := p.Order("open"); err != nil || !p.Connected() {
				return err
			}
			p.Tell("A waiter locks the table at card machine %s and has the bill printed; another asks for it at %s.", firstTID, secondTID)
			if err := p.Serve(firstTID, Visit{Waiter: waiter, Table: table, Bill: true, HoldAt: HoldLocked}); err != nil || !p.locked(table) {
				return err
			}
			for _, wanted := range []string{table, noSuchTable} {
				if err := p.Serve(secondTID, Visit{Waiter: waiter, Table: wanted, Leave: true}); err != nil {
					return err
				}
			}
			if err := p.Ask("locked"); err != nil {
				return err
			}
			p.Tell("The waiter leaves without a payment.")
			if err := p.Resume(firstTID, true); err != nil || !p.Released(table) {
				return err
			}
			p.Tell("A card pays %s and %s gratuity, then two cards pay the rest.", pounds(tablePart), pounds(tableTip))
			for _, v := range []Visit{{Pay: tablePart, Tip: tableTip}, {Parts: 2}} {
				v.Waiter, v.Table = waiter, table
				if err := p.Serve(firstTID, v); err != nil || !p.Released(table) {
					return err
				}
			}
			if err := p.Serve(secondTID, Visit{Waiter: waiter, Table: table, Leave: true}); err != nil {
				return err
			}
			if err := p.Ask("booked"); err != nil {
				return err
			}
			return p.Ask("gratuity")
		},
	}
}
