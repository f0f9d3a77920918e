package sim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/txn"
)

// hands touch a machine in fake time, and fail the test where it does not take
// what they do.
type hands struct {
	t *testing.T
	m *Machine
}

// touched is a machine by hand at the counter.
type touched struct {
	*desk
	hands
	p *Park
}

func touch(t *testing.T, tid txn.TID, o Options) *touched {
	t.Helper()
	p := open(t, o)
	d := connect(t, p, tid)
	d.m.Touch(true)
	return &touched{d, hands{t, d.m}, p}
}

// press presses keys, one after the other, each once the machine waits for it.
func (h hands) press(keys ...Key) {
	h.t.Helper()
	for _, k := range keys {
		synctest.Wait()
		if err := h.m.Press(k); err != nil {
			h.t.Fatalf("%s: %v at %+v", k, err, h.m.Face().Screen)
		}
	}
	synctest.Wait()
}

// types presses the digits.
func (h hands) types(digits string) {
	h.t.Helper()
	for _, d := range strings.Split(digits, "") {
		h.press(Key(d))
	}
}

func (h hands) present(card string, how How) {
	h.t.Helper()
	synctest.Wait()
	if err := h.m.Present(card, how); err != nil {
		h.t.Fatalf("%s to %s: %v at %+v", card, how, err, h.m.Face().Screen)
	}
	synctest.Wait()
}

func (h hands) takeOut() {
	h.t.Helper()
	synctest.Wait()
	if err := h.m.TakeOutCard(); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

// asks waits until the machine asks for that.
func (h hands) asks(want Asks) Screen {
	return h.sees(func(f Face) bool { return f.Screen.Asks == want }).Screen
}

// sees waits until something is so that people can see.
func (h hands) sees(so func(Face) bool) Face {
	eye, blink := h.m.Watch()
	defer blink()
	for {
		if f := h.m.Face(); so(f) {
			return f
		}
		<-eye
	}
}

// ready waits until the machine is.
func (h hands) ready() {
	h.sees(func(f Face) bool { return f.Busy == Idle })
	synctest.Wait()
}

func (h hands) copies() []Copy {
	var out []Copy
	for _, r := range h.m.Face().Rolls {
		out = append(out, r.Copy)
	}
	return out
}

// does is hands.does, and what the till does.
func (h *touched) does(acts ...string) {
	h.hands.t.Helper()
	for _, act := range acts {
		word, rest, _ := strings.Cut(act, " ")
		switch word {
		case "cancel":
			h.cancel(txn.RequestID(rest))
			synctest.Wait()
		case "sign", "reject":
			h.wanted(txn.RequestID(rest))
			h.answer(txn.RequestID(rest), word == "sign")
		default:
			h.hands.does(act)
		}
	}
}

// does is what people do, a line each: what the machine is waited for to ask, and
// then the keys, or the card and how.
func (h hands) does(acts ...string) {
	h.t.Helper()
	for _, act := range acts {
		word, rest, _ := strings.Cut(act, " ")
		switch word {
		case "insert", "insertWrongly", "tap", "swipe":
			h.asks(AsksCard)
			h.present(rest, How(word))
		case "out":
			h.asks(AsksTakeOut)
			h.takeOut()
		case "snatch": // nobody asked for it
			h.takeOut()
		case "paper":
			h.asks(AsksPaper)
			if err := h.m.NewRoll(); err != nil {
				h.t.Fatal(err)
			}
		case "empty":
			h.m.EmptyRoll()
		case "key":
			h.press(Key(rest))
		case "pin", "pan", "amount", "number":
			h.asks(Asks(word))
			h.types(rest)
			h.press(KeyEnter)
		case "choose":
			h.asks(AsksChoice)
			h.press(Key(rest))
		case "until":
			h.asks(Asks(rest))
		case "wait":
			d, err := time.ParseDuration(rest)
			if err != nil {
				h.t.Fatal(err)
			}
			time.Sleep(d) // of the bubble
			synctest.Wait()
		case "off":
			h.m.SwitchOff()
		case "on":
			if err := h.m.SwitchOn(); err != nil {
				h.t.Fatal(err)
			}
		case "cut":
			h.m.CutLink()
		case "plug":
			h.m.RestoreLink()
		case "tear":
			if err := h.m.TearOff(); err != nil {
				h.t.Fatal(err)
			}
		case "ready":
			h.ready()
		default:
			h.t.Fatalf("nobody can %q", act)
		}
	}
}

// goodNumber passes the check of card numbers. It is of a range kept for tests.
const goodNumber = "4761739001010119"

func TestCounterByHand(t *testing.T) {
	refund := sale(1250)
	refund.Type = txn.Refund
	absent := sale(1250)
	absent.CardholderNotPresent = true
	withCash := sale(1250)
	withCash.Cashback = 500
	online := "CONNECTING CONNECTION_MADE REQUEST_SENT"
	both, none := []Copy{MerchantCopy, CustomerCopy}, []Copy(nil)
	for _, c := range []struct {
		name    string
		tid     txn.TID
		req     txn.Request
		acts    []string
		want    string // what the gateway hears, up to the end
		result  txn.Result
		method  txn.PaymentMethod
		cvm     txn.CVM
		charged money.Minor // in all; less than 0 where it was taken back
		printed []Copy
	}{
		{
			name: "chip and PIN", req: sale(1250),
			acts:   []string{"insert visa-debit", "choose enter", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: both,
		},
		{
			name: "cashback at the machine", req: sale(1250),
			acts:   []string{"insert mastercard", "choose f1", "amount 2000", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT ENTER_CASHBACK PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 3250, printed: both,
		},
		{
			name: "too much cashback", req: sale(1250),
			acts:   []string{"insert mastercard", "choose f1", "amount 10001", "amount 10000", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT ENTER_CASHBACK PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 11250, printed: both,
		},
		{
			name: "cashback of the till", req: withCash,
			acts:   []string{"insert mastercard", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT ENTER_CASHBACK PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1750, printed: both,
		},
		{
			name: "no cashback without a PIN", req: withCash,
			acts:   []string{"tap phone"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED",
			result: txn.Successful, method: txn.MethodContactless, cvm: txn.CVMDevice, charged: 1250, printed: []Copy{MerchantCopy},
		},
		{
			name: "wrong PIN, then the right one", req: sale(1250),
			acts:   []string{"insert visa-debit", "choose enter", "pin 1111", "pin 12345", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY PLEASE_WAIT PIN_ENTRY PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: both,
		},
		{
			name: "yellow clears", req: sale(1250),
			acts:   []string{"insert visa-debit", "choose enter", "until pin", "key 9", "key 9", "key clear", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: both,
		},
		{
			name: "three wrong PINs", req: sale(1250),
			acts:   []string{"insert visa-debit", "choose enter", "pin 1111", "pin 2222", "pin 3333", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY PLEASE_WAIT PIN_ENTRY PLEASE_WAIT PIN_ENTRY DECLINED_BY_CARD REMOVE_CARD",
			result: txn.Declined, method: txn.MethodChip, cvm: txn.CVMPIN, printed: both,
		},
		{
			name: "red key before the card", req: sale(1250), acts: []string{"until card", "key cancel"},
			want: "PRESENT_CARD CANCELLING", result: txn.Cancelled, method: txn.MethodUnknown, cvm: txn.CVMUnknown, printed: none,
		},
		{
			name: "red key at the PIN", req: sale(1250), acts: []string{"insert visa-debit", "choose enter", "until pin", "key cancel", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY CANCELLING REMOVE_CARD",
			result: txn.Cancelled, method: txn.MethodChip, cvm: txn.CVMPIN, printed: both,
		},
		{
			name: "cancelled by the till", req: sale(1250), acts: []string{"until card", "cancel r"},
			want: "PRESENT_CARD CANCELLING", result: txn.Cancelled, method: txn.MethodUnknown, cvm: txn.CVMUnknown, printed: none,
		},
		{
			name: "cancelled by the till while the number is typed", req: sale(1250), acts: []string{"until card", "key menu", "key 4", "cancel r"},
			want: "PRESENT_CARD CANCELLING", result: txn.Cancelled, method: txn.MethodUnknown, cvm: txn.CVMUnknown, printed: none,
		},
		{
			name: "too late for the till", req: sale(1250), acts: []string{"insert visa-debit", "choose enter", "until pin", "cancel r", "cancel r", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY UNABLE_TO_CANCEL " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: both,
		},
		{
			name: "tapped", req: sale(10000), acts: []string{"tap visa-debit"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED",
			result: txn.Successful, method: txn.MethodContactless, cvm: txn.CVMNone, charged: 10000, printed: []Copy{MerchantCopy},
		},
		{
			name: "tapped, with a copy", req: sale(1250), acts: []string{"tap visa-debit", "choose f1"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED",
			result: txn.Successful, method: txn.MethodContactless, cvm: txn.CVMNone, charged: 1250, printed: both,
		},
		{
			name: "tapped for too much", req: sale(10001), acts: []string{"tap visa-debit", "insert visa-debit", "choose enter", "pin 1234", "out"},
			want:   "PRESENT_CARD INSERT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 10001, printed: both,
		},
		{
			name: "a phone for any amount", req: sale(123456), acts: []string{"tap phone"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED",
			result: txn.Successful, method: txn.MethodContactless, cvm: txn.CVMDevice, charged: 123456, printed: []Copy{MerchantCopy},
		},
		{
			name: "swiped too soon", req: sale(1250), acts: []string{"swipe visa-debit", "insert visa-debit", "choose enter", "pin 1234", "out"},
			want:   "PRESENT_CARD INSERT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: both,
		},
		{
			name: "inserted wrongly three times, then swiped", req: sale(1250),
			acts: []string{"insertWrongly visa-debit", "out", "insertWrongly visa-debit", "out", "insertWrongly visa-debit", "out", "swipe visa-debit", "sign r"},
			want: "PRESENT_CARD CARD_ERROR RE_PRESENT_CARD CARD_ERROR RE_PRESENT_CARD CARD_ERROR RE_PRESENT_CARD PLEASE_WAIT " + online +
				" APPROVED signature wanted",
			result: txn.Successful, method: txn.MethodSwiped, cvm: txn.CVMSignature, charged: 1250, printed: both,
		},
		{
			name: "chip damaged", req: sale(1250),
			acts: []string{"insert chip-damaged", "out", "insert chip-damaged", "out", "insert chip-damaged", "out", "swipe chip-damaged", "sign r"},
			want: "PRESENT_CARD CARD_ERROR RE_PRESENT_CARD CARD_ERROR RE_PRESENT_CARD CARD_ERROR RE_PRESENT_CARD PLEASE_WAIT " + online +
				" APPROVED signature wanted",
			result: txn.Successful, method: txn.MethodSwiped, cvm: txn.CVMSignature, charged: 1250, printed: both,
		},
		{
			name: "signature", req: sale(1250), acts: []string{"insert signature", "out", "sign r"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED REMOVE_CARD signature wanted",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMSignature, charged: 1250, printed: both,
		},
		{
			name: "signature refused", req: sale(1250), acts: []string{"insert signature", "out", "reject r"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED REMOVE_CARD signature wanted",
			result: txn.Void, method: txn.MethodChip, cvm: txn.CVMSignature, charged: -1250,
			printed: []Copy{MerchantCopy, MerchantCopy, CustomerCopy},
		},
		{
			name: "refund", req: refund, acts: []string{"insert visa-debit", "out", "sign r"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED REMOVE_CARD signature wanted",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMSignature, charged: 1250, printed: both,
		},
		{
			name: "declined", req: sale(1250), acts: []string{"insert declined", "choose enter", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " DECLINED REMOVE_CARD",
			result: txn.Declined, method: txn.MethodChip, cvm: txn.CVMPIN, printed: both,
		},
		{
			name: "funds", req: sale(5000), acts: []string{"insert insufficient", "choose enter", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 5000, printed: both,
		},
		{
			name: "no funds, with cashback", req: sale(5000), acts: []string{"insert insufficient", "choose f1", "amount 1", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT ENTER_CASHBACK PIN_ENTRY " + online + " DECLINED REMOVE_CARD",
			result: txn.Declined, method: txn.MethodChip, cvm: txn.CVMPIN, printed: both,
		},
		{
			name: "expired", req: sale(1250), acts: []string{"insert expired", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT CARD_EXPIRED REMOVE_CARD",
			result: txn.Unsuccessful, method: txn.MethodChip, cvm: txn.CVMPIN, printed: both,
		},
		{
			name: "keyed, present", req: sale(1250), acts: []string{"until card", "key menu", "pan " + goodNumber, "number 1299", "choose f4", "sign r"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED signature wanted",
			result: txn.Successful, method: txn.MethodKeyed, cvm: txn.CVMSignature, charged: 1250, printed: both,
		},
		{
			name: "keyed, not present", req: sale(1250),
			acts:   []string{"until card", "key menu", "pan 4761739001010118", "pan " + goodNumber, "number 1399", "number 1299", "choose f1"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED",
			result: txn.Successful, method: txn.MethodKeyed, cvm: txn.CVMNone, charged: 1250, printed: both,
		},
		{
			name: "keyed, cardholder not present", req: absent, acts: []string{"pan " + goodNumber, "number 1299"},
			want:   "PLEASE_WAIT " + online + " APPROVED",
			result: txn.Successful, method: txn.MethodKeyed, cvm: txn.CVMNone, charged: 1250, printed: both,
		},
		{
			name: "keyed, of another scheme", req: absent, acts: []string{"pan 9999999999999995", "number 1299"},
			want:   "PLEASE_WAIT CARD_NOT_SUPPORTED",
			result: txn.Unsuccessful, method: txn.MethodKeyed, cvm: txn.CVMNone, printed: both,
		},
		{
			name: "gratuity in per cent", tid: "VCMDEMOSIP2", req: sale(1250), acts: []string{"choose f2", "insert visa-debit", "choose enter", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1437, printed: both,
		},
		{
			name: "gratuity as an amount", tid: "VCMDEMOSIP2", req: sale(1250), acts: []string{"choose f4", "amount 300", "tap phone"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED",
			result: txn.Successful, method: txn.MethodContactless, cvm: txn.CVMDevice, charged: 1550, printed: []Copy{MerchantCopy},
		},
		{
			name: "no gratuity", tid: "VCMDEMOSIP2", req: sale(1250), acts: []string{"choose enter", "tap phone"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED",
			result: txn.Successful, method: txn.MethodContactless, cvm: txn.CVMDevice, charged: 1250, printed: []Copy{MerchantCopy},
		},
		{
			name: "red key at the gratuity", tid: "VCMDEMOSIP2", req: sale(1250), acts: []string{"choose cancel"},
			want: "CANCELLING", result: txn.Cancelled, method: txn.MethodUnknown, cvm: txn.CVMUnknown, printed: none,
		},
		{
			name: "older software", tid: "VCMDEMOSIP1", req: txn.Request{Type: txn.Sale, Currency: money.EUR, Amount: 1250},
			acts:   []string{"insert visa-debit", "pin 1234", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: both,
		},
		{
			name: "card snatched at the PIN", req: sale(1250), acts: []string{"insert visa-debit", "choose enter", "until pin", "snatch"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY CARD_ERROR",
			result: txn.Unsuccessful, method: txn.MethodChip, cvm: txn.CVMPIN, printed: both,
		},
		{
			name: "card snatched while connecting", req: sale(1250), acts: []string{"insert visa-debit", "choose enter", "pin 1234", "snatch"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " CARD_ERROR",
			result: txn.Unsuccessful, method: txn.MethodChip, cvm: txn.CVMPIN, printed: both,
		},
		{
			name: "card snatched after the approval", req: sale(1250), acts: []string{"insert visa-debit", "choose enter", "pin 1234", "wait 2500ms", "snatch"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: both,
		},
		{
			name: "no paper", req: sale(1250), acts: []string{"empty", "insert visa-debit", "choose enter", "pin 1234", "out", "paper"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD REPLACE_PAPER",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: both,
		},
		{
			name: "paper that ends in the middle", req: sale(1250), acts: []string{"insert visa-debit", "choose enter", "pin 1234", "out", "wait 500ms", "empty", "paper"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD REPLACE_PAPER",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: []Copy{MerchantCopy, MerchantCopy, CustomerCopy},
		},
		{
			name: "torn off, which brings the customer copy", req: sale(1250), acts: []string{"insert visa-debit", "choose enter", "pin 1234", "out", "until choice", "tear"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: []Copy{CustomerCopy},
		},
		{
			name: "nobody comes", req: sale(1250), acts: []string{"wait 3m1s"},
			want: "PRESENT_CARD CANCELLING", result: txn.Cancelled, method: txn.MethodUnknown, cvm: txn.CVMUnknown, printed: none,
		},
		{
			name: "nobody enters a PIN", req: sale(1250), acts: []string{"insert visa-debit", "choose enter", "wait 61s", "out"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY CANCELLING REMOVE_CARD",
			result: txn.Cancelled, method: txn.MethodChip, cvm: txn.CVMPIN, printed: both,
		},
		{
			name: "nobody takes the card out, ever", req: sale(1250), acts: []string{"insert visa-debit", "choose enter", "pin 1234"},
			want:   "PRESENT_CARD PLEASE_WAIT PIN_ENTRY " + online + " APPROVED REMOVE_CARD",
			result: txn.Successful, method: txn.MethodChip, cvm: txn.CVMPIN, charged: 1250, printed: both,
		},
		{
			name: "nobody brings paper, ever", req: sale(1250), acts: []string{"empty", "tap phone"},
			want:   "PRESENT_CARD PLEASE_WAIT " + online + " APPROVED REPLACE_PAPER",
			result: txn.Successful, method: txn.MethodContactless, cvm: txn.CVMDevice, charged: 1250, printed: none,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.tid == "" {
					c.tid = "VCMDEMODIP0" // whose name plays no part
				}
				h := touch(t, c.tid, Options{Speed: 1, ByAmount: true})
				h.start("r", c.req)
				h.does(c.acts...)
				o := h.ended("r")
				want := append(strings.Split(strings.ReplaceAll(c.want, "signature wanted", "signature"), " "), "ended "+string(c.result))
				got := names(h.heard())
				for i := range got {
					got[i] = strings.TrimSuffix(got[i], " wanted")
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("heard (-want +got):\n%s", diff)
				}
				if o.Result != c.result || o.Method != c.method || o.CVM != c.cvm {
					t.Errorf("ended %s, %s by %s", o.Result, o.Method, o.CVM)
				}
				var charged money.Minor
				for _, e := range h.p.Charges() {
					charged = e.Amount
					if e.Reversed {
						charged = -charged
					}
				}
				if len(h.p.Charges()) > 1 || charged != c.charged {
					t.Errorf("charged %+v", h.p.Charges())
				}
				if diff := cmp.Diff(c.printed, h.copies()); diff != "" {
					t.Errorf("printed (-want +got):\n%s", diff)
				}
				h.perfect()
			})
		})
	}
}

func TestKeyedPastItsDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := touch(t, "VCMDEMOSIP0", Options{})
		time.Sleep(40 * 24 * time.Hour) // bubbles begin in January 2000
		for date, want := range map[string]txn.Result{"0100": txn.Unsuccessful, "0200": txn.Successful, "0101": txn.Successful} {
			id := txn.RequestID(date)
			h.start(id, sale(1250))
			h.does("until card", "key menu", "pan "+goodNumber, "number "+date, "choose f1")
			if o := h.ended(id); o.Result != want || o.PAN != "************0119" || o.Expiry != date[:2]+"/"+date[2:] {
				t.Errorf("%s: %s, %s, %s", date, o.Result, o.PAN, o.Expiry)
			}
		}
	})
}

// perfect holds a machine against what always holds once a transaction is over:
// its last rolls are what was told, and it is ready for the next one.
func (h hands) perfect() {
	h.t.Helper()
	synctest.Wait()
	f := h.m.Face()
	if f.Busy != Idle || f.Screen.Title != "READY" || !f.Power || !f.Link {
		h.t.Errorf("not ready: %+v", f)
	}
	for _, r := range f.Rolls {
		if r.Printing {
			h.t.Errorf("roll %d is still printed", r.ID)
		}
		if !r.Torn && len(r.Lines) == 0 {
			h.t.Errorf("roll %d is empty", r.ID)
		}
	}
}
