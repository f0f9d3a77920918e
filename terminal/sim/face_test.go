package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// Every way that package spec gives a card is one of the machine's, and each
// card's product can be read so.
func TestTestCardsFit(t *testing.T) {
	for _, w := range spec.Default().TestCards().Ways {
		if !slices.Contains([]How{Insert, InsertWrongly, Tap, Swipe}, How(w.Name)) {
			t.Errorf("no way %q", w.Name)
		}
	}
	pans := map[string]string{}
	for _, c := range TestCards() {
		i := productOf(c.Product)
		if i < 0 {
			t.Errorf("%s: no product %q", c.Name, c.Product)
			continue
		}
		p := products()[i]
		entry := map[string]txn.PaymentMethod{"tap": txn.MethodContactless, "swipe": txn.MethodSwiped, "insert": txn.MethodChip}
		for _, w := range c.Ways {
			if !p.reads(entry[w]) {
				t.Errorf("%s cannot %s", c.Product, w)
			}
		}
		made, again := makeTestCard(7, c), makeTestCard(7, c)
		if made != again || checkDigit(made.pan[:len(made.pan)-1]) != made.pan[len(made.pan)-1:] || pans[made.pan] != "" {
			t.Errorf("%s is %v and %v, and %q", c.Name, made, again, pans[made.pan])
		}
		pans[made.pan] = c.Name
	}
}

// The tries of a PIN, over transactions: the card counts them.
func TestPINTries(t *testing.T) {
	const cancelled, declined, fine = txn.Cancelled, txn.Declined, txn.Successful
	for _, c := range []struct {
		name string
		pins []string // of one transaction each; what follows the last is the red key
		want []txn.Result
		left []string // what the screen says at the last PIN
	}{
		{"right", []string{"1234"}, []txn.Result{fine}, []string{""}},
		{"wrong once", []string{"1 1234"}, []txn.Result{fine}, []string{"Wrong PIN. 2 tries left"}},
		{"wrong twice", []string{"1 2 1234"}, []txn.Result{fine}, []string{"Wrong PIN. 1 try left"}},
		{"wrong three times", []string{"1 2 3"}, []txn.Result{declined}, []string{"Wrong PIN. 1 try left"}},
		{"over two transactions", []string{"1", "2 3"}, []txn.Result{cancelled, declined}, []string{"", "Wrong PIN. 1 try left"}},
		{"over three transactions", []string{"1", "2", "3"}, []txn.Result{cancelled, cancelled, declined}, []string{"", "Wrong PIN. 2 tries left", "Wrong PIN. 1 try left"}},
		{"a right one counts anew", []string{"1 2 1234", "1 2 1234"}, []txn.Result{fine, fine}, []string{"Wrong PIN. 1 try left", "Wrong PIN. 1 try left"}},
		{"a blocked card is replaced", []string{"1 2 3", "1234"}, []txn.Result{declined, fine}, []string{"Wrong PIN. 1 try left", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := touch(t, "VCMDEMOSIP1", Options{})
				for i, pins := range c.pins {
					id := txn.RequestID(fmt.Sprint(i))
					req := sale(100)
					req.Currency = "EUR"
					h.start(id, req)
					h.does("insert visa-debit")
					left := ""
					for _, pin := range strings.Fields(pins) {
						s := h.asks(AsksPIN)
						left = ""
						if len(s.Lines) > 1 {
							left = s.Lines[0]
						}
						h.does("pin " + (pin + "9999")[:4])
					}
					if left != c.left[i] {
						t.Errorf("the screen said %q, want %q", left, c.left[i])
					}
					if c.want[i] == cancelled {
						h.does("until pin", "key cancel")
					}
					h.does("out")
					if o := h.ended(id); o.Result != c.want[i] {
						t.Errorf("ended %s, want %s", o.Result, c.want[i])
					}
				}
			})
		})
	}
}

// The card is left in at "remove card" for longer than a till waits: the truth
// comes when it is taken out.
func TestCardLeftIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := touch(t, "VCMDEMOSIP0", Options{Speed: 1})
		h.start("r", sale(1250))
		h.does("insert visa-debit", "choose enter", "pin 1234", "until takeOut", "wait 200s", "cancel r", "wait 200s")
		if a := h.query("r"); a.Kind != terminal.InProgress {
			t.Errorf("answered %v", a.Kind)
		}
		if err := h.Start(ctx, terminal.Request{ID: "s", Txn: sale(1)}); !errors.Is(err, terminal.ErrBusy) {
			t.Errorf("a second start: %v", err)
		}
		h.does("out")
		if o := h.ended("r"); o.Result != txn.Successful {
			t.Errorf("ended %s", o.Result)
		}
	})
}

// A card that was left in is in the way of the next transaction.
func TestCardInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := touch(t, "VCMDEMOSIP0", Options{})
		h.start("r", sale(1250))
		h.does("insert visa-debit", "choose enter", "pin 1234", "wait 11m")
		h.ended("r")
		h.start("s", sale(1250))
		h.asks(AsksTakeOut)
		if err := h.hands.m.Present("visa-debit", Tap); !errors.Is(err, ErrNoEffect) {
			t.Errorf("tapped: %v", err)
		}
		h.does("out", "tap visa-debit")
		if o := h.ended("s"); o.Result != txn.Successful || o.Method != txn.MethodContactless {
			t.Errorf("ended %s", o.Result)
		}
	})
}

func TestPowerByHand(t *testing.T) {
	for _, c := range []struct {
		name    string
		acts    []string
		want    txn.Result
		charged int
	}{
		{"at the card", []string{"until card", "off", "on"}, txn.Unsuccessful, 0},
		{"at the PIN", []string{"insert visa-debit", "choose enter", "until pin", "key 1", "off", "wait 1h", "on", "snatch"}, txn.Unsuccessful, 0},
		{"at remove card", []string{"insert visa-debit", "choose enter", "pin 1234", "until takeOut", "off", "on", "snatch"}, txn.Successful, 1},
		{"while it prints", []string{"insert visa-debit", "choose enter", "pin 1234", "out", "wait 300ms", "off", "on"}, txn.Successful, 1},
		{"while a signature is verified", []string{"insert signature", "out", "wait 10s", "off", "on"}, txn.Void, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := touch(t, "VCMDEMOSIP0", Options{Speed: 1})
				h.start("r", sale(1250))
				h.does(c.acts...)
				o := h.ended("r")
				if o.Result != c.want || len(h.p.Charges()) != c.charged {
					t.Errorf("ended %s, charges %+v", o.Result, h.p.Charges())
				}
				got := names(h.heard())
				if tail := got[len(got)-3:]; !slices.Equal(tail, []string{"went away", "came back restarted=true", "ended " + string(c.want)}) {
					t.Errorf("heard %v", got)
				}
				h.perfect()
				h.start("s", sale(1250))
				h.does("tap phone")
				if o := h.ended("s"); o.Result != txn.Successful {
					t.Errorf("then %s", o.Result)
				}
			})
		})
	}
}

// The process ends while people are at the machine: nothing hangs, and the next
// one tells what became of it.
func TestProcessEndsByHand(t *testing.T) {
	for _, c := range []struct {
		acts []string
		want txn.Result
	}{
		{[]string{"until card"}, txn.Unsuccessful},
		{[]string{"insert visa-debit", "choose enter", "until pin", "key 1"}, txn.Unsuccessful},
		{[]string{"insert visa-debit", "choose enter", "pin 1234", "until takeOut"}, txn.Successful},
		{[]string{"empty", "tap phone", "until paper"}, txn.Successful},
	} {
		t.Run(c.acts[len(c.acts)-1], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := touch(t, "VCMDEMOSIP0", Options{Dir: t.TempDir(), Speed: 1})
				h.start("r", sale(1250))
				h.does(c.acts...)
				p := reopen(t, h.p)
				d := connect(t, p, "VCMDEMOSIP0")
				if o := d.ended("r"); o.Result != c.want {
					t.Errorf("ended %s", o.Result)
				}
				if f := d.m.Face(); f.ByHand || f.Busy != Idle {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}

// A cable that is pulled stays out over a loss of power, and one that is put
// back meanwhile is in.
func TestPowerAndCable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := touch(t, "VCMDEMOSIP0", Options{Speed: 1})
		type standing struct{ power, cable, link bool }
		for _, step := range []struct {
			do   string
			want standing
		}{
			{"cut", standing{true, false, false}},
			{"off", standing{false, false, false}},
			{"on", standing{true, false, false}},
			{"plug", standing{true, true, true}},
			{"off", standing{false, true, false}},
			{"off", standing{false, true, false}},
			{"cut", standing{false, false, false}},
			{"plug", standing{false, true, false}},
			{"cut", standing{false, false, false}},
			{"on", standing{true, false, false}},
			{"on", standing{true, false, false}},
			{"off", standing{false, false, false}},
			{"plug", standing{false, true, false}},
			{"on", standing{true, true, true}},
		} {
			h.does(step.do)
			f := h.hands.m.Face()
			if got := (standing{f.Power, f.Cable, f.Link}); got != step.want {
				t.Errorf("after %q: %+v, want %+v", step.do, got, step.want)
			}
		}
		if got := names(h.heard()); !slices.Equal(got, []string{
			"went away", "came back restarted=true", "went away", "came back restarted=true",
		}) {
			t.Errorf("heard %v", got)
		}
		h.does("off")
		if _, err := h.hands.m.Visit(ctx, Visit{}, nil); err == nil {
			t.Error("a waiter served at a machine without power")
		}
		if err := h.hands.m.PowerCycle(); err != nil {
			t.Fatal(err)
		}
		h.perfect()
	})
}

// The cable is pulled at the PIN and put back: the sale goes on, and its outcome
// is told.
func TestCableByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := touch(t, "VCMDEMOSIP0", Options{Speed: 1})
		h.start("r", sale(1250))
		h.does("insert visa-debit", "choose enter", "until pin", "cut", "pin 1234", "out", "ready", "plug")
		want := []string{"PRESENT_CARD", "PLEASE_WAIT", "PIN_ENTRY", "went away", "came back restarted=false", "ended SUCCESSFUL"}
		h.ended("r")
		if diff := cmp.Diff(want, names(h.heard())); diff != "" {
			t.Error(diff)
		}
		h.perfect()
	})
}

// What was said of a request by Script or Always is played while people look on;
// what the amount would choose is not, and neither is the machine's name.
func TestScriptsOnATouchedMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := touch(t, "VCMDEMODIP0", Options{ByAmount: true})
		h.hands.m.Script(Script{Result: txn.Void})
		if f := h.hands.m.Face(); f.Scenarios != 1 || f.Always {
			t.Errorf("%+v", f)
		}
		h.start("a", sale(1250))
		if o := h.ended("a"); o.Result != txn.Void {
			t.Errorf("by script: %s", o.Result)
		}
		h.start("b", sale(7)) // 07 is a scenario
		h.does("tap phone")
		if o := h.ended("b"); o.Result != txn.Successful {
			t.Errorf("by hand: %s", o.Result)
		}
		h.hands.m.Always(Script{Result: txn.Unsuccessful})
		h.start("c", sale(1250))
		if o := h.ended("c"); o.Result != txn.Unsuccessful {
			t.Errorf("by Always: %s", o.Result)
		}
		h.hands.m.Calm()
		h.start("d", sale(1250))
		h.asks(AsksCard)
		h.hands.m.Touch(false) // from the next one on
		h.does("tap phone")
		if o := h.ended("d"); o.Result != txn.Successful {
			t.Errorf("by hand: %s", o.Result)
		}
		h.start("e", sale(1250))
		if o := h.ended("e"); o.Result != txn.Declined {
			t.Errorf("by its name: %s", o.Result)
		}
	})
}

func TestNothingToTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, Options{})
		m := connect(t, p, "VCMDEMOSIP0").m
		for _, k := range Keys() {
			if err := m.Press(k); !errors.Is(err, ErrNoEffect) {
				t.Errorf("%s: %v", k, err)
			}
		}
		m.Touch(true)
		for what, c := range map[string]struct{ got, want error }{
			"a key of no machine":     {m.Press("power"), ErrNoEffect},
			"green when it is ready":  {m.Press(KeyEnter), ErrNoEffect},
			"a card that nobody has":  {m.Present("platinum", Insert), ErrNoCard},
			"a phone in the slot":     {m.Present("phone", Insert), ErrNoCard},
			"a phone put in wrongly":  {m.Present("phone", InsertWrongly), ErrNoCard},
			"a card in no known way":  {m.Present("visa-debit", "throw"), ErrNoCard},
			"a card nobody asked for": {m.Present("visa-debit", Insert), ErrNoEffect},
			"an empty slot":           {m.TakeOutCard(), ErrNoEffect},
			"no paper to tear off":    {m.TearOff(), ErrNoEffect},
			"a roll that is not over": {m.NewRoll(), ErrNoEffect},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v", what, c.got)
			}
		}
		if f := m.Face(); f.Slot != nil || f.Busy != Idle || !f.Paper {
			t.Errorf("%+v", f)
		}
	})
}

// A machine that plays by itself shows what it does, and its paper is what it
// told.
func TestFaceOfAPlayingMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, Options{Speed: 1})
		d := connect(t, p, "VCMDEMOSIP0")
		h := hands{t, d.m}
		eye, blink := d.m.Watch()
		defer blink()
		d.start("r", sale(1250))
		var seen []string
		for f := d.m.Face(); ; f = d.m.Face() {
			line := f.Screen.Title + ": " + strings.Join(f.Screen.Lines, "/")
			if len(f.Screen.Keys)+len(f.Screen.Cards) != 0 || f.Screen.Asks != AsksNothing || f.ByHand {
				t.Errorf("it takes something: %+v", f)
			}
			if len(seen) == 0 || seen[len(seen)-1] != line {
				seen = append(seen, line)
			}
			if f.Busy == Idle {
				break
			}
			<-eye
			synctest.Wait()
		}
		want := []string{
			"SALE GBP 12.50: Insert, tap or swipe card",
			"SALE GBP 12.50: Please wait",
			"SALE GBP 12.50: Enter PIN",
			"SALE GBP 12.50: Connecting",
			"SALE GBP 12.50: Connected",
			"SALE GBP 12.50: Waiting for the bank",
			"SALE GBP 12.50: Approved",
			"SALE GBP 12.50: Please remove card",
			"READY: SALE GBP 12.50 SUCCESSFUL",
		}
		for len(seen) > 0 && seen[0] != want[0] {
			seen = seen[1:]
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
		o := d.ended("r")
		rolls := d.m.Face().Rolls
		if len(rolls) != 2 || cmp.Diff(o.Receipts.Merchant, rolls[0].Lines) != "" || cmp.Diff(o.Receipts.Customer, rolls[1].Lines) != "" {
			t.Errorf("rolls %+v", rolls)
		}

		// Without paper it stops as one that is touched does.
		d.m.EmptyRoll()
		d.start("s", sale(1250))
		h.asks(AsksPaper)
		d.notified(ReplacePaper)
		h.does("paper")
		if o := d.ended("s"); o.Result != txn.Successful {
			t.Errorf("ended %s", o.Result)
		}
		if got := h.copies(); !slices.Equal(got, []Copy{MerchantCopy, CustomerCopy}) {
			t.Errorf("printed %v", got)
		}
	})
}

// A machine that cannot write its memory says so to who stands in front of it.
func TestFaceOfABrokenMachine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "park")
	p := open(t, Options{Dir: dir})
	d := connect(t, p, "VCMDEMOSIP0")
	d.m.Touch(true)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(ctx, terminal.Request{ID: "r", Txn: sale(1)}); err == nil {
		t.Fatal("a request was taken without a memory")
	}
	if f := d.m.Face(); !f.Broken || f.Link || f.Screen.Title != "OUT OF ORDER" || d.m.Press(KeyMenu) == nil {
		t.Errorf("%+v", f)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.m.PowerCycle(); err != nil {
		t.Fatal(err)
	}
	if f := d.m.Face(); f.Broken || !f.Link || f.Screen.Title != "READY" {
		t.Errorf("%+v", f)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := touch(t, "VCMDEMOSIP0", Options{})
		eye, blink := h.hands.m.Watch()
		lazy, _ := h.hands.m.Watch()
		<-eye // the first look
		select {
		case <-eye:
			t.Error("a token without a reason")
		default:
		}
		h.start("r", sale(1250))
		h.does("insert visa-debit", "choose enter", "pin 1234", "out")
		h.ended("r")
		<-eye
		blink()
		blink()
		h.does("tear")
		select {
		case <-eye:
			t.Error("a token after the last look")
		default:
		}
		<-lazy // who never looked held nobody up, and has one
		select {
		case <-lazy:
			t.Error("a second token")
		default:
		}
	})
}

// Neither what people see nor what is kept nor what is logged holds a card
// number or a PIN.
func TestNoSecretsByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var log bytes.Buffer
		h := touch(t, "VCMDEMOSIP0", Options{
			Dir: dir, Speed: 1, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		var seen strings.Builder
		look := func() { fmt.Fprintf(&seen, "%+v\n", h.hands.m.Face()) }
		do := func(acts ...string) {
			for _, act := range acts {
				h.does(act)
				look()
			}
		}
		const pin = "1234"
		h.start("a", sale(7777))
		do("insert visa-debit", "choose enter", "until pin")
		for _, d := range strings.Split(pin, "") {
			do("key " + d)
		}
		do("key enter", "out")
		h.ended("a")
		absent := sale(7777)
		absent.CardholderNotPresent = true
		h.start("b", absent)
		do("until pan")
		for _, d := range strings.Split(goodNumber, "") {
			do("key " + d)
		}
		do("key enter", "number 1230")
		h.ended("b")
		h.start("c", sale(7777))
		do("tap phone", "off", "on")
		h.ended("c")
		look()
		shut(t, h.p)
		secrets := []string{goodNumber, goodNumber[:12]}
		for _, c := range TestCards() {
			pan := makeTestCard(0, c).pan
			secrets = append(secrets, pan, pan[:12])
		}
		texts := map[string]string{"the face": seen.String(), "the log": log.String()}
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				var data []byte
				data, err = os.ReadFile(path)
				texts[filepath.Base(path)] = string(data)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for where, text := range texts {
			if len(text) == 0 {
				t.Errorf("%s is empty", where)
			}
			for _, s := range secrets {
				if strings.Contains(text, s) {
					t.Errorf("%s holds %s", where, s)
				}
			}
		}
		for _, entry := range regexp.MustCompile(`Entry:(\S*) Asks:p`).FindAllStringSubmatch(seen.String(), -1) {
			if strings.Trim(entry[1], "*") != "" {
				t.Errorf("on the screen: %q", entry[1])
			}
		}
		if !strings.Contains(seen.String(), "Entry:**** Asks:pin") || !strings.Contains(seen.String(), "Entry:**************** Asks:pan") {
			t.Error("the stars were not seen")
		}
	})
}
