package journal

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/txn"
)

// This file writes without reflection the two forms that are nearly all that a
// journal holds: notifications, which are most of its records, and outcomes with
// their receipts, which are most of its bytes. What it writes is to the byte
// what marshalling the forms gives; a test compares them.

// encodeNotified is encode for a notification.
func encodeNotified(e txn.Notified, at time.Time) Record {
	f := notifiedForm{e.Value, own(e.At, at)}
	b := appendText(append(make([]byte, 0, 64), `{"value":`...), f.Value)
	return quick(kindNotified, at, append(appendOwn(b, f.At), '}'))
}

// encodeOutcome is encode for an outcome.
func encodeOutcome(kind string, at time.Time, f outcomeEventForm) Record {
	b := make([]byte, 0, 512+56*(len(f.Outcome.Merchant)+len(f.Outcome.Customer)))
	b = appendOutcome(append(b, `{"outcome":`...), &f.Outcome)
	return quick(kind, at, append(appendOwn(b, f.At), '}'))
}

func quick(kind string, at time.Time, body []byte) Record {
	return Record{Kind: kind, Version: version, At: at, Body: body}
}

func appendOutcome(b []byte, f *outcomeForm) []byte {
	b = appendText(append(b, `{"type":`...), f.Type)
	b = appendText(append(b, `,"result":`...), f.Result)
	b = appendText(append(b, `,"currency":`...), f.Currency)
	b = strconv.AppendInt(append(b, `,"base":`...), int64(f.Base), 10)
	b = appendAmount(b, `,"cashback":`, f.Cashback)
	b = appendAmount(b, `,"gratuity":`, f.Gratuity)
	b = appendMember(b, `,"transactionId":`, f.TransactionID)
	b = appendMember(b, `,"number":`, f.Number)
	if !f.Time.IsZero() {
		b = appendTime(append(b, `,"time":`...), f.Time)
	}
	b = appendMember(b, `,"method":`, f.Method)
	b = appendMember(b, `,"cvm":`, f.CVM)
	b = appendMember(b, `,"scheme":`, f.Scheme)
	b = appendMember(b, `,"aid":`, f.AID)
	b = appendMember(b, `,"label":`, f.Label)
	b = appendMember(b, `,"authCode":`, f.AuthCode)
	b = appendMember(b, `,"pan":`, f.PAN)
	b = appendMember(b, `,"panSequence":`, f.PANSequence)
	b = appendMember(b, `,"start":`, f.Start)
	b = appendMember(b, `,"expiry":`, f.Expiry)
	b = appendLines(b, `,"merchant":`, f.Merchant)
	b = appendLines(b, `,"customer":`, f.Customer)
	return append(b, '}')
}

// appendLines appends a member unless it is nil.
func appendLines(b []byte, name string, lines []lineForm) []byte {
	if lines == nil {
		return b
	}
	b = append(append(b, name...), '[')
	for i := range lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLine(b, &lines[i])
	}
	return append(b, ']')
}

func appendLine(b []byte, l *lineForm) []byte {
	b = append(b, '{')
	first := len(b)
	b = appendMember(b, `,"t":`, l.Type)
	if l.Format != nil {
		b = append(b, `,"f":[`...)
		for i, f := range l.Format {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, f)
		}
		b = append(b, ']')
	}
	b = appendMember(b, `,"v":`, l.Value)
	if len(b) > first { // the first member has no comma
		b = append(b[:first], b[first+1:]...)
	}
	return append(b, '}')
}

// appendMember appends a member, whose name comes with its comma, unless it is
// empty; appendAmount unless it is 0, appendOwn unless it is nil.
func appendMember[T ~string](b []byte, name string, value T) []byte {
	if value == "" {
		return b
	}
	return appendText(append(b, name...), value)
}

func appendAmount(b []byte, name string, m money.Minor) []byte {
	if m == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), int64(m), 10)
}

func appendOwn(b []byte, at *time.Time) []byte {
	if at == nil {
		return b
	}
	return appendTime(append(b, `,"at":`...), *at)
}

// appendTime appends a time as utc leaves it.
func appendTime(b []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func appendText[T ~string](b []byte, s T) []byte {
	b, _ = jsontext.AppendQuote(b, s) // its error tells of text that it replaced
	return b
}
