package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// A play is what a simulated terminal said of its own accord in one
// chip-and-PIN sale, to be said again by machines that do nothing else.
type play struct {
	notes   []txn.Notification
	outcome txn.Outcome // with both receipts
}

const performing = 30 * time.Second

// perform has the simulated terminal make the sale.
func perform(seed uint64) (*play, error) {
	park, err := sim.Open(sim.Options{Seed: seed, Speed: sim.Max})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), performing)
	defer cancel()
	p, err := performed(ctx, park)
	return p, errors.Join(err, park.Close(ctx))
}

func performed(ctx context.Context, park *sim.Park) (*play, error) {
	m, ok := park.Machine("VCMDEMOSIP0")
	if !ok {
		return nil, errors.New("there is no simulated terminal for a sale by chip and PIN")
	}
	p := &play{}
	ended := make(chan struct{})
	t := m.Connect(func(e terminal.Event) {
		switch e := e.(type) {
		case terminal.Notified:
			p.notes = append(p.notes, e.Value)
		case terminal.Ended:
			p.outcome = e.Outcome
			close(ended)
		default: // no part of a sale by PIN
		}
	})
	const id = "bench"
	if err := t.Start(ctx, terminal.Request{ID: id, Txn: txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: 1250}}); err != nil {
		return nil, err
	}
	select {
	case <-ended:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.outcome.Result != txn.Successful {
		return nil, fmt.Errorf("the simulated sale ended %s", p.outcome.Result)
	}
	return p, t.Acknowledge(ctx, id)
}

// A machine is a card machine that plays: it costs next to nothing, which is
// what it is for. What it does with a request is perform's to say.
type machine struct {
	sink    terminal.Sink
	perform func(m *machine, r terminal.Request)
}

var _ terminal.Terminal = (*machine)(nil)

func (m *machine) Start(_ context.Context, r terminal.Request) error {
	m.perform(m, r)
	return nil
}

func (m *machine) Cancel(context.Context, txn.RequestID) error {
	return errors.New("a played sale is not cancelled")
}

func (m *machine) AnswerSignature(context.Context, txn.RequestID, bool) error {
	return errors.New("a played sale wants no signature")
}

func (m *machine) Query(context.Context, txn.RequestID) (terminal.Answer, error) {
	return terminal.Answer{Kind: terminal.CannotTell}, nil
}

func (m *machine) Acknowledge(context.Context, txn.RequestID) error { return nil }

func (m *machine) Last(context.Context) (terminal.Last, error) {
	return terminal.Last{}, terminal.ErrNoLast
}

func (m *machine) Capabilities() terminal.Capabilities {
	return terminal.Capabilities{Currency: money.GBP, Model: "played", Software: "9053", Types: []txn.Type{txn.Sale}, Reports: []report.Type{}}
}

// note says one line of the play.
func (m *machine) note(id txn.RequestID, value txn.Notification) {
	m.sink(terminal.Notified{ID: id, Value: value})
}

// end says the last word, about the amount that was asked for.
func (m *machine) end(p *play, r terminal.Request) {
	o := p.outcome
	o.Base = r.Txn.Amount
	m.sink(terminal.Ended{ID: r.ID, Outcome: o})
}

// atOnce says everything before Start returns.
func (p *play) atOnce(m *machine, r terminal.Request) {
	for _, n := range p.notes {
		m.note(r.ID, n)
	}
	m.end(p, r)
}
