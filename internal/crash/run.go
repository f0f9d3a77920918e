package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/internal/powercut"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/sqlite"
	"github.com/tillwire/tillwire/txn"
)

// The site, and the account of its simulated terminals. The tillwire binary
// adds it by itself for --dev; here it is there before, with short limits.
const (
	siteID  = "demo"
	siteKey = "demo"
	letters = "DEMO"
)

var limits = map[string]time.Duration{
	"transaction": 2 * time.Second, "transactionNotPresent": 3 * time.Second, "signature": time.Second, "report": 4 * time.Second,
	"patAnswer": 2 * time.Second, "lostTerminal": time.Second, "terminalAccepts": 2 * time.Second, "ping": time.Second,
}

// The terminals. Each of the first has a till of its own by the plain contract,
// each of the next one with keys in a process of its own; then come those that
// are shared, and the waiters'. One falls mute and never knows why.
var (
	plain    = []string{"VCMDEMOSIP0", "VCMDEMOVIS0", "VCMDEMODIP0"}
	keyed    = []string{"VCMDEMOSCD0", "VCMDEMOSIS0", "VCMDEMOSSS0"}
	shared   = []string{"VCMDEMOSKN0", "VCMDEMOSID0"}
	mute     = "VCMDEMOTIP0"
	polled   = "VCMDEMOSSP0" // that only a till without a connection works at
	served   = []string{"VCMDEMOSCN0", "VCMDEMOSIN0"}
	machines = slices.Concat(plain, keyed, shared, served, []string{mute, polled})
)

// A config says what is done.
type config struct {
	kills    int
	seed     uint64
	dir      string // of this run; the data folder is in it
	tillwire string
	self     string
	out      io.Writer
}

// A blow is what is done to one life of the gateway.
type blow struct {
	point  string // where it ends itself; else it is killed from outside
	nth    int
	speed  string
	early  bool          // the time runs from its start, else from when it is ready
	wait   time.Duration // until the kill
	freeze time.Duration // SIGSTOP in between
	power  bool          // with the power of its disk
}

// Some lives of gateways and terminals are stopped in between: for longer than a
// transaction may take and than two missed pings, and in long runs for so long
// that everybody has given them up.
const (
	freezeEvery = 16
	freezeAt    = 4 // even, for a kill from outside
	shortFreeze = 2500 * time.Millisecond
	longFreeze  = 30 * time.Second
)

// plan makes the blows: the same for the same seed.
func plan(kills int, rng *rand.Rand) []blow {
	all := points()
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	speeds := []string{"20", "100", "max"}
	var blows []blow
	for i := range kills {
		b := blow{speed: speeds[rng.IntN(len(speeds))]}
		switch {
		case i%2 == 1:
			b.point, b.nth = all[i/2%len(all)], 1
			if i/2 >= len(all) { // not only where it comes there first, which is often in recovery
				b.nth += rng.IntN(4)
			}
			b.wait = 3 * time.Second // it may never come there
		case i%freezeEvery == freezeAt:
			b.freeze = shortFreeze
			if i%(32*freezeEvery) == 2*freezeEvery+freezeAt { // where there are many
				b.freeze = longFreeze
			}
			b.wait = 20*time.Millisecond + time.Duration(rng.IntN(900))*time.Millisecond
		case rng.IntN(4) == 0:
			b.early, b.wait = true, time.Duration(rng.IntN(250))*time.Millisecond
		default:
			b.wait = 20*time.Millisecond + time.Duration(rng.IntN(900))*time.Millisecond
		}
		if b.point == "" {
			b.power = b.freeze == 0 && i%6 == 2
		} else { // each point with and without, in turn
			b.power = (i/2+i/2/len(all))%2 == 1
		}
		blows = append(blows, b)
	}
	return blows
}

// prepare makes the data folder with the site in it, and returns the keys of the
// remote terminals.
func prepare(ctx context.Context, dir string) (keys map[string]string, err error) {
	store, err := sqlite.Open(dir, sqlite.Options{BallastSize: 1 << 20})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := gateway.AddSite(ctx, store, journal.Site{ID: siteID, Name: "Crash", Simulated: letters, Limits: limits}); err != nil {
		return nil, err
	}
	if _, _, err := gateway.AddKey(ctx, store, siteID, siteKey, "for this run", nil); err != nil {
		return nil, err
	}
	keys = map[string]string{}
	for _, r := range remotes {
		if keys[r.tid], _, err = gateway.EnrolTerminal(ctx, store, siteID, txn.TID(r.tid), "for this run"); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// freeAddress finds a port on which nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// A shop is the run's house and the people in it.
type shop struct {
	house
	crowd  *crowd
	tables string // the diary of the till with the tables
	// What only a whole run has: terminals and tills in processes of their own,
	// and a bad network between them and the gateway.
	far     *stable
	crew    *crew
	weather *weather

	goHome context.CancelFunc // for all
	leave  context.CancelFunc // for waiters
	tills  sync.WaitGroup
	others sync.WaitGroup
}

func faceURL(addr, face string) string {
	return "ws://" + addr + "/" + face + "?token=" + siteKey + "&api-version=v1&software-house-id=CRASH&installer-id=CRASH"
}

// open brings the people in; each of the tids gets a till of its own.
func open(ctx context.Context, h house, tids []string, rng *rand.Rand) *shop {
	ctx, home := context.WithCancel(ctx)
	walking, leave := context.WithCancel(ctx)
	s := &shop{house: h, goHome: home, leave: leave, crowd: &crowd{pac: faceURL(h.addr, "pac"), ctx: ctx}}
	s.crowd.amount.Store(1000)
	dice := func() *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64())) }
	for _, tid := range tids {
		t := &till{crowd: s.crowd, name: "owner of " + tid, tids: []string{tid}, rng: dice(), held: map[string]string{}}
		s.tills.Go(t.work)
	}
	for i := range 2 {
		t := &till{crowd: s.crowd, name: fmt.Sprintf("guest %d", i+1), tids: shared, shares: true, rng: dice(), held: map[string]string{}}
		s.tills.Go(t.work)
	}
	for _, tid := range served {
		w := &waiter{base: "http://" + h.addr, tid: tid, rng: dice()}
		s.others.Go(func() { w.work(walking) })
	}
	return s
}

// openTables has a till with tables in this process, with its diary in a file.
// Once all have gone home, it is closed.
func (s *shop) openTables(path string) (closed func() error, err error) {
	s.tables = path
	r, err := newRestaurant(faceURL(s.addr, "pat"), path)
	if err != nil {
		return nil, err
	}
	served := make(chan error, 1)
	s.others.Go(func() { served <- errors.Join(r.serve(s.crowd.ctx), r.pages.close()) })
	return func() error { return <-served }, nil
}

// A tally is what was done in a run.
type tally struct {
	kills, early, atPoints int
	points                 map[string]bool
	missed                 []string
	retry                  []string // of them
	freezes                int      // of the gateway
	longest                time.Duration

	farKills   int // of remote terminals
	farPoints  map[string]bool
	farFreezes int
	crewKills  int    // of tills
	weather    string // what the network did
	cuts       cuts
}

// Cuts are what was done to the power.
type cuts struct {
	gateways, terminals int
	loss                powercut.Loss
}

func (c *cuts) add(l powercut.Loss) {
	c.loss.Writes += l.Writes
	c.loss.Names += l.Names
}

// owed is a blow at a point that was missed so far, or b when there is none.
func (t *tally) owed(b blow) blow {
	for len(t.retry) > 0 {
		point := t.retry[0]
		t.retry = t.retry[1:]
		if !t.points[point] {
			b.point, b.nth = point, 1
			break
		}
	}
	return b
}

func (t *tally) freeze(d time.Duration) {
	if d > 0 {
		t.freezes, t.longest = t.freezes+1, max(t.longest, d)
	}
}

// killedFolder has a copy of the journal as a kill left it.
const killedFolder = "killed"

// run breaks the gateway as often as it is told, and returns what was done and
// the books as they are afterwards.
func run(ctx context.Context, c config) (tally, books, error) {
	done := tally{points: map[string]bool{}}
	rng := rand.New(rand.NewPCG(c.seed, 4))
	far := c.kills / 3
	blows, farBlows := plan(c.kills-far, rng), planMachines(far, rng)
	addr, err := freeAddress()
	if err != nil {
		return done, books{}, err
	}
	h := house{
		dir: filepath.Join(c.dir, "data"), addr: addr, tillwire: c.tillwire, self: c.self, log: filepath.Join(c.dir, "gateway.log"),
		power: filepath.Join(c.dir, "power"),
	}
	keys, err := prepare(ctx, h.dir)
	if err != nil {
		return done, books{}, err
	}
	network, err := calmNetwork(addr)
	if err != nil {
		return done, books{}, err
	}
	defer network.close() //nolint:errcheck // nobody listens any more
	link := network.url("terminals", "ws://"+addr+"/terminal")
	herd, err := openStable(ctx, h, filepath.Join(c.dir, "terminals"), link, keys, c.seed, farBlows)
	if err != nil {
		return done, books{}, err
	}
	defer herd.close()
	if err := warmUp(ctx, h, c.seed, slices.Concat(machines, herd.tids())); err != nil {
		return done, books{}, err
	}
	herd.begin()
	network.begin(ctx, c.seed)
	s := open(ctx, h, plain, rng)
	defer s.others.Wait()
	defer s.tills.Wait()
	defer s.goHome()
	s.far, s.weather = herd, network
	pac, pat := s.weather.url("PAC", faceURL(addr, "pac")), s.weather.url("PAT", faceURL(addr, "pat"))
	if s.crew, err = openCrew(ctx, h, filepath.Join(c.dir, "tills"), pac, pat, c.seed); err != nil {
		return done, books{}, err
	}
	defer s.crew.close()
	s.tables = s.crew.book(member{name: "tables"})
	for i, b := range blows {
		if i > 2*len(points()) && i%4 == 1 { // instead of what was met before
			b = done.owed(b)
		}
		if err := s.strike(ctx, c.seed, b, &done); err != nil {
			return done, books{}, fmt.Errorf("life %d, %+v: %w", i+1, b, err)
		}
		if err := errors.Join(s.far.failed(), s.crew.failed()); err != nil {
			return done, books{}, err
		}
		if i == min(len(blows), 10)-1 { // to be cut; a long one takes long to read
			if err := copyJournal(h.dir, filepath.Join(c.dir, killedFolder)); err != nil {
				return done, books{}, err
			}
		}
		if (i+1)%50 == 0 {
			fmt.Fprintf(c.out, "crash: %d of %d, %d tickets\n", i+1, len(blows), len(s.crowd.written()))
		}
	}
	b, err := s.shut(ctx, c.seed)
	done.farKills, done.farPoints, done.farFreezes = s.far.kills, s.far.points, s.far.freezes
	done.cuts.terminals = s.far.cuts.terminals
	done.cuts.add(s.far.cuts.loss)
	done.crewKills, done.weather = s.crew.kills, s.weather.String()
	return done, b, err
}

// warmUp is the first day: each machine does something, and nobody disturbs. A
// machine that has never done anything cannot tell about requests from before
// that, and says so.
func warmUp(ctx context.Context, h house, seed uint64, tids []string) error {
	p, err := h.start(blow{speed: "max"}, seed)
	if err != nil {
		return err
	}
	defer p.kill()
	if !p.within(ctx, p.ready, 20*time.Second) {
		return fmt.Errorf("the first gateway does not start: %s", p.last())
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c, err := epos.Dial(ctx, epos.Options{URL: faceURL(h.addr, "pac")})
	if err != nil {
		return err
	}
	defer c.Close()
	for _, tid := range tids {
		_, err := c.ReportXBalance(ctx, epos.TID(tid))
		for errors.Is(err, epos.ErrTerminalUnavailable) && ctx.Err() == nil { // it has yet to dial in
			p.within(ctx, make(chan struct{}), 20*time.Millisecond)
			_, err = c.ReportXBalance(ctx, epos.TID(tid))
		}
		if err != nil {
			return fmt.Errorf("the first report of %s: %w: %s", tid, err, p.last())
		}
	}
	return nil
}

// strike lives one life of the gateway.
func (s *shop) strike(ctx context.Context, seed uint64, b blow, done *tally) error {
	p, err := s.start(b, seed)
	if err != nil {
		return err
	}
	defer p.kill()
	never := make(chan struct{})
	if b.early {
		p.within(ctx, never, b.wait)
	} else {
		if !p.within(ctx, p.ready, 20*time.Second) && b.point == "" {
			return fmt.Errorf("the gateway does not start: %s", p.last())
		}
		if b.freeze > 0 {
			frozen, err := p.freeze(ctx, b.freeze)
			if err != nil {
				return err
			}
			done.freeze(frozen)
		}
		p.within(ctx, never, b.wait)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	byItself := p.gone()
	if !p.kill() {
		return fmt.Errorf("the gateway ended by itself: %v: %s", p.err, p.last())
	}
	done.kills++
	if b.power {
		loss, err := powercut.Cut(s.power, rand.New(rand.NewPCG(seed, 1000+uint64(done.kills))))
		if err != nil {
			return err
		}
		done.cuts.gateways++
		done.cuts.add(loss)
	}
	if b.early {
		done.early++
	}
	switch {
	case b.point == "":
	case byItself:
		done.atPoints++
		done.points[b.point] = true
	default:
		done.missed, done.retry = append(done.missed, b.point), append(done.retry, b.point)
	}
	return nil
}

// How long the shop may take to come to rest, once nobody disturbs it.
const restLimit = 40 * time.Second

// shut lets the last gateway live, until everything is at rest, and reads the
// books.
func (s *shop) shut(ctx context.Context, seed uint64) (books, error) {
	p, err := s.start(blow{speed: "max"}, seed)
	if err != nil {
		return books{}, err
	}
	defer p.kill()
	if !p.within(ctx, p.ready, 20*time.Second) {
		return books{}, fmt.Errorf("the last gateway does not start: %s", p.last())
	}
	if s.far != nil { // their tills go on while they are killed
		if err := s.far.finish(ctx); err != nil {
			return books{}, err
		}
		s.far.quiet()
		s.weather.dealt.Wait()
		s.weather.calm()
		s.weather.work.Wait()
		p.within(ctx, make(chan struct{}), time.Second) // what was held back arrives
		s.crew.quiet()
	}
	s.crowd.close()
	s.leave()
	stuck := s.settle(ctx, p)
	if err := p.stop(20 * time.Second); err != nil {
		return books{}, fmt.Errorf("the last gateway: %w: %s", err, p.last())
	}
	s.goHome()
	s.tills.Wait()
	s.others.Wait()
	remotes := ""
	if s.far != nil {
		s.far.close()
		s.crew.close()
		if err := errors.Join(s.far.failed(), s.crew.failed()); err != nil {
			return books{}, err
		}
		remotes = s.far.dir
	}
	b, err := readBooks(ctx, s.dir, remotes)
	if err != nil {
		return b, err
	}
	b.tickets = s.crowd.written()
	if s.crew != nil {
		more, told, err := readTickets(s.crew.dir)
		if err != nil {
			return b, err
		}
		b.tickets, b.told = append(b.tickets, more...), told
	}
	var held []string
	b.booked, held, err = readRestaurant(s.tables)
	b.stuck = append(stuck, held...)
	return b, err
}

// settle waits until tills know what they can, terminals are free and tables
// unlocked. It returns what is not.
func (s *shop) settle(ctx context.Context, p *process) []string {
	resting := make(chan struct{})
	go func() {
		s.tills.Wait()
		if s.crew != nil {
			s.crew.finished.Wait()
		}
		close(resting)
	}()
	var stuck []string
	if !p.within(ctx, resting, restLimit) {
		stuck = append(stuck, "a till still waits for an answer")
	}
	for limit := time.Now().Add(restLimit); ; {
		waiting := s.waiting(ctx)
		if len(waiting) == 0 || time.Now().After(limit) || ctx.Err() != nil {
			return append(stuck, waiting...)
		}
		p.within(ctx, make(chan struct{}), 100*time.Millisecond)
	}
}

// waiting asks for each terminal, and looks at what the journal has open.
func (s *shop) waiting(ctx context.Context) (all []string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := epos.Dial(ctx, epos.Options{URL: s.crowd.pac})
	if err != nil {
		return []string{"the gateway: " + err.Error()}
	}
	defer c.Close()
	tids := machines
	if s.far != nil {
		tids = slices.Concat(machines, s.far.tids())
	}
	for _, tid := range tids {
		d, err := c.TerminalDetails(ctx, epos.TID(tid))
		if err != nil || d.Status != epos.Available {
			all = append(all, fmt.Sprintf("terminal %s is %s, %v", tid, d.Status, err))
		}
	}
	if _, held, err := readRestaurant(s.tables); err != nil || len(held) > 0 {
		all = append(all, fmt.Sprint("tables are held, ", err))
	}
	store, err := sqlite.Open(s.dir, sqlite.Options{ReadOnly: true})
	if err != nil {
		return append(all, err.Error())
	}
	defer store.Close()
	heads, err := store.OpenStreams(ctx)
	if err != nil {
		return append(all, err.Error())
	}
	if v := judge(books{open: heads}); v.Stuck > 0 {
		all = append(all, v.Findings...)
	}
	return all
}
