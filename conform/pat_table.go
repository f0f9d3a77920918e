package conform

// The bill of the first table. 64.10 times 100 is a little less than 6410 for a
// computer that counts in binary fractions.
const (
	tableDue  = 6410
	tablePart = 2000
	tableTip  = 200
)

// noSuchTable is one that no till has.
const noSuchTable = "NO SUCH TABLE"

// tableScene is a table from its opening to its last payment: it is locked and
// left, paid in part with a gratuity, and paid off in two parts. While it is
// locked, and when it is paid, another card machine asks for it.
func tableScene(o TableOptions) *Scene {
	table, waiter := o.Tables[0], o.Waiters[0]
	list := Visit{Waiter: waiter, Table: table, Leave: true}
	return &Scene{
		Name: "pat.table", Text: "A table is listed, locked and paid in parts",
		Steps: []Act{{
			Name:  "open",
			Order: open(table, tableDue, waiter, "Connect the till. Open table "+table+" for waiter "+waiter+" with "+pounds(tableDue)+" to pay, and leave it so that anybody may pay it."),
		}, {
			Name: "locked", Order: books(table, waiter),
			Question: "A card machine has table " + table + " now. Does the till refuse to have it edited?",
		}},
		Play: func(p *Play) error {
			if err := p.Order("open"); err != nil || !p.Connected() {
				return err
			}
			if err := p.Stage.Serve(p.ctx, firstTID, Visit{Waiter: waiter, Table: table, Bill: true, HoldAt: HoldLocked}); err != nil {
				return err
			}
			if err := p.Stage.Serve(p.ctx, secondTID, list); err != nil {
				return err
			}
			return nil
		},
	}
}
