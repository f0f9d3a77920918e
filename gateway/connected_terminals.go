package gateway

import (
	"slices"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/wire"
)

// connectedTerminals answers from memory (the contract, section 3.1).
func (s *Session) connectedTerminals(m jsonrpc.Message) *fault {
	filter, devs, bad := wire.DecodeConnectedTerminals(s.version, m.Params)
	if bad != nil {
		return invalidParams(bad)
	}
	if f := s.deviations(devs); f != nil {
		return f
	}
	out := wire.Terminals{}
	for _, a := range s.site.actorList() {
		v := a.view.Load()
		if t := wireTerminal(*v); v.Connected && selects(filter, t) {
			out = append(out, t)
		}
	}
	s.result(m.ID, out)
	return nil
}

func selects(f wire.ConnectedTerminalsRequest, t wire.Terminal) bool {
	for _, c := range f.Capabilities {
		if !slices.Contains(t.Capabilities, c) {
			return false
		}
	}
	return (f.Currency == "" || f.Currency == t.Currency) && (f.Status == "" || f.Status == t.Status)
}
