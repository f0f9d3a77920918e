package rest

import (
	"net/http"
	"strings"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire/rest"
)

// begin has a transaction begin, or a duplicate (the contract of REST, sections 2
// and 3.2).
func (q *request) begin() *refusal {
	asked, devs, fault := rest.DecodeTransaction(q.version, q.body)
	if fault != nil {
		return q.badBody(fault)
	}
	w := gateway.Wish{TID: txn.TID(q.args[0]), Key: q.key, Deviations: tolerated(devs)}
	if asked.TransactionType == rest.TypeDuplicate {
		w.Duplicate = true
	} else {
		w.Txn = txn.Request{
			Type: txn.Type(asked.TransactionType), Currency: asked.Currency, Amount: asked.Amount, Cashback: asked.AmountCashback,
			CardholderNotPresent: asked.CardholderNotPresent, AuthCode: asked.AuthCode, PreAuthorisedTotal: asked.AmountPreAuthorisedTotal,
		}
	}
	return q.begun(w, "transactions", http.StatusCreated)
}

// begun has the gateway begin it, and says where it is looked at.
func (q *request) begun(w gateway.Wish, what string, status int) *refusal {
	b, err := q.till.Begin(q.r.Context(), w)
	if err != nil {
		return q.fail(err)
	}
	at := q.location(b.TID, what, string(b.ID))
	q.w.Header().Set("Location", at)
	if b.Replayed {
		q.w.Header().Set("Idempotency-Replayed", "true")
	} else {
		q.h.log.Info("a till asked over REST", "site", q.till.Site(), "key", q.till.Key(), "till", q.tillName, "version", q.version.String(), "tid", b.TID, "request", b.ID)
	}
	q.answer(status, rest.Begun{RequestID: string(b.ID), Location: at})
	return nil
}

// look finds a request that is one of those kinds.
func (q *request) look(kinds ...gateway.Kind) (gateway.View, *refusal) {
	v, _, err := q.till.Look(q.r.Context(), txn.TID(q.args[0]), txn.RequestID(q.args[1]))
	if err != nil {
		return v, q.fail(err)
	}
	for _, k := range kinds {
		if v.Kind == k {
			return v, nil
		}
	}
	return v, q.fail(gateway.ErrNoRequest)
}

// transaction shows how a transaction stands.
func (q *request) transaction() *refusal {
	v, bad := q.look(gateway.OfTransaction, gateway.OfDuplicate)
	if bad != nil {
		return bad
	}
	t := q.transactionForm(v)
	if v.Late != nil && hasWord(q.r.URL.Query()["extensions"], "late") {
		t.LateResult = q.resultForm(v, v.Late, false)
	}
	q.answer(http.StatusOK, t)
	return nil
}

// hasWord reports whether lists with commas have a word.
func hasWord(lists []string, word string) bool {
	for _, l := range lists {
		for _, w := range strings.Split(l, ",") {
			if strings.TrimSpace(w) == word {
				return true
			}
		}
	}
	return false
}

// cancel passes on that a transaction is to be cancelled. In v0 and v1 an empty
// answer promises that no money moves (the contract of REST, section 4.4).
func (q *request) cancel() *refusal {
	wait := q.version != rest.V2
	if wait {
		q.patient()
	}
	cancelled, err := q.till.Cancel(q.r.Context(), txn.TID(q.args[0]), txn.RequestID(q.args[1]), wait)
	switch {
	case err != nil:
		return q.fail(err)
	case !wait:
		q.answer(http.StatusAccepted, nil)
	case cancelled:
		q.answer(http.StatusNoContent, nil)
	default:
		return q.refusal(spec.RESTCancelRefused)
	}
	return nil
}

// sign passes the cashier's word on a signature on (the contract of REST, section
// 4.3).
func (q *request) sign() *refusal {
	accepted, devs, fault := rest.DecodeSignature(q.body)
	if fault != nil {
		return q.badBody(fault)
	}
	said, err := q.till.AnswerSignature(q.r.Context(), txn.TID(q.args[0]), txn.RequestID(q.args[1]), accepted, tolerated(devs))
	switch {
	case err != nil:
		return q.fail(err)
	case q.version == rest.V2:
		q.answer(http.StatusAccepted, nil)
	case said == gateway.SignatureUnwanted:
		return q.refusal(spec.RESTSignatureRefused)
	default:
		q.answer(http.StatusAccepted, rest.Status{Text: spec.RESTTextSignatureInProgress})
	}
	return nil
}
