package gateway

import (
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// askFinal asks the till for the final receipt, if its connection wants to be
// asked (the contract, section 5.4). Whatever comes of it, the unlock follows.
func (v *visit) askFinal() {
	if !v.a.site.board.wantsFinal() {
		v.finalRan = true
		v.advance()
		return
	}
	v.finalAsked = true
	state := v.state
	v.askReceipt(wire.MethodFinalPOSReceipt, true, func(seconds float64) wire.Message {
		return wire.FinalPOSReceiptRequest{
			TerminalID: wire.TerminalID{TID: state.TID}, WaiterID: string(state.Waiter), TableID: string(state.Table), Timeout: seconds,
		}
	}, func(lines []receipt.Line, _ string) {
		v.final, v.finalAsked, v.finalRan = lines, false, true
		v.advance()
	})
}
