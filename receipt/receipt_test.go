package receipt

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestMaskPANs(t *testing.T) {
	for in, want := range map[string]string{
		"":                                   "",
		"CARD 4111111111111111":              "CARD ************1111",
		"CARD 4111 1111 1111 1111 EXP":       "CARD **** **** **** 1111 EXP",
		"4111-1111-1111-1111":                "****-****-****-1111",
		"378282246310005":                    "***********0005",
		"TID 12345678":                       "TID 12345678",
		"4111111111111112":                   "4111111111111112", // fails the check digit: no card number
		"************1234":                   "************1234",
		"a4111111111111111b5500005555555559": "a************1111b************5559",
	} {
		if got := MaskPANs(in); got != want {
			t.Errorf("MaskPANs(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMaskPAN(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "123": "", "no number": "", "************1234": "************1234",
		"4111111111111111": "************1111", "4111 1111-1111 1111": "************1111", "9999": "************9999",
	} {
		if got := MaskPAN(in); got != want {
			t.Errorf("MaskPAN(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMaskedLeavesTheArgumentAlone(t *testing.T) {
	in := []Line{{Type: Text, Value: "a"}, {Type: Text, Value: "4111111111111111"}}
	got := Masked(in)
	if in[1].Value != "4111111111111111" {
		t.Errorf("argument was changed: %v", in)
	}
	if want := []Line{{Type: Text, Value: "a"}, {Type: Text, Value: "************1111"}}; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if got := Masked(nil); got != nil {
		t.Errorf("Masked(nil) = %v", got)
	}
}

func TestCheck(t *testing.T) {
	good := new(Builder).Text("A", Bold).Line(SeparatorSingle).Box(BoxVoid, "VOID").Line(TicketFeed).Lines()
	if err := Check(good, TerminalTypes()); err != nil {
		t.Error(err)
	}
	for name, l := range map[string]Line{
		"logo from a terminal": {Type: ImageLogo},
		"no type":              {Value: "A"},
		"unknown format":       {Type: Text, Format: []Format{"ITALIC"}},
		"broken text":          {Type: Text, Value: "\xff"},
	} {
		err := Check(append(good[:1:1], l), TerminalTypes())
		if err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: got %v, want an error that names line 1", name, err)
		}
	}
}

func TestRender(t *testing.T) {
	lines := new(Builder).Centred("SHOP").Pair("SALE", "12.50", Bold).Line(SeparatorDouble).
		Box(BoxDecline, "").Text("<b>").Line(TicketFeed).Lines()
	want := strings.Repeat(" ", 14) + "SHOP\nSALE" + strings.Repeat(" ", 23) + "12.50\n" + strings.Repeat("=", 32) +
		"\n" + strings.Repeat(" ", 8) + "*** DECLINE ***\n<b>\n\n"
	if diff := cmp.Diff(want, Plain(lines)); diff != "" {
		t.Error(diff)
	}
	h := HTML(lines)
	for _, part := range []string{`<div class="line-text format-bold">SALE `, `<div class="line-box-decline">DECLINE</div>`, "&lt;b&gt;"} {
		if !strings.Contains(h, part) {
			t.Errorf("HTML lacks %q:\n%s", part, h)
		}
	}
}

func FuzzMaskPANs(f *testing.F) {
	f.Add("4111 1111 1111 1111 4111111111111111")
	f.Fuzz(func(t *testing.T, s string) {
		got := MaskPANs(s)
		if len(got) != len(s) || utf8.ValidString(got) != utf8.ValidString(s) {
			t.Fatalf("MaskPANs(%q) = %q", s, got)
		}
		for _, run := range strings.FieldsFunc(got, func(r rune) bool { return r < '0' || r > '9' }) {
			if len(run) >= 12 && len(run) <= 19 && luhn(run) {
				t.Fatalf("MaskPANs(%q) = %q leaves %s", s, got, run)
			}
		}
	})
}
