package gateway

import (
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// bill asks the till for the bill (the contract, section 5.3).
func (b *switchboard) bill(v *visit, show func(lines []receipt.Line, message string)) {
	state := v.state
	b.askReceipt(v.a, wire.MethodPOSReceipt, false, func(seconds float64) wire.Message {
		return wire.POSReceiptRequest{
			TerminalID: wire.TerminalID{TID: state.TID}, WaiterID: string(state.Waiter), TableID: string(state.Table), Timeout: seconds,
		}
	}, show)
}

// askReceipt asks the till for lines to print: at the end of the visit, or now.
func (b *switchboard) askReceipt(a *actor, method string, final bool, params func(seconds float64) wire.Message, show func([]receipt.Line, string)) {
	b.ask(&question{
		method: method, deadline: a.patDeadline(), params: params, final: final,
		take: taking(wire.DecodePOSReceiptResult, nil, func(r wire.POSReceiptResult) {
			a.do(func() { show(wire.ReceiptLines(r.ReceiptLines), "") })
		}),
		none: func(n noAnswer) { a.do(func() { show(nil, n.screen()) }) },
	})
}
