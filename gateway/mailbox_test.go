package gateway

import (
	"sync"
	"testing"
)

// TestMailboxOneAtATime has some goroutines put things and others take the
// actor for themselves, and looks whether ever two had it and whether
// everything was done.
func TestMailboxOneAtATime(t *testing.T) {
	const each, kinds = 500, 4
	m := newMailbox()
	n := 0 // without a lock of its own: the race detector watches
	count := func() { n++ }
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		var q []func()
		for {
			select {
			case <-m.signal:
			case <-stop:
				return
			}
			for q = m.swap(q, false); len(q) > 0; q = m.swap(q, true) {
				for _, f := range q {
					f()
				}
				clear(q)
			}
		}
	}()
	var all sync.WaitGroup
	for range kinds {
		all.Go(func() {
			for range each {
				m.put(count)
			}
		})
		all.Go(func() {
			for range each {
				if m.take() {
					count()
					m.giveBack()
				} else {
					m.put(count)
				}
			}
		})
	}
	all.Wait()
	last := make(chan int)
	m.put(func() { last <- n })
	if got, want := <-last, 2*kinds*each; got != want {
		t.Errorf("%d things were done, want %d", got, want)
	}
	close(stop)
	<-done
}

// TestMailboxWakes looks whether what was put while somebody had the actor is
// signalled once it is given back.
func TestMailboxWakes(t *testing.T) {
	m := newMailbox()
	if !m.take() {
		t.Fatal("nobody has it, and it cannot be taken")
	}
	if m.take() {
		t.Fatal("it was taken twice")
	}
	m.put(func() {})
	<-m.signal // the actor's goroutine wakes, and gets nothing
	if q := m.swap(nil, false); len(q) > 0 {
		t.Fatal("what waits was given out while somebody had the actor")
	}
	m.giveBack()
	<-m.signal
	if m.take() {
		t.Error("it was taken before what waits was done")
	}
	if q := m.swap(nil, false); len(q) != 1 {
		t.Errorf("%d things wait, want 1", len(q))
	}
}
