package wire

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
)

// This file writes without reflection, in a fraction of the time, what the
// gateway sends most: notifications, which are most of its messages, and
// payments with their receipts, which are most of its bytes. What it writes is
// to the byte what marshalling gives; fuzz tests compare them.

// A quick message writes itself.
type quick interface {
	encode(v Version) jsontext.Value
}

var (
	_ quick = TerminalNotification{}
	_ quick = Payment{}
)

func (n TerminalNotification) encode(v Version) jsontext.Value {
	b := appendText(append(make([]byte, 0, 96), `{"notificationValue":`...), n.NotificationValue)
	b = appendText(append(b, `,"`+v.terminalMember()+`":`...), n.TID)
	return append(b, '}')
}

func (p Payment) encode(v Version) jsontext.Value {
	b := make([]byte, 0, 768+80*(len(p.ReceiptLines.Merchant)+len(p.ReceiptLines.Customer)))
	b = appendText(append(b, `{"`+v.terminalMember()+`":`...), p.TID)
	b = appendText(append(b, `,"transactionType":`...), p.TransactionType)
	b = appendText(append(b, `,"transactionResult":`...), p.TransactionResult)
	b = appendText(append(b, `,"transactionId":`...), p.TransactionID)
	b = appendText(append(b, `,"transactionNumber":`...), p.TransactionNumber)
	b = appendText(append(b, `,"transactionTime":`...), p.TransactionTime)
	b = appendText(append(b, `,"currency":`...), p.Currency)
	b = appendMinor(append(b, `,"amountBase":`...), p.AmountBase)
	b = appendMinor(append(b, `,"amountCashback":`...), p.AmountCashback)
	b = appendMinor(append(b, `,"amountGratuity":`...), p.AmountGratuity)
	b = appendMinor(append(b, `,"amountTotal":`...), p.AmountTotal)
	b = appendText(append(b, `,"paymentMethod":`...), p.PaymentMethod)
	b = appendText(append(b, `,"cardholderVerificationMethod":`...), cvmIn(v, p.CardholderVerificationMethod))
	b = appendText(append(b, `,"cardSchemeName":`...), p.CardSchemeName)
	b = appendText(append(b, `,"applicationId":`...), p.ApplicationID)
	b = appendText(append(b, `,"applicationLabel":`...), p.ApplicationLabel)
	b = appendText(append(b, `,"authCode":`...), p.AuthCode)
	b = appendText(append(b, `,"primaryAccountNumber":`...), p.PrimaryAccountNumber)
	b = appendText(append(b, `,"primaryAccountNumberSequence":`...), p.PrimaryAccountNumberSequence)
	b = appendText(append(b, `,"dateOfStart":`...), p.DateOfStart)
	b = appendText(append(b, `,"dateOfExpiry":`...), p.DateOfExpiry)
	b = appendLines(append(b, `,"receiptLines":{"MERCHANT":`...), p.ReceiptLines.Merchant)
	b = appendLines(append(b, `,"CUSTOMER":`...), p.ReceiptLines.Customer)
	return append(b, `}}`...)
}

func appendLines(b []byte, lines []Line) []byte {
	return appendList(b, lines, func(b []byte, l Line) []byte {
		b = appendText(append(b, `{"type":`...), l.Type)
		b = appendList(append(b, `,"format":`...), l.Format, appendText[string])
		b = appendText(append(b, `,"value":`...), l.Value)
		return append(b, '}')
	})
}

func appendList[T any](b []byte, list []T, each func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, item := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = each(b, item)
	}
	return append(b, ']')
}

func appendMinor(b []byte, m money.Minor) []byte { return strconv.AppendInt(b, int64(m), 10) }

func appendText[T ~string](b []byte, s T) []byte {
	b, _ = jsontext.AppendQuote(b, s) // its error tells of text that was no UTF-8; what was written is sound
	return b
}
