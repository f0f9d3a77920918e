package spec

import (
	"strings"
)

// VirtualTerminals is the grammar of virtual terminal names (the contract,
// section 12) and the names that a site lists by itself.
type VirtualTerminals struct {
	Prefix        string           `json:"prefix"`
	Letters       int              `json:"letters"` // of the account
	Clause        string           `json:"clause"`
	About         string           `json:"about"`
	Results       []VirtualLetter  `json:"results"`
	Entries       []VirtualLetter  `json:"entries"`
	Verifications []VirtualLetter  `json:"verifications"`
	Machines      []VirtualMachine `json:"machines"`
	Listed        []ListedVirtual  `json:"listed"`
}

// A VirtualLetter is one letter of a virtual terminal's name.
type VirtualLetter struct {
	Letter  string `json:"letter"`
	Value   string `json:"value"` // the word of the contract
	Meaning string `json:"meaning"`
}

// A VirtualMachine is what the digit of a virtual terminal's name says.
type VirtualMachine struct {
	Digit     string `json:"digit"`
	Currency  string `json:"currency"`
	Duplicate bool   `json:"duplicate"`
	Reports   bool   `json:"reports"`
	Cashback  bool   `json:"cashback"`
	Gratuity  bool   `json:"gratuity"` // asks the cardholder for one
	Meaning   string `json:"meaning"`
}

// A ListedVirtual is a virtual terminal that a site has from the start.
type ListedVirtual struct {
	Site    string `json:"site"`
	TID     string `json:"tid"`
	Meaning string `json:"meaning"`
}

// A VirtualTerminal is a virtual terminal's name, taken apart.
type VirtualTerminal struct {
	TID          string // in upper case
	Account      string // its letters
	Result       string // as in transactionResult
	Entry        string // as in paymentMethod
	Verification string // as in cardholderVerificationMethod
	Machine      VirtualMachine
}

// Parse takes a virtual terminal's name apart, in upper or lower case. It
// reports false for any other name.
func (v VirtualTerminals) Parse(tid string) (VirtualTerminal, bool) {
	if len(tid) != len(v.Prefix)+v.Letters+4 {
		return VirtualTerminal{}, false
	}
	for i := range len(tid) {
		if tid[i] >= 0x80 { // ToUpper would make an ASCII letter of some
			return VirtualTerminal{}, false
		}
	}
	up := strings.ToUpper(tid)
	rest, ok := strings.CutPrefix(up, v.Prefix)
	if !ok {
		return VirtualTerminal{}, false
	}
	t := VirtualTerminal{TID: up, Account: rest[:v.Letters]}
	for _, c := range t.Account {
		if c < 'A' || c > 'Z' {
			return VirtualTerminal{}, false
		}
	}
	play := rest[v.Letters:]
	t.Result = value(v.Results, play[0:1])
	t.Entry = value(v.Entries, play[1:2])
	t.Verification = value(v.Verifications, play[2:3])
	for _, m := range v.Machines {
		if m.Digit == play[3:] {
			t.Machine = m
		}
	}
	if t.Result == "" || t.Entry == "" || t.Verification == "" || t.Machine.Digit == "" {
		return VirtualTerminal{}, false
	}
	return t, true
}

func value(letters []VirtualLetter, letter string) string {
	for _, l := range letters {
		if l.Letter == letter {
			return l.Value
		}
	}
	return ""
}
