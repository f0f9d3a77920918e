package sim

import (
	"fmt"
	"strings"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

// A part is what a machine plays in a transaction: its name's, or a script's.
type part struct {
	result txn.Result
	entry  txn.PaymentMethod
	cvm    txn.CVM
}

// A name is the TID of a virtual machine, taken apart.
type name struct {
	tid     txn.TID // upper case
	account string
	part    part
	machine spec.VirtualMachine
}

// parseName reads the TID of a virtual machine, without regard to case.
func parseName(tid txn.TID) (name, bool) {
	v, ok := spec.Default().VirtualTerminals().Parse(string(tid))
	return name{
		tid: txn.TID(v.TID), account: v.Account, machine: v.Machine,
		part: part{txn.Result(v.Result), txn.PaymentMethod(v.Entry), txn.CVM(v.Verification)},
	}, ok
}

// listedTIDs are the machines that an account has from the start.
func listedTIDs(account string) []txn.TID {
	v := spec.Default().VirtualTerminals()
	tids := make([]txn.TID, 0, len(v.Listed))
	for _, l := range v.Listed {
		tids = append(tids, txn.TID(v.Prefix+account+l.TID[len(v.Prefix)+v.Letters:]))
	}
	return tids
}

// accountLetters returns the account in upper case, if it is one.
func accountLetters(account string) (string, bool) {
	account = strings.ToUpper(account)
	v := spec.Default().VirtualTerminals()
	_, ok := parseName(txn.TID(v.Prefix + account + "SIP0"))
	return account, ok
}

// maxTID is how long a machine's own name may be. It names a file.
const maxTID = 32

// namedMachines reads Options.Named.
func namedMachines(account string, plays map[txn.TID]string) (map[txn.TID]name, error) {
	out := make(map[txn.TID]name, len(plays))
	for tid, as := range plays {
		if tid == "" || len(tid) > maxTID || strings.ContainsFunc(string(tid), func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
		}) {
			return nil, fmt.Errorf("sim: a machine's name %q is not 1 to %d letters, digits, hyphens and underscores", tid, maxTID)
		}
		n, ok := parseName(txn.TID(spec.Default().VirtualTerminals().Prefix + account + as))
		if !ok {
			return nil, fmt.Errorf("sim: what %s plays, %q, is not the end of a virtual terminal's name, as in SIP0", tid, as)
		}
		n.tid = txn.TID(strings.ToUpper(string(tid)))
		out[n.tid] = n
	}
	return out, nil
}

func (n name) currency() money.Currency { return money.Currency(n.machine.Currency) }

// older reports whether the machine runs software from before x053, which
// brought cashback (the contract, section 11).
func (n name) older() bool { return !n.machine.Cashback }
