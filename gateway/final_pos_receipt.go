package gateway

import (
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// askFinal has the final receipt asked for, if there is somebody who wants to be
// asked (the contract, section 5.4). Whatever comes of it, the unlock follows.
func (v *visit) askFinal() {
	v.finalAsked = v.source().final(v, func(lines []receipt.Line, _ string) {
		v.final, v.finalAsked, v.finalRan = lines, false, true
		v.advance()
	})
	if !v.finalAsked {
		v.finalRan = true
		v.advance()
	}
}

// final asks the till, if its connection wants to be asked.
func (b *switchboard) final(v *visit, show func(lines []receipt.Line, message string)) bool {
	if !b.wantsFinal() {
		return false
	}
	state := v.state
	b.askReceipt(v.a, wire.MethodFinalPOSReceipt, true, func(seconds float64) wire.Message {
		return wire.FinalPOSReceiptRequest{
			TerminalID: wire.TerminalID{TID: state.TID}, WaiterID: string(state.Waiter), TableID: string(state.Table), Timeout: seconds,
		}
	}, show)
	return true
}
