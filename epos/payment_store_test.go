package epos

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// once tells a store of payments and returns which of them it had booked.
func once(t *testing.T, s PaymentStore, ids ...PaymentID) []PaymentID {
	t.Helper()
	var booked []PaymentID
	err := s.Once(t.Context(), ids, func(_ context.Context, fresh []PaymentID) error {
		booked = fresh
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return booked
}

func TestPaymentStores(t *testing.T) {
	file, err := OpenFileStore(filepath.Join(t.TempDir(), "payments"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, s := range map[string]PaymentStore{"memory": &MemoryStore{}, "file": file} {
		broken := errors.New("broken")
		if err := s.Once(t.Context(), []PaymentID{"a"}, func(context.Context, []PaymentID) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
		for _, test := range []struct{ ids, want []PaymentID }{
			{[]PaymentID{"a"}, []PaymentID{"a"}},
			{[]PaymentID{"a"}, nil},
			{[]PaymentID{"b", "a", "c"}, []PaymentID{"b", "c"}},
			{nil, nil},
		} {
			if got := once(t, s, test.ids...); !slices.Equal(got, test.want) {
				t.Errorf("%s: of %q got %q, want %q", name, test.ids, got, test.want)
			}
		}
	}
}

func TestFileStoreReopens(t *testing.T) {
	name := filepath.Join(t.TempDir(), "payments")
	open := func() *FileStore {
		t.Helper()
		s, err := OpenFileStore(name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	once(t, s, "a", "line\nbreak \"q\"")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	// The power fails at any byte of the next line.
	next := "\"second\"\n"
	for cut := range next {
		if err := os.WriteFile(name, append(slices.Clone(whole), next[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open()
		if got := once(t, s, "a", "line\nbreak \"q\"", "b"); !slices.Equal(got, []PaymentID{"b"}) {
			t.Errorf("cut at %d: %q were booked again", cut, got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if data, err := os.ReadFile(name); err != nil || string(data) != string(whole)+"\"b\"\n" {
			t.Errorf("cut at %d: the file is %q, %v", cut, data, err)
		}
	}
}

// What was booked and could not be noted is not booked again, is not said to be
// recorded, and is noted when that can be done.
func TestFileStoreCannotWrite(t *testing.T) {
	name := filepath.Join(t.TempDir(), "payments")
	s, err := OpenFileStore(name)
	if err != nil {
		t.Fatal(err)
	}
	once(t, s, "a")
	good := s.file
	if s.file, err = os.Open(name); err != nil { // one that only reads
		t.Fatal(err)
	}
	count := 0
	book := func(context.Context, []PaymentID) error { count++; return nil }
	for range 2 {
		if err := s.Once(t.Context(), []PaymentID{"b"}, book); err == nil || !strings.HasPrefix(err.Error(), "epos: ") {
			t.Errorf("got %v", err)
		}
	}
	_ = s.file.Close()
	s.file = good
	if err := s.Once(t.Context(), []PaymentID{"b"}, book); err != nil || count != 1 {
		t.Errorf("booked %d times, %v", count, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != "\"a\"\n\"b\"\n" {
		t.Errorf("the file is %q, %v", data, err)
	}
}

func TestFileStoreBad(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "payments")
	if err := os.WriteFile(name, []byte("\"a\"\nsomething else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFileStore(name); err == nil || !strings.Contains(err.Error(), "line 2 is not one of this store") {
		t.Errorf("got %v", err)
	}
	if _, err := OpenFileStore(filepath.Join(dir, "none", "payments")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// FuzzParseStore: what is read is whole lines, and is read alike again.
func FuzzParseStore(f *testing.F) {
	for _, s := range []string{"", "\"a\"\n", "\"a\"\n\"b", "\"a\"\r\n", "a\n", "\n", "\"\\x00\"\n\"é\"\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ids, size, err := parseStore(data)
		if err != nil {
			return
		}
		if size > len(data) || (size > 0 && data[size-1] != '\n') {
			t.Fatalf("ends at %d of %d", size, len(data))
		}
		again, sameSize, err := parseStore(data[:size])
		if diff := cmp.Diff(ids, again); diff != "" || sameSize != size || err != nil {
			t.Errorf("%d, %v\n%s", sameSize, err, diff)
		}
	})
}
