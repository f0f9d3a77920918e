package epos

import (
	"context"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/wire"
)

// A TableLock is the answer to a waiter who picked a table (the contract,
// section 5.2). Its zero value refuses.
type TableLock struct {
	Granted bool
	Amount  money.Amount // owed, 1 to 99999999 minor units in the terminal's currency
}

func (s *tableServer) tableLock(params wire.Raw) (*call, error) {
	w, err := wire.DecodeTableLock(params)
	r := TableRequest{TID: TID(w.TID), WaiterID: WaiterID(w.WaiterID), TableID: TableID(w.TableID)}
	return &call{
		method: wire.MethodTableLock, about: r.about(), limit: limitOf(w.Timeout),
		do: func(ctx context.Context) (wire.Message, error) {
			lock, err := s.Handler.LockTable(ctx, r)
			if err != nil {
				return nil, err
			}
			out := wire.TableLockResult{}
			if lock.Granted {
				out = wire.TableLockResult{Confirmed: true, Amount: lock.Amount.Minor, Currency: lock.Amount.Currency}
			}
			return checked(s, out, wire.DecodeTableLockResult)
		},
	}, err
}
