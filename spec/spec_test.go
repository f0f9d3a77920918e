package spec_test

import (
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
)

func id(m spec.Message) string { return string(m.Side) + "/" + m.Name }

func validator(t testing.TB) *schema.Validator {
	t.Helper()
	v, err := schema.New(spec.Default())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Every message has exactly the schema files that the contract names, in both
// versions, and every file in the folders belongs to something.
func TestNothingMissingNothingOrphaned(t *testing.T) {
	published := map[string][]string{
		"pac/connectedTerminals":   {"CtSR_connectedTerminals_Request.json", "CtSR_connectedTerminals_Response.json"},
		"pac/terminalDetails":      {"CtSR_terminalDetails_Request.json", "CtSR_terminalDetails_Response.json"},
		"pac/performTransaction":   {"CtSR_PerformTransaction_Request.json", "CtSR_PerformTransaction_Response.json"},
		"pac/cancelTransaction":    {"CtSR_cancelTransaction_Request.json", "CtSR_cancelTransaction_Response.json"},
		"pac/duplicate":            {"CtSR_duplicate_Request.json", "CtSR_duplicate_Response.json"},
		"pac/report":               {"CtSR_Report_Request.json", "CtSR_Report_Response.json"},
		"pac/verifySignature":      {"StCR_verifySignature_Request.json", "StCR_verifySignature_Response.json"},
		"pac/terminalNotification": {"StCN_terminalNotification.json"},
		"pac/errorMessage":         {"StCE_ErrorMessage.json"},
		"pat/tableList":            {"StCR_tableList_Request.json", "StCR_tableList_Response.json"},
		"pat/tableLock":            {"StCR_tableLock_Request.json", "StCR_tableLock_Response.json"},
		"pat/posReceipt":           {"StCR_posReceipt_Request.json", "StCR_posReceipt_Response.json"},
		"pat/finalPOSReceipt":      {"StCR_finalPOSReceipt_Request.json", "StCR_finalPOSReceipt_Response.json"},
		"pat/transactionResponse":  {"StCN_transactionResponse.json"},
		"pat/tableUnlock":          {"StCN_tableUnlock.json"},
		"pat/reportResponse":       {"StCN_reportResponse.json"},
		"pat/errorMessage":         {"StCE_ErrorMessage.json"},
	}
	want := []string{
		"extensions.json", "messages.json", "errors.json", "notifications.json", "timers.json",
		"results.json", "receipts.json", "virtual-terminals.json", "scenarios.json", "test-cards.json", "checklist.json",
		"states/transaction.json", "states/report.json", "states/visit.json", "states/table.json",
	}
	for dir, names := range published {
		want = append(want, dir+"/about.md", dir+"/examples.json")
		for _, name := range names {
			want = append(want, path.Join(dir, "v1", name))
			want = append(want, path.Join(dir, "v0", strings.Replace(name, "terminalDetails", "terminalsDetails", 1)))
		}
	}
	for dir, names := range map[string][]string{
		"keys/performTransaction":     {"CtSR_PerformTransaction_Request.json"},
		"keys/report":                 {"CtSR_Report_Request.json"},
		"status/transactionStatus":    {"CtSR_transactionStatus_Request.json", "CtSR_transactionStatus_Response.json"},
		"resume/terminalNotification": {"StCN_terminalNotification.json"},
		"resume/verifySignature":      {"StCR_verifySignature_Request.json", "StCR_verifySignature_Response.json"},
		"resume/performTransaction":   {"CtSR_PerformTransaction_Request.json", "CtSR_PerformTransaction_Response.json"},
		"resume/streamGap":            {"StCN_streamGap.json"},
		"late/transactionCorrected":   {"StCN_transactionCorrected.json"},
		"acks/transactionResponse":    {"StCR_transactionResponse_Request.json", "StCR_transactionResponse_Response.json"},
		"acks/tableUnlock":            {"StCR_tableUnlock_Request.json", "StCR_tableUnlock_Response.json"},
		"acks/reportResponse":         {"StCR_reportResponse_Request.json", "StCR_reportResponse_Response.json"},
	} {
		dir = path.Join("extensions", dir)
		want = append(want, dir+"/examples.json")
		for _, name := range names {
			want = append(want, path.Join(dir, "v1", name), path.Join(dir, "v0", name))
		}
	}
	for _, e := range spec.Default().Extensions() {
		want = append(want, path.Join("extensions", e.Name, "about.md"))
	}
	want = append(want, linkFiles()...)
	want = append(want, restFiles()...)
	var got []string
	err := fs.WalkDir(spec.Files(), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}

	var listed []string
	x := spec.Default()
	for _, m := range x.Messages() {
		listed = append(listed, id(m))
		if len(m.About) < 100 || !strings.Contains(m.About, "### In v0") {
			t.Errorf("%s: about.md says too little, or nothing of v0", id(m))
		}
		if m.Title == "" || m.Clause == "" {
			t.Errorf("%s: no title or no clause", id(m))
		}
		for _, s := range m.Schemas {
			raw, ok := x.Schema(s.Version, s.File)
			if !ok || string(raw) != string(s.Raw) {
				t.Errorf("%s/%s of %s is not the file that is served", s.Version, s.File, id(m))
			}
		}
		if got, ok := x.Message(m.Side, m.Name); !ok || got.Title != m.Title {
			t.Errorf("%s is not found by its name", id(m))
		}
	}
	slices.Sort(listed)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(published)), listed); diff != "" {
		t.Errorf("messages.json (-want +got):\n%s", diff)
	}
	if _, ok := x.Message(spec.PAC, "tableList"); ok {
		t.Error("a message of the other side is found")
	}
	if _, ok := x.Schema("v1", "CtSR_terminalsDetails_Request.json"); ok {
		t.Error("a schema of the other version is found")
	}
}

// The published examples are as many as on the reference page.
func TestPublishedExamples(t *testing.T) {
	type count struct{ Request, Response, Notification int }
	want := map[string]count{
		"pac/connectedTerminals":   {2, 2, 0},
		"pac/terminalDetails":      {1, 1, 0},
		"pac/performTransaction":   {2, 2, 0},
		"pac/cancelTransaction":    {1, 1, 0},
		"pac/duplicate":            {1, 1, 0},
		"pac/report":               {2, 2, 0},
		"pac/verifySignature":      {1, 1, 0},
		"pac/terminalNotification": {0, 0, 1},
		"pat/tableList":            {1, 1, 0},
		"pat/tableLock":            {1, 1, 0},
		"pat/posReceipt":           {1, 1, 0},
		"pat/finalPOSReceipt":      {1, 1, 0},
		"pat/transactionResponse":  {0, 0, 1},
		"pat/tableUnlock":          {0, 0, 1},
		"pat/reportResponse":       {0, 0, 1},
	}
	got := map[string]count{}
	for _, m := range spec.Default().Messages() {
		for _, e := range m.Examples {
			if !e.Published {
				continue
			}
			if e.Version != spec.V1 || !e.Valid {
				t.Errorf("%s %s is published, so it ought to be valid and of v1", id(m), e.Name)
			}
			c := got[id(m)]
			switch e.Kind {
			case spec.KindRequest:
				c.Request++
			case spec.KindResponse:
				c.Response++
			case spec.KindNotification:
				c.Notification++
			case spec.KindError:
				t.Errorf("%s %s: errors stand in pairs", id(m), e.Name)
			}
			got[id(m)] = c
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("published examples (-want +got):\n%s", diff)
	}
}

// Each valid example fits its schema, each invalid one has the one fault that it
// names.
func TestExamples(t *testing.T) {
	v := validator(t)
	for _, m := range spec.Default().Messages() {
		for _, e := range m.Examples {
			t.Run(id(m)+"/"+e.Name, func(t *testing.T) {
				s, ok := m.Schema(e.Version, e.Kind)
				if !ok {
					t.Fatalf("no schema for %s %s", e.Version, e.Kind)
				}
				if e.Direction != s.Direction {
					t.Errorf("direction is %s, want %s", e.Direction, s.Direction)
				}
				if e.Title == "" {
					t.Error("no title")
				}
				faults, err := v.Check(e.Version, s.File, e.Text)
				if err != nil {
					t.Fatal(err)
				}
				if e.Valid {
					if len(faults) > 0 || e.Place != "" || e.Rule != "" {
						t.Errorf("called valid, but has faults %v or names one at %q\n%s", faults, e.Place, e.Text)
					}
					return
				}
				if len(faults) != 1 || faults[0].Pointer != e.Place || faults[0].Rule != e.Rule {
					t.Errorf("got faults %v, want %s at %s\n%s", faults, e.Rule, e.Place, e.Text)
				}
			})
		}
	}
}

// A response answers the request that it names: same version, same id; and each
// kind of message has examples of either sort in either version.
func TestExamplesBelongTogether(t *testing.T) {
	for _, m := range spec.Default().Messages() {
		seen := map[string]int{}
		for _, e := range m.Examples {
			sort := "invalid"
			if e.Valid {
				sort = "valid"
			}
			seen[e.Version+" "+string(e.Kind)+" "+sort]++
			if !e.Valid {
				base, ok := m.Example(e.Base)
				if !ok || !base.Valid {
					t.Errorf("%s %s: its base is no valid example", id(m), e.Name)
				}
				continue
			}
			if (e.Kind == spec.KindResponse) != (e.ReplyTo != "") {
				t.Errorf("%s %s: a response names its request, and nothing else does", id(m), e.Name)
			}
			if e.ReplyTo == "" {
				continue
			}
			asked, ok := m.Example(e.ReplyTo)
			if !ok || asked.Version != e.Version || asked.Kind != spec.KindRequest {
				t.Errorf("%s %s: %q is no request of %s", id(m), e.Name, e.ReplyTo, e.Version)
				continue
			}
			if a, b := envelopeID(t, asked.Text), envelopeID(t, e.Text); a != b {
				t.Errorf("%s %s: answers id %d under id %d", id(m), e.Name, a, b)
			}
		}
		for _, s := range m.Schemas {
			if s.Kind == spec.KindError {
				continue
			}
			for _, sort := range []string{"valid", "invalid"} {
				if key := s.Version + " " + string(s.Kind) + " " + sort; seen[key] == 0 {
					t.Errorf("%s has no example: %s", id(m), key)
				}
			}
		}
	}
}

func envelopeID(t *testing.T, text []byte) int {
	t.Helper()
	var m struct {
		ID int `json:"id"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// In a valid payment the parts make the total, and every one of the 22 fields is
// there.
func TestPaymentsAddUp(t *testing.T) {
	type payment struct {
		Base     int `json:"amountBase"`
		Paid     int `json:"amountPaid"`
		Cashback int `json:"amountCashback"`
		Gratuity int `json:"amountGratuity"`
		Total    int `json:"amountTotal"`
	}
	n := 0
	for _, m := range spec.Default().Messages() {
		for _, e := range m.Examples {
			if !e.Valid {
				continue
			}
			var body struct {
				Result jsontext.Value `json:"result"`
				Params jsontext.Value `json:"params"`
			}
			if err := json.Unmarshal(e.Text, &body); err != nil {
				t.Fatal(err)
			}
			inner := body.Result
			if m.Name == "transactionResponse" {
				inner = body.Params
			} else if e.Kind != spec.KindResponse || (m.Name != "performTransaction" && m.Name != "duplicate") {
				continue
			}
			n++
			var p payment
			if err := json.Unmarshal(inner, &p); err != nil {
				t.Fatal(err)
			}
			if p.Base+p.Paid+p.Cashback+p.Gratuity != p.Total {
				t.Errorf("%s %s: %+v does not add up", id(m), e.Name, p)
			}
			if m.Name == "transactionResponse" {
				var list struct {
					Payments []payment `json:"payments"`
				}
				if err := json.Unmarshal(inner, &list); err != nil {
					t.Fatal(err)
				}
				for _, q := range list.Payments {
					p.Paid -= q.Paid
					p.Gratuity -= q.Gratuity
					p.Cashback -= q.Cashback
				}
				if p.Paid != 0 || p.Gratuity != 0 || p.Cashback != 0 {
					t.Errorf("%s %s: the payments do not make the totals", id(m), e.Name)
				}
				continue
			}
			var fields map[string]jsontext.Value
			if err := json.Unmarshal(inner, &fields); err != nil {
				t.Fatal(err)
			}
			if len(fields) != 22 {
				t.Errorf("%s %s has %d fields, want 22", id(m), e.Name, len(fields))
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d payments were looked at", n)
	}
}

// The methods of the contract are found by side and version, and only there.
func TestByMethod(t *testing.T) {
	tests := []struct {
		side            spec.Side
		version, method string
		want            string // empty: not to be found
	}{
		{spec.PAC, "v1", "connectedTerminals", "connectedTerminals"},
		{spec.PAC, "v1", "terminalDetails", "terminalDetails"},
		{spec.PAC, "v1", "terminalsDetails", ""},
		{spec.PAC, "v0", "terminalDetails", ""},
		{spec.PAC, "v0", "terminalsDetails", "terminalDetails"},
		{spec.PAC, "v1", "sale", "performTransaction"},
		{spec.PAC, "v1", "Sale", ""},
		{spec.PAC, "v1", "performTransaction", ""},
		{spec.PAC, "v1", "refund", "performTransaction"},
		{spec.PAC, "v1", "preAuth", "performTransaction"},
		{spec.PAC, "v1", "completion", "performTransaction"},
		{spec.PAC, "v1", "accountVerification", "performTransaction"},
		{spec.PAC, "v0", "sale", "performTransaction"},
		{spec.PAC, "v0", "refund", "performTransaction"},
		{spec.PAC, "v0", "preAuth", ""},
		{spec.PAC, "v0", "completion", ""},
		{spec.PAC, "v0", "accountVerification", ""},
		{spec.PAC, "v1", "cancelTransaction", "cancelTransaction"},
		{spec.PAC, "v1", "duplicate", "duplicate"},
		{spec.PAC, "v1", "reportEndOfDay", "report"},
		{spec.PAC, "v1", "reportBanking", "report"},
		{spec.PAC, "v1", "reportXBalance", "report"},
		{spec.PAC, "v0", "reportZBalance", "report"},
		{spec.PAC, "v1", "signatureVerificationRequest", "verifySignature"},
		{spec.PAC, "v1", "terminalNotification", "terminalNotification"},
		{spec.PAT, "v1", "sale", ""},
		{spec.PAT, "v1", "tableListRequest", "tableList"},
		{spec.PAT, "v0", "tableLockRequest", "tableLock"},
		{spec.PAT, "v1", "posReceiptRequest", "posReceipt"},
		{spec.PAT, "v1", "finalPOSReceiptRequest", "finalPOSReceipt"},
		{spec.PAT, "v1", "transactionResponse", "transactionResponse"},
		{spec.PAT, "v1", "tableUnlock", "tableUnlock"},
		{spec.PAT, "v1", "reportResponse", "reportResponse"},
	}
	for _, tt := range tests {
		m, ok := spec.Default().ByMethod(tt.side, tt.version, tt.method)
		if ok != (tt.want != "") || m.Name != tt.want {
			t.Errorf("ByMethod(%s, %s, %s) = %q, %v, want %q", tt.side, tt.version, tt.method, m.Name, ok, tt.want)
		}
	}
}

// v0 says tpi wherever v1 says tid, in schemas and examples.
func TestTerminalField(t *testing.T) {
	words := map[string]*regexp.Regexp{spec.V0: regexp.MustCompile(`\btids?\b`), spec.V1: regexp.MustCompile(`\btpis?\b`)}
	for _, m := range spec.Default().Messages() {
		for _, s := range m.Schemas {
			if w := words[s.Version].Find(s.Raw); w != nil {
				t.Errorf("%s %s/%s mentions %s", id(m), s.Version, s.File, w)
			}
		}
		for _, e := range m.Examples {
			if w := words[e.Version].Find(e.Text); e.Valid && w != nil {
				t.Errorf("%s %s mentions %s", id(m), e.Name, w)
			}
		}
	}
}

// The error message is published once: the files of both sides and versions say
// the same, and know the codes of the table.
func TestErrorMessageSchema(t *testing.T) {
	x := spec.Default()
	var first []byte
	for _, m := range x.Messages() {
		if m.Kind != spec.KindError {
			continue
		}
		for _, s := range m.Schemas {
			if first == nil {
				first = s.Raw
			}
			if string(s.Raw) != string(first) {
				t.Errorf("%s %s/%s differs from the others", id(m), s.Version, s.File)
			}
		}
	}
	var body struct {
		Properties struct {
			Error struct {
				Properties struct {
					Code struct{ Enum []int }
				}
			}
		}
	}
	if err := json.Unmarshal(first, &body, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	var codes []int
	for _, e := range x.Errors() {
		codes = append(codes, e.Code)
	}
	if diff := cmp.Diff(codes, body.Properties.Error.Properties.Code.Enum); diff != "" {
		t.Errorf("codes of the schema (-errors.json +schema):\n%s", diff)
	}
}

// The ten errors of either side: in order, whole, and what they claim to be.
func TestErrorPairs(t *testing.T) {
	want := map[spec.Side][]int{
		spec.PAC: {
			spec.CodeParse, spec.CodeInvalidRequest, spec.CodeInvalidRequest, spec.CodeMethodNotFound,
			spec.CodeInvalidParams, spec.CodeInvalidParams, spec.CodeTerminalUnavailable, spec.CodeTerminalBusy,
			spec.CodeRequestNotSupported, spec.CodeNoTransactionInProgress,
		},
		spec.PAT: {
			spec.CodeParse, spec.CodeInvalidRequest, spec.CodeInvalidRequest, spec.CodeMethodNotFound,
			spec.CodeInvalidParams, spec.CodeInvalidParams, spec.CodeUnexpectedResponse, spec.CodeUnexpectedResponse,
			spec.CodeRequestTimedOut, spec.CodeConnectionDiscontinued,
		},
	}
	x, v := spec.Default(), validator(t)
	for side, codes := range want {
		m, ok := x.Message(side, "errorMessage")
		if !ok || len(m.Errors) != len(codes) {
			t.Fatalf("%s has %d error pairs, want %d", side, len(m.Errors), len(codes))
		}
		for i, p := range m.Errors {
			t.Run(string(side)+"/"+p.Name, func(t *testing.T) {
				if p.Title == "" || p.Note == "" {
					t.Error("no title or no note")
				}
				for _, version := range []string{spec.V1, spec.V0} {
					faults, err := v.Check(version, "StCE_ErrorMessage.json", p.ErrorToEPOS)
					if err != nil || len(faults) > 0 {
						t.Errorf("the error does not fit its schema: %v %v", faults, err)
					}
				}
				var got struct {
					ID    *int `json:"id"`
					Error struct {
						Code        int    `json:"code"`
						Message     string `json:"message"`
						UserMessage string `json:"userMessage"`
					} `json:"error"`
				}
				if err := json.Unmarshal(p.ErrorToEPOS, &got); err != nil {
					t.Fatal(err)
				}
				if got.Error.Code != codes[i] {
					t.Errorf("code %d, want %d", got.Error.Code, codes[i])
				}
				entry, ok := x.Error(got.Error.Code)
				if !ok || !slices.Contains(entry.Sides, side) {
					t.Fatalf("code %d is not of %s in errors.json", got.Error.Code, side)
				}
				if !worded(entry, got.Error.Message, got.Error.UserMessage) {
					t.Errorf("%q with %q is none of the wordings of errors.json", got.Error.Message, got.Error.UserMessage)
				}
				claim(t, v, x, m, p, got.Error.Code, got.Error.Message, got.ID)
			})
		}
	}
}

// worded reports whether the texts are a filled wording of the entry.
func worded(entry spec.ErrorCode, message, user string) bool {
	hole := regexp.MustCompile(`\\\{[a-z]+\\\}`)
	fits := func(template, text string) bool {
		return regexp.MustCompile("^" + hole.ReplaceAllString(regexp.QuoteMeta(template), `.+`) + "$").MatchString(text)
	}
	return slices.ContainsFunc(entry.Texts, func(w spec.ErrorText) bool {
		return fits(w.Message, message) && fits(w.UserMessage, user)
	})
}

// claim checks that what the till sent is what its error says.
func claim(t *testing.T, v *schema.Validator, x *spec.Index, m spec.Message, p spec.ErrorPair, code int, message string, errorID *int) {
	t.Helper()
	text := []byte(p.ToConnect)
	if code == spec.CodeConnectionDiscontinued {
		if len(text) > 0 || errorID != nil {
			t.Error("Connection Discontinued answers nothing")
		}
		return
	}
	if isJSON := jsontext.Value(text).IsValid(); isJSON != (code != spec.CodeParse) {
		t.Fatalf("is JSON: %v", isJSON)
	}
	if code == spec.CodeParse {
		if errorID != nil {
			t.Error("a parse error bears no id")
		}
		return
	}
	var envelope struct {
		ID     jsontext.Value `json:"id"`
		Method string         `json:"method"`
	}
	isObject := json.Unmarshal(text, &envelope) == nil
	if code == spec.CodeInvalidRequest {
		if isObject && envelope.ID.Kind() == '0' {
			t.Error("the envelope is sound")
		}
		if errorID != nil {
			t.Error("no id could be read, so the error bears none")
		}
		return
	}
	if !isObject || errorID == nil || *errorID != envelopeID(t, text) {
		t.Fatal("the error does not bear the id of the message")
	}
	if code == spec.CodeMethodNotFound {
		if _, ok := x.ByMethod(m.Side, spec.V1, envelope.Method); ok {
			t.Errorf("%s is a method of %s", envelope.Method, m.Side)
		}
		return
	}
	meant, ok := x.Message(m.Side, p.Message)
	if !ok {
		t.Fatalf("%s has no message %q", m.Side, p.Message)
	}
	s, ok := meant.Schema(spec.V1, p.Kind)
	if !ok {
		t.Fatalf("%s has no %s", p.Message, p.Kind)
	}
	faults, err := v.Check(s.Version, s.File, text)
	if err != nil {
		t.Fatal(err)
	}
	if code == spec.CodeInvalidParams {
		if len(faults) != 1 || !strings.Contains(message, " "+faults[0].Pointer+" ") {
			t.Errorf("the faults are %v, the message says %q", faults, message)
		}
		return
	}
	if len(faults) > 0 {
		t.Errorf("the message itself is faulty: %v", faults)
	}
}

// The error table is that of the contract, section 6.
func TestErrorTable(t *testing.T) {
	type row struct {
		Code  int
		Title string
		Sides string
	}
	want := []row{
		{-32700, "Parse error", "pac pat"},
		{-32600, "Invalid Request", "pac pat"},
		{-32601, "Method not found", "pac pat"},
		{-32602, "Invalid params", "pac pat"},
		{-32603, "Internal error", "pac pat"},
		{-32070, "Terminal Unavailable", "pac"},
		{-32071, "Terminal Busy", "pac"},
		{-32072, "Request Not Supported", "pac"},
		{-32073, "No Transaction In Progress", "pac"},
		{-32074, "Request Timed Out", "pac pat"},
		{-32075, "Unexpected Response", "pac pat"},
		{-32076, "Connection Discontinued", "pat"},
	}
	var got []row
	names := map[string]bool{}
	for _, e := range spec.Default().Errors() {
		var sides []string
		for _, s := range e.Sides {
			sides = append(sides, string(s))
		}
		got = append(got, row{e.Code, e.Title, strings.Join(sides, " ")})
		if e.Name == "" || e.Meaning == "" || e.IDRule == "" || e.AdviceText == "" || len(e.Texts) == 0 {
			t.Errorf("%d: something is not said", e.Code)
		}
		if !slices.Contains([]spec.Advice{spec.Retry, spec.Correct, spec.AskTerminal, spec.Stop}, e.Advice) {
			t.Errorf("%d: advice %q", e.Code, e.Advice)
		}
		if !slices.Contains([]string{"never", "asReceived", "ifUsable", "ifAny", "bySide"}, e.ID) {
			t.Errorf("%d: id %q", e.Code, e.ID)
		}
		for _, w := range e.Texts {
			if names[w.Name] || !strings.HasPrefix(w.Message, e.Title) {
				t.Errorf("%d: wording %s is there twice, or does not begin with the title", e.Code, w.Name)
			}
			names[w.Name] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors.json (-want +got):\n%s", diff)
	}
	unavailable := spec.Fill(spec.UserMessageTerminalUnavailable, "tid", "12345678")
	if want := "12345678 is unavailable. Please try again in 10 seconds or check the PDQ screen and cabling or restart the PDQ. Contact support if the problem persists."; unavailable != want {
		t.Errorf("got %q, want %q", unavailable, want)
	}
}

// The tables agree with the schemas that list the same words.
func TestTablesAgreeWithSchemas(t *testing.T) {
	x := spec.Default()
	for _, version := range []string{spec.V1, spec.V0} {
		var notes []string
		for _, n := range x.Notifications() {
			if n.Meaning == "" || n.Group == "" || (n.Since != spec.V0 && n.Since != spec.V1) {
				t.Errorf("%s: something is not said", n.Value)
			}
			if version == spec.V1 || n.Since == spec.V0 {
				notes = append(notes, n.Value)
			}
		}
		if diff := cmp.Diff(notes, enum(t, version, "StCN_terminalNotification.json", "/properties/params/properties/notificationValue")); diff != "" {
			t.Errorf("notifications in %s (-table +schema):\n%s", version, diff)
		}

		var results []string
		for _, r := range x.Results() {
			results = append(results, r.Value)
			if r.Till == "" || !slices.Contains([]string{"yes", "no", "unknown"}, r.Money) {
				t.Errorf("%s: something is not said", r.Value)
			}
		}
		if diff := cmp.Diff(results, enum(t, version, "CtSR_PerformTransaction_Response.json", "/properties/result/properties/transactionResult")); diff != "" {
			t.Errorf("results in %s (-table +schema):\n%s", version, diff)
		}

		lines := map[string][]string{}
		for _, l := range x.ReceiptLines() {
			for _, from := range l.From {
				lines[from] = append(lines[from], l.Type)
			}
		}
		for from, file := range map[string]string{"terminal": "CtSR_PerformTransaction_Response.json", "epos": "StCR_posReceipt_Response.json"} {
			got := enum(t, version, file, "/definitions/line/properties/type")
			if diff := cmp.Diff(slices.Sorted(slices.Values(lines[from])), slices.Sorted(slices.Values(got))); diff != "" {
				t.Errorf("lines from %s in %s (-table +schema):\n%s", from, version, diff)
			}
		}
		var formats []string
		for _, f := range x.ReceiptFormats() {
			formats = append(formats, f.Value)
		}
		if diff := cmp.Diff(formats, enum(t, version, "CtSR_Report_Response.json", "/definitions/line/properties/format/items")); diff != "" {
			t.Errorf("formats in %s (-table +schema):\n%s", version, diff)
		}
	}
}

// enum reads the words that a schema allows at a place in itself.
func enum(t *testing.T, version, file, pointer string) []string {
	t.Helper()
	raw, ok := spec.Default().Schema(version, file)
	if !ok {
		t.Fatalf("no schema %s/%s", version, file)
	}
	v := jsontext.Value(raw)
	for token := range jsontext.Pointer(pointer + "/enum").Tokens() {
		var members map[string]jsontext.Value
		if err := json.Unmarshal(v, &members); err != nil || members[token] == nil {
			t.Fatalf("%s/%s has nothing at %s", version, file, pointer)
		}
		v = members[token]
	}
	var words []string
	if err := json.Unmarshal(v, &words); err != nil {
		t.Fatal(err)
	}
	return words
}

func TestLimits(t *testing.T) {
	x := spec.Default()
	timers := map[string]time.Duration{
		spec.TimerTransaction:           200 * time.Second,
		spec.TimerTransactionNotPresent: 300 * time.Second,
		spec.TimerSignature:             80 * time.Second,
		spec.TimerTerminalSignature:     120 * time.Second,
		spec.TimerReport:                120 * time.Second,
		spec.TimerPATAnswer:             10 * time.Second,
		spec.TimerLostTerminal:          120 * time.Second,
		spec.TimerPing:                  30 * time.Second,
		spec.TimerTerminalAccepts:       10 * time.Second,
		spec.TimerCancelV0Wait:          10 * time.Second,
		spec.TimerTakeoverDelay:         2 * time.Second,
		spec.TimerKeepOutcomes:          7 * 24 * time.Hour,
		spec.TimerKeepReports:           3 * 24 * time.Hour,
		spec.TimerKeepStream:            24 * time.Hour,
		spec.TimerLateWaits:             24 * time.Hour,
	}
	for name, want := range timers {
		if got := x.Timer(name); got != want {
			t.Errorf("Timer(%s) = %v, want %v", name, got, want)
		}
	}
	counts := map[string]int{
		spec.CountPingsMissed:        2,
		spec.CountTakeovers:          20,
		spec.CountKeepStreamMessages: 10000,
		spec.CountMessageBytes:       1 << 20,
	}
	for name, want := range counts {
		if got := x.Count(name); got != want {
			t.Errorf("Count(%s) = %d, want %d", name, got, want)
		}
	}
	if got, want := len(x.Limits()), len(timers)+len(counts); got != want {
		t.Errorf("timers.json has %d entries, want %d", got, want)
	}
	for _, l := range x.Limits() {
		if (l.Seconds > 0) == (l.Count > 0) || l.Title == "" || l.Then == "" || l.Clause == "" {
			t.Errorf("%s: something is not said", l.Name)
		}
	}
	for name, call := range map[string]func(){
		"Timer": func() { x.Timer(spec.CountPingsMissed) },
		"Count": func() { x.Count("unheardOf") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s takes an unknown name", name)
				}
			}()
			call()
		}()
	}
}

func TestChecklist(t *testing.T) {
	ids := map[string]bool{}
	sides := map[string]int{}
	for _, l := range spec.Default().Checklist() {
		if ids[l.ID] || !strings.HasPrefix(l.ID, l.Side+".") || l.Text == "" || l.Clause == "" {
			t.Errorf("%s: twice, on the wrong side, or something is not said", l.ID)
		}
		ids[l.ID] = true
		sides[l.Side]++
	}
	if diff := cmp.Diff(map[string]int{"general": 6, "pac": 32, "pat": 13}, sides); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// A broken folder is named in the error, not read in part.
func TestLoadRefuses(t *testing.T) {
	whole := func() fstest.MapFS {
		m := fstest.MapFS{}
		err := fs.WalkDir(spec.Files(), ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(spec.Files(), p)
			if path.Base(p) == "examples.json" {
				data = []byte("[]") // hundreds of examples take their time
			}
			m[p] = &fstest.MapFile{Data: data}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if _, err := spec.Load(whole()); err != nil {
		t.Fatalf("a folder without examples: %v", err)
	}
	const examples = "pac/duplicate/examples.json"
	tests := []struct {
		name, file, content string // empty content: the file is missing
		want                string
	}{
		{"no table", "timers.json", "", "timers.json"},
		{"not JSON", "errors.json", "[", "errors.json"},
		{"misspelt member", "results.json", `[{"valeu":"SUCCESSFUL"}]`, "valeu"},
		{"no about", "pat/tableLock/about.md", "", "pat/tableLock"},
		{"no examples", examples, "", "pac/duplicate"},
		{"unpublished file name", "pac/duplicate/v1/extra.json", "{}", "extra.json"},
		{"schema is not JSON", "pac/duplicate/v1/CtSR_duplicate_Request.json", "{", "CtSR_duplicate_Request.json"},
		{"no such base", examples, `[{"name":"a","base":"b"}]`, "example a"},
		{"name twice", examples, `[{"name":"a","message":{}},{"name":"a","message":{}}]`, "example a"},
		{"nothing to remove", examples, `[{"name":"a","message":{}},{"name":"b","base":"a","remove":["/x"]}]`, "remove /x"},
		{"nowhere to set", examples, `[{"name":"a","message":{}},{"name":"b","base":"a","set":{"/x/y":1}}]`, "set /x/y"},
		{"no such item", examples, `[{"name":"a","message":{"x":[1]}},{"name":"b","base":"a","set":{"/x/1":1}}]`, "set /x/1"},
		{"no pointer", examples, `[{"name":"a","message":{}},{"name":"b","base":"a","set":{"x":1}}]`, "set x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := whole()
			if tt.content == "" {
				delete(m, tt.file)
			} else {
				m[tt.file] = &fstest.MapFile{Data: []byte(tt.content)}
			}
			_, err := spec.Load(m)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one that names %q", err, tt.want)
			}
		})
	}
}

// Every extension says what it adds and why, for both versions; its examples
// are what they claim to be.
func TestExtensions(t *testing.T) {
	v := validator(t)
	x := spec.Default()
	var names []string
	for _, e := range x.Extensions() {
		names = append(names, e.Name)
		if e.Title == "" || e.Adds == "" || e.Why == "" || len(e.Sides) == 0 || len(e.About) < 100 || !strings.Contains(e.About, "### In v0") {
			t.Errorf("%s: something is not said", e.Name)
		}
		if got, ok := x.Extension(e.Name); !ok || got.Title != e.Title {
			t.Errorf("%s is not found by its name", e.Name)
		}
		for _, m := range e.Messages {
			if got, ok := e.Message(m.Name); !ok || got.Title != m.Title {
				t.Errorf("%s %s is not found by its name", e.Name, m.Name)
			}
			if len(m.Schemas) == 0 || len(m.Examples) < 4 {
				t.Errorf("%s %s has %d schemas and %d examples", e.Name, m.Name, len(m.Schemas), len(m.Examples))
			}
			for _, s := range m.Schemas {
				if raw, ok := x.Schema("extensions/"+e.Name+"/"+s.Version, s.File); !ok || string(raw) != string(s.Raw) {
					t.Errorf("%s/%s of %s is not the file that is served", s.Folder, s.File, m.Name)
				}
			}
			for _, ex := range m.Examples {
				t.Run(e.Name+"/"+m.Name+"/"+ex.Name, func(t *testing.T) {
					s, ok := m.Schema(ex.Version, ex.Kind)
					if !ok || ex.Direction != s.Direction || ex.Title == "" {
						t.Fatalf("no schema for %s %s %s, or no title", ex.Version, ex.Kind, ex.Direction)
					}
					if asked, ok := m.Example(ex.ReplyTo); ex.Valid && (ex.Kind == spec.KindResponse) != (ok && asked.Kind == spec.KindRequest) {
						t.Errorf("answers %q", ex.ReplyTo)
					}
					faults, err := v.Check(s.Folder, s.File, ex.Text)
					if err != nil {
						t.Fatal(err)
					}
					switch {
					case ex.Valid && len(faults) > 0:
						t.Errorf("called valid, but has faults %v\n%s", faults, ex.Text)
					case !ex.Valid && (len(faults) != 1 || faults[0].Pointer != ex.Place || faults[0].Rule != ex.Rule):
						t.Errorf("got faults %v, want %s at %s\n%s", faults, ex.Rule, ex.Place, ex.Text)
					}
				})
			}
		}
	}
	if diff := cmp.Diff([]string{"keys", "status", "resume", "late", "errors", "acks"}, names); diff != "" {
		t.Errorf("extensions (-want +got):\n%s", diff)
	}
}

// What an extension takes over from the published messages is the same there.
func TestExtensionsKeepToThePublished(t *testing.T) {
	for _, version := range []string{spec.V1, spec.V0} {
		members := func(folder, file string) map[string]any {
			t.Helper()
			raw, ok := spec.Default().Schema(folder, file)
			var doc map[string]any
			if !ok || json.Unmarshal(raw, &doc) != nil {
				t.Fatalf("no schema %s/%s", folder, file)
			}
			return doc
		}
		same := func(what string, published, extended any) {
			t.Helper()
			if diff := cmp.Diff(published, extended); diff != "" {
				t.Errorf("%s in %s (-published +extension):\n%s", what, version, diff)
			}
		}
		for _, file := range []string{"CtSR_PerformTransaction_Request.json", "CtSR_Report_Request.json"} {
			published, keyed := members(version, file), members("extensions/keys/"+version, file)
			if n := forgetKeys(keyed); n == 0 {
				t.Errorf("%s has no requestKey", file)
			}
			keyed["title"] = published["title"]
			same(file, published, keyed)
		}
		for _, file := range []string{
			"StCN_terminalNotification.json", "StCR_verifySignature_Request.json", "StCR_verifySignature_Response.json",
			"CtSR_PerformTransaction_Request.json", "CtSR_PerformTransaction_Response.json",
		} {
			published, streamed := members(version, file), members("extensions/resume/"+version, file)
			numbered := forgetSeq(streamed)
			if fromTill := strings.HasPrefix(file, "CtSR") != strings.HasSuffix(file, "_Response.json"); fromTill == numbered {
				t.Errorf("%s in %s: numbered is %t", file, version, numbered)
			}
			streamed["title"] = published["title"]
			same(file, published, streamed)
		}
		const answer = "CtSR_PerformTransaction_Response.json"
		payment := at(members(version, answer), "properties", "result")
		lines := members(version, answer)["definitions"]
		for file, place := range map[string][]string{
			"extensions/status/" + version + "/CtSR_transactionStatus_Response.json": {"properties", "result", "properties", "payment"},
			"extensions/late/" + version + "/StCN_transactionCorrected.json":         {"properties", "params", "properties", "payment"},
		} {
			doc := members(path.Dir(file), path.Base(file))
			same(file, payment, at(doc, place...))
			same(file, lines, doc["definitions"])
		}
		for _, name := range []string{"transactionResponse", "tableUnlock", "reportResponse"} {
			published := members(version, "StCN_"+name+".json")
			acked := members("extensions/acks/"+version, "StCR_"+name+"_Request.json")
			same(name, at(published, "properties", "params"), at(acked, "properties", "params"))
			same(name, published["definitions"], acked["definitions"])
		}
	}
}

// forgetSeq removes the number of a message, and reports whether it had to have
// one.
func forgetSeq(doc map[string]any) bool {
	required, _ := doc["required"].([]any)
	i := slices.Index(required, any("seq"))
	if i >= 0 {
		doc["required"] = slices.Delete(required, i, i+1)
	}
	properties, _ := doc["properties"].(map[string]any)
	_, has := properties["seq"]
	delete(properties, "seq")
	return has && i >= 0
}

// forgetKeys removes each member requestKey, and counts them.
func forgetKeys(v map[string]any) (n int) {
	if _, ok := v["requestKey"]; ok {
		delete(v, "requestKey")
		n++
	}
	for _, member := range v {
		if inner, ok := member.(map[string]any); ok {
			n += forgetKeys(inner)
		}
	}
	return n
}

func at(doc any, place ...string) any {
	for _, name := range place {
		members, _ := doc.(map[string]any)
		doc = members[name]
	}
	return doc
}
