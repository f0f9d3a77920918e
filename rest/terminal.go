package rest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire/rest"
)

// terminals lists the connected terminals (the contract of REST, section 2).
func (q *request) terminals() *refusal {
	query := q.r.URL.Query()
	status, bad := q.choice("status", query.Get("status"), rest.StatusAvailable, rest.StatusBusy)
	if bad != nil {
		return bad
	}
	currency, bad := q.choice("currency", query.Get("currency"), string(money.GBP), string(money.EUR))
	if bad != nil {
		return bad
	}
	var wanted []string
	if q.version != rest.V2 {
		wanted = capabilityList(query.Get("capabilities"))
	}
	list := rest.Terminals{}
	for _, v := range q.till.Terminals() {
		t := q.terminalForm(v)
		if status != "" && t.Status != status || currency != "" && string(t.Currency) != currency {
			continue
		}
		if slices.ContainsFunc(wanted, func(name string) bool { return !slices.Contains(t.Capabilities, name) }) {
			continue
		}
		list = append(list, t)
	}
	q.answer(http.StatusOK, list)
	return nil
}

// terminal shows one terminal.
func (q *request) terminal() *refusal {
	v, err := q.till.Terminal(txn.TID(q.args[0]))
	if err != nil {
		return q.fail(err)
	}
	q.answer(http.StatusOK, q.terminalForm(v))
	return nil
}

func (q *request) terminalForm(v gateway.TerminalView) rest.Terminal {
	status := rest.StatusAvailable
	if v.Busy {
		status = rest.StatusBusy
	}
	return rest.Terminal{
		TID: string(v.TID), Status: status, Currency: v.Capabilities.Currency,
		Capabilities: v.CapabilityNames(), Location: q.location(v.TID),
	}
}

// choice reads a parameter of the query that is one of some words, or not there.
func (q *request) choice(name, value string, words ...string) (string, *refusal) {
	if value == "" || slices.Contains(words, value) {
		return value, nil
	}
	return "", q.refusal(spec.RESTBadParameter, "fault", name+" must be "+strings.Join(words, " or ")+".")
}

// capabilityList reads a list of capabilities, which tills write in many ways.
func capabilityList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(`,[]"' `, r) })
}
