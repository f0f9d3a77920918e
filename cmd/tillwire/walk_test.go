package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A step is a block of commands of a page, and what it says that comes of it.
type step struct {
	line int
	run  string
	want string
}

var fence = regexp.MustCompile("(?m)^```(\\w*)\n")

// steps reads the blocks of a page that are marked sh, with the block of text that
// follows at once.
func steps(t *testing.T, page string) []step {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []step
	rest, behind := string(text), -1
	for {
		m := fence.FindStringSubmatchIndex(rest)
		if m == nil {
			return all
		}
		kind := rest[m[2]:m[3]]
		body, after, closed := strings.Cut(rest[m[1]:], "```\n")
		if !closed {
			t.Fatalf("%s: a block has no end", page)
		}
		switch {
		case kind == "sh":
			at := len(text) - len(rest) + m[0]
			all = append(all, step{line: 1 + bytes.Count(text[:at], []byte("\n")), run: body})
			behind = len(after)
		case kind == "text" && m[0] == 0 && behind == len(rest):
			all[len(all)-1].want = body
		}
		rest = after
	}
}

// looksLike reports whether got is what a page shows, where … stands for anything in
// a line.
func looksLike(want, got string) bool {
	parts := strings.Split(want, "…")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile("^" + strings.Join(parts, "[^\n]*") + "$").MatchString(got)
}

// TestWalk follows docs/rest.md with a shell, curl and a gateway, and compares what
// comes of each step with what the page says.
func TestWalk(t *testing.T) {
	const (
		there = "http://127.0.0.1:8484" // on the page
		mark  = "=== step "
	)
	for _, tool := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(err)
		}
	}
	all := steps(t, "../../docs/rest.md")
	if len(all) < 12 {
		t.Fatalf("only %d steps were found", len(all))
	}
	h, err := openHouse(context.Background(), houseConfig{
		Dir: t.TempDir(), Command: "test", Listen: "127.0.0.1:0", Speed: 20, Seed: 7, Dev: true, Controls: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	here := "http://" + h.addr
	var script strings.Builder
	for i, s := range all {
		fmt.Fprintf(&script, "echo '%s%d'\n%s", mark, i, strings.ReplaceAll(s.run, there, here))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	file := filepath.Join(dir, "walk.sh")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	shell := exec.CommandContext(ctx, "sh", file)
	shell.Dir = dir
	shell.WaitDelay = 10 * time.Second
	var complaints bytes.Buffer
	shell.Stderr = &complaints
	out, err := shell.Output()
	if err != nil {
		t.Errorf("%v\n%s", err, complaints.String())
	}
	for i, said := range strings.Split(string(out), mark)[1:] {
		_, said, _ = strings.Cut(said, "\n")
		said = strings.ReplaceAll(strings.ReplaceAll(said, "\r", ""), here, there)
		if !strings.HasSuffix(said, "\n") && said != "" {
			said += "\n"
		}
		if !looksLike(all[i].want, said) {
			t.Errorf("docs/rest.md:%d:\n%s\nsays\n%s\nwant\n%s", all[i].line, all[i].run, said, all[i].want)
		}
	}
	if n := strings.Count(string(out), mark); n != len(all) {
		t.Errorf("%d of %d steps were done\n%s", n, len(all), complaints.String())
	}
}
