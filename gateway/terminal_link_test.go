package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A dialled is a terminal's connection as the gateway closes it.
type dialled struct {
	*fake
	release func()

	mu   sync.Mutex
	shut []string
}

func (d *dialled) close(code int, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = append(d.shut, fmt.Sprint(code, " ", reason))
}

// knock has a terminal come to the door with a key.
func (s *shop) knock(key string) (*gateway.TerminalTicket, error) {
	return s.g.AdmitTerminal(gateway.Knock{Face: gateway.FaceTerminal, Query: url.Values{"token": {key}}})
}

// open plugs a terminal in that was admitted. What it is like must be known by now.
func open(ticket *gateway.TerminalTicket, f *fake) (*dialled, error) {
	d := &dialled{fake: f}
	var err error
	d.release, err = ticket.Open(d.close, d.connect)
	return d, err
}

// dial has a terminal come with a key.
func (s *shop) dial(key string) (*dialled, error) {
	ticket, err := s.knock(key)
	if err != nil {
		return nil, err
	}
	return open(ticket, newFake())
}

// dials is dial for a terminal that does what the test says, and is let in.
func (s *shop) dials(key string, f *fake) *dialled {
	s.t.Helper()
	ticket, err := s.knock(key)
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := open(ticket, f)
	if err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
	return d
}

// closed compares how the gateway closed the connection.
func (d *dialled) closed(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if diff := cmp.Diff(want, d.shut); diff != "" {
		t.Errorf("closed (-want +got):\n%s", diff)
	}
}

const tookOver = "1008 a newer connection of this terminal took over"

// inLinkedShop is inShop with a key for the terminal.
func inLinkedShop(t *testing.T, store journal.Store, f func(s *shop, key string)) {
	t.Helper()
	inShop(t, store, func(s *shop) {
		secret, _ := enrol(s.t, store, tid)
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		f(s, secret)
	})
}

func enrol(t *testing.T, store journal.Store, tid txn.TID) (string, journal.Key) {
	t.Helper()
	secret, key, err := gateway.EnrolTerminal(t.Context(), store, "demo", tid, "counter 2")
	if err != nil {
		t.Fatal(err)
	}
	return secret, key
}

// TestTerminalKeys: a terminal's key lets that terminal in and nobody else, a
// till's key lets no terminal in.
func TestTerminalKeys(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		secret, key := enrol(s.t, s.store, "10001234")
		if !strings.HasPrefix(secret, "tt_") || key.TID != "10001234" || key.Site != "demo" {
			s.t.Errorf("key %q %+v", secret, key)
		}
		for _, bad := range []txn.TID{"", "a b", "../x", txn.TID(strings.Repeat("1", 33)), "TÜ"} {
			if _, _, err := gateway.EnrolTerminal(s.t.Context(), s.store, "demo", bad, ""); err == nil {
				s.t.Errorf("TID %q was enrolled", bad)
			}
		}
		if _, _, err := gateway.EnrolTerminal(s.t.Context(), s.store, "nowhere", "1", ""); err == nil {
			s.t.Error("a terminal of no site was enrolled")
		}
		if err := s.store.PutSite(s.t.Context(), journal.Site{ID: "demo", TimeZone: "UTC", Simulated: "SHOP"}); err != nil {
			s.t.Fatal(err)
		}
		if _, _, err := gateway.EnrolTerminal(s.t.Context(), s.store, "demo", "vcmshopSIP0", ""); err == nil {
			s.t.Error("a simulated terminal of the site was enrolled")
		}
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		for token, want := range map[string]int{"": 401, "guessed": 401, demoKey: 403} {
			_, err := s.dial(token)
			if no, ok := errors.AsType[*gateway.Refusal](err); !ok || no.Status != want || no.UserMessage == "" {
				s.t.Errorf("a terminal with key %q: %v, want %d", token, err, want)
			}
		}
		for _, face := range []string{"pac", "pat"} {
			_, err := s.g.Admit(gateway.Knock{Face: face, Query: pacQuery(secret, "v1")})
			if no, ok := errors.AsType[*gateway.Refusal](err); !ok || no.Status != 403 {
				s.t.Errorf("a till with a terminal's key at /%s: %v", face, err)
			}
		}
		if _, err := s.dial(secret); err != nil {
			s.t.Error(err)
		}
		for _, v := range s.g.Terminals("demo") {
			if v.TID == "10001234" && v.Connected {
				return
			}
		}
		s.t.Error("the terminal is not there")
	})
}

// TestTerminalTakeover: the newest link of a terminal counts. The older one is
// told and closed, the terminal is never turned away because of its own ghost, and
// whatever comes of the older one later changes nothing, wherever a transaction
// stood when the terminal dialled anew.
func TestTerminalTakeover(t *testing.T) {
	heldStart := func(f *fake) { f.start = func(ctx context.Context, _ terminal.Request) error { return mute(ctx) } }
	goes := func(f *fake) { f.query = going }
	for _, tt := range []struct {
		name        string
		ghost, live func(*fake)
		before      func(s *shop, c *till, ghost *dialled) // up to the takeover
		after       func(s *shop, c *till, ghost, live *dialled)
		starts      int // that the ghost heard; the live one must hear none
	}{
		{
			name:   "idle",
			before: func(*shop, *till, *dialled) {},
			after: func(s *shop, c *till, _, live *dialled) {
				s.stands("AVAILABLE")
				c.sale(1)
				live.say(terminal.Ended{ID: live.id(), Outcome: outcome(txn.Successful)})
				s.gets(c, "TRANSACTION_STARTED", "TRANSACTION_FINISHED", "1 SUCCESSFUL")
			},
		},
		{
			name: "with a start in flight that never arrived", ghost: heldStart, starts: 1,
			live:   func(f *fake) { f.query = never },
			before: func(s *shop, c *till, _ *dialled) { c.sale(1); s.gets(c) },
			after: func(s *shop, c *till, ghost, live *dialled) {
				s.gets(c, "1 error -32074")
				s.notRun(txn.Fenced, txn.ToldError)
				sleep(time.Minute) // the start over the old link is given up
				s.gets(c)
				s.stands("AVAILABLE")
			},
		},
		{
			name: "with a start in flight that arrived", ghost: heldStart, starts: 1, live: goes,
			before: func(s *shop, c *till, _ *dialled) { c.sale(1); s.gets(c) },
			after: func(s *shop, c *till, ghost, live *dialled) {
				s.gets(c, "TRANSACTION_STARTED")
				sleep(time.Minute)
				live.say(terminal.Ended{ID: ghost.id(), Outcome: outcome(txn.Successful)})
				s.gets(c, "TRANSACTION_FINISHED", "1 SUCCESSFUL")
				s.ended(txn.Successful, txn.ToldResult)
			},
		},
		{
			name: "during the PIN", starts: 1, live: goes,
			before: func(s *shop, c *till, ghost *dialled) {
				c.sale(1)
				ghost.say(terminal.Notified{ID: ghost.id(), Value: "PIN_ENTRY"})
				s.gets(c, "TRANSACTION_STARTED", "PIN_ENTRY")
			},
			after: func(s *shop, c *till, ghost, live *dialled) {
				s.stands("BUSY")
				ghost.say(terminal.Notified{ID: ghost.id(), Value: "BAD_SWIPE"}, terminal.Ended{ID: ghost.id(), Outcome: outcome(txn.Declined)}, terminal.WentAway{})
				ghost.release()
				s.gets(c)
				s.stands("BUSY")
				live.say(terminal.Notified{ID: ghost.id(), Value: "APPROVED"}, terminal.Ended{ID: ghost.id(), Outcome: outcome(txn.Successful)})
				s.gets(c, "APPROVED", "TRANSACTION_FINISHED", "1 SUCCESSFUL")
				s.ended(txn.Successful, txn.ToldResult)
				s.terminalHeard(ghost.fake, "acknowledge", 0)
				s.terminalHeard(live.fake, "acknowledge", 1)
			},
		},
		{
			name: "with a cancel in flight", starts: 1, live: goes,
			ghost: func(f *fake) { f.cancel = func(ctx context.Context, _ txn.RequestID) error { return mute(ctx) } },
			before: func(s *shop, c *till, ghost *dialled) {
				c.sale(1)
				c.cancels(2)
				s.gets(c, "TRANSACTION_STARTED", "2 map[cancelling:true]", "ATTEMPTING_CANCEL")
			},
			after: func(s *shop, c *till, ghost, live *dialled) {
				s.terminalHeard(live.fake, "cancel", 1)
				live.say(terminal.Notified{ID: ghost.id(), Value: "CANCELLING"}, terminal.Ended{ID: ghost.id(), Outcome: outcome(txn.Cancelled)})
				s.gets(c, "CANCELLING", "TRANSACTION_FINISHED", "1 CANCELLED")
				sleep(time.Minute)
				s.gets(c)
			},
		},
		{
			name: "with a signature open", starts: 1, live: goes,
			before: func(s *shop, c *till, ghost *dialled) {
				c.sale(7)
				ghost.say(terminal.SignatureWanted{ID: ghost.id(), Wish: txn.SignatureWish{Type: txn.Sale}})
				s.gets(c, "TRANSACTION_STARTED", "SIGNATURE_VERIFICATION", "1 signatureVerificationRequest", "SIGNATURE_VERIFICATION_IN_PROGRESS")
			},
			after: func(s *shop, c *till, ghost, live *dialled) {
				live.say(terminal.SignatureWanted{ID: ghost.id(), Wish: txn.SignatureWish{Type: txn.Sale}}) // as after each hello
				s.gets(c)
				c.signs(1, false)
				s.terminalHeard(ghost.fake, "answer false", 0)
				s.terminalHeard(live.fake, "answer false", 1)
				live.say(terminal.Ended{ID: ghost.id(), Outcome: outcome(txn.Void)})
				s.gets(c, "SIGNATURE_VERIFICATION_PROCESS_COMPLETED", "TRANSACTION_FINISHED", "7 VOID")
				s.ended(txn.Void, txn.ToldResult)
			},
		},
		{
			name: "with the answer on a signature in flight", starts: 1, live: goes,
			ghost: func(f *fake) {
				f.answer = func(ctx context.Context, _ txn.RequestID, _ bool) error { return mute(ctx) }
			},
			before: func(s *shop, c *till, ghost *dialled) {
				c.sale(7)
				ghost.say(terminal.SignatureWanted{ID: ghost.id(), Wish: txn.SignatureWish{Type: txn.Sale}})
				c.signs(1, true)
				c.take()
				s.terminalHeard(ghost.fake, "answer true", 1)
			},
			after: func(s *shop, c *till, ghost, live *dialled) {
				s.terminalHeard(live.fake, "answer true", 1) // it may not have come
				live.say(terminal.Ended{ID: ghost.id(), Outcome: outcome(txn.Successful)})
				s.gets(c, "SIGNATURE_VERIFICATION_PROCESS_COMPLETED", "TRANSACTION_FINISHED", "7 SUCCESSFUL")
				sleep(time.Minute)
				s.gets(c)
			},
		},
		{
			name: "with an outcome that is not acknowledged", starts: 1,
			before: func(s *shop, c *till, ghost *dialled) {
				c.sale(1)
				ghost.say(terminal.Ended{ID: ghost.id(), Outcome: outcome(txn.Successful)})
				s.gets(c, "TRANSACTION_STARTED", "TRANSACTION_FINISHED", "1 SUCCESSFUL")
			},
			after: func(s *shop, c *till, ghost, live *dialled) {
				live.say(terminal.Ended{ID: ghost.id(), Outcome: outcome(txn.Successful)}) // for it heard nothing
				s.terminalHeard(live.fake, "acknowledge "+string(ghost.id()), 1)
				s.gets(c)
				s.ended(txn.Successful, txn.ToldResult)
				if n := len(transactions(s.t, s.store, "demo")); n != 1 || s.recorded().Conflict != nil {
					s.t.Errorf("%d transactions, conflict %+v", n, s.recorded().Conflict)
				}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inLinkedShop(t, memory.New(), func(s *shop, key string) {
				first, second := newFake(), newFake()
				if tt.ghost != nil {
					tt.ghost(first)
				}
				if tt.live != nil {
					tt.live(second)
				}
				c := s.connect("a", "v1")
				ghost := s.dials(key, first)
				tt.before(s, c, ghost)
				live := s.dials(key, second)
				ghost.closed(s.t, tookOver)
				tt.after(s, c, ghost, live)
				s.terminalHeard(ghost.fake, "start", tt.starts)
				if want := 1 - tt.starts; want != live.heard("start") {
					s.t.Errorf("the live link was told %d starts, want %d: another start would be another payment", live.heard("start"), want)
				}
				before := len(transactions(s.t, s.store, "demo"))
				status := s.status()
				ghost.say(terminal.StatusChanged{Busy: true}, terminal.Ended{ID: "an orphan over a dead link", Outcome: outcome(txn.Successful)}, terminal.WentAway{})
				ghost.release()
				if s.status() != status || len(transactions(s.t, s.store, "demo")) != before {
					s.t.Errorf("the late end of the ghost left the terminal %s, before it was %s", s.status(), status)
				}
				s.gets(c)
				live.closed(s.t)
				live.say(terminal.WentAway{})
				live.release()
				s.stands("away")
			})
		})
	}
}

// TestTerminalTurns: the newest link is that of the newest knock. One that was
// held up on its way, and comes once its terminal has dialled anew, does not push
// the newer one off.
func TestTerminalTurns(t *testing.T) {
	inLinkedShop(t, memory.New(), func(s *shop, key string) {
		heldUp, err := s.knock(key)
		if err != nil {
			s.t.Fatal(err)
		}
		live := s.dials(key, newFake())
		if _, err := open(heldUp, newFake()); err == nil {
			s.t.Error("a connection of yesterday was let in")
		}
		live.closed(s.t)
		s.stands("AVAILABLE")
		c := s.connect("a", "v1")
		c.sale(1)
		s.terminalHeard(live.fake, "start", 1)
		live.release() // also once the live one is gone
		live.say(terminal.WentAway{})
		if _, err := open(heldUp, newFake()); err == nil {
			s.t.Error("a connection of yesterday was let in where no other was")
		}
		s.dials(key, newFake()).closed(s.t)
	})
}

// TestTerminalTakeoverSlowDisk: dials that come while the terminal's actor waits
// for the disk wait for it, each for its turn and nobody for a lock, and the last
// of them counts.
func TestTerminalTakeoverSlowDisk(t *testing.T) {
	store := newFaulty()
	inLinkedShop(t, store, func(s *shop, key string) {
		s.dials(key, newFake())
		store.set(func(int, journal.Append) mishap { return mishap{wait: 5 * time.Second} }, nil)
		c := s.connect("a", "v1")
		c.sale(1)
		links := make([]*dialled, 4)
		var all sync.WaitGroup
		for i := range links {
			ticket, err := s.knock(key)
			if err != nil {
				s.t.Fatal(err)
			}
			all.Go(func() {
				if links[i], err = open(ticket, newFake()); err != nil {
					s.t.Error(err)
				}
			})
			synctest.Wait() // they come in this order
		}
		all.Wait()
		for _, l := range links[:3] {
			l.closed(s.t, tookOver)
		}
		links[3].closed(s.t)
		for _, l := range links[:3] {
			l.say(terminal.WentAway{})
			l.release()
		}
		if s.status() == "away" {
			s.t.Error("the terminal is away, although its newest link is open")
		}
		sleep(time.Minute)
	})
}

// TestSpareMachine: a machine that is put in the place of another, or one that has
// lost its memory and begun anew, cannot know that a request never ran. Its word is
// not believed, also after the gateway was restarted, until the one that knows is
// back.
func TestSpareMachine(t *testing.T) {
	for _, memory2 := range []string{"spare", ""} {
		for _, restart := range []bool{false, true} {
			inLinkedShop(t, memory.New(), func(s *shop, key string) {
				machine := func(memory string, query func(context.Context, txn.RequestID) (terminal.Answer, error)) *fake {
					f := newFake()
					f.caps.Memory, f.query = memory, query
					return f
				}
				c := s.connect("a", "v1")
				first := s.dials(key, machine("m1", nil))
				c.sale(1)
				s.gets(c, "TRANSACTION_STARTED")
				first.say(terminal.WentAway{})
				if restart {
					s.g.Close()
					s.open(io.Discard, gateway.Limits{})
				}
				spare := s.dials(key, machine(memory2, never))
				if spare.heard("query") == 0 {
					s.t.Fatal("it was not asked")
				}
				sleep(time.Hour)
				if !restart {
					s.gets(c, "TRANSACTION_FINISHED", "1 TIMED_OUT")
				}
				if tx := s.recorded(); tx.State != txn.Unresolved || tx.Told != txn.ToldTimedOut {
					s.t.Errorf("the word of memory %q is believed, restarted %t: %s, not run %q, told %s", memory2, restart, tx.State, tx.NotRun, tx.Told)
				}
				s.stands("AVAILABLE") // it can be used meanwhile
				spare.say(terminal.WentAway{})
				s.dials(key, machine("m1", func(context.Context, txn.RequestID) (terminal.Answer, error) {
					o := outcome(txn.Successful)
					return terminal.Answer{Kind: terminal.Final, Outcome: &o}, nil
				}))
				s.ended(txn.Successful, txn.ToldTimedOut)
			})
		}
	}
}

// TestSpareMachineAtTable is the same for a payment at a table.
func TestSpareMachineAtTable(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inDiner(t, func(d *diner, a *till, _ *faulty) {
			d.w.caps.Memory = "m1"
			d.plugWaiter()
			d.locks(a, "v1", 1)
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 900})
			d.w.say(terminal.WentAway{})
			spare := &fakeWaiter{fake: newFake(), payment: func() (terminal.PaymentAnswer, error) {
				return terminal.PaymentAnswer{Kind: terminal.NeverRan}, nil
			}}
			spare.caps.Memory = "spare"
			first := d.w
			d.w = spare
			if restart {
				d.restart()
				a = d.connect("b", "v1", "pat")
			} else {
				d.plugWaiter()
			}
			sleep(time.Hour)
			if spare.heard("queryPayment") == 0 {
				d.t.Fatal("it was not asked")
			}
			if got := a.take(); len(got) > 0 {
				d.t.Errorf("the word of a spare machine is believed: %q", got)
			}
			d.w = first
			d.plugWaiter()
			d.w.say(terminal.PaymentEnded{Visit: "v1", Payment: payID(1), Taken: true, Receipt: table.Receipt{Paid: 900}}, terminal.VisitLeft{Visit: "v1"})
			d.gets(a, "- transactionResponse", "- tableUnlock")
		})
	}
}

// TestTerminalRevoked: a key that is revoked closes its link, and the terminal
// that had it is away; a link that is gone is not closed again.
func TestTerminalRevoked(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		secret, key := enrol(s.t, s.store, "10001234")
		other, otherKey := enrol(s.t, s.store, "10001235")
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		d, err := s.dial(secret)
		if err != nil {
			s.t.Fatal(err)
		}
		gone, err := s.dial(other)
		if err != nil {
			s.t.Fatal(err)
		}
		gone.release()
		late, err := s.g.AdmitTerminal(gateway.Knock{Query: url.Values{"token": {secret}}})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, k := range []journal.Key{key, otherKey} {
			if _, err := gateway.RevokeKey(s.t.Context(), s.store, k.ID); err != nil {
				s.t.Fatal(err)
			}
		}
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"1008 the key was revoked"}, d.shut); diff != "" || len(gone.shut) > 0 {
			s.t.Errorf("closed %q, and the one that was gone %q", d.shut, gone.shut)
		}
		if _, err := s.dial(secret); err == nil {
			s.t.Error("a revoked key let a terminal in")
		}
		if _, err := late.Open(d.close, newFake().connect); err == nil {
			s.t.Error("a key that was revoked after the knock let a terminal in")
		}
		s.g.Close()
		if _, err := late.Open(d.close, newFake().connect); err == nil {
			s.t.Error("a gateway that is closed let a terminal in")
		}
	})
}

// TestTerminalsWhileStopping: a gateway that waits for outcomes lets terminals
// in that bring them, and closes their links in the end.
func TestTerminalsWhileStopping(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		secret, _ := enrol(s.t, s.store, tid)
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		c := s.connect("a", "v1")
		c.sale(1)
		s.pdq.say(terminal.WentAway{})
		drained := make(chan error, 1)
		go func() { drained <- s.g.Drain(s.t.Context()) }()
		synctest.Wait()
		d, err := s.dial(secret)
		if err != nil {
			s.t.Fatal(err)
		}
		d.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		if err := <-drained; err != nil {
			s.t.Error(err)
		}
		s.gets(c, "TRANSACTION_STARTED", "TRANSACTION_FINISHED", "1 SUCCESSFUL")
		s.g.Close()
		if diff := cmp.Diff([]string{"1001 the gateway stops"}, d.shut); diff != "" {
			s.t.Errorf("closed (-want +got):\n%s", diff)
		}
	})
}
