package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromisesCanBeRepeated: each command of docs/promises.md that runs tests
// finds them, and each target of make is there.
func TestPromisesCanBeRepeated(t *testing.T) {
	page, err := os.ReadFile("../../docs/promises.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(string(page), -1) {
		command := strings.Join(strings.Fields(m[1]), " ")
		switch {
		case strings.HasPrefix(command, "make "):
			target := strings.Fields(command)[1]
			if !strings.Contains(string(makefile), "\n"+target+":") {
				t.Errorf("%s: no such target", command)
			}
		case strings.HasPrefix(command, "go test "):
			checkTests(t, command)
		default:
			continue
		}
		commands++
	}
	if commands < 15 {
		t.Errorf("only %d commands were found", commands)
	}
}

// checkTests looks for a test of each name of a command in its folders.
func checkTests(t *testing.T, command string) {
	t.Helper()
	folders, names, named := strings.Cut(strings.TrimPrefix(command, "go test "), " -run ")
	if !named {
		names = "Test"
	}
	var code strings.Builder
	for _, folder := range strings.Fields(folders) {
		files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(text)
		}
	}
	for name := range strings.SplitSeq(strings.Trim(strings.Fields(names)[0], "'"), "|") {
		if !strings.Contains(code.String(), "\nfunc "+name) {
			t.Errorf("%s: %s has no %s", command, folders, name)
		}
	}
}
