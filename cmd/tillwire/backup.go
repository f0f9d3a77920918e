package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/internal/folder"
	"github.com/tillwire/tillwire/journal/sqlite"
)

type backupCmd struct {
	File string `arg:"" help:"The new file to write."`
	JSON bool   `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (backupCmd) Help() string {
	return `Writes everything that the data folder keeps of sites, keys and history into one
file, as it stands at one moment, and reads that file once more from end to end.
A running gateway goes on meanwhile and waits for nothing. Keys are in it as
hashes only. The memory of simulated terminals is not in it: it stands for card
machines, which keep their own. Nor is the key that signs reports of the integration
checklist: who reads a backup must not be able to sign in your name.

Keep it on another disk. It is as old as it is: what happens afterwards is not in
it. Make one often, and see docs/operations.md for what a restore cannot know.

    tillwire backup /mnt/backup/tillwire-2026-10-07.db --data /var/lib/tillwire`
}

// A backupView is a backup as it is shown.
type backupView struct {
	File    string    `json:"file"`
	Made    time.Time `json:"made"`
	Records int       `json:"records"`
	Streams int       `json:"streams"`
	Pruned  int       `json:"pruned,omitzero"`
	Head    string    `json:"head"`
}

func viewBackup(file string, b sqlite.Backup) backupView {
	return backupView{file, b.Made, b.Records, b.Streams, b.Pruned, b.Head}
}

func (v backupView) String() string {
	return fmt.Sprintf("%d records of %d requests, chain head %s", v.Records, v.Streams, v.Head)
}

// Run makes the backup.
func (c backupCmd) Run(s streams) error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	store, err := sqlite.Open(dir, sqlite.Options{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return hint(fmt.Errorf("nothing is kept in %s yet", dir), "--data or TILLWIRE_DATA names another folder")
	}
	if err != nil {
		return err
	}
	b, err := store.Backup(context.Background(), c.File)
	if errors.Is(err, fs.ErrExist) {
		err = hint(err, "name a new file: a backup is never written over another one")
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	v := viewBackup(c.File, b)
	if c.JSON {
		return printJSON(s, v)
	}
	_, err = fmt.Fprintf(s.out, "backed up and read once more: %s\n", v)
	return err
}

type restoreCmd struct {
	File string `arg:"" help:"The backup."`
	JSON bool   `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (restoreCmd) Help() string {
	return `Makes a data folder from a backup. The folder must be empty, or hold nothing but the
memory of simulated terminals and the key that signs reports, and nobody may use it. The backup is read from
end to end first; nothing is restored from one that is not whole.

A restored folder is older than the terminals. At the next start each terminal is
asked about what was open in the backup, as after any restart; and what it tells
that is newer is kept as an orphan: tillwire history orphans lists it. Of what was
acknowledged to a terminal between the backup and the loss it names the last one;
the others are in its own totals and at the acquirer only.

    tillwire restore /mnt/backup/tillwire-2026-10-07.db --data /var/lib/tillwire`
}

// restoredName is the file in a data folder that says that it was restored.
const restoredName = "restored.json"

// A restoration is what that file says.
type restoration struct {
	Restored time.Time `json:"restored"`
	Made     time.Time `json:"made"` // the backup
	From     string    `json:"from"`
	By       string    `json:"by"`
}

// Run restores a backup.
func (c restoreCmd) Run(s streams) (err error) {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.File); err != nil {
		return err
	}
	f, err := folder.Take(dir, "tillwire restore")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Release()) }()
	if err := vacant(f.Dir()); err != nil {
		return err
	}
	name := filepath.Join(f.Dir(), restoredName)
	b, err := sqlite.Restore(context.Background(), c.File, f.Dir(), func(b sqlite.Backup) error {
		text, err := json.Marshal(restoration{Restored: time.Now().UTC(), Made: b.Made, From: c.File, By: thisPerson()})
		if err != nil {
			return err
		}
		return os.WriteFile(name, append(text, '\n'), 0o600)
	})
	if err != nil {
		os.Remove(name) // if it came to that
		return err
	}
	v := viewBackup(c.File, b)
	if c.JSON {
		return printJSON(s, v)
	}
	_, err = fmt.Fprintf(s.out, "restored from the backup of %s: %s\nwhat happened since is not in it: after the next start look at tillwire history orphans and unresolved\nsites and keys are as they were then: revoke anew what was revoked since\n", clock(b.Made), v)
	return err
}

// vacant refuses a folder that keeps something.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var found []string
	for _, e := range entries {
		if !slices.Contains([]string{"lock", "owner.json", "sim", signerName}, e.Name()) {
			found = append(found, e.Name())
		}
	}
	if len(found) > 0 {
		return hint(fmt.Errorf("the data folder %s is not empty: it holds %s", dir, strings.Join(found, ", ")),
			"name an empty folder with --data, or move what is there away; nothing is ever restored over it")
	}
	return nil
}

// wasRestored reports whether a data folder came from a backup, and says so.
func wasRestored(dir string, log *slog.Logger) (bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, restoredName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var note restoration
	if err := json.Unmarshal(text, &note); err != nil {
		return false, fmt.Errorf("%s: %w", restoredName, err)
	}
	log.Warn("this data folder was restored from a backup; what terminals tell that is newer is kept as orphans",
		"backup", note.Made, "restored", note.Restored, "by", note.By)
	return true, nil
}
