package conform

// patFinalReceipt: a till that wants to be asked for final receipts gives them.
func patFinalReceipt(table *Scene) Check {
	return Check{ID: "pat.finalReceipt", Needs: ByWire, Scene: table, Judge: func(s *Seen) Verdict {
		all := by(asks(s.Frames), "finalPOSReceiptRequest")
		switch {
		case len(all) > 0:
			return s.receipts(all)
		case len(by(asks(s.Frames), "transactionResponse")) == 0:
			return wait("nothing was paid, so no final receipt was asked for")
		}
		return wait("the till was not asked for a final receipt: one that wants to be connects with final-pos-receipt-request in its address")
	}}
}
