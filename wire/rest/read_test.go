package rest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/receipt"
)

// at is a time that each layout can hold.
var at = time.Date(2026, 3, 4, 16, 12, 0, 0, time.UTC)

func someLines() []receipt.Line {
	return []receipt.Line{
		{Type: receipt.Text, Format: []receipt.Format{receipt.Bold, receipt.DoubleWidth}, Value: "CAFÉ"},
		{Type: receipt.TicketFeed, Format: []receipt.Format{}},
	}
}

func someResult() *Result {
	r := finished().Result
	r.TransactionType, r.TransactionTime, r.CardholderVerificationMethod = "SALE", at, "PIN"
	r.ReceiptLines = receipt.Copies{Merchant: someLines(), Customer: []receipt.Line{}}
	return r
}

func someReport() *Report {
	b := Breakdown{Currency: "GBP", TotalAmount: 900, TotalSalesAmount: 1000, TotalSalesCount: 2, TotalRefundsAmount: 100, TotalRefundsCount: 1}
	return &Report{RequestID: requestID, Location: "l", Result: &ReportResult{
		TID: "12345678", ReportType: ReportEndOfDay, ReportResult: ReportComplete, ReportTime: at, ReportLines: someLines(),
		Balances: &SessionTotals{
			Breakdown: b, TotalCashbackAmount: 5, TotalCashbackCount: 1, TotalGratuityAmount: 7, TotalGratuityCount: 1,
			TotalsSince: TotalsSinceInstallation, IssuerTotals: map[string]Breakdown{"VISA": b}, WaiterTotals: map[string]Breakdown{},
		},
		Banking: map[string]AcquirerTotals{"BANK": {
			Currency: "GBP", CurrentSessionTotals: b, PreviousSessionTotals: b,
			CurrentSessionIssuerTotals: map[string]Breakdown{"VISA": b}, PreviousSessionIssuerTotals: map[string]Breakdown{},
			CurrentSessionTransactionNumbers: []string{"0076", "0123"}, PreviousSessionTransactionNumbers: []string{},
		}},
	}}
}

func someTable() *Table {
	return &Table{
		TableName: "12", Amount: 4550, AmountGratuity: 450, AmountPaid: 2275, Locked: true, LockedBy: "12345678", WaiterIDs: []string{"3"},
		Payments: []TablePayment{{
			PaymentID: "6f2d0b1e-51c5-4f0f-8b0d-0d0b5b6f8c11", AmountPaid: 2275, AmountGratuity: 450, AuthCode: "789DE0", Currency: "GBP",
			CardSchemeName: "VISA", PaymentMethod: "ICC_CHIP", Time: at,
		}},
		Receipt: someLines(), WithReceipt: true,
	}
}

// What is written can be read, and is what was written as far as the version can
// say it.
func TestReadWhatWasWritten(t *testing.T) {
	check := func(t *testing.T, want, got any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for _, v := range Versions() {
		t.Run(v.String(), func(t *testing.T) {
			terminal := Terminal{TID: "12345678", Status: StatusBusy, Currency: "EUR", Location: "l"}
			if v != V2 {
				terminal.Capabilities = Capabilities()
			}
			one, err := ReadTerminal(terminal.Append(nil, v))
			check(t, terminal, one, err)
			all, err := ReadTerminals(Terminals{terminal}.Append(nil, v))
			check(t, Terminals{terminal}, all, err)

			begun, err := ReadBegun(Begun{requestID, "l"}.Append(nil, v))
			check(t, Begun{requestID, "l"}, begun, err)

			tr := Transaction{RequestID: requestID, Location: "l", Notifications: []string{"TRANSACTION_STARTED"}}
			got, err := ReadTransaction(tr.Append(nil, v))
			check(t, tr, got, err)
			if v != V0 {
				tr.Signature = &Signature{AuthCode: "A", ApplicationID: "B", PaymentMethod: "SWIPED", TransactionType: "SALE"}
				got, err = ReadTransaction(tr.Append(nil, v))
				check(t, tr, got, err)
			}
			tr.Signature, tr.Result, tr.LateResult = nil, someResult(), someResult()
			if v != V2 {
				tr.Result.UserMessage, tr.LateResult.UserMessage = "", ""
			}
			got, err = ReadTransaction(tr.Append(nil, v))
			check(t, tr, got, err)

			running := Report{RequestID: requestID, Location: "l"}
			report, err := ReadReport(running.Append(nil, v))
			check(t, running, report, err)
			whole := someReport()
			if v == V0 {
				whole.Result.ReportResult = ""
			}
			report, err = ReadReport(whole.Append(nil, v))
			check(t, *whole, report, err)

			e, err := ReadError(Error{"No.", "l"}.Append(nil, v))
			want := Error{"No.", "l"}
			if v == V2 {
				want.Location = ""
				check(t, want, e, err)
				return
			}
			check(t, want, e, err)

			pat := PATReport{ReportID: requestID, Location: "l", Currency: "GBP", Result: *whole.Result}
			read, err := ReadPATReport(pat.Append(nil, v))
			check(t, pat, read, err)
			list, err := ReadPATReports(PATReports{pat, pat}.Append(nil, v))
			check(t, PATReports{pat, pat}, list, err)

			table := someTable()
			gotTable, err := ReadTable(table.Append(nil, v))
			check(t, *table, gotTable, err)
			listed := *table
			if v == V1 {
				listed.Receipt, listed.WithReceipt = nil, false
			}
			tables, err := ReadTables(Tables{*table, *table}.Append(nil, v))
			check(t, Tables{listed, listed}, tables, err)
			created, err := ReadTableCreated(TableCreated{"l", "12"}.Append(nil, v))
			check(t, TableCreated{"l", "12"}, created, err)
		})
	}
}

// A table's receipt is there in v0 always, in v1 where it was asked for.
func TestTableReceipt(t *testing.T) {
	table := someTable()
	table.WithReceipt, table.Receipt = false, nil
	if got := string(table.Append(nil, V0)); !strings.Contains(got, `,"receipt":[],"locked":true`) {
		t.Errorf("v0 has no receipt: %s", got)
	}
	if got := string(table.Append(nil, V1)); strings.Contains(got, "receipt") {
		t.Errorf("v1 has a receipt that nobody asked for: %s", got)
	}
	table.WithReceipt = true
	if got := string(table.Append(nil, V1)); !strings.Contains(got, `,"receipt":[],"locked":true`) {
		t.Errorf("v1 has no receipt: %s", got)
	}
	if got := string(table.Append(nil, V1)); !strings.Contains(got, `"time":"2026-03-04T16:12:00+00:00"`) {
		t.Errorf("the payment has another time: %s", got)
	}
}

// The reports of terminals have balances and banking even where there are none.
func TestPATReportIsWhole(t *testing.T) {
	r := PATReport{ReportID: "i", Location: "l", Currency: "EUR", Result: ReportResult{TID: "t", ReportType: ReportBanking, ReportResult: ReportComplete, ReportTime: at}}
	want := `{"requestId":"i","reportId":"i","location":"l","tpi":"t","reportType":"BANKING","reportResult":"COMPLETE","reportTime":"2026-03-04T16:12:00+00:00",` +
		`"reportLines":[],"balances":{"currency":"EUR","totalAmount":0,"totalSalesAmount":0,"totalSalesCount":0,"totalRefundsAmount":0,"totalRefundsCount":0,` +
		`"totalCashbackAmount":0,"totalCashbackCount":0,"totalGratuityAmount":0,"totalGratuityCount":0,"totalsSince":"","issuerTotals":{},"waiterTotals":{}},"banking":{}}`
	if diff := cmp.Diff(want, string(r.Append(nil, V1))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Result.Balances != nil {
		t.Error("writing changed the report")
	}
}

// A report says how it stands in the versions that have words for it.
func TestReportStages(t *testing.T) {
	running := &Report{RequestID: "r", Location: "l"}
	banking := &Report{RequestID: "r", Location: "l", Result: &ReportResult{
		TID: "t", ReportType: ReportBanking, ReportResult: ReportTimedOut, ReportTime: at, Banking: map[string]AcquirerTotals{},
	}}
	const rest = `"reportTime":"2026-03-04T16:12:00","reportLines":[],"banking":{}}`
	for _, tt := range []struct {
		r    *Report
		v    Version
		want string
	}{
		{running, V1, `{"requestId":"r","location":"l","notifications":["REPORT_STARTED"]}`},
		{running, V2, `{"requestId":"r","location":"l","notifications":["REPORT_STARTED"]}`},
		{banking, V2, `{"requestId":"r","location":"l","notifications":["REPORT_FINISHED","REPORT_STARTED"],"tid":"t","reportType":"BANKING","reportResult":"TIMED_OUT",` + rest},
		{banking, V1, `{"requestId":"r","location":"l","notifications":["REPORT_FINISHED","REPORT_STARTED"],"tpi":"t","reportType":"BANKING","reportResult":"TIMED_OUT",` + rest},
		{banking, V0, `{"requestId":"r","location":"l","tpi":"t","reportType":"BANKING",` + strings.Replace(rest, `:00"`, `:00+00:00"`, 1)},
	} {
		if diff := cmp.Diff(tt.want, string(tt.r.Append(nil, tt.v))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.v, diff)
		}
	}
}

func TestEvents(t *testing.T) {
	deadline := time.Date(2026, 7, 4, 17, 11, 53, 0, time.FixedZone("BST", 3600))
	const late = `{"requestId":"r","lateResult":{`
	for _, tt := range []struct {
		e    Event
		want string
	}{
		{
			Event{2, EventNotification, NotificationEvent{requestID, "PRESENT_CARD", deadline}},
			"id: 2\nevent: notification\ndata: {\"requestId\":\"" + requestID + "\",\"notification\":\"PRESENT_CARD\",\"time\":\"2026-07-04T16:11:53Z\"}\n\n",
		},
		{
			Event{3, EventSignature, SignatureEvent{Signature{AuthCode: "A\n", TransactionType: "SALE"}, deadline}},
			"id: 3\nevent: signature\ndata: {\"authCode\":\"A\\n\",\"applicationId\":\"\",\"applicationLabel\":\"\",\"cardholderVerificationMethod\":\"SIGNATURE\"," +
				"\"paymentMethod\":\"\",\"primaryAccountNumber\":\"\",\"transactionType\":\"SALE\",\"deadline\":\"2026-07-04T16:11:53Z\"}\n\n",
		},
		{
			Event{4, EventFinished, &Transaction{RequestID: "r", Location: "l"}},
			"id: 4\nevent: finished\ndata: {\"requestId\":\"r\",\"location\":\"l\",\"notifications\":[]}\n\n",
		},
		{
			Event{5, EventLate, LateEvent{"r", &Result{}}},
			"id: 5\nevent: late\ndata: " + late + string((&Result{}).append(nil, V2)) + "}}\n\n",
		},
	} {
		if diff := cmp.Diff(tt.want, string(tt.e.Append(nil, V2))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if got, want := string(AppendKeepAlive(AppendRetry(nil, time.Second))), "retry: 1000\n\n: keep-alive\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadRefusesWhatIsNone(t *testing.T) {
	for _, body := range []string{``, `{`, `[]`, `{"notifications":1}`, `{"amountBase":"4929000000006"}`} {
		if _, err := ReadTransaction([]byte(body)); err == nil || strings.Contains(err.Error(), "4929") {
			t.Errorf("%q: %v", body, err)
		}
	}
	for _, body := range []string{`{}`, `<html>`, `{"messages":{"error":[]}}`} {
		if e, err := ReadError([]byte(body)); err == nil {
			t.Errorf("%q is read as %v", body, e)
		}
	}
}
