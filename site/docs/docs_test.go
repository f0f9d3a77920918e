package docs

import (
	"testing"
)

func TestBuild(t *testing.T) {
	s, err := Build(Options{Ending: ".html", Try: true})
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Write(t.TempDir())
	if err != nil || n != len(s.Files()) {
		t.Errorf("wrote %d files of %d: %v", n, len(s.Files()), err)
	}
}
