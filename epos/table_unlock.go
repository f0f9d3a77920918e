package epos

import (
	"context"

	"github.com/tillwire/tillwire/wire"
)

// tableUnlock takes the word that the till may edit a table again (the contract,
// section 5.6).
func (s *tableServer) tableUnlock(params wire.Raw) (*call, error) {
	w, err := wire.DecodeTableUnlock(params)
	r := TableRequest{TID: TID(w.TID), WaiterID: WaiterID(w.WaiterID), TableID: TableID(w.TableID)}
	return &call{
		method: wire.MethodTableUnlock, about: r.about(), limit: NoticeTimeout, notice: true,
		do: func(ctx context.Context) (wire.Message, error) {
			return recorded(s.Handler.UnlockTable(ctx, r))
		},
	}, err
}

// recorded is the answer to a notice with which all went well.
func recorded(err error) (wire.Message, error) { return wire.Recorded(err == nil), err }
