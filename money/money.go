// Package money holds amounts as integers of minor units (pence, cents) with
// their currency. It never sees a float, never converts between currencies and
// never rounds: what cannot be written exactly is an error.
package money

import (
	"errors"
	"fmt"
	"strings"
)

// A Currency is one of the two that the contract knows.
type Currency string

// The currencies of the contract.
const (
	GBP Currency = "GBP"
	EUR Currency = "EUR"
)

// Currencies lists the currencies of the contract.
func Currencies() []Currency { return []Currency{GBP, EUR} }

// ParseCurrency reads a currency code, upper case as on the wire.
func ParseCurrency(s string) (Currency, error) {
	switch c := Currency(s); c {
	case GBP, EUR:
		return c, nil
	}
	return "", fmt.Errorf("money: currency %q is not one of GBP, EUR", s)
}

// Minor counts minor units: 1250 is 12.50.
type Minor int64

// Decimal writes m with two decimals and no currency: 1250 is "12.50".
func (m Minor) Decimal() string {
	sign, u := "", uint64(m)
	if m < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s%d.%02d", sign, u/100, u%100)
}

// An Amount is a number of minor units of one currency.
type Amount struct {
	Minor    Minor
	Currency Currency
}

// String writes the amount as people read it: "GBP 12.50".
func (a Amount) String() string { return string(a.Currency) + " " + a.Minor.Decimal() }

// ErrSyntax is wrapped by the errors of Parse.
var ErrSyntax = errors.New("an amount is written like 12.50")

// maxDigits keeps a parsed amount far from overflow.
const maxDigits = 12

// Parse reads what a person types for an amount: "12.50", "12" or "0.05", two
// decimals or none. It takes no sign, no exponent and no thousands separator.
func Parse(s string, c Currency) (Amount, error) {
	whole, cents, dotted := strings.Cut(s, ".")
	if !dotted {
		cents = "00"
	}
	if len(cents) != 2 || whole == "" || len(whole) > maxDigits {
		return Amount{}, fmt.Errorf("money: %q: %w", s, ErrSyntax)
	}
	var n Minor
	for _, r := range whole + cents {
		if r < '0' || r > '9' {
			return Amount{}, fmt.Errorf("money: %q: %w", s, ErrSyntax)
		}
		n = n*10 + Minor(r-'0')
	}
	return Amount{Minor: n, Currency: c}, nil
}
