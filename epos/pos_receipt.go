package epos

import (
	"context"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// posReceipt takes the request for a bill (the contract, section 5.3).
func (s *tableServer) posReceipt(params wire.Raw) (*call, error) {
	w, err := wire.DecodePOSReceipt(params)
	r := TableRequest{TID: TID(w.TID), WaiterID: WaiterID(w.WaiterID), TableID: TableID(w.TableID)}
	return s.receipt(wire.MethodPOSReceipt, r, w.Timeout, s.Handler.Bill), err
}

// receipt is a call for lines to print.
func (s *tableServer) receipt(
	method string, r TableRequest, seconds float64,
	print func(context.Context, TableRequest) ([]receipt.Line, error),
) *call {
	return &call{
		method: method, about: r.about(), limit: limitOf(seconds),
		do: func(ctx context.Context) (wire.Message, error) {
			lines, err := print(ctx, r)
			if err != nil {
				return nil, err
			}
			return checked(s, wire.POSReceiptResult{ReceiptLines: wire.Lines(lines)}, wire.DecodePOSReceiptResult)
		},
	}
}
