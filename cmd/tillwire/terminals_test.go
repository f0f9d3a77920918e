package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

func TestVisitOrder(t *testing.T) {
	for name, test := range map[string]struct {
		cmd  terminalsPATCmd
		want visitOrder
		err  string
	}{
		"all of it":               {terminalsPATCmd{Table: "12", Split: 1}, visitOrder{Table: "12", Split: 1}, ""},
		"an amount":               {terminalsPATCmd{Table: "12", Split: 1, Pay: ptr("45.50"), Tip: ptr("4.50")}, visitOrder{Table: "12", Split: 1, Pay: 4550, Tip: 450}, ""},
		"a percentage":            {terminalsPATCmd{Table: "12", Split: 2, Tip: ptr("10%")}, visitOrder{Table: "12", Split: 2, TipPercent: 10}, ""},
		"the list":                {terminalsPATCmd{List: true, Split: 1}, visitOrder{Split: 1}, ""},
		"nothing":                 {terminalsPATCmd{Split: 1}, visitOrder{}, "--table"},
		"both":                    {terminalsPATCmd{Table: "12", List: true, Split: 1}, visitOrder{}, "do not go together"},
		"no parts":                {terminalsPATCmd{Table: "12"}, visitOrder{}, "--split"},
		"no amount":               {terminalsPATCmd{Table: "12", Split: 1, Pay: ptr("45,50")}, visitOrder{}, "--pay"},
		"an amount of nothing":    {terminalsPATCmd{Table: "12", Split: 1, Pay: ptr("0.00")}, visitOrder{}, "--pay"},
		"no gratuity":             {terminalsPATCmd{Table: "12", Split: 1, Tip: ptr("much")}, visitOrder{}, "--tip"},
		"more than all":           {terminalsPATCmd{Table: "12", Split: 1, Tip: ptr("101%")}, visitOrder{}, "--tip"},
		"less than none":          {terminalsPATCmd{Table: "12", Split: 1, Tip: ptr("-1%")}, visitOrder{}, "--tip"},
		"a percentage of percent": {terminalsPATCmd{Table: "12", Split: 1, Tip: ptr("1%%")}, visitOrder{}, "--tip"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.cmd.order()
			if test.err == "" && (err != nil || got != test.want) {
				t.Errorf("%+v, %v; want %+v", got, err, test.want)
			}
			if test.err != "" {
				if _, ok := errors.AsType[usageError](err); !ok || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want a usage error with %q", err, test.err)
				}
			}
		})
	}
}

// TestCancelSteps: the command line names the steps at which a waiter can
// leave, all of them.
func TestCancelSteps(t *testing.T) {
	f, _ := reflect.TypeFor[terminalsPATCmd]().FieldByName("CancelAt")
	var want []string
	for _, s := range sim.CancelSteps() {
		want = append(want, string(s))
	}
	if got := strings.TrimSuffix(f.Tag.Get("enum"), ","); got != strings.Join(want, ",") {
		t.Errorf("--cancel-at takes %s, want %s", got, strings.Join(want, ","))
	}
}

func TestExitOfVisit(t *testing.T) {
	declined, cancelled := []paidView{{Result: txn.Declined}}, []paidView{{Result: txn.Cancelled}}
	for name, test := range map[string]struct {
		end   sim.VisitEnd
		paid  money.Minor
		asked money.Minor
		cards []paidView
		want  int
	}{
		"paid":                           {sim.EndPaid, 4550, 0, nil, 0},
		"more asked for than was due":    {sim.EndPaid, 4550, 9000, nil, 0},
		"part as asked for":              {sim.EndPartPaid, 2000, 2000, nil, 0},
		"less than asked for":            {sim.EndPartPaid, 1000, 2000, declined, 10},
		"all asked for, a card declined": {sim.EndPartPaid, 2275, 0, declined, 10},
		"part, then left":                {sim.EndPartPaid, 2275, 0, cancelled, 11},
		"declined":                       {sim.EndDeclined, 0, 0, declined, 10},
		"refused":                        {sim.EndRefused, 0, 0, nil, 3},
		"no table":                       {sim.EndNoTable, 0, 0, nil, 3},
		"offline":                        {sim.EndOffline, 0, 0, nil, 3},
		"listed":                         {sim.EndListed, 0, 0, nil, 0},
		"cancelled":                      {sim.EndCancelled, 0, 0, nil, 11},
		"unresolved":                     {sim.EndUnresolved, 0, 0, nil, 12},
		"one that is not known here":     {"later", 0, 0, nil, 12},
	} {
		t.Run(name, func(t *testing.T) {
			err := exitOfVisit(resultView{End: test.end, Due: 4550, Paid: test.paid, Payments: test.cards}, test.asked)
			got := 0
			if status, ok := errors.AsType[exitStatus](err); ok {
				got = int(status)
			}
			if got != test.want {
				t.Errorf("exit code %d, want %d", got, test.want)
			}
		})
	}
	for _, end := range sim.VisitEnds() {
		if endWords(end) == string(end) {
			t.Errorf("there are no words for the end %s", end)
		}
	}
}

// TestDevAddress: any address of a gateway says where its simulated terminals
// are; no key of it is used or repeated.
func TestDevAddress(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:8484":            "http://127.0.0.1:8484/dev/sites/demo/terminals",
		"http://127.0.0.1:8484/":           "http://127.0.0.1:8484/dev/sites/demo/terminals",
		"ws://127.0.0.1:1/pac?token=demo":  "http://127.0.0.1:1/dev/sites/demo/terminals",
		"wss://127.0.0.1:1/pat?token=demo": "https://127.0.0.1:1/dev/sites/demo/terminals",
		"https://user:secret@localhost":    "https://localhost/dev/sites/demo/terminals",
		"ftp://127.0.0.1?token=secret":     "",
		"127.0.0.1:8484":                   "",
		"http://":                          "",
		"http://%zz?token=secret":          "",
	} {
		c, err := devFlags{URL: address, Site: "demo"}.client()
		switch {
		case want != "" && (err != nil || c.base.String() != want):
			t.Errorf("%s: %v, want %s", address, err, want)
		case want == "" && (err == nil || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: error %v", address, err)
		}
	}
	c, err := devFlags{URL: "http://localhost", Site: "../x"}.client()
	if err != nil || c.base.String() != "http://localhost/dev/sites/..%2Fx/terminals" {
		t.Errorf("a site's name leaves its place: %v, %v", c.base, err)
	}
}

// TestLost: only what certainly did not arrive is an error without a visit.
func TestLost(t *testing.T) {
	hangUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hangUp.Close()
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuseDev(w, http.StatusConflict, busyText) }))
	defer refuses.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, test := range map[string]struct {
		url  string
		want bool
	}{
		"hangs up": {hangUp.URL, true}, "refuses": {refuses.URL, false}, "nobody there": {gone.URL, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := devFlags{URL: test.url, Site: "demo"}.client()
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.ask(t.Context(), http.MethodPost, visitOrder{Table: "12"}, "VCMDEMOSIP0", "visit")
			if err == nil {
				resp.Body.Close()
				t.Fatal("it was answered")
			}
			if lost(err) != test.want {
				t.Errorf("lost %v, want %v: %v", !test.want, test.want, err)
			}
		})
	}
}
