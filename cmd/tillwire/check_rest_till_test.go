package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillwire/tillwire/conform"
)

// A sampleRESTTill is a small till of its own make that asks over REST. Without a
// flaw it does everything right.
type sampleRESTTill struct {
	base, key string
	flaw      string

	http     http.Client
	keys     int
	authCode string // of the pre-authorisation
}

func (t *sampleRESTTill) has(flaw string) bool { return t.flaw == flaw }

func (t *sampleRESTTill) Tells() bool { return true }

func (t *sampleRESTTill) Ask(context.Context, conform.Step) (*conform.Word, error) { return nil, nil }

func (t *sampleRESTTill) Again(context.Context, conform.Line, []conform.Frame) (bool, error) {
	return false, nil
}

func (t *sampleRESTTill) Tell(string) {}

func (t *sampleRESTTill) Decided(conform.Line) {}

// lookEvery is as slow as a till may be, or faster by far.
func (t *sampleRESTTill) lookEvery() time.Duration {
	if t.has("looks all the time") {
		return 50 * time.Millisecond
	}
	return 600 * time.Millisecond
}

// ask asks once; the status is 0 where nothing came.
func (t *sampleRESTTill) ask(ctx context.Context, method, address, key string, body any) (int, map[string]any) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			panic(err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, address, io.NopCloser(bytes.NewReader(text)))
	if err != nil {
		panic(err)
	}
	req.ContentLength = int64(len(text))
	req.Header.Set("Accept", "application/connect.v2+json")
	if t.has("asks in v1") {
		req.Header.Set("Accept", "application/connect.v1+json")
	}
	secret := t.key
	if t.has("a key of its own") {
		secret = "built-in"
	}
	req.SetBasicAuth("sample", secret)
	if !t.has("no partner ids") {
		req.Header.Set("Software-House-Id", "SAMPLE")
		req.Header.Set("Installer-Id", "FITTER")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	answer, err := t.http.Do(req)
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	var said map[string]any
	if json.NewDecoder(answer.Body).Decode(&said) != nil && answer.ContentLength > 0 {
		return 0, nil
	}
	return answer.StatusCode, said
}

func (t *sampleRESTTill) at(tid string, words ...string) string {
	return t.base + "/pac/terminals/" + strings.Join(append([]string{tid}, words...), "/")
}

// Do does what is ordered.
func (t *sampleRESTTill) Do(ctx context.Context, step conform.Step) (*conform.Word, error) {
	yes := true
	word := &conform.Word{Yes: &yes}
	o := step.Order
	switch {
	case o.Method == "":
		return word, nil
	case strings.HasPrefix(o.Method, "report"):
		names := map[string]string{"reportXBalance": "X_BALANCE", "reportZBalance": "Z_BALANCE", "reportBanking": "BANKING", "reportEndOfDay": "END_OF_DAY"}
		if status, said := t.ask(ctx, http.MethodPost, t.at(o.TID, "reports"), "", map[string]any{"reportType": names[o.Method]}); status == http.StatusCreated {
			t.look(ctx, said["location"].(string), func(seen map[string]any) bool { return seen["reportType"] != nil })
		}
		return word, nil
	}
	return t.transact(ctx, step), nil
}

// transact runs a transaction and looks at it to its end.
func (t *sampleRESTTill) transact(ctx context.Context, step conform.Step) *conform.Word {
	o := step.Order
	types := map[string]string{"sale": "SALE", "refund": "REFUND", "preAuth": "PRE_AUTH", "completion": "COMPLETION", "duplicate": "DUPLICATE"}
	body := map[string]any{"transactionType": types[o.Method], "currency": o.Currency, "amount": o.Amount}
	switch {
	case t.has("amounts as text"): // which is tolerated
		body["amount"] = strconv.FormatInt(o.Amount, 10)
	case t.has("floats"):
		body["amount"] = float64(o.Amount) / 100
	}
	if o.Cashback > 0 {
		body["amountCashback"] = o.Cashback
	}
	if !o.Present && o.Method != "duplicate" {
		body["cardholderNotPresent"] = true
	}
	if o.AuthCode {
		body["authCode"], body["amountPreAuthorisedTotal"] = t.authCode, 5000
	}
	t.keys++
	key := fmt.Sprintf("sample-%d", t.keys)
	if t.has("sends again without a key") {
		key = ""
	}
	status, said := t.ask(ctx, http.MethodPost, t.at(o.TID, "transactions"), key, body)
	for status == 0 && ctx.Err() == nil && !t.has("forgets what was lost") {
		status, said = t.ask(ctx, http.MethodPost, t.at(o.TID, "transactions"), key, body)
	}
	if status != http.StatusCreated {
		no := false
		text, _ := said["userMessage"].(string)
		return &conform.Word{Cleared: &no, Message: &text}
	}
	location := said["location"].(string)
	if t.has("sells twice") && step.Line.ID == "pac.sale" {
		t.ask(ctx, http.MethodPost, t.at(o.TID, "transactions"), key+"-2", body)
	}
	var shown []string
	asked, wished, gaveUp := false, false, false
	began := time.Now()
	seen := t.look(ctx, location, func(seen map[string]any) bool {
		list, _ := seen["notifications"].([]any)
		for i := len(list) - len(shown) - 1; i >= 0; i-- {
			shown = append(shown, list[i].(string))
		}
		newest, _ := list[0].(string)
		if newest == "CHECK_UNKNOWN_VALUE" && t.has("breaks on what it does not know") {
			gaveUp = true
			return true
		}
		if newest == "SIGNATURE_VERIFICATION" && !asked && o.Signature != "leave" && !t.has("answers no signature") {
			asked = true
			if !t.has("signs for the cashier") {
				pause(ctx, o.Wait)
			}
			t.ask(ctx, http.MethodPut, location+"/signature", "", map[string]any{"accepted": o.Signature == "accept"})
		}
		if o.CancelAfter != "" && !wished && slices.Contains(shown, o.CancelAfter) {
			wished = true
			if status, _ := t.ask(ctx, http.MethodDelete, location, "", nil); status == http.StatusAccepted && t.has("believes the wish") {
				gaveUp = true
				return true
			}
		}
		if t.has("gives up") && time.Since(began) > 2*t.lookEvery() {
			gaveUp = true
			return true
		}
		return seen["transactionResult"] != nil
	})
	if gaveUp || seen == nil {
		no := false
		return &conform.Word{Cleared: &no, Notifications: known(shown)}
	}
	result, _ := seen["transactionResult"].(string)
	if code, ok := seen["authCode"].(string); ok && o.Method == "preAuth" {
		t.authCode = code
	}
	if result == "TIMED_OUT" {
		switch {
		case t.has("sends again on timed out"):
			t.ask(ctx, http.MethodPost, t.at(o.TID, "transactions"), key+"-again", body)
		case !t.has("asks nobody on timed out"):
			t.ask(ctx, http.MethodGet, t.at(o.TID), "", nil)
		}
	}
	cleared := result == "SUCCESSFUL" || t.has("looks for a part of the word") && strings.Contains(result, "SUCCESSFUL")
	word := &conform.Word{Cleared: &cleared, Notifications: known(shown)}
	if cleared {
		word.Total, word.Cashback, word.Gratuity = whole(seen, "amountTotal"), whole(seen, "amountCashback"), whole(seen, "amountGratuity")
	}
	return word
}

// known are those notifications that a till can show.
func known(shown []string) []string {
	return slices.DeleteFunc(slices.Clone(shown), func(v string) bool { return v == "CHECK_UNKNOWN_VALUE" })
}

func whole(seen map[string]any, name string) *int64 {
	f, ok := seen[name].(float64)
	if !ok {
		return nil
	}
	n := int64(f)
	return &n
}

// look looks again and again until it is done.
func (t *sampleRESTTill) look(ctx context.Context, location string, done func(map[string]any) bool) map[string]any {
	for ctx.Err() == nil {
		if status, seen := t.ask(ctx, http.MethodGet, location, "", nil); status == http.StatusOK && done(seen) {
			return seen
		}
		pause(ctx, t.lookEvery())
	}
	return nil
}

// tryRESTTill runs checks against a sample.
func tryRESTTill(till *sampleRESTTill, only ...string) (_ conform.Report, err error) {
	under := ""
	if memory := "/dev/shm"; isDir(memory) {
		under = memory
	}
	bench, err := openCheckBench(streams{out: &bytes.Buffer{}, err: &bytes.Buffer{}, in: strings.NewReader("")}, under, "127.0.0.1:0", 0, checkState{})
	if err != nil {
		return conform.Report{}, err
	}
	u, err := url.Parse(restURL(bench.url))
	if err != nil {
		return conform.Report{}, err
	}
	till.key, _ = u.User.Password()
	till.base = "http://" + u.Host
	till.http.Transport = &http.Transport{}
	defer func() {
		till.http.CloseIdleConnections()
		err = errors.Join(err, bench.close())
	}()
	checks := restChecks()
	if len(only) > 0 {
		checks = slices.DeleteFunc(checks, func(c conform.Check) bool { return !slices.Contains(only, c.ID) })
	}
	run := conform.NewRun(conform.Config{
		Checks: checks, Stage: bench, Hands: till, Limit: 40 * time.Second, Settle: 5 * time.Millisecond, Product: "test", Side: "pac",
	})
	if err := bench.serve(run.Saw); err != nil {
		return conform.Report{}, err
	}
	return run.Run(context.Background())
}

func restChecks() []conform.Check {
	return conform.RESTChecks(conform.Options{Slow: 50 * time.Millisecond, Unsigned: unsigned, Long: 3 * time.Second})
}

// TestGoodRESTTill: a till that does everything right passes every line, and so does
// one that writes amounts as text.
func TestGoodRESTTill(t *testing.T) {
	tills := []*sampleRESTTill{{}, {flaw: "amounts as text"}}
	reports, errs := make([]conform.Report, len(tills)), make([]error, len(tills))
	var all sync.WaitGroup
	for i, till := range tills {
		all.Go(func() { reports[i], errs[i] = tryRESTTill(till) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, r := range reports {
		for _, l := range r.Lines {
			if l.State != conform.Passed {
				t.Errorf("%d: %s: %s: %s", i, l.ID, l.State, l.Hint)
			}
		}
		if !r.Passed() || len(r.Lines) != len(restChecks()) {
			t.Errorf("%d: %s, of %d lines", i, r.Verdict(), len(restChecks()))
		}
		noted := slices.ContainsFunc(r.Frames, func(f conform.Frame) bool { return f.Kind == conform.Asked && strings.Contains(f.Text, "tolerated") })
		if noted != (i == 1) {
			t.Errorf("%d: noted: %v", i, noted)
		}
	}
}

// TestBadRESTTills: each flaw fails its line.
func TestBadRESTTills(t *testing.T) {
	flaws := map[string]string{
		"looks all the time":              "pac.poll",
		"gives up":                        "pac.pollToTheEnd",
		"sends again without a key":       "pac.retry",
		"forgets what was lost":           "pac.retry",
		"believes the wish":               "pac.cancel",
		"floats":                          "pac.amounts",
		"breaks on what it does not know": "pac.unknown",
		"answers no signature":            "pac.signature",
		"sells twice":                     "pac.sale",
		"sends again on timed out":        "pac.timedOut",
		"asks nobody on timed out":        "pac.timedOut",
		"looks for a part of the word":    "pac.notTaken",
		"a key of its own":                "general.address",
		"no partner ids":                  "general.partnerIds",
		"asks in v1":                      "general.partnerIds",
	}
	var all sync.WaitGroup
	places := make(chan struct{}, 6)
	for flaw, line := range flaws {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			r, err := tryRESTTill(&sampleRESTTill{flaw: flaw}, line, "pac.sale")
			if err != nil {
				t.Errorf("%s: %v", flaw, err)
				return
			}
			for _, l := range r.Lines {
				if l.ID == line && (l.State != conform.Failed || l.Hint == "") {
					t.Errorf("%s: %s: %s: %s", flaw, l.ID, l.State, l.Hint)
				}
			}
			if r.Passed() {
				t.Errorf("%s: passed", flaw)
			}
		})
	}
	all.Wait()
}
