package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/sqlite"
)

// openStore opens the journal of a folder that this process owns.
func openStore(dir string, log *slog.Logger) (journal.Store, error) {
	s, err := sqlite.Open(dir, sqlite.Options{Log: log})
	if err != nil {
		return nil, err // not s: a nil *Store would be a store
	}
	return s, nil
}

// read has f read the journal of the data folder, whoever owns it.
func (d dataFlags) read(f func(context.Context, journal.Store) error) error {
	dir, err := d.dir()
	if err != nil {
		return err
	}
	store, err := sqlite.Open(dir, sqlite.Options{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return hint(fmt.Errorf("nothing is kept in %s yet", dir), "tillwire serve begins it; --data or TILLWIRE_DATA names another folder")
	}
	if err != nil {
		return err
	}
	return errors.Join(f(context.Background(), store), store.Close())
}

// rebuild makes what the store derives from its records anew, and returns how
// many requests there are.
func rebuild(ctx context.Context, store journal.Store) (int, error) {
	s, ok := store.(*sqlite.Store)
	if !ok {
		return 0, errors.New("this journal keeps nothing that could be made anew")
	}
	return s.Rebuild(ctx)
}
