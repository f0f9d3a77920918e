package epos

import (
	"context"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/wire"
)

// A TableListRequest asks which tables can be paid (the contract, section 5.1).
type TableListRequest struct {
	TID      TID
	WaiterID WaiterID
}

// A TableList is the answer. Currency may be empty where there is no table.
type TableList struct {
	Tables   []TableID
	Currency money.Currency
}

func (s *tableServer) tableList(params wire.Raw) (*call, error) {
	r, err := wire.DecodeTableList(params)
	return &call{
		method: wire.MethodTableList, limit: limitOf(r.Timeout),
		do: func(ctx context.Context) (wire.Message, error) {
			list, err := s.Handler.ListTables(ctx, TableListRequest{TID: TID(r.TID), WaiterID: WaiterID(r.WaiterID)})
			if err != nil {
				return nil, err
			}
			out := wire.TableListResult{Tables: make([]string, len(list.Tables)), Currency: list.Currency}
			for i, id := range list.Tables {
				out.Tables[i] = string(id)
			}
			return checked(s, out, wire.DecodeTableListResult)
		},
	}, err
}
