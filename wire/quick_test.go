package wire

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
)

// seeds are texts of all sorts.
func seeds(f *testing.F) {
	for _, text := range []string{
		"", "PRESENT_CARD", "UNKNOWN", "a \"quoted\" \\ <value> & a tab\t, a null\x00", "\u2028 é 卡 😀", "no UTF-8: \xff\xc0", "\xed\xa0\x80",
	} {
		f.Add(text, "12345678", int64(1250), byte(0b101))
		f.Add("SIGNATURE", text, int64(-1), byte(0xff))
	}
}

// marshalled fails the test unless a message encodes as it is marshalled.
func marshalled(t *testing.T, m Message) {
	t.Helper()
	for _, v := range []Version{V0, V1} {
		want, err := json.Marshal(m.in(v), json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
		if err != nil {
			t.Fatal(err)
		}
		if got := Encode(v, m); string(got) != string(want) {
			t.Errorf("%s:\ngot  %s\nwant %s", v, got, want)
		}
	}
}

// FuzzNotification holds the quick way of writing a notification to what
// marshalling it gives.
func FuzzNotification(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, value, tid string, _ int64, _ byte) {
		marshalled(t, TerminalNotification{NotificationValue: value, TerminalID: TerminalID{TID: tid}})
	})
}

// FuzzPayment does so for a payment. Its members take turns, so that none can
// stand for another; the bits of shape say which lists are empty or none.
func FuzzPayment(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, a, b string, n int64, shape byte) {
		list := []Line{{Type: a, Format: []string{b, a}, Value: b}, {Type: b, Format: []string{a}}, {Value: a}}
		p := Payment{
			TerminalID:      TerminalID{TID: a},
			TransactionType: b + "1", TransactionResult: a + "2", TransactionID: b + "3", TransactionNumber: a + "4", TransactionTime: b + "5",
			Currency: money.Currency(a + "6"), AmountBase: money.Minor(n), AmountCashback: money.Minor(n / 2), AmountGratuity: money.Minor(-n), AmountTotal: money.Minor(n / 3),
			PaymentMethod: b + "7", CardholderVerificationMethod: a, CardSchemeName: b + "9", ApplicationID: a + "10", ApplicationLabel: b + "11",
			AuthCode: a + "12", PrimaryAccountNumber: b + "13", PrimaryAccountNumberSequence: a + "14", DateOfStart: b + "15", DateOfExpiry: a + "16",
		}
		if shape&1 != 0 {
			p.ReceiptLines.Merchant = list[:shape>>2&3]
		}
		if shape&2 != 0 {
			p.ReceiptLines.Customer = list[:shape>>4&3]
		}
		marshalled(t, p)
	})
}

func BenchmarkPayment(b *testing.B) {
	lines := make([]Line, 24)
	for i := range lines {
		lines[i] = Line{Type: "TEXT", Format: []string{"ALIGN_CENTRE"}, Value: "PLEASE KEEP THIS RECEIPT"}
	}
	p := Payment{TransactionType: "SALE", AmountTotal: 1250, ReceiptLines: ReceiptCopies{Merchant: lines, Customer: lines}}
	b.ReportAllocs()
	for b.Loop() {
		Encode(V1, p)
	}
}
