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
	b := AppendText(append(make([]byte, 0, 96), `{"notificationValue":`...), n.NotificationValue)
	b = AppendText(append(b, `,"`+v.terminalMember()+`":`...), n.TID)
	return append(b, '}')
}

func (p Payment) encode(v Version) jsontext.Value {
	b := make([]byte, 0, 768+80*(len(p.ReceiptLines.Merchant)+len(p.ReceiptLines.Customer)))
	b = AppendText(append(b, `{"`+v.terminalMember()+`":`...), p.TID)
	b = AppendText(append(b, `,"transactionType":`...), p.TransactionType)
	b = AppendText(append(b, `,"transactionResult":`...), p.TransactionResult)
	b = AppendText(append(b, `,"transactionId":`...), p.TransactionID)
	b = AppendText(append(b, `,"transactionNumber":`...), p.TransactionNumber)
	b = AppendText(append(b, `,"transactionTime":`...), p.TransactionTime)
	b = AppendText(append(b, `,"currency":`...), p.Currency)
	b = AppendMinor(append(b, `,"amountBase":`...), p.AmountBase)
	b = AppendMinor(append(b, `,"amountCashback":`...), p.AmountCashback)
	b = AppendMinor(append(b, `,"amountGratuity":`...), p.AmountGratuity)
	b = AppendMinor(append(b, `,"amountTotal":`...), p.AmountTotal)
	b = AppendText(append(b, `,"paymentMethod":`...), p.PaymentMethod)
	b = AppendText(append(b, `,"cardholderVerificationMethod":`...), cvmIn(v, p.CardholderVerificationMethod))
	b = AppendText(append(b, `,"cardSchemeName":`...), p.CardSchemeName)
	b = AppendText(append(b, `,"applicationId":`...), p.ApplicationID)
	b = AppendText(append(b, `,"applicationLabel":`...), p.ApplicationLabel)
	b = AppendText(append(b, `,"authCode":`...), p.AuthCode)
	b = AppendText(append(b, `,"primaryAccountNumber":`...), p.PrimaryAccountNumber)
	b = AppendText(append(b, `,"primaryAccountNumberSequence":`...), p.PrimaryAccountNumberSequence)
	b = AppendText(append(b, `,"dateOfStart":`...), p.DateOfStart)
	b = AppendText(append(b, `,"dateOfExpiry":`...), p.DateOfExpiry)
	b = appendLines(append(b, `,"receiptLines":{"MERCHANT":`...), p.ReceiptLines.Merchant)
	b = appendLines(append(b, `,"CUSTOMER":`...), p.ReceiptLines.Customer)
	return append(b, `}}`...)
}

func appendLines(b []byte, lines []Line) []byte {
	return AppendList(b, lines, func(b []byte, l Line) []byte {
		b = AppendText(append(b, `{"type":`...), l.Type)
		b = AppendList(append(b, `,"format":`...), l.Format, AppendText[string])
		b = AppendText(append(b, `,"value":`...), l.Value)
		return append(b, '}')
	})
}

// AppendList writes an array, each of its items by the given function. It is for
// rooms that write bodies as this one does.
func AppendList[T any](b []byte, list []T, each func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, item := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = each(b, item)
	}
	return append(b, ']')
}

// AppendMinor writes an amount.
func AppendMinor(b []byte, m money.Minor) []byte { return strconv.AppendInt(b, int64(m), 10) }

// AppendText writes a string. Bytes that are no UTF-8 become U+FFFD.
func AppendText[T ~string](b []byte, s T) []byte {
	b, _ = jsontext.AppendQuote(b, s) // its error tells of text that was no UTF-8; what was written is sound
	return b
}
