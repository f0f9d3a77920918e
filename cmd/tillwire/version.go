package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/spec"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help is shown with the command's own help.
func (versionCmd) Help() string {
	return `Example:

    tillwire version --json`
}

// A build is what this binary is made of.
type build struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit"`
	Modified bool     `json:"modified"` // there were changes that no commit has
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Spec     []string `json:"spec"` // versions of the contract
}

func thisBuild() build {
	b := build{
		Version: "unknown", Commit: "unknown", Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Spec: []string{spec.V1, spec.V0},
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// Run prints what this binary is.
func (c versionCmd) Run(s streams) error {
	b := thisBuild()
	if c.JSON {
		return printJSON(s, b)
	}
	changed := ""
	if b.Modified {
		changed = " with changes"
	}
	_, err := fmt.Fprintf(s.out, "tillwire %s\ncommit   %s%s\ngo       %s %s\nspec     %s (v0 is deprecated)\n",
		b.Version, b.Commit, changed, b.Go, b.Platform, b.Spec[0]+", "+b.Spec[1])
	return err
}

// printJSON writes v as one line of JSON.
func printJSON(s streams, v any) error {
	out, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = s.out.Write(append(out, '\n'))
	return err
}
