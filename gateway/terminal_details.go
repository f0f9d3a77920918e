package gateway

import (
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// terminalDetails answers from memory (the contract, section 3.2): v1 one
// terminal, v0 a list of those that are connected.
func (s *Session) terminalDetails(m jsonrpc.Message) *fault {
	params, devs, bad := wire.DecodeTerminalDetails(s.version, m.Params)
	if bad != nil {
		return invalidParams(bad)
	}
	if f := s.deviations(devs); f != nil {
		return f
	}
	found := wire.Terminals{}
	for _, tid := range params.TIDs {
		a, f := s.connectedActor(txn.TID(tid))
		if f != nil {
			return f
		}
		found = append(found, wireTerminal(*a.view.Load()))
	}
	if s.version == wire.V0 {
		s.result(m.ID, found)
		return nil
	}
	s.result(m.ID, found[0])
	return nil
}
