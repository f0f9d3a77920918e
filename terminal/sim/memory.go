package sim

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

const (
	memoryVersion = 1
	memorySuffix  = ".json"
	seenSuffix    = ".seen"
	keepSeen      = 64 // ids in the memory file itself; older ones go to the file of ids
)

// memory is what survives a loss of power. It is replaced, never changed in
// place: see Machine.commit.
type memory struct {
	Version int
	TID     txn.TID
	Name    string // no other memory's ever; empty in older ones
	Newborn bool   // see Machine.newborn

	NextID uint64 // of the next transaction
	Number int    // of the last transaction in the session
	Ledger report.Ledger

	Current *current // what runs; nil when idle
	Visit   *visit   // the waiter's, until it is left
	Untold  []ending // not acknowledged yet, oldest first
	Last    *ending  // the last transaction
	Card    *cardID  // of the last transaction
	Seen    []sight  // the newest request ids
	Spilled int      // how many ids are in the file of ids, at least
	fresh   []sight  // not in Machine.seen yet
}

// current is the request that runs.
type current struct {
	ID      txn.RequestID
	Request terminal.Request
	Outcome txn.Outcome // as far as it goes
	Phase   phase
	Reverse bool  // what was approved is to be reversed in the end
	Answer  *bool // on the signature
	Card    *cardID
	Own     bool // a report that was started at the machine

	// A payment at a table, and ID is the payment's; else empty.
	Visit  table.VisitID
	Waiter table.WaiterID
}

// visit is what a waiter is doing at the machine.
type visit struct {
	ID     table.VisitID
	Waiter table.WaiterID
}

// leave ends the visit. That is told until it is answered.
func (mem *memory) leave(e ending) {
	mem.Untold = append(slices.Clip(mem.Untold), e)
	mem.Visit = nil
}

// A phase says what a loss of power makes of a transaction.
type phase string

const (
	begun      phase = "begun"      // nothing approved that the machine knows of
	authorised phase = "authorised" // approved, and nothing more is needed
	signing    phase = "signing"    // approved, and a signature is to be verified
)

// verdict is how the transaction ends as it stands: the same while running and
// after a loss of power.
func (c current) verdict() txn.Result {
	switch c.Phase {
	case authorised:
		if !c.Reverse {
			return txn.Successful
		}
		return txn.Void
	case signing:
		if !c.Reverse && c.Answer != nil && *c.Answer {
			return txn.Successful
		}
		return txn.Void
	case begun:
	}
	return txn.Unsuccessful
}

// An ending is what is told until it is answered: a finished transaction or
// payment with its Outcome, a finished report, or a visit that was left.
type ending struct {
	ID      txn.RequestID // of the request or payment
	Outcome *txn.Outcome
	Report  *report.Report
	Own     bool          // the report was started at the machine
	Visit   table.VisitID // of a payment, or what was left
	Left    string        // why the visit was left
}

func (e ending) event() terminal.Event {
	switch {
	case e.Report != nil && e.Own:
		return terminal.ReportMade{ID: e.ID, Report: *e.Report}
	case e.Report != nil:
		return terminal.Reported{ID: e.ID, Report: *e.Report}
	case e.Visit == "":
		return terminal.Ended{ID: e.ID, Outcome: *e.Outcome}
	case e.Outcome != nil:
		taken, r := e.payment()
		return terminal.PaymentEnded{Visit: e.Visit, Payment: table.PaymentID(e.ID), Taken: taken, Receipt: r}
	default:
		return terminal.VisitLeft{Visit: e.Visit, Why: e.Left}
	}
}

// payment is a payment's outcome as it is told at a table: whether money moved,
// and then the receipt.
func (e ending) payment() (taken bool, r table.Receipt) {
	o := *e.Outcome
	if o.Result != txn.Successful {
		return false, table.Receipt{}
	}
	return true, table.Receipt{
		Paid: o.Base, Cashback: o.Cashback, Gratuity: o.Gratuity,
		AuthCode: o.AuthCode, Scheme: o.Scheme, Method: string(o.Method), Time: o.Time,
		TransactionID: string(o.TransactionID), Number: o.Number, CVM: string(o.CVM),
		AID: o.AID, Label: o.Label, PAN: o.PAN, Expiry: o.Expiry, Receipts: o.Receipts,
	}
}

// A fate is what the machine knows of a request id for ever.
type fate string

const (
	taken  fate = "taken"  // it was accepted
	fenced fate = "fenced" // it never ran and will be refused
	lost   fate = "lost"   // it was accepted, and the machine cannot tell what became of it
	before fate = "before" // it may have run in a memory that is gone
)

// A sight is a request id that the machine has seen. A later one of the same id
// counts.
type sight struct {
	ID   txn.RequestID
	Fate fate
}

// see notes the fate of an id.
func (mem *memory) see(id txn.RequestID, f fate) { mem.fresh = append(mem.fresh, sight{id, f}) }

// end moves the request that runs to the endings.
func (mem *memory) end(e ending) {
	if c := mem.Current; c != nil && c.Card != nil {
		mem.Card = c.Card
	}
	mem.Current = nil
	mem.Untold = append(slices.Clip(mem.Untold), e)
	if e.Outcome != nil {
		mem.Last = &e
	}
}

// ending finds what is still remembered of a finished request or payment.
func (m *Machine) ending(id txn.RequestID) (ending, bool) {
	for _, e := range m.mem.Untold {
		if e.ID == id && e.Left == "" {
			return e, true
		}
	}
	if l := m.mem.Last; l != nil && l.ID == id {
		return *l, true
	}
	return ending{}, false
}

// beBorn gives the machine the memory of a new one. It is written when the
// machine is first connected.
func (m *Machine) beBorn() {
	first := 1_000_000 + draw(m.park.o.Seed, "transaction", string(m.name.tid), 0)%1_000_000
	m.mem = memory{
		Version: memoryVersion, TID: m.name.tid, Name: "m" + rand.Text(),
		NextID: max(first, m.park.bank.highest(m.name.tid)+1),
		Ledger: report.New(m.name.currency()),
	}
	m.newborn = true
}

// remember reads the machine's memory from disk and ends what was open in it.
func (m *Machine) remember() error {
	path := m.path(memorySuffix)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	if err := json.Unmarshal(data, &m.mem); err != nil {
		return fmt.Errorf("sim: the memory of %s cannot be read: %w", path, err)
	}
	if m.mem.Version != memoryVersion || m.mem.TID != m.name.tid {
		return fmt.Errorf("sim: %s is not a memory of %s in version %d", path, m.name.tid, memoryVersion)
	}
	file, lines, err := openLines(m.park.o.Disk, m.path(seenSuffix))
	if err != nil {
		return err
	}
	defer file.close() //nolint:errcheck // nothing was written
	if len(lines) < m.mem.Spilled {
		return fmt.Errorf("sim: %s has %d request ids, not the %d that were written", m.path(seenSuffix), len(lines), m.mem.Spilled)
	}
	for i, line := range lines {
		f, id, ok := strings.Cut(string(line), " ")
		if !ok {
			return fmt.Errorf("sim: %s: line %d is not a request id", m.path(seenSuffix), i+1)
		}
		m.seen[txn.RequestID(id)] = fate(f)
	}
	for _, s := range m.mem.Seen {
		m.seen[s.ID] = s.Fate
	}
	m.written, m.woken, m.newborn = true, true, m.mem.Newborn
	return m.wake()
}

// commit changes the memory. The change is on disk when it returns nil, and did
// not happen otherwise. The caller holds m.mu.
func (m *Machine) commit(change func(*memory)) error {
	next := m.mem
	next.Newborn = m.newborn
	change(&next)
	if m.park.o.Dir != "" {
		next.Seen = append(slices.Clip(next.Seen), next.fresh...)
		if err := m.spill(&next); err != nil {
			return err
		}
		if err := m.write(next); err != nil {
			return err
		}
	}
	for _, s := range next.fresh {
		m.seen[s.ID] = s.Fate
	}
	next.fresh = nil
	m.mem, m.stale = next, false
	return nil
}

func (m *Machine) write(mem memory) error {
	// A report tells what it does not have by nil.
	data, err := json.Marshal(mem, json.FormatNilMapAsNull(true), json.FormatNilSliceAsNull(true))
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	if err := replaceFile(m.park.o.Disk, m.path(memorySuffix), data); err != nil {
		return err
	}
	m.written = true
	m.park.o.wrote()
	return nil
}

// spill moves the older ids into the file that only grows, before the memory
// without them is written.
func (m *Machine) spill(mem *memory) error {
	if len(mem.Seen) < 2*keepSeen {
		return nil
	}
	old := mem.Seen[:len(mem.Seen)-keepSeen]
	var b strings.Builder
	for _, s := range old {
		fmt.Fprintf(&b, "%s %s\n", s.Fate, s.ID)
	}
	file, _, err := openLines(m.park.o.Disk, m.path(seenSuffix))
	if err != nil {
		return err
	}
	defer file.close() //nolint:errcheck // append has synced
	if err := file.append([]byte(b.String())); err != nil {
		return err
	}
	m.park.o.wrote()
	mem.Seen, mem.Spilled = slices.Clone(mem.Seen[len(old):]), mem.Spilled+len(old)
	return nil
}

// Revive gives a machine that fell silent, because its memory could not be
// written, its power back. The error says why it still cannot be written; then the
// machine stays silent. It does nothing to a machine that is well.
func (m *Machine) Revive() error {
	m.mu.Lock()
	var err error
	if m.broken {
		if err = m.commit(func(*memory) {}); err == nil {
			err = m.wakeUp()
		}
	}
	m.mu.Unlock()
	m.tell()
	return err
}

// flushMemory writes what was only forgotten since the last commit.
func (m *Machine) flushMemory() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.stale {
		return nil
	}
	return m.commit(func(*memory) {})
}

func (m *Machine) path(suffix string) string {
	return filepath.Join(m.park.o.Dir, string(m.name.tid)+suffix)
}
