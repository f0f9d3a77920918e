package wire

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
)

// The states of a terminal.
const (
	StatusAvailable = "AVAILABLE"
	StatusBusy      = "BUSY"
)

// What a terminal of v0 can say of itself, and what v0 can filter by.
const (
	CapabilitySale              = "SALE"
	CapabilityRefund            = "REFUND"
	CapabilityDuplicate         = "DUPLICATE"
	CapabilityCancelTransaction = "CANCEL_TRANSACTION"
	CapabilityReportEndOfDay    = "REPORT_END_OF_DAY"
	CapabilityReportBanking     = "REPORT_BANKING"
	CapabilityReportXBalance    = "REPORT_X_BALANCE"
	CapabilityReportZBalance    = "REPORT_Z_BALANCE"
	CapabilityTerminalStatus    = "TERMINAL_STATUS"
)

// Capabilities lists the capabilities in the order of the contract.
func Capabilities() []string {
	return []string{
		CapabilitySale, CapabilityRefund, CapabilityDuplicate, CapabilityCancelTransaction,
		CapabilityReportEndOfDay, CapabilityReportBanking, CapabilityReportXBalance, CapabilityReportZBalance,
		CapabilityTerminalStatus,
	}
}

// A ConnectedTerminalsRequest asks which terminals are connected (the contract,
// section 3.1). What is empty does not filter.
type ConnectedTerminalsRequest struct {
	Currency     money.Currency `json:"currency,omitzero"`
	Status       string         `json:"status,omitzero"`
	Capabilities []string       `json:"capabilities,omitzero"` // v0: all of these
}

func (r ConnectedTerminalsRequest) in(v Version) any {
	if v != V0 {
		r.Capabilities = nil
	}
	return &r
}

// DecodeConnectedTerminals reads the params of a till, which may be absent (nil).
func DecodeConnectedTerminals(v Version, params jsontext.Value) (ConnectedTerminalsRequest, []Deviation, *Fault) {
	var r ConnectedTerminalsRequest
	if params == nil {
		return r, nil, nil
	}
	o := openObject("/params", params)
	r.Currency = o.currency("currency")
	r.Status = o.oneOf("status", StatusAvailable, StatusBusy)
	if v == V0 {
		r.Capabilities = o.list("capabilities", func(at string, value jsontext.Value) string {
			return o.oneOfOf(at, value, Capabilities())
		})
	}
	devs, fault := o.close()
	return r, devs, fault
}

// A Terminal is a connected terminal as a till sees it.
type Terminal struct {
	TerminalID
	Currency     money.Currency `json:"currency"`
	Status       string         `json:"status"`
	Capabilities []string       `json:"capabilities,omitzero"` // v0 only
}

func (t Terminal) in(v Version) any {
	t.TerminalID = t.TerminalID.in(v)
	if v != V0 {
		t.Capabilities = nil
	}
	return &t
}

// Terminals is the result of ConnectedTerminals, and of TerminalDetails in v0.
type Terminals []Terminal

func (ts Terminals) in(v Version) any {
	out := slices.Clone(ts)
	for i, t := range ts {
		out[i] = *t.in(v).(*Terminal)
	}
	return out
}

// DecodeTerminals reads the gateway's list of terminals.
func DecodeTerminals(result jsontext.Value) (Terminals, error) {
	var ts Terminals
	if err := decode("a list of terminals", jsontext.KindBeginArray, result, &ts); err != nil {
		return nil, err
	}
	for i := range ts {
		ts[i].fold()
	}
	return ts, nil
}
