package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/internal/folder"
)

// dataFlags are the flags of each command that works on a data folder.
type dataFlags struct {
	Data   string       `type:"path" default:"${data}" env:"TILLWIRE_DATA" placeholder:"DIR" help:"Folder in which everything is kept."`
	Config settingsFile `type:"path" env:"TILLWIRE_CONFIG" placeholder:"FILE" help:"File with settings: a JSON object whose names are those of the flags of serve."`
}

// defaultData is the data folder of this user, or nothing when there is none.
func defaultData() string {
	dir, err := folder.Default()
	if err != nil {
		return ""
	}
	return dir
}

// dir is the data folder, or a usage error.
func (d dataFlags) dir() (string, error) {
	if d.Data == "" {
		return "", usageError{hint(fmt.Errorf("no data folder: this user has no home folder"), "name one with --data or TILLWIRE_DATA")}
	}
	return d.Data, nil
}

// A settingsFile is the path of a file with settings. A flag is stronger than
// the environment, the environment than the file, the file than the default.
type settingsFile string

// BeforeResolve reads the file once its name is known from flag or environment.
func (settingsFile) BeforeResolve(kctx *kong.Context, trace *kong.Path) error {
	if n := kctx.Selected(); n == nil || !slices.Contains(n.Flags, trace.Flag) {
		return nil // the environment names it, but this command takes none
	}
	path := string(kctx.FlagValue(trace.Flag).(settingsFile))
	if path == "" {
		return nil
	}
	known := map[string]bool{}
	for _, f := range settingsOf(kctx.Model.Node) {
		known[f.Name] = true
	}
	delete(known, trace.Flag.Name) // a file does not name another
	values, err := readSettings(path, known)
	if err != nil {
		return hint(err, "the settings are those of tillwire serve --help, without the leading --; tillwire serve --print-config shows what is in force")
	}
	kctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		value, ok := values[flag.Name]
		if _, set := fromEnvironment(flag); set || !ok || !known[flag.Name] {
			return nil, nil
		}
		return value, nil
	}))
	return nil
}

// readSettings reads a settings file and refuses names that are not known.
func readSettings(path string, known map[string]bool) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	var raw map[string]jsontext.Value
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("settings file %s: %w", path, err)
	}
	values := make(map[string]string, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if !known[name] {
			return nil, fmt.Errorf("settings file %s: there is no setting %q", path, name)
		}
		switch v := raw[name]; v.Kind() {
		case '"':
			var s string
			if err := json.Unmarshal(v, &s); err != nil {
				return nil, fmt.Errorf("settings file %s: %s: %w", path, name, err)
			}
			values[name] = s
		case '0', 't', 'f':
			values[name] = v.String()
		default:
			return nil, fmt.Errorf("settings file %s: %s must be a string, a number, true or false", path, name)
		}
	}
	return values, nil
}

// settingsOf returns the flags of serve that are settings: those that can also
// come from the environment.
func settingsOf(app *kong.Node) []*kong.Flag {
	var out []*kong.Flag
	for _, n := range app.Children {
		if n.Name != "serve" {
			continue
		}
		for _, f := range n.Flags {
			if len(f.Envs) > 0 {
				out = append(out, f)
			}
		}
	}
	return out
}

// fromEnvironment returns the variable that sets the flag, if one does.
func fromEnvironment(f *kong.Flag) (name string, set bool) {
	for _, name := range f.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return name, true
		}
	}
	return "", false
}

// A setting is a value in force and where it came from.
type setting struct{ Name, Value, Origin string }

// inForce returns the settings of serve as they were parsed.
func inForce(kctx *kong.Context, file settingsFile) []setting {
	var out []setting
	for _, f := range settingsOf(kctx.Model.Node) {
		origin := "default"
		if name, ok := fromEnvironment(f); ok {
			origin = "environment " + name
		}
		for _, p := range kctx.Path {
			switch {
			case p.Flag != f:
			case p.Resolved:
				origin = "file " + string(file)
			default:
				origin = "flag"
			}
		}
		out = append(out, setting{f.Name, fmt.Sprint(f.Target.Interface()), origin})
	}
	return out
}

// printSettings writes a table of the settings. None of them is a secret.
func printSettings(s streams, settings []setting) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tORIGIN")
	for _, v := range settings {
		value := v.Value
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", v.Name, strings.ReplaceAll(value, "\n", " "), v.Origin)
	}
	return w.Flush()
}
