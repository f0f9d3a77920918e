package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/internal/disk"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A Merchant is what the receipts are headed with.
type Merchant struct {
	Name    string
	Address []string
	MID     string // receipts show the last four characters
}

// Options say how the machines of a park are.
type Options struct {
	// Dir is where the machines and the acquirer keep their memory. Without it
	// they keep it in RAM and lose it with the process.
	Dir string
	// Disk takes what they write there; the system's when nil.
	Disk disk.Disk
	// Account is the four letters of the site in the machines' names; DEMO when
	// empty.
	Account string
	// Named are machines that have names of their own instead of a virtual one's,
	// as a shop's have: 1 to 32 letters, digits, hyphens and underscores. What each
	// plays is said like the end of a virtual name, as in SIP0.
	Named map[txn.TID]string
	// Seed decides card numbers, auth codes and transaction ids.
	Seed uint64
	// Speed is how many times faster than people the machines are, or Max.
	Speed float64
	// MuteFor is how long a machine whose part is to time out stays mute, busy by
	// its own word, from the start of the transaction. It is not changed by Speed
	// and should be longer than the site's limit. By default it is 10 s longer
	// than the contract's limits. At Max such a machine restarts at once instead.
	MuteFor time.Duration
	// ByAmount has the last two digits of an amount at the counter choose the
	// scenario of package spec that they belong to.
	ByAmount bool
	// Zone is the machines' time zone; the process's when nil.
	Zone     *time.Location
	Merchant Merchant
	Log      *slog.Logger // nothing is logged when nil

	wrote func() // tests: called when something has come to disk
}

// A Park is the card machines of one site and the acquirer behind them. Use
// Open. Its methods may be called from several goroutines.
type Park struct {
	o     Options
	named map[txn.TID]name // by upper-case TID
	bank  *acquirer
	purse purse

	ctx  context.Context // ends with the power
	off  context.CancelFunc
	busy sync.WaitGroup // goroutines of running requests

	mu       sync.Mutex
	closed   bool
	machines map[txn.TID]*Machine
}

// errClosed says that the park was closed.
var errClosed = errors.New("sim: the machines are switched off")

// Open switches a park on. Machines that have a memory under Dir wake like
// machines that lost power: what was open in them is ended, and told once they
// are connected. It returns an error when a memory cannot be read; nothing is
// guessed.
func Open(o Options) (*Park, error) {
	if o.Account == "" {
		o.Account = "DEMO"
	}
	account, ok := accountLetters(o.Account)
	if !ok {
		return nil, fmt.Errorf("sim: the account %q is not four letters", o.Account)
	}
	o.Account = account
	named, err := namedMachines(account, o.Named)
	if err != nil {
		return nil, err
	}
	if o.Speed < 0 || math.IsNaN(o.Speed) || math.IsInf(o.Speed, 0) {
		return nil, fmt.Errorf("sim: speed %v is neither Max nor a positive number", o.Speed)
	}
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Disk == nil {
		o.Disk = disk.System{}
	}
	if o.wrote == nil {
		o.wrote = func() {}
	}
	if o.Merchant.Name == "" {
		o.Merchant = Merchant{Name: "TILLWIRE DEMO STORE", Address: []string{"1 SIMULATOR ROW", "LONDON"}, MID: "54043650"}
	}
	p := &Park{o: o, named: named, machines: map[txn.TID]*Machine{}}
	if err := p.load(); err != nil {
		return nil, err
	}
	return p, nil
}

// load reads the memories under Dir.
func (p *Park) load() error {
	p.ctx, p.off = context.WithCancel(context.Background())
	var err error
	if p.o.Dir != "" {
		if err := os.MkdirAll(p.o.Dir, 0o700); err != nil {
			return fmt.Errorf("sim: %w", err)
		}
	}
	if p.bank, err = openAcquirer(p); err != nil {
		return err
	}
	if p.o.Dir == "" {
		return nil
	}
	if err := p.loadMachines(); err != nil {
		return errors.Join(err, p.bank.close())
	}
	return nil
}

func (p *Park) loadMachines() error {
	files, err := filepath.Glob(filepath.Join(p.o.Dir, "*"+memorySuffix))
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	slices.Sort(files)
	for _, f := range files {
		n, ok := p.parse(txn.TID(strings.TrimSuffix(filepath.Base(f), memorySuffix)))
		if !ok {
			continue // another park's
		}
		m := newMachine(p, n)
		if err := m.remember(); err != nil {
			return err
		}
		p.machines[n.tid] = m
	}
	return nil
}

// parse takes the name of a machine of this park apart.
func (p *Park) parse(tid txn.TID) (name, bool) {
	if n, ok := p.named[txn.TID(strings.ToUpper(string(tid)))]; ok {
		return n, true
	}
	n, ok := parseName(tid)
	return n, ok && n.account == p.o.Account
}

// Listed names the machines that the site has from the start.
func (p *Park) Listed() []txn.TID { return listedTIDs(p.o.Account) }

// Machine returns the machine of that name, without regard to case. It reports
// false when the name is neither one of Options.Named nor of the account's virtual
// machines; any that is exists once it is asked for.
func (p *Park) Machine(tid txn.TID) (*Machine, bool) {
	n, ok := p.parse(tid)
	if !ok {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok := p.machines[n.tid]
	if !ok {
		m = newMachine(p, n)
		m.beBorn()
		p.machines[n.tid] = m
	}
	return m, true
}

// Charges lists what the acquirer has on its books, oldest first: each charge
// and refund that it approved, also those reversed since.
func (p *Park) Charges() []Charge { return p.bank.list() }

// Close switches the machines off and waits until nothing of them runs, or
// until ctx ends. What was open in a machine is ended when it is switched on
// again. Closing again does nothing.
func (p *Park) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	machines := make([]*Machine, 0, len(p.machines))
	for _, m := range p.machines {
		machines = append(machines, m)
	}
	p.mu.Unlock()

	p.off()
	idle := make(chan struct{})
	go func() { p.busy.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-ctx.Done():
		return fmt.Errorf("sim: machines still running: %w", ctx.Err())
	}
	var errs []error
	for _, m := range machines {
		errs = append(errs, m.flushMemory())
	}
	return errors.Join(append(errs, p.bank.close())...)
}

// run starts f on a goroutine that Close waits for. It reports false once the
// park is closed.
func (p *Park) run(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.busy.Add(1)
	go func() {
		defer p.busy.Done()
		f()
	}()
	return true
}

var _ terminal.Terminal = (*link)(nil)
