package folder

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func take(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := Take(dir, "tillwire test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Release() })
	return f
}

func TestOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f := take(t, dir)

	_, err := Take(dir, "tillwire other")
	var held *HeldError
	if !errors.As(err, &held) || held.Owner == nil {
		t.Fatalf("the second owner got %v, want a HeldError that names the first", err)
	}
	if held.Owner.PID != os.Getpid() || held.Owner.Command != "tillwire test" || held.Owner.Since.IsZero() {
		t.Errorf("owner %+v", *held.Owner)
	}
	if !strings.Contains(err.Error(), "tillwire test") || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %q names neither folder nor command", err)
	}

	if err := f.Release(); err != nil {
		t.Fatal(err)
	}
	take(t, dir)
}

func TestPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // access is by lists there, inherited from the user's profile
	}
	dir := filepath.Join(t.TempDir(), "data")
	f := take(t, dir)
	l, err := f.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]os.FileMode{
		dir:                            0o700,
		filepath.Join(dir, lockName):   0o600,
		filepath.Join(dir, ownerName):  0o600,
		filepath.Join(dir, socketName): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", filepath.Base(path), got, want)
		}
	}
}

// answer serves one word to everybody who asks.
func answer(t *testing.T, l net.Listener, word string) {
	t.Helper()
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, word) })}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
}

func TestAskTheOwner(t *testing.T) {
	for name, dir := range map[string]string{
		"short path": filepath.Join(t.TempDir(), "data"),
		"long path":  filepath.Join(t.TempDir(), strings.Repeat("long", 30), "data"),
	} {
		t.Run(name, func(t *testing.T) {
			f := take(t, dir)
			l, err := f.Listen()
			if err != nil {
				t.Fatal(err)
			}
			answer(t, l, "here")
			var got string
			err = Ask(t.Context(), dir, "tillwire asker", func(c *http.Client) error {
				resp, err := c.Get("http://owner/")
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				got = string(b)
				return err
			}, func(*Folder) error {
				t.Error("became the owner of a folder that has one")
				return nil
			})
			if err != nil || got != "here" {
				t.Fatalf("got %q, %v", got, err)
			}
		})
	}
}

func TestAskWithoutOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	owned := false
	err := Ask(t.Context(), dir, "tillwire asker", func(*http.Client) error {
		t.Error("found an owner where there is none")
		return nil
	}, func(f *Folder) error {
		owned = true
		_, err := Take(dir, "tillwire other")
		var held *HeldError
		if !errors.As(err, &held) {
			t.Errorf("the folder could be taken while it was asked: %v", err)
		}
		return nil
	})
	if err != nil || !owned {
		t.Fatalf("owned %v, %v", owned, err)
	}
	take(t, dir) // given back
}

func TestAskMuteOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	take(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as when patience has run out
	err := Ask(ctx, dir, "tillwire asker", nil, nil)
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatalf("got %v, want a HeldError", err)
	}
}

// TestLeftovers: the socket and the owner's word of a process that was killed
// are in nobody's way, and its folder for the socket is taken away.
func TestLeftovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	f := take(t, dir)
	l, err := f.Listen()
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	f.lock.Unlock() // as the system does when the process dies
	left := filepath.Dir(f.owner.Socket)
	if _, err := os.Stat(f.owner.Socket); err != nil {
		t.Fatalf("the socket should have been left: %v", err)
	}

	if _, err := Client(t.Context(), dir); !errors.Is(err, ErrNobody) {
		t.Errorf("Client: %v, want ErrNobody", err)
	}
	next := take(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", left)
	}
	l2, err := next.Listen()
	if err != nil {
		t.Fatal(err)
	}
	answer(t, l2, "again")
	if _, err := Client(t.Context(), dir); err != nil {
		t.Errorf("Client: %v", err)
	}
}

// TestSweepTouchesNothingElse: an owner's file that names something that is
// not a socket of ours removes nothing.
func TestSweepTouchesNothingElse(t *testing.T) {
	base := t.TempDir()
	for _, victim := range []string{
		filepath.Join(base, "precious"),
		filepath.Join(base, socketName),
	} {
		if err := os.WriteFile(victim, []byte("keep me"), 0o600); err != nil {
			t.Fatal(err)
		}
		removeSocket(filepath.Join(base, "data"), victim)
		if _, err := os.Stat(victim); err != nil {
			t.Errorf("%s was removed", filepath.Base(victim))
		}
	}
}

func TestBrokenOwnerFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ownerName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Client(t.Context(), dir); !errors.Is(err, ErrNobody) {
		t.Errorf("Client: %v, want ErrNobody", err)
	}
	take(t, dir)
}
