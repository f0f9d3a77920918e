package rest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/receipt"
)

// decoded is what any of the decoders gave.
type decoded struct {
	request any
	devs    []Deviation
	fault   *Fault
}

// decoders are those of the bodies that are the same in all versions.
func decoders() map[string]func([]byte) decoded {
	return map[string]func([]byte) decoded{
		"signature": func(b []byte) decoded { r, d, f := DecodeSignature(b); return decoded{SignatureRequest{r}, d, f} },
		"report":    func(b []byte) decoded { r, d, f := DecodeReport(b); return decoded{r, d, f} },
		"create":    func(b []byte) decoded { r, d, f := DecodeTableCreate(b); return decoded{r, d, f} },
		"delete":    func(b []byte) decoded { r, d, f := DecodeTableDelete(b); return decoded{r, d, f} },
		"amount":    func(b []byte) decoded { r, d, f := DecodeTableAmount(b); return decoded{r, d, f} },
		"receipt":   func(b []byte) decoded { r, d, f := DecodeTableReceipt(b); return decoded{r, d, f} },
		"waiterids": func(b []byte) decoded { r, d, f := DecodeTableWaiterIDs(b); return decoded{r, d, f} },
		"lock":      func(b []byte) decoded { r, d, f := DecodeTableLock(b); return decoded{r, d, f} },
	}
}

func TestDecode(t *testing.T) {
	const known = `"lastKnownAmount":4550,"lastKnownPaidAmount":0`
	k := LastKnown{Amount: 4550}
	text := receipt.Line{Type: receipt.Text, Format: []receipt.Format{}, Value: "Soup"}
	for _, tt := range []struct {
		name, decoder, body string
		want                any
		deviations          []string
		fault               string
		text                string
	}{
		{name: "yes", decoder: "signature", body: `{"accepted":true}`, want: SignatureRequest{true}},
		{name: "yes as a word", decoder: "signature", body: `{"accepted":"true"}`, want: SignatureRequest{true}, deviations: []string{"/accepted"}},
		{name: "no as a word", decoder: "signature", body: `{"accepted":"false"}`, want: SignatureRequest{false}, deviations: []string{"/accepted"}},
		{name: "no word", decoder: "signature", body: `{}`, fault: "/accepted required", text: "accepted is required."},
		{name: "null", decoder: "signature", body: `{"accepted":null}`, fault: "/accepted required"},
		{name: "another word", decoder: "signature", body: `{"accepted":"yes"}`, fault: "/accepted type", text: "accepted must be true or false."},
		{name: "no body", decoder: "signature", body: ``, fault: " syntax"},

		{name: "report", decoder: "report", body: `{"reportType":"Z_BALANCE"}`, want: ReportRequest{"Z_BALANCE"}},
		{name: "no report", decoder: "report", body: `{}`, fault: "/reportType required"},
		{
			name: "unknown report", decoder: "report", body: `{"reportType":"eod"}`, fault: "/reportType enum",
			text: "reportType must be END_OF_DAY, BANKING, X_BALANCE or Z_BALANCE.",
		},

		{
			name: "create", decoder: "create", body: `{"tableName":"Terrasse / 7 ☀","amount":0,"currency":"GBP"}`,
			want: TableCreate{TableName: "Terrasse / 7 ☀", Currency: "GBP"},
		},
		{
			name: "create with all", decoder: "create", body: `{"tableName":"12","amount":"4550","currency":"EUR","receipt":[{"value":"Soup"},{"type":"BOX_VOID","format":["BOLD"],"value":"","x":1}],"waiterIds":["3","12345678901234567890"]}`,
			want: TableCreate{TableName: "12", Amount: 4550, Currency: "EUR", WaiterIDs: []string{"3", "12345678901234567890"}, Receipt: []receipt.Line{
				text, {Type: receipt.BoxVoid, Format: []receipt.Format{receipt.Bold}},
			}}, deviations: []string{"/amount", "/receipt/1/x"},
		},
		{
			name: "create with empty lists", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"EUR","receipt":[],"waiterIds":[]}`,
			want: TableCreate{TableName: "12", Amount: 1, Currency: "EUR", Receipt: []receipt.Line{}, WaiterIDs: []string{}},
		},
		{name: "no name", decoder: "create", body: `{"amount":0,"currency":"GBP"}`, fault: "/tableName required"},
		{name: "empty name", decoder: "create", body: `{"tableName":"","amount":0,"currency":"GBP"}`, fault: "/tableName minLength"},
		{name: "name of 65", decoder: "create", body: `{"tableName":"` + strings.Repeat("ü", 65) + `","amount":0,"currency":"GBP"}`, fault: "/tableName maxLength"},
		{name: "one dot", decoder: "create", body: `{"tableName":".","amount":0,"currency":"GBP"}`, fault: "/tableName pattern"},
		{name: "two dots", decoder: "create", body: `{"tableName":"..","amount":0,"currency":"GBP"}`, fault: "/tableName pattern"},
		{name: "line break", decoder: "create", body: `{"tableName":"a\nb","amount":0,"currency":"GBP"}`, fault: "/tableName pattern"},
		{name: "a number for a name", decoder: "create", body: `{"tableName":12,"amount":0,"currency":"GBP"}`, fault: "/tableName type"},
		{
			name: "negative", decoder: "create", body: `{"tableName":"12","amount":-1,"currency":"GBP"}`, fault: "/amount type",
			text: "amount must be a whole number of pence from 0 to 99999999.",
		},
		{
			name: "line without value", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"GBP","receipt":[{"value":""},{"type":"TEXT"}]}`, fault: "/receipt/1/value required",
			text: "receipt[1].value is required.",
		},
		{name: "line of an unknown type", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"GBP","receipt":[{"type":"SONG","value":""}]}`, fault: "/receipt/0/type enum"},
		{
			name: "line in an unknown format", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"GBP","receipt":[{"format":["BOLD","RED"],"value":""}]}`,
			fault: "/receipt/0/format/1 enum", text: "receipt[0].format[1] must be BOLD, DOUBLE_HEIGHT or DOUBLE_WIDTH.",
		},
		{name: "four formats", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"GBP","receipt":[{"format":["BOLD","BOLD","BOLD","BOLD"],"value":""}]}`, fault: "/receipt/0/format maxItems"},
		{name: "a line that is none", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"GBP","receipt":["Soup"]}`, fault: "/receipt/0 type"},
		{name: "no lines", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"GBP","receipt":"Soup"}`, fault: "/receipt type"},
		{name: "waiter of 21", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"GBP","waiterIds":["123456789012345678901"]}`, fault: "/waiterIds/0 maxLength"},
		{name: "empty waiter", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"GBP","waiterIds":["1",""]}`, fault: "/waiterIds/1 minLength"},
		{
			name: "51 waiters", decoder: "create", body: `{"tableName":"12","amount":1,"currency":"GBP","waiterIds":["1"` + strings.Repeat(`,"1"`, 50) + `]}`, fault: "/waiterIds maxItems",
			text: "waiterIds must have at most 50 items.",
		},
		{name: "501 lines", decoder: "receipt", body: `{` + known + `,"newReceipt":[{"value":""}` + strings.Repeat(`,{"value":""}`, 500) + `]}`, fault: "/newReceipt maxItems"},

		{name: "delete", decoder: "delete", body: `{"lastKnownAmount":4550,"lastKnownPaidAmount":2147483647}`, want: LastKnown{4550, MaxPaid}},
		{name: "delete without a body", decoder: "delete", body: ``, fault: " syntax"},
		{name: "delete without paid", decoder: "delete", body: `{"lastKnownAmount":4550}`, fault: "/lastKnownPaidAmount required"},
		{name: "delete with too much", decoder: "delete", body: `{"lastKnownAmount":100000000,"lastKnownPaidAmount":0}`, fault: "/lastKnownAmount maximum"},
		{name: "delete with too much paid", decoder: "delete", body: `{"lastKnownAmount":1,"lastKnownPaidAmount":2147483648}`, fault: "/lastKnownPaidAmount maximum"},

		{name: "amount", decoder: "amount", body: `{` + known + `,"newAmount":5000.0}`, want: TableAmount{k, 5000}, deviations: []string{"/newAmount"}},
		{name: "no amount", decoder: "amount", body: `{` + known + `}`, fault: "/newAmount required"},
		{name: "receipt", decoder: "receipt", body: `{` + known + `,"newReceipt":[{"value":"Soup"}]}`, want: TableReceipt{k, []receipt.Line{text}}},
		{name: "no receipt", decoder: "receipt", body: `{` + known + `}`, fault: "/newReceipt required"},
		{name: "waiters", decoder: "waiterids", body: `{` + known + `,"newWaiterIds":[]}`, want: TableWaiterIDs{k, []string{}}},
		{name: "no waiters", decoder: "waiterids", body: `{` + known + `,"waiterIds":[]}`, fault: "/newWaiterIds required"},

		{name: "lock", decoder: "lock", body: `{` + known + `,"locked":true}`, want: TableLock{LastKnown: k, Locked: true}},
		{
			name: "lock with all", decoder: "lock", body: `{` + known + `,"locked":"false","lockedBy":"till 1","override":"true"}`,
			want: TableLock{k, false, "till 1", true}, deviations: []string{"/locked", "/override"},
		},
		{name: "no lock", decoder: "lock", body: `{` + known + `}`, fault: "/locked required"},
		{name: "locked by a long name", decoder: "lock", body: `{` + known + `,"locked":true,"lockedBy":"` + strings.Repeat("x", 65) + `"}`, fault: "/lockedBy maxLength"},
		{name: "override by a number", decoder: "lock", body: `{` + known + `,"locked":true,"override":1}`, fault: "/override type"},
	} {
		t.Run(tt.decoder+"/"+tt.name, func(t *testing.T) {
			got := decoders()[tt.decoder]([]byte(tt.body))
			said := ""
			if got.fault != nil {
				said = got.fault.Pointer + " " + got.fault.Rule
				if tt.text != "" && got.fault.Text != tt.text {
					t.Errorf("the fault says %q, want %q", got.fault.Text, tt.text)
				}
			} else if diff := cmp.Diff(tt.want, got.request); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if said != tt.fault {
				t.Errorf("the fault is %q, want %q", said, tt.fault)
			}
			var pointers []string
			for _, d := range got.devs {
				pointers = append(pointers, d.Pointer)
			}
			if diff := cmp.Diff(tt.deviations, pointers); diff != "" {
				t.Errorf("deviations (-want +got):\n%s", diff)
			}
		})
	}
}

// What a till makes up is cut, masked and counted before it is kept, and nothing
// of it gets into a fault.
func TestMadeUpNames(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"accepted":true,"4929000000006":1,"` + strings.Repeat("y", 100) + `":1`)
	for i := range 40 {
		b.WriteString(`,"z` + strconv.Itoa(i) + `":1`)
	}
	_, devs, fault := DecodeSignature([]byte(b.String() + "}"))
	if fault != nil || len(devs) != maxDeviations {
		t.Fatalf("got %d deviations and %v", len(devs), fault)
	}
	for _, d := range devs {
		if strings.Contains(d.Text+d.Pointer, "4929") || len(d.Pointer) > 80 {
			t.Errorf("%q is kept", d)
		}
	}
}
