package docs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tillwire/tillwire/spec"
)

// The development gateway that the lines to be copied ask.
const (
	curlHost     = "http://127.0.0.1:8484"
	curlKey      = "-u till1:demo"
	curlTerminal = "VCMDEMOSIP0" // a sale succeeds, by chip and PIN
	curlSigner   = "VCMDEMOSIS0" // a signature is wanted
)

// curlLoop waits, for as long as it takes a simulated card machine and not for
// ever.
const curlLoop = "for try in $(seq 30)"

// curlText says what the lines need.
func curlText(e spec.RESTEndpoint) string {
	text := "For a gateway with `--dev` as in [Getting started](/docs/start)."
	switch {
	case slices.Contains(e.Parameters, "tableName"):
		text += " A table 12 has to be [stored](" + restBase + "createTable) before."
	case slices.Contains(e.Parameters, "reportId"):
		text += " The first line has a simulated card machine make a report by itself."
	case slices.Contains(e.Headers, "Idempotency-Key"):
		text += " Whoever sends it twice gets the first answer twice; another request needs another key."
	}
	return text
}

// curls are the lines that ask an endpoint, for each version, the newest first;
// older ones are folded away.
func curls(r spec.REST, e spec.RESTEndpoint) []block {
	var blocks []block
	for i, v := range newestFirst(e.Versions) {
		b := snippet{Language: "sh", Title: "In " + v, Text: curl(r, e, v)}
		if i == 0 {
			blocks = append(blocks, b)
		} else {
			blocks = append(blocks, folded{Summary: "the same in " + v, Block: b})
		}
	}
	return blocks
}

// curl returns shell lines that ask an endpoint in a version.
func curl(r spec.REST, e spec.RESTEndpoint, version string) string {
	prefix := "/pac/"
	if version == spec.V0 {
		prefix = "/retail/"
	}
	terminal := curlTerminal
	if e.Name == "signature" {
		terminal = curlSigner
	}
	at := strings.NewReplacer("{tid}", terminal, "{tableName}", "12").Replace(e.Path)
	var before string
	for _, p := range []struct{ below, body string }{
		{"/transactions", `{"transactionType":"SALE","amount":1250,"currency":"GBP"}`},
		{"/reports", `{"reportType":"X_BALANCE"}`},
	} {
		begun := "/pac/terminals/" + terminal + p.below
		rest, ok := strings.CutPrefix(at, begun+"/{requestId}")
		if !ok {
			continue
		}
		before = fmt.Sprintf("LOCATION=$(curl -s %s \\\n  -d '%s' \\\n  %s%s | grep -o 'http[^\"]*')\n", curlKey, p.body, curlHost, begun)
		at = `"$LOCATION` + rest + `"`
	}
	if e.Name == "signature" {
		before += fmt.Sprintf(curlLoop+"\ndo curl -s %s \"$LOCATION\" | grep -q '\\[\"SIGNATURE_VERIFICATION\"' && break; sleep 1; done\n", curlKey)
	}
	if strings.Contains(at, "{reportId}") {
		before = fmt.Sprintf("curl -s -o /dev/null -H 'Content-Type: application/json' -d '{\"type\":\"Z_BALANCE\"}' \\\n  %s/dev/sites/demo/terminals/%s/report\n", curlHost, curlTerminal) +
			fmt.Sprintf("LOCATION=$(curl -s %s \\\n  %s/pat/reports | grep -o 'http[^\"]*' | head -1)\n", curlKey, curlHost)
		at = `"$LOCATION"`
	}
	if rest, ok := strings.CutPrefix(at, "/pac/"); ok {
		at = prefix + rest
	}
	if strings.HasPrefix(at, "/") {
		at = curlHost + at
	}
	accept := spec.MediaType(version)
	flags := "-i"
	if slices.ContainsFunc(e.Answers, func(a spec.RESTAnswer) bool { return a.Stream }) {
		flags, accept = "-iN", "text/event-stream, "+accept
	}
	if slices.ContainsFunc(r.Refusals(e, version), func(x spec.RESTError) bool { return x.Name == spec.RESTReportRunning }) {
		before += fmt.Sprintf(curlLoop+"\ndo curl -fs -o /dev/null %s -H 'Accept: %s' %s && break; sleep 1; done\n", curlKey, accept, at)
	}
	lines := []string{"curl " + flags + " " + curlKey, "-H 'Accept: " + accept + "'"}
	if version == spec.V2 {
		lines = append(lines, "-H 'Software-House-Id: DEMOSWH' -H 'Installer-Id: DEMOINST'")
	}
	if slices.Contains(e.Headers, "Idempotency-Key") {
		lines = append(lines, "-H 'Idempotency-Key: "+e.Name+"-"+version+"-1'")
	}
	method := e.Methods[0]
	if version == spec.V0 {
		method = e.Methods[len(e.Methods)-1] // where there are two, the older one
	}
	body := curlBody(e, version)
	if method != "GET" && (method != "POST" || body == "") {
		lines = append(lines, "-X "+method)
	}
	if body != "" {
		lines = append(lines, "-d '"+body+"'")
	}
	return before + strings.Join(append(lines, at), " \\\n  ") + "\n"
}

// curlBody is the first body that an endpoint takes in a version, if it takes any.
func curlBody(e spec.RESTEndpoint, version string) string {
	if e.Name == "deleteTable" {
		return `{"lastKnownAmount":4550,"lastKnownPaidAmount":0}` // the example is about one that was paid
	}
	for _, x := range e.Examples {
		if x.Kind == spec.KindRequest && x.Valid && slices.Contains(x.Versions, version) {
			return strings.ReplaceAll(string(x.Text), "'", `'\''`)
		}
	}
	return ""
}
