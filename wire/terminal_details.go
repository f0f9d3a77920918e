package wire

import "github.com/go-json-experiment/json/jsontext"

// A TerminalDetailsRequest asks how a terminal is; in v0, how several are (the
// contract, section 3.2). v1 uses the first of TIDs.
type TerminalDetailsRequest struct{ TIDs []string }

func (r TerminalDetailsRequest) in(v Version) any {
	if v == V0 {
		return &struct {
			TPIs []string `json:"tpis"`
		}{r.TIDs}
	}
	var t TerminalID
	if len(r.TIDs) > 0 {
		t.TID = r.TIDs[0]
	}
	return t.in(v)
}

// TerminalDetailsMethod is the method of the message in version v.
func TerminalDetailsMethod(v Version) string {
	if v == V0 {
		return MethodTerminalsDetails
	}
	return MethodTerminalDetails
}

// DecodeTerminalDetails reads the params of a till. In v1 there is exactly one
// TID; in v0 there may be none.
func DecodeTerminalDetails(v Version, params jsontext.Value) (TerminalDetailsRequest, []Deviation, *Fault) {
	o := openObject("/params", params)
	var r TerminalDetailsRequest
	if v == V0 {
		o.need("tpis")
		r.TIDs = o.list("tpis", o.textOf)
	} else {
		o.need("tid")
		r.TIDs = []string{o.text("tid")}
	}
	devs, fault := o.close()
	return r, devs, fault
}

// DecodeTerminal reads the gateway's answer in v1. In v0 it is a list; see
// DecodeTerminals.
func DecodeTerminal(result jsontext.Value) (Terminal, error) {
	return decodeObject[Terminal]("a terminal", result)
}
