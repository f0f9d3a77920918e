package rest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/receipt"
)

const requestID = "3f0c7c0e-6a6e-4c1a-9d51-2f5b3f9a7e10"

func finished() *Transaction {
	return &Transaction{
		RequestID: requestID, Location: "https://gateway.example/pac/x",
		Notifications: []string{"TRANSACTION_FINISHED", "CANCELLING", "TRANSACTION_STARTED"},
		Result: &Result{
			AmountBase: 1250, AmountGratuity: 50, AmountTotal: 1300,
			ApplicationID: "A0000000031010", ApplicationLabel: "VISA DEBIT", AuthCode: "789DE0", CardSchemeName: "VISA",
			CardholderVerificationMethod: "UNKNOWN", Currency: "GBP", DateOfExpiry: "01/28", PaymentMethod: "ICC_CHIP",
			PrimaryAccountNumber: "************1234", PrimaryAccountNumberSequence: "01",
			ReceiptLines:  receipt.Copies{Merchant: []receipt.Line{{Type: receipt.Text, Format: []receipt.Format{receipt.Bold}, Value: "\"MERCHANT\" \xff"}}},
			TransactionID: "1000123", TransactionNumber: "0042", TransactionResult: "SUCCESSFUL",
			TransactionTime: time.Date(2026, 7, 4, 16, 12, 0, 0, time.FixedZone("BST", 3600)),
			TransactionType: "PRE_AUTH", UserMessage: "Done.",
		},
	}
}

func TestTransactionInEachVersion(t *testing.T) {
	const (
		head = `{"requestId":"` + requestID + `","location":"https://gateway.example/pac/x","notifications":`
		body = `,"amountBase":1250,"amountCashback":0,"amountGratuity":50,"amountTotal":1300,"applicationId":"A0000000031010",` +
			`"applicationLabel":"VISA DEBIT","authCode":"789DE0","cardSchemeName":"VISA","cardholderVerificationMethod":`
		rest = `,"currency":"GBP","dateOfExpiry":"01/28","dateOfStart":"","paymentMethod":"ICC_CHIP",` +
			`"primaryAccountNumber":"************1234","primaryAccountNumberSequence":"01",` +
			`"receiptLines":{"MERCHANT":[{"type":"TEXT","format":["BOLD"],"value":"\"MERCHANT\" ` + "\uFFFD" + `"}],"CUSTOMER":[]},` +
			`"transactionId":"1000123","transactionNumber":"0042","transactionResult":"SUCCESSFUL","transactionTime":`
	)
	for v, want := range map[Version]string{
		V0: head + `["TRANSACTION_FINISHED","TRANSACTION_STARTED"]` + body + `"NONE"` + rest + `"2026-07-04T16:12:00+01:00","transactionType":""}`,
		V1: head + `["TRANSACTION_FINISHED","TRANSACTION_STARTED"]` + body + `"NONE"` + rest + `"2026-07-04T16:12:00","transactionType":""}`,
		V2: head + `["TRANSACTION_FINISHED","CANCELLING","TRANSACTION_STARTED"]` + body + `"UNKNOWN"` + rest +
			`"2026-07-04T16:12:00","transactionType":"PRE_AUTH","userMessage":"Done."}`,
	} {
		if diff := cmp.Diff(want, string(finished().Append(nil, v))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", v, diff)
		}
	}
}

func TestTransactionStages(t *testing.T) {
	running := Transaction{RequestID: "r", Location: "l", Notifications: []string{
		"SIGNATURE_VERIFICATION", "PRESENT_CARD", "REPLACE_PAPER", "PRESENT_CARD", "TRANSACTION_STARTED",
	}}
	signing := running
	signing.Signature = &Signature{AuthCode: "A", ApplicationID: "B", ApplicationLabel: "C", PaymentMethod: "SWIPED", PrimaryAccountNumber: "D", TransactionType: "SALE"}
	late := running
	late.Result = &Result{}
	late.LateResult = &Result{TransactionResult: "SUCCESSFUL"}
	const (
		old      = `{"requestId":"r","location":"l","notifications":["SIGNATURE_VERIFICATION","PRESENT_CARD","TRANSACTION_STARTED"]`
		all      = `{"requestId":"r","location":"l","notifications":["SIGNATURE_VERIFICATION","PRESENT_CARD","REPLACE_PAPER","PRESENT_CARD","TRANSACTION_STARTED"]`
		wanted   = `,"authCode":"A","applicationId":"B","applicationLabel":"C","cardholderVerificationMethod":"SIGNATURE","paymentMethod":"SWIPED","primaryAccountNumber":"D","transactionType":"SALE"}`
		empty    = `"amountBase":0,"amountCashback":0,"amountGratuity":0,"amountTotal":0,"applicationId":"","applicationLabel":"","authCode":"","cardSchemeName":"","cardholderVerificationMethod":"","currency":"","dateOfExpiry":"","dateOfStart":"","paymentMethod":"","primaryAccountNumber":"","primaryAccountNumberSequence":"","receiptLines":{"MERCHANT":[],"CUSTOMER":[]},"transactionId":"","transactionNumber":"","transactionResult":`
		emptyEnd = `,"transactionTime":"","transactionType":""`
	)
	for _, tt := range []struct {
		name string
		t    Transaction
		v    Version
		want string
	}{
		{"running in v1", running, V1, old + "}"},
		{"running in v2", running, V2, all + "}"},
		{"signing in v0", signing, V0, old + "}"},
		{"signing in v1", signing, V1, old + wanted},
		{"signing in v2", signing, V2, all + wanted},
		{"late", late, V2, all + "," + empty + `""` + emptyEnd + `,"lateResult":{` + empty + `"SUCCESSFUL"` + emptyEnd + "}}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(tt.t.Append(nil, tt.v))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeTransaction(t *testing.T) {
	sale := TransactionRequest{TransactionType: "SALE", Currency: "GBP", Amount: 1234}
	with := func(edit func(*TransactionRequest)) TransactionRequest {
		r := sale
		edit(&r)
		return r
	}
	for _, tt := range []struct {
		name, body string
		v          Version
		want       TransactionRequest
		deviations []string // their pointers
		fault      string   // its pointer and rule
		text       string
	}{
		{name: "plain", v: V0, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP"}`, want: sale},
		{name: "byte order mark", v: V2, body: "\xef\xbb\xbf" + `{"transactionType":"SALE","amount":1234,"currency":"GBP"}`, want: sale},
		{name: "whole with a point", v: V2, body: `{"transactionType":"SALE","amount":1234.0,"currency":"GBP"}`, want: sale, deviations: []string{"/amount"}},
		{name: "in quotes", v: V2, body: `{"transactionType":"SALE","amount":"1234","currency":"GBP"}`, want: sale, deviations: []string{"/amount"}},
		{name: "null is absent", v: V2, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","amountCashback":null,"authCode":null}`, want: sale},
		{name: "unknown member", v: V2, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","Amount":5}`, want: sale, deviations: []string{"/Amount"}},
		{name: "empty auth code on a sale", v: V2, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","authCode":"","cardholderNotPresent":false}`, want: sale},
		{
			name: "flag as a word", v: V2, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","cardholderNotPresent":"true"}`,
			want: with(func(r *TransactionRequest) { r.CardholderNotPresent = true }), deviations: []string{"/cardholderNotPresent"},
		},
		{
			name: "cashback", v: V2, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","amountCashback":10000}`,
			want: with(func(r *TransactionRequest) { r.AmountCashback = 10000 }),
		},
		{
			name: "cashback of nothing in v1", v: V1, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","amountCashback":0,"cardholderNotPresent":false}`,
			want: sale, deviations: []string{"/amountCashback", "/cardholderNotPresent"},
		},
		{
			name: "cashback of nothing on a refund", v: V2, body: `{"transactionType":"REFUND","amount":1234,"currency":"GBP","amountCashback":0}`,
			want: with(func(r *TransactionRequest) { r.TransactionType = "REFUND" }),
		},
		{name: "duplicate with an amount", v: V1, body: `{"transactionType":"DUPLICATE","amount":"x"}`, want: TransactionRequest{TransactionType: "DUPLICATE"}},
		{
			name: "account verification", v: V2, body: `{"transactionType":"ACCOUNT_VERIFICATION","amount":0,"currency":"EUR","cardholderNotPresent":true}`,
			want: TransactionRequest{TransactionType: "ACCOUNT_VERIFICATION", Currency: "EUR", CardholderNotPresent: true},
		},
		{
			name: "completion", v: V2, body: `{"transactionType":"COMPLETION","amount":1234,"currency":"GBP","authCode":"ABC123","amountPreAuthorisedTotal":2000}`,
			want: with(func(r *TransactionRequest) {
				r.TransactionType, r.AuthCode, r.AmountPreAuthorisedTotal = "COMPLETION", "ABC123", 2000
			}),
		},

		{name: "nothing", v: V2, body: ``, fault: " syntax", text: "The body must be one JSON object and nothing else."},
		{name: "null", v: V2, body: `null`, fault: " syntax"},
		{name: "array", v: V2, body: `[]`, fault: " syntax"},
		{name: "cut", v: V2, body: `{"transactionType":"SALE"`, fault: " syntax"},
		{name: "more behind", v: V2, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP"}{}`, fault: " syntax"},
		{name: "name twice", v: V2, body: `{"amount":1,"amount":2}`, fault: " syntax", text: "The body must not name a field twice."},
		{name: "name twice far in", v: V2, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","x":{"y":1,"y":2}}`, fault: " syntax"},
		{name: "no UTF-8", v: V2, body: "{\"x\":\"\xff\"}", fault: " syntax"},
		{name: "no type", v: V2, body: `{"amount":1234,"currency":"GBP"}`, fault: "/transactionType required", text: "transactionType is required."},
		{
			name: "type in lower case", v: V1, body: `{"transactionType":"sale","amount":1234,"currency":"GBP"}`, fault: "/transactionType enum",
			text: "transactionType must be SALE, REFUND or DUPLICATE.",
		},
		{name: "type of v2", v: V1, body: `{"transactionType":"PRE_AUTH","amount":1234,"currency":"GBP"}`, fault: "/transactionType enum"},
		{name: "names in another case", v: V1, body: `{"TransactionType":"SALE","amount":1234,"currency":"GBP"}`, fault: "/transactionType required"},
		{name: "no currency", v: V1, body: `{"transactionType":"SALE","amount":1234}`, fault: "/currency required"},
		{name: "dollars", v: V1, body: `{"transactionType":"SALE","amount":1234,"currency":"USD"}`, fault: "/currency enum", text: "currency must be GBP or EUR."},
		{name: "no amount", v: V1, body: `{"transactionType":"REFUND","currency":"GBP"}`, fault: "/amount required"},
		{name: "amount null", v: V1, body: `{"transactionType":"REFUND","currency":"GBP","amount":null}`, fault: "/amount required"},
		{
			name: "amount 0", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":0}`, fault: "/amount minimum",
			text: "amount must be a whole number of pence from 1 to 99999999.",
		},
		{name: "amount too large", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":100000000}`, fault: "/amount maximum"},
		{name: "amount out of reach", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":"99999999999999999999"}`, fault: "/amount maximum"},
		{name: "fraction", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":1998.9999999999998}`, fault: "/amount type"},
		{name: "sign", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":-5}`, fault: "/amount type"},
		{name: "exponent", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":1e3}`, fault: "/amount type"},
		{name: "whole exponent", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":1.0e3}`, fault: "/amount type"},
		{name: "point in quotes", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":"12.0"}`, fault: "/amount type"},
		{name: "zero in front", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":"012"}`, fault: "/amount type"},
		{name: "empty word", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":""}`, fault: "/amount type"},
		{name: "a flag for an amount", v: V1, body: `{"transactionType":"SALE","currency":"GBP","amount":true}`, fault: "/amount type"},
		{
			name: "cashback in v1", v: V1, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","amountCashback":5}`, fault: "/amountCashback additionalProperties",
			text: "amountCashback is not part of v1.",
		},
		{
			name: "not present in v0", v: V0, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","cardholderNotPresent":"true"}`,
			fault: "/cardholderNotPresent additionalProperties",
		},
		{name: "too much cashback", v: V2, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","amountCashback":10001}`, fault: "/amountCashback maximum"},
		{
			name: "together too much", v: V2, body: `{"transactionType":"SALE","amount":99999999,"currency":"GBP","amountCashback":1}`, fault: "/amount maximum",
			text: "amount together with amountCashback must be at most 99999999 pence.",
		},
		{
			name: "cashback on a refund", v: V2, body: `{"transactionType":"REFUND","amount":1234,"currency":"GBP","amountCashback":5}`, fault: "/amountCashback additionalProperties",
			text: "amountCashback is not taken with REFUND.",
		},
		{name: "duplicate not present", v: V2, body: `{"transactionType":"DUPLICATE","cardholderNotPresent":true}`, fault: "/cardholderNotPresent additionalProperties"},
		{name: "no flag", v: V2, body: `{"transactionType":"SALE","amount":1234,"currency":"GBP","cardholderNotPresent":1}`, fault: "/cardholderNotPresent type"},
		{name: "completion without a code", v: V2, body: `{"transactionType":"COMPLETION","amount":1234,"currency":"GBP","amountPreAuthorisedTotal":2000}`, fault: "/authCode required"},
		{
			name: "completion with an empty code", v: V2, body: `{"transactionType":"COMPLETION","amount":1234,"currency":"GBP","authCode":"","amountPreAuthorisedTotal":2000}`,
			fault: "/authCode minLength", text: "authCode must be a string of 1 to 16 characters.",
		},
		{name: "completion without a total", v: V2, body: `{"transactionType":"COMPLETION","amount":1234,"currency":"GBP","authCode":"A"}`, fault: "/amountPreAuthorisedTotal required"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, devs, fault := DecodeTransaction(tt.v, []byte(tt.body))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var pointers []string
			for _, d := range devs {
				pointers = append(pointers, d.Pointer)
			}
			if diff := cmp.Diff(tt.deviations, pointers); diff != "" {
				t.Errorf("deviations (-want +got):\n%s", diff)
			}
			said := ""
			if fault != nil {
				said = fault.Pointer + " " + fault.Rule
				if tt.text != "" && fault.Text != tt.text {
					t.Errorf("the fault says %q, want %q", fault.Text, tt.text)
				}
			}
			if said != tt.fault {
				t.Errorf("the fault is %q, want %q", said, tt.fault)
			}
		})
	}
}

func TestErrorInEachVersion(t *testing.T) {
	for v, want := range map[Version]string{
		V0: `{"messages":{"error":["Table already exists."]},"location":["l"]}`,
		V1: `{"messages":{"error":["Table already exists."]},"location":"l"}`,
		V2: `{"userMessage":"Table already exists."}`,
	} {
		if got := string(Error{Text: "Table already exists.", Location: "l"}.Append(nil, v)); got != want {
			t.Errorf("%s: got %s, want %s", v, got, want)
		}
	}
	if got, want := string(Error{Text: "No."}.Append([]byte("x"), V1)), `x{"messages":{"error":["No."]}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTerminalsInEachVersion(t *testing.T) {
	list := Terminals{{TID: "12345678", Status: StatusAvailable, Currency: "GBP", Capabilities: []string{"SALE"}, Location: "l"}}
	for v, want := range map[Version]string{
		V0: `{"terminals":[{"tpi":"12345678","status":"AVAILABLE","currency":"GBP","capabilities":["SALE"],"location":"l"}]}`,
		V1: `{"terminals":[{"tpi":"12345678","status":"AVAILABLE","currency":"GBP","capabilities":["SALE"],"location":"l"}]}`,
		V2: `{"terminals":[{"tid":"12345678","status":"AVAILABLE","currency":"GBP","location":"l"}]}`,
	} {
		if got := string(list.Append(nil, v)); got != want {
			t.Errorf("%s: got %s, want %s", v, got, want)
		}
	}
	if got, want := string(Terminals(nil).Append(nil, V2)), `{"terminals":[]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// BenchmarkTransaction is what a till polls for.
func BenchmarkTransaction(b *testing.B) {
	t := finished()
	for range 40 {
		t.Result.ReceiptLines.Merchant = append(t.Result.ReceiptLines.Merchant, receipt.Line{Type: receipt.Text, Value: "AID: A0000000031010"})
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = t.Append(buf[:0], V2)
	}
	b.SetBytes(int64(len(buf)))
}
