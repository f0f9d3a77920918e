package conform

// What is paid of the third table: first with an acknowledgement that gets lost,
// then while the till is away.
const (
	lostDue   = 4000
	lostPart  = 1000
	awayPart  = 500
	lostWords = "Leave the till alone after that: its connection is cut twice, and it has to come back by itself."
)

// lostScene is a table that is paid while the till's connection is lost.
func lostScene(o TableOptions) *Scene {
	table, waiter := o.Tables[2], o.Waiters[0]
	return &Scene{
		Name: "pat.lost", Text: "A table is paid while the till's connection is lost.",
		Steps: []Act{{
			Name:  "open",
			Order: open(table, lostDue, waiter, "Open table "+table+" for waiter "+waiter+" with "+pounds(lostDue)+" to pay. "+lostWords),
		}},
		Play: func(p *Play) error {
			if err := p.Order("open"); err != nil || !p.Connected() {
				return err
			}
			p.Tell("A card pays %s, and the connection is cut when the till has that.", pounds(lostPart))
			p.stage().Lose("transactionResponse")
			if err := p.Serve(firstTID, Visit{Waiter: waiter, Table: table, Pay: lostPart}); err != nil || !p.Released(table) {
				return err
			}
			p.Tell("A card pays %s while the till is away.", pounds(awayPart))
			if err := p.Serve(firstTID, Visit{Waiter: waiter, Table: table, Pay: awayPart, HoldAt: HoldCard}); err != nil || !p.locked(table) {
				return err
			}
			p.stage().Away(true)
			err := p.Resume(firstTID, false)
			p.stage().Away(false)
			if err != nil || !p.Released(table) {
				return err
			}
			if err := p.Serve(firstTID, Visit{Waiter: waiter, Table: table, Leave: true}); err != nil {
				return err
			}
			p.Released(table)
			return nil
		},
	}
}
