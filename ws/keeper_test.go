package ws

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	interval = 30 * time.Second
	tick     = interval / slots // how exact the Keeper is
)

// halfOpen is a connection whose peer takes everything and says nothing.
func halfOpen(k *Keeper, busy func() bool) (c *Conn, peer net.Conn, gone <-chan error) {
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	c = New(ours, Server, Options{Keeper: k, Busy: busy})
	end := make(chan error, 1)
	go func() {
		for {
			if _, err := c.Read(); err != nil {
				theirs.Close()
				end <- err
				return
			}
		}
	}()
	return c, theirs, end
}

func wantAfter(t *testing.T, begun time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(begun); got <= want-tick || got > want+tick {
		t.Errorf("after %v, want %v", got, want)
	}
}

func TestKeeperFindsTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper(interval, 2)
		defer k.Stop()
		time.Sleep(7 * time.Second) // the wheel stands anywhere
		begun := time.Now()
		_, _, gone := halfOpen(k, nil)
		wantClose(t, <-gone, GoingAway, true)
		wantAfter(t, begun, 3*interval) // two pings, an interval of silence after each
	})
}

func TestKeeperLeavesTheLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper(interval, 2)
		server, client := pair(Options{Keeper: k}, Options{})
		go func() { _, _ = client.Read() }() // answers pings
		go func() { _, _ = server.Read() }()
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := server.Err(); err != nil {
			t.Error(err)
		}
		if ago := time.Since(client.LastSeen()); ago > interval+tick {
			t.Errorf("the last ping came %v ago", ago)
		}
		k.Stop()
		server.Abort()
		<-server.Done()
		<-client.Done()
	})
}

// Any frame is life, a pong is not needed.
func TestKeeperTakesAnyFrame(t *testing.T) {
	for name, f := range map[string]frame{
		"message": text("x"), "ping": ping(""), "other pong": pong("other"), "fragment": start(""),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := NewKeeper(interval, 2)
				defer k.Stop()
				c, peer, gone := halfOpen(k, nil)
				for range 20 {
					time.Sleep(interval)
					if _, err := peer.Write(f.bytes(true)); err != nil {
						t.Fatalf("%v: %v", err, c.Err())
					}
					if f.more {
						f = middle("")
					}
				}
				synctest.Wait()
				begun := time.Now()
				wantClose(t, <-gone, GoingAway, true)
				if took := time.Since(begun); took < 2*interval-tick || took > 3*interval+tick {
					t.Errorf("gone after %v of silence", took)
				}
			})
		})
	}
}

func TestKeeperSparesTheBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper(interval, 2)
		defer k.Stop()
		var busy atomic.Bool
		busy.Store(true)
		c, _, gone := halfOpen(k, busy.Load)
		time.Sleep(20 * interval)
		synctest.Wait()
		if err := c.Err(); err != nil {
			t.Fatalf("a busy connection was cut: %v", err)
		}
		busy.Store(false)
		begun := time.Now()
		wantClose(t, <-gone, GoingAway, true)
		if took := time.Since(begun); took > interval+tick {
			t.Errorf("gone %v after the transaction", took)
		}
	})
}

func TestKeeperPingsEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper(interval, 2)
		defer k.Stop()
		ours, theirs := net.Pipe()
		c := New(ours, Server, Options{Keeper: k, Busy: func() bool { return true }})
		begun := time.Now()
		for i := range 10 {
			p := make([]byte, 2)
			if _, err := io.ReadFull(theirs, p); err != nil || p[0] != 0x89 {
				t.Fatalf("%x, %v", p, err)
			}
			if _, err := io.ReadFull(theirs, make([]byte, p[1])); err != nil {
				t.Fatal(err)
			}
			wantAfter(t, begun, time.Duration(i+1)*interval)
		}
		c.Abort()
		theirs.Close()
	})
}

// Many connections come and go; the wheel loses none and keeps none.
func TestKeeperWheel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper(interval, 2)
		defer k.Stop()
		var conns []*Conn
		var gones []<-chan error
		for i := range 300 {
			c, _, gone := halfOpen(k, nil)
			conns, gones = append(conns, c), append(gones, gone)
			if i%3 == 0 {
				time.Sleep(interval / 100)
			}
		}
		for i, c := range conns {
			if i%2 == 0 {
				c.Abort()
			}
		}
		for i, gone := range gones {
			code := GoingAway
			if i%2 == 0 {
				code = Abnormal
			}
			wantClose(t, <-gone, code, i%2 != 0)
		}
		for _, c := range conns {
			<-c.Done()
		}
		for i, slot := range k.wheel {
			if len(slot) != 0 {
				t.Errorf("slot %d still holds %d", i, len(slot))
			}
		}
	})
}
