package console

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/tillwire/tillwire/internal/browser"
	"github.com/tillwire/tillwire/site/traffic"
)

// hub is a hub with a till's conversation, in which one message is wrong.
func hub(t *testing.T) (*traffic.Hub, *traffic.Line) {
	t.Helper()
	h := traffic.New(traffic.Options{Always: true})
	t.Cleanup(h.Close)
	l := h.Opened(traffic.Connection{Number: 1, Site: "demo", Key: "k1", Face: traffic.FacePAC, Version: "v1", Remote: "127.0.0.1:5", SoftwareHouse: "SWH", Installer: "INST"})
	h.Opened(traffic.Connection{Number: 2, Site: "other", Face: traffic.FacePAC, Version: "v1"}).
		Message(false, []byte(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"NOT-YOURS"}}`))
	for _, s := range []string{
		`> {"jsonrpc":"2.0","id":7,"method":"sale","params":{"tid":"VCMDEMOSIP0","currency":"GBP","amount":"1250"}}`,
		`< {"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"Invalid params: /params/amount must be an integer"}}`,
		`> {"jsonrpc":"2.0","id":8,"method":"sale","params":{"tid":"VCMDEMOSIP0","currency":"GBP","amount":1250}}`,
		`< {"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"TRANSACTION_STARTED","tid":"VCMDEMOSIP0"}}`,
		`< {"jsonrpc":"2.0","id":8,"error":{"code":-32074,"message":"Request Timed Out"}}`,
		`> {"jsonrpc":"2.0","id":9,"method":"terminalDetails","params":{"tid":"<script>document.title='gone'</script>"}}`,
	} {
		l.Message(s[0] == '<', []byte(s[2:]))
	}
	return h, l
}

// TestTrafficPage: messages are there with their matches, what deviates is marked
// at its place, filters stand in the address, and texts stay texts.
func TestTrafficPage(t *testing.T) {
	b := browser.Start(t)
	h, l := hub(t)
	_, url := serve(t, Config{House: &fakeHouse{sites: []string{"demo"}}, Dev: true, Traffic: h})
	for _, size := range []struct {
		name          string
		width, height int
	}{{"phone", 360, 780}, {"desk", 1400, 900}} {
		t.Run(size.name, func(t *testing.T) {
			tab := b.Open(t, url+"/console/traffic", size.width, size.height)
			tab.WaitText("#traffic", "terminalDetails")
			tab.WaitText("#traffic", "1 deviation")
			tab.WaitText("#traffic", "<script>")
			tab.WaitText("#left", "7 shown")
			tab.Click("#traffic tbody tr:nth-child(2) .traffic-name")
			tab.WaitText("#deviations", "/params/amount is a string, must be an integer")
			tab.WaitText("#json .marked", `"amount": "1250"`)
			tab.WaitText("#detail", "Answered by")
			tab.WaitText("#traffic tr.partner", "-32602")
			for _, fault := range append(tab.Unlabelled(), tab.TooWide()...) {
				t.Error(fault)
			}
			tab.Shot("traffic-" + size.name)
		})
	}
	tab := b.Open(t, url+"/console/traffic?method=sale", 1400, 900)
	tab.WaitText("#left", "4 shown")
	tab.Click("#f-wrong")
	tab.WaitText("#left", "3 shown")
	tab.Wait(`location.search === "?method=sale&wrong=1"`)
	tab.Click("#pause")
	tab.Go(url + "/console/traffic?tid=vcmdemosip0")
	tab.WaitText("#left", "5 shown")
	tab.Click("#pause")
	l.Message(true, []byte(`{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"PIN_ENTRY","tid":"VCMDEMOSIP0"}}`))
	tab.WaitText("#pause", "1 new")
	tab.WaitText("#left", "5 shown")
	tab.Click("#pause")
	tab.WaitText("#traffic", "PIN_ENTRY")
	tab.Click("#traffic tbody tr:last-child .traffic-name")
	tab.WaitText("#detail", "As the contract has it")
	tab.Keys(kb.ArrowUp)
	tab.WaitText("#detail", "-32074")
	tab.Keys(kb.Escape)
	tab.Wait(`!document.querySelector("#detail")`)

	// A request that is read shows its answer once that comes; what came during a
	// pause is all there after it.
	l.Message(false, []byte(`{"jsonrpc":"2.0","id":30,"method":"terminalDetails","params":{"tid":"VCMDEMOSIP0"}}`))
	tab.WaitText("#traffic tbody tr:last-child", "terminalDetails")
	tab.Click("#traffic tbody tr:last-child .traffic-name")
	tab.WaitText("#detail", "not yet")
	l.Message(true, []byte(`{"jsonrpc":"2.0","id":30,"result":{"tid":"VCMDEMOSIP0","currency":"GBP","status":"AVAILABLE"}}`))
	tab.WaitText("#detail", "Answered by")
	tab.Click("#pause")
	for i := range 700 {
		l.Message(true, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"PIN_ENTRY","tid":"VCMDEMOSIP%d"}}`, i%10))
	}
	tab.WaitText("#pause", "70 new")
	tab.WaitText("#left", "8 shown")
	tab.Click("#pause")
	tab.WaitText("#left", "78 shown")
	if text := tab.Text("body"); strings.Contains(text, "NOT-YOURS") {
		t.Error("another site's message is shown")
	}
}

// TestTrafficExport: what a session may see can be taken along as a scenario.
func TestTrafficExport(t *testing.T) {
	h, _ := hub(t)
	for h.Message(9) == nil { // until all of it is taken in
		r := h.Read(traffic.Filter{})
		<-r.News()
		r.Leave()
	}
	_, url := serve(t, Config{House: &fakeHouse{sites: []string{"demo"}}, Dev: true, Traffic: h})
	get := func(query string) (int, string) {
		t.Helper()
		res, err := http.Get(url + "/console/traffic/script" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	for query, want := range map[string]struct {
		status int
		has    string
		not    string
	}{
		"?conn=1":            {200, "till a v1\na> {", "NOT-YOURS"},
		"":                   {200, "\na> {", "NOT-YOURS"},
		"?tid=vcmdemosip0":   {200, `"amount":1250`, "terminalDetails"},
		"?conn=2":            {404, "nothing to export", "NOT-YOURS"},
		"?site=other":        {404, "no such site", "NOT-YOURS"},
		"?conn=x":            {400, "no such connection", ""},
		"?face=pat":          {404, "nothing to export", ""},
		"?tid=%3Cscript%3Ex": {404, "nothing to export", "<script>x"},
	} {
		status, body := get(query)
		if status != want.status || !strings.Contains(body, want.has) || want.not != "" && strings.Contains(body, want.not) {
			t.Errorf("%q: %d %s", query, status, body)
		}
	}
	if _, none := serve(t, Config{House: &fakeHouse{sites: []string{"demo"}}, Dev: true}); none != "" {
		res, err := http.Get(none + "/console/traffic/script")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != 404 {
			t.Errorf("without a hub: %d", res.StatusCode)
		}
	}
}

// TestGist: what is said of a message in a line.
func TestGist(t *testing.T) {
	h := traffic.New(traffic.Options{Always: true})
	defer h.Close()
	l := h.Opened(traffic.Connection{Number: 1, Site: "demo", Face: traffic.FacePAC, Version: "v1", Remote: "r"})
	for i, tt := range []struct{ said, want string }{
		{`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T","currency":"GBP","amount":1205,"amountCashback":0}}`, "GBP 12.05"},
		{`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T","currency":"GBP","amount":"1250"}}`, `amount "1250"`},
		{`{"jsonrpc":"2.0","id":1,"result":{"transactionResult":"DECLINED","amountTotal":5,"currency":"EUR"}}`, "DECLINED · EUR 0.05"},
		{`{"jsonrpc":"2.0","id":1,"result":[{},{}]}`, "2 in the list"},
		{`{"jsonrpc":"2.0","id":1,"result":{"cancelling":true}}`, "cancelling: true"},
		{`{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}`, "-32700 Parse error"},
		{`{"jsonrpc":"2.0","id":1,"result":{"tableIds":["12","Bar 2"],"currency":"GBP"}}`, `tables "12","Bar 2"`},
		{`{` + strings.Repeat("é", 300), "{" + strings.Repeat("é", 118) + "…"},
		{`{"jsonrpc":"2.0","method":"ended","params":{"requestId":"r","outcome":{"type":"SALE","result":"VOID","currency":"GBP","amountBase":500}}}`, "SALE · VOID · GBP 5.00"},
		{`null`, "null"},
	} {
		l.Message(false, []byte(tt.said))
		var m *traffic.Message
		r := h.Read(traffic.Filter{})
		for m = h.Message(uint64(i + 2)); m == nil; m = h.Message(uint64(i + 2)) {
			<-r.News()
		}
		r.Leave()
		if got := gistOf(m); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.said, got, tt.want)
		}
		if row := rowOf(m); row.Wrong != -1 || fmt.Sprint(row.Conn) != "1" {
			t.Errorf("the row is %+v", row)
		}
	}
}
