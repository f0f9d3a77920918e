package spec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
)

func TestParseVirtual(t *testing.T) {
	v := spec.Default().VirtualTerminals()
	type parts struct{ TID, Account, Result, Entry, Verification, Digit, Currency string }
	tests := []struct {
		tid  string
		want parts // empty: no virtual terminal
	}{
		{"VCMDEMOSIP0", parts{"VCMDEMOSIP0", "DEMO", "SUCCESSFUL", "ICC_CHIP", "PIN", "0", "GBP"}},
		{"vcmdemosip0", parts{"VCMDEMOSIP0", "DEMO", "SUCCESSFUL", "ICC_CHIP", "PIN", "0", "GBP"}},
		{"VCMABCDDCD3", parts{"VCMABCDDCD3", "ABCD", "DECLINED", "CONTACTLESS", "DEVICE", "3", "GBP"}},
		{"VCMDEMOUSS1", parts{"VCMDEMOUSS1", "DEMO", "UNSUCCESSFUL", "SWIPED", "SIGNATURE", "1", "EUR"}},
		{"VCMDEMOTKN2", parts{"VCMDEMOTKN2", "DEMO", "TIMED_OUT", "KEYED", "NONE", "2", "GBP"}},
		{"VCMDEMOVIS0", parts{"VCMDEMOVIS0", "DEMO", "VOID", "ICC_CHIP", "SIGNATURE", "0", "GBP"}},
		{"VCMDEMOCIP9", parts{"VCMDEMOCIP9", "DEMO", "CANCELLED", "ICC_CHIP", "PIN", "9", "GBP"}},
		{"", parts{}},
		{"12345678", parts{}},
		{"VCMDEMOSIP", parts{}},
		{"VCMDEMOSIP00", parts{}},
		{"VCXDEMOSIP0", parts{}},
		{"VCMDEM0SIP0", parts{}}, // a digit among the letters
		{"VCMDEMOXIP0", parts{}},
		{"VCMDEMOSXP0", parts{}},
		{"VCMDEMOSIX0", parts{}},
		{"VCMDEMOSIPX", parts{}},
		{"VCMDEMOſIP", parts{}}, // a long s, whose upper case is S
	}
	for _, tt := range tests {
		got, ok := v.Parse(tt.tid)
		p := parts{got.TID, got.Account, got.Result, got.Entry, got.Verification, got.Machine.Digit, got.Machine.Currency}
		if diff := cmp.Diff(tt.want, p); diff != "" || ok != (tt.want != parts{}) {
			t.Errorf("Parse(%q) reports %v (-want +got):\n%s", tt.tid, ok, diff)
		}
	}
}

// The demo site lists nine machines, all of them legal names, and the ten digits
// are what the contract says.
func TestListedVirtuals(t *testing.T) {
	v := spec.Default().VirtualTerminals()
	var got []string
	for _, l := range v.Listed {
		p, ok := v.Parse(l.TID)
		if !ok || p.TID != l.TID || l.Site != "demo" || l.Meaning == "" {
			t.Errorf("%s is no legal name of the demo site, or says nothing", l.TID)
			continue
		}
		got = append(got, strings.TrimPrefix(p.TID, "VCMDEMO")+" "+p.Machine.Currency)
	}
	want := []string{"SIP0 GBP", "DIP0 GBP", "UIP0 GBP", "TIP0 GBP", "SCD0 GBP", "SIS0 GBP", "VIS0 GBP", "CIP0 GBP", "SIP1 EUR"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	digits := ""
	for _, m := range v.Machines {
		digits += m.Digit
		old := m.Digit == "1"
		if (m.Currency == "EUR") != old || m.Duplicate == old || m.Reports == old || m.Cashback == old || m.Gratuity != (m.Digit == "2") {
			t.Errorf("machine %s is %+v", m.Digit, m)
		}
	}
	if digits != "0123456789" {
		t.Errorf("digits %q", digits)
	}
}

func FuzzParseVirtual(f *testing.F) {
	v := spec.Default().VirtualTerminals()
	for _, l := range v.Listed {
		f.Add(l.TID)
	}
	f.Fuzz(func(t *testing.T, tid string) {
		p, ok := v.Parse(tid)
		if !ok {
			return
		}
		if !strings.EqualFold(p.TID, tid) || p.Result == "" || p.Entry == "" || p.Verification == "" || p.Machine.Digit == "" {
			t.Errorf("Parse(%q) = %+v", tid, p)
		}
		if again, ok := v.Parse(p.TID); !ok || again != p {
			t.Errorf("Parse(%q) = %+v, then %+v", tid, p, again)
		}
	})
}
