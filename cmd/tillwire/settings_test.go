package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/terminal/sim"
)

// parse parses a command line with nothing of the environment in it but env.
func parse(t *testing.T, env map[string]string, args ...string) (cli, []setting, error) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "TILLWIRE_") {
			t.Setenv(name, "") // so that it is put back
			os.Unsetenv(name)
		}
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	var c cli
	parser, err := newParser(&c, streams{out: &bytes.Buffer{}, err: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		return c, nil, err
	}
	return c, inForce(kctx, c.Serve.Config), nil
}

func TestOrigins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(file, []byte(`{"drain": "6s", "listen": "127.0.0.1:6", "sim-seed": 6, "dev": true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  map[string]string
		args []string
		name string
		want setting
	}{
		"default":     {nil, nil, "drain", setting{"drain", "30s", "default"}},
		"file":        {nil, []string{"--config", file}, "drain", setting{"drain", "6s", "file " + file}},
		"number":      {nil, []string{"--config", file}, "sim-seed", setting{"sim-seed", "6", "file " + file}},
		"truth":       {nil, []string{"--config", file}, "dev", setting{"dev", "true", "file " + file}},
		"environment": {map[string]string{"TILLWIRE_DRAIN": "7s"}, nil, "drain", setting{"drain", "7s", "environment TILLWIRE_DRAIN"}},
		"environment over file": {
			map[string]string{"TILLWIRE_DRAIN": "7s"},
			[]string{"--config", file},
			"drain",
			setting{"drain", "7s", "environment TILLWIRE_DRAIN"},
		},
		"flag over both": {
			map[string]string{"TILLWIRE_DRAIN": "7s"},
			[]string{"--config", file, "--drain", "8s"},
			"drain",
			setting{"drain", "8s", "flag"},
		},
		"flag as the default is": {nil, []string{"--config", file, "--listen", defaultListen}, "listen", setting{"listen", defaultListen, "flag"}},
		"truth denied by the environment": {
			map[string]string{"TILLWIRE_DEV": "false"},
			[]string{"--config", file},
			"dev",
			setting{"dev", "false", "environment TILLWIRE_DEV"},
		},
		"file named by the environment": {map[string]string{"TILLWIRE_CONFIG": file}, nil, "drain", setting{"drain", "6s", "file " + file}},
	} {
		t.Run(name, func(t *testing.T) {
			_, settings, err := parse(t, test.env, append([]string{"serve"}, test.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range settings {
				if got.Name == test.name {
					if diff := cmp.Diff(test.want, got); diff != "" {
						t.Errorf("(-want +got)\n%s", diff)
					}
					return
				}
			}
			t.Errorf("no setting %s", test.name)
		})
	}
}

// TestEverySettingIsAFlag: what --print-config lists is what the file takes,
// and each has its variable.
func TestEverySettingIsAFlag(t *testing.T) {
	c, settings, err := parse(t, nil, "serve")
	if err != nil {
		t.Fatal(err)
	}
	if c.Serve.Drain != 30*time.Second || float64(c.Serve.SimSpeed) != 1 {
		t.Errorf("defaults: drain %v, speed %v", c.Serve.Drain, c.Serve.SimSpeed)
	}
	var names []string
	for _, s := range settings {
		names = append(names, s.Name)
	}
	want := []string{"listen", "dev", "tls-cert", "tls-key", "behind-proxy", "public-url", "trusted-proxies", "cors-origins", "drain", "sim-speed", "sim-seed", "scenarios", "scenarios-by-amount", "log-level", "log-format", "data", "config"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("settings (-want +got)\n%s", diff)
	}
}

func TestSettingsFileOfAnotherCommand(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "settings.json")
	if err := os.WriteFile(file, []byte(`{"data": "/srv/tillwire", "listen": "127.0.0.1:1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := parse(t, nil, "key", "list", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Key.List.Data != filepath.FromSlash("/srv/tillwire") {
		t.Errorf("data %q", c.Key.List.Data)
	}
}

func TestBadSettingsFile(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"not JSON":     {`{"listen"`, "settings.json"},
		"unknown name": {`{"lisen": "x"}`, `no setting "lisen"`},
		"flag's name":  {`{"--listen": "x"}`, `no setting "--listen"`},
		"other case":   {`{"Listen": "x"}`, `no setting "Listen"`},
		"twice":        {`{"listen": "x", "listen": "y"}`, "duplicate"},
		"object":       {`{"listen": {}}`, "listen must be a string, a number, true or false"},
		"null":         {`{"listen": null}`, "listen must be a string, a number, true or false"},
		"another file": {`{"config": "x"}`, `no setting "config"`},
		"no value":     {`{"drain": "soon"}`, "drain"},
		"array":        {`[]`, "settings.json"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "settings.json")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := parse(t, nil, "serve", "--config", file)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestSimSpeed(t *testing.T) {
	for text, want := range map[string]float64{"human": 1, "1": 1, "max": sim.Max, "2.5": 2.5, "1000000": 1e6} {
		var s simSpeed
		if err := s.UnmarshalText([]byte(text)); err != nil || float64(s) != want {
			t.Errorf("%q is %v, %v; want %v", text, float64(s), err, want)
		}
		var back simSpeed
		if err := back.UnmarshalText([]byte(s.String())); err != nil || back != s {
			t.Errorf("%q reads back as %v, %v", s, back, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "NaN", "Inf", "1e9", "fast", "MAX"} {
		var s simSpeed
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, s)
		}
	}
}

func TestSince(t *testing.T) {
	for _, text := range []string{"2026-10-07", "2026-10-07T00:00", "2026-10-07 00:00:00", "2026-10-07T00:00:00"} {
		var s since
		want := time.Date(2026, 10, 7, 0, 0, 0, 0, time.Local)
		if err := s.UnmarshalText([]byte(text)); err != nil || !s.Equal(want) {
			t.Errorf("%q is %v, %v", text, s.Time, err)
		}
	}
	var zoned since
	if err := zoned.UnmarshalText([]byte("2026-10-07T12:00:00+02:00")); err != nil || !zoned.Equal(time.Date(2026, 10, 7, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("with a zone: %v, %v", zoned.Time, err)
	}
	var ago since
	before := time.Now().Add(-24 * time.Hour)
	if err := ago.UnmarshalText([]byte("24h")); err != nil || ago.Before(before) || ago.After(time.Now()) {
		t.Errorf("24h ago is %v, %v", ago.Time, err)
	}
	for _, text := range []string{"", "yesterday", "-24h", "2026-13-01", "7.10.2026"} {
		var s since
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, s.Time)
		}
	}
}
