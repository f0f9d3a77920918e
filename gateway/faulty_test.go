package gateway_test

import (
	"context"
	"sync"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/txn"
)

// A mishap is what happens to one append. Its zero value is none.
type mishap struct {
	wait   time.Duration // before it is taken
	before error         // instead of being kept
	after  error         // although it was kept
	crash  bool          // nothing is kept from now on, nor does anybody hear of it
}

// A faulty journal fails as it is told. Appends are counted from 1, those for
// the register excepted.
type faulty struct {
	journal.Store
	mishap func(n int, a journal.Append) mishap

	mu      sync.Mutex
	n       int
	dead    bool
	headErr error

	keysWork   bool // headErr is not for ByKey
	failedOnce bool // for a mishap to remember
}

func newFaulty() *faulty { return &faulty{Store: memory.New()} }

func (f *faulty) Append(ctx context.Context, a journal.Append) error {
	f.mu.Lock()
	f.n++
	var m mishap
	if f.mishap != nil {
		m = f.mishap(f.n, a)
	}
	if m.crash && m.after == nil {
		f.dead = true
	}
	dead := f.dead
	f.mu.Unlock()
	if dead { // a process that crashed goes on with nothing
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(m.wait) // fake time: a synctest bubble
	if m.before != nil {
		return m.before
	}
	if err := f.Store.Append(ctx, a); err != nil {
		return err
	}
	if m.crash {
		f.mu.Lock()
		f.dead = true
		f.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	return m.after
}

func (f *faulty) Head(ctx context.Context, s journal.Stream) (journal.Head, error) {
	f.mu.Lock()
	err := f.headErr
	f.mu.Unlock()
	if err != nil {
		return journal.Head{}, err
	}
	return f.Store.Head(ctx, s)
}

func (f *faulty) ByKey(ctx context.Context, site txn.SiteID, key string) (journal.Head, error) {
	f.mu.Lock()
	err := f.headErr
	f.mu.Unlock()
	if err != nil && !f.keysWork {
		return journal.Head{}, err
	}
	return f.Store.ByKey(ctx, site, key)
}

// set changes how it fails from now on.
func (f *faulty) set(mishap func(n int, a journal.Append) mishap, head error) {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mishap, f.headErr = mishap, head
}

// revive is a process that starts anew.
func (f *faulty) revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = false
}

func (f *faulty) appends() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// always fails every append with err.
func always(err error) func(int, journal.Append) mishap {
	return func(int, journal.Append) mishap { return mishap{before: err} }
}
