package gateway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestExtensionsUnused plays the conversations of /pac once more with extensions
// that the tills do not make use of: not a byte is another one.
func TestExtensionsUnused(t *testing.T) {
	files, err := filepath.Glob("testdata/scenario/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^(till \S+ v[01])$`)
	played := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if strings.Contains(text, "ext=") || !line.MatchString(text) {
			continue
		}
		played++
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want := line.ReplaceAllString(text, "$1 ext=keys,status")
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, want, nil) })
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (- without extensions, + with them):\n%s", file, diff)
			}
		})
	}
	if played < 20 {
		t.Errorf("only %d conversations", played)
	}
}
