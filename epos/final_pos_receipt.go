package epos

import "github.com/tillwire/tillwire/wire"

// finalPOSReceipt takes the request for a receipt of what was paid (the
// contract, section 5.4). It is nil where the handler has none.
func (s *tableServer) finalPOSReceipt(params wire.Raw) (*call, error) {
	h, ok := s.Handler.(FinalReceiptHandler)
	if !ok {
		return nil, nil //nolint:nilnil // documented
	}
	w, err := wire.DecodeFinalPOSReceipt(params)
	r := TableRequest{TID: TID(w.TID), WaiterID: WaiterID(w.WaiterID), TableID: TableID(w.TableID)}
	return s.receipt(wire.MethodFinalPOSReceipt, r, w.Timeout, h.FinalReceipt), err
}
