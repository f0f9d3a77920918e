package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tillwire/tillwire/site/docs"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
)

// TestCurl copies the lines from the page of each endpoint and runs them against a
// fresh gateway, in each version: they are answered as the endpoint succeeds.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is missing: apt-get install curl")
	}
	site, err := docs.Build(docs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, p := range site.Pages() {
		pages[p.Path] = string(p.Markdown)
	}
	r := spec.Default().REST()
	create, _ := r.Endpoint("createTable")
	for _, e := range r.Endpoints() {
		t.Run(e.Name, func(t *testing.T) {
			for _, version := range e.Versions {
				root := curlHouse(t, e.Name == "cancel")
				if slices.Contains(e.Parameters, "tableName") {
					runCurl(t, root, create, version, curlLines(t, pages, create, version))
				}
				runCurl(t, root, e, version, curlLines(t, pages, e, version))
			}
		})
	}
}

// curlHouse is a development gateway. Its customers need no time, or more than a
// cancel does.
func curlHouse(t *testing.T, slow bool) string {
	t.Helper()
	cfg := houseConfig{
		Dir: t.TempDir(), Command: "test", Listen: "127.0.0.1:0", Dev: true, Controls: true, Speed: sim.Max, Seed: 7,
		Log: slog.New(slog.DiscardHandler),
	}
	if slow {
		cfg.Speed, cfg.Always = 1, tidScenarios{"VCMDEMOSIP0": "slow-customer"}
	}
	h, err := openHouse(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + h.addr
}

var (
	shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	statusLine = regexp.MustCompile(`(?m)^HTTP/1\.1 (\d{3})`)
)

// runCurl runs lines from the page of an endpoint.
func runCurl(t *testing.T, root string, e spec.RESTEndpoint, version, lines string) {
	t.Helper()
	lines = strings.ReplaceAll(lines, "http://127.0.0.1:8484", root)
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	cmd := exec.CommandContext(ctx, "sh", "-c", lines)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v\n%s\n%s\n%s", version, err, lines, out, said.String())
		return
	}
	m := statusLine.FindSubmatch(out)
	if m == nil {
		t.Errorf("%s: no answer\n%s\n%s", version, lines, out)
		return
	}
	status, _ := strconv.Atoi(string(m[1]))
	if !slices.ContainsFunc(e.Answers, func(a spec.RESTAnswer) bool { return a.Status == status && slices.Contains(a.Versions, version) }) {
		t.Errorf("%s: answered with %d\n%s\n%s", version, status, lines, out)
	}
}

// curlLines are those of a version, on the page of an endpoint.
func curlLines(t *testing.T, pages map[string]string, e spec.RESTEndpoint, version string) string {
	t.Helper()
	_, below, ok := strings.Cut(pages["rest/"+e.Name], fmt.Sprintf("\nIn %s\n", version))
	lines := shellBlock.FindStringSubmatch(below)
	if !ok || lines == nil || !strings.Contains(lines[1], "http://127.0.0.1:8484") {
		t.Fatalf("the page of %s has no lines for %s", e.Name, version)
	}
	return lines[1]
}
