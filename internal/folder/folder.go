// Package folder is the data folder of a gateway: one process owns it, says
// who it is, and can be asked over a socket inside. It knows nothing of what
// lies in the folder otherwise, and never decides what may be asked.
package folder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofrs/flock"
)

// The names of what this package keeps in a folder.
const (
	lockName   = "lock"
	ownerName  = "owner.json"
	socketName = "admin.sock"
)

// maxSocketPath is how long the path of a socket may be; macOS takes 103
// bytes, Linux 107.
const maxSocketPath = 100

// An Owner is the process that holds a folder.
type Owner struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"` // "tillwire serve"
	Since   time.Time `json:"since"`
	Socket  string    `json:"socket,omitempty"` // where it can be asked; empty when it cannot
}

// A HeldError says that another process owns the folder. Owner is nil for the
// moment in which it has not said who it is yet.
type HeldError struct {
	Dir   string
	Owner *Owner
}

// Error names the folder and who holds it.
func (e *HeldError) Error() string {
	if e.Owner == nil {
		return fmt.Sprintf("the data folder %s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("the data folder %s is in use by process %d (%s) since %s",
		e.Dir, e.Owner.PID, e.Owner.Command, e.Owner.Since.Local().Format("2006-01-02 15:04:05"))
}

// Default is the folder of this user's gateway: TILLWIRE's place under the
// state folder of XDG, or under the user's configuration on Windows and macOS.
func Default() (string, error) {
	switch runtime.GOOS {
	case "windows", "darwin", "ios":
		dir, err := os.UserConfigDir()
		return filepath.Join(dir, "tillwire"), err
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tillwire"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", "tillwire"), err
}

// A Folder is a data folder that this process owns.
type Folder struct {
	dir   string
	lock  *flock.Flock
	owner Owner
}

// Take makes this process the owner of a folder, which it creates when it is
// not there, readable for this user only. It returns a *HeldError when another
// process owns it. The system gives the folder back when this process ends,
// however it ends.
func Take(dir, command string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data folder: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockName))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if !got {
		held := &HeldError{Dir: dir}
		if o, err := readOwner(dir); err == nil {
			held.Owner = &o
		}
		return nil, held
	}
	f := &Folder{dir: dir, lock: lock}
	f.sweep()
	f.owner = Owner{PID: os.Getpid(), Command: command, Since: time.Now().UTC().Truncate(time.Second)}
	if err := f.sayWho(); err != nil {
		lock.Unlock()
		return nil, err
	}
	return f, nil
}

// Dir is the folder's absolute path.
func (f *Folder) Dir() string { return f.dir }

// sweep takes away what an owner that was killed has left.
func (f *Folder) sweep() {
	if o, err := readOwner(f.dir); err == nil {
		removeSocket(f.dir, o.Socket)
	}
	removeSocket(f.dir, filepath.Join(f.dir, socketName))
	os.Remove(filepath.Join(f.dir, ownerName))
}

// removeSocket removes a socket, and the folder that was made for it alone.
// It touches nothing that Listen would not have made.
func removeSocket(dir, path string) {
	if filepath.Base(path) != socketName {
		return
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		return
	}
	os.Remove(path)
	if at := filepath.Dir(path); at != dir && strings.HasPrefix(filepath.Base(at), tempPrefix) {
		os.Remove(at) // fails when something else is in it
	}
}

const tempPrefix = "tillwire-admin-"

// Listen opens the socket over which other processes of this user ask the
// owner. Close the listener before Release.
func (f *Folder) Listen() (net.Listener, error) {
	path := filepath.Join(f.dir, socketName)
	if len(path) > maxSocketPath {
		at, err := os.MkdirTemp("", tempPrefix)
		if err != nil {
			return nil, fmt.Errorf("folder for the admin socket: %w", err)
		}
		path = filepath.Join(at, socketName)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		removeSocket(f.dir, path)
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	f.owner.Socket = path
	if err := os.Chmod(path, 0o600); err != nil && runtime.GOOS != "windows" {
		l.Close()
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if err := f.sayWho(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// sayWho writes the owner's file in one piece.
func (f *Folder) sayWho() error {
	b, err := json.Marshal(f.owner)
	if err != nil {
		return err
	}
	path := filepath.Join(f.dir, ownerName)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("say who owns the data folder: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("say who owns the data folder: %w", err)
	}
	return nil
}

func readOwner(dir string) (Owner, error) {
	b, err := os.ReadFile(filepath.Join(dir, ownerName))
	if err != nil {
		return Owner{}, err
	}
	var o Owner
	if err := json.Unmarshal(b, &o); err != nil {
		return Owner{}, err
	}
	return o, nil
}

// Release gives the folder back.
func (f *Folder) Release() error {
	f.sweep()
	return f.lock.Unlock()
}

// ErrNobody says that no process can be asked about a folder.
var ErrNobody = errors.New("folder: nobody answers for it")

// Client returns a client that reaches the owner of a folder, whatever the
// host of the URL, or ErrNobody.
func Client(ctx context.Context, dir string) (*http.Client, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	o, err := readOwner(dir)
	if err != nil || o.Socket == "" {
		return nil, ErrNobody
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", o.Socket)
	if err != nil {
		return nil, ErrNobody // one that was killed, or is stopping
	}
	c.Close()
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", o.Socket)
		},
	}}, nil
}

// Ask runs with for the owner of a folder: as the owner's client when a
// process answers there, else as the owner itself. It waits a moment for one
// that is just starting or stopping; then it returns the *HeldError.
func Ask(ctx context.Context, dir, command string, asClient func(*http.Client) error, asOwner func(*Folder) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := Client(ctx, dir)
		if err == nil {
			return asClient(c)
		}
		if !errors.Is(err, ErrNobody) {
			return err
		}
		f, err := Take(dir, command)
		if err == nil {
			defer f.Release()
			return asOwner(f)
		}
		var held *HeldError
		if !errors.As(err, &held) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return held
		}
	}
}

// patience is how long Ask waits for an owner that does not answer yet.
const patience = 3 * time.Second
