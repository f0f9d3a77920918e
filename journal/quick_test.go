package journal

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/txn"
)

// written are texts of all sorts, some of them no UTF-8.
func written() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "a \"quoted\" \\ <value> & a tab\t, a null\x00", "\u2028 é 卡 😀", "no UTF-8: \xff\xc0", "\xed\xa0\x80",
	}))
}

// moments are times as they come into a form.
func moments() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return utc(time.Unix(rapid.Int64().Draw(t, "seconds")>>8, rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")))
	})
}

// TestQuickForms holds the quick ways of writing to what marshalling gives.
func TestQuickForms(t *testing.T) {
	types := map[reflect.Type]*rapid.Generator[any]{
		reflect.TypeFor[time.Time](): moments().AsAny(),
		reflect.TypeFor[string]():    written().AsAny(),
	}
	outcomes := rapid.MakeCustom[outcomeEventForm](rapid.MakeConfig{Types: types})
	rapid.Check(t, func(t *rapid.T) {
		f := outcomes.Draw(t, "outcome")
		at := moments().Draw(t, "at")
		same(t, encodeOutcome(kindEnded, at, f), encode(kindEnded, at, f))
		e := txn.Notified{Value: txn.Notification(written().Draw(t, "value")), At: moments().Draw(t, "own")}
		same(t, encodeNotified(e, at), encode(kindNotified, at, notifiedForm{e.Value, own(e.At, at)}))
	})
}

func same(t *rapid.T, got, want Record) {
	t.Helper()
	if string(got.Body) != string(want.Body) || !cmp.Equal(got, want) {
		t.Fatalf("got  %+v\n%s\nwant %+v\n%s", got, got.Body, want, want.Body)
	}
}
