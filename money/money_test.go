package money

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Minor
	}{
		{"12.50", 1250}, {"12", 1200}, {"0.05", 5}, {"19.99", 1999}, {"999999.99", 99999999},
	} {
		got, err := Parse(tt.in, GBP)
		if err != nil || got != (Amount{tt.want, GBP}) {
			t.Errorf("Parse(%q) = %v, %v; want %d", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", ".", ".50", "12.", "12.5", "12.500", "-1", "+1", "1e3", "1,000", "12,50", " 1", "£1", "1234567890123", "١٢"} {
		if got, err := Parse(in, GBP); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q) = %v, %v; want ErrSyntax", in, got, err)
		}
	}
}

func TestDecimal(t *testing.T) {
	for in, want := range map[Minor]string{0: "0.00", 5: "0.05", -5: "-0.05", 1250: "12.50", -123456: "-1234.56", -1 << 63: "-92233720368547758.08"} {
		if got := in.Decimal(); got != want {
			t.Errorf("Minor(%d).Decimal() = %q, want %q", int64(in), got, want)
		}
	}
}

func TestParseReadsDecimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Amount{Minor(rapid.Int64Range(0, 99999999).Draw(t, "minor")), EUR}
		got, err := Parse(want.Minor.Decimal(), EUR)
		if err != nil || got != want {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	})
}

func TestParseCurrency(t *testing.T) {
	for _, c := range Currencies() {
		if got, err := ParseCurrency(string(c)); err != nil || got != c {
			t.Errorf("ParseCurrency(%q) = %q, %v", c, got, err)
		}
	}
	for _, s := range []string{"", "gbp", "USD"} {
		if c, err := ParseCurrency(s); err == nil {
			t.Errorf("ParseCurrency(%q) = %q, want an error", s, c)
		}
	}
}
