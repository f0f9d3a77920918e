package console

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
)

// lookEvery is how often the terminals' standing is read for those who watch
// it. The gateway answers from memory.
const lookEvery = 250 * time.Millisecond

// watchTerminals is the topic "terminals": all that the viewer may see, again
// when one stands otherwise.
func (c *Console) watchTerminals(ctx context.Context, v viewer, _ jsontext.Value, send func(any) error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var last []Terminal
	for first := true; ; first = false {
		list := []Terminal{}
		for _, site := range v.sites {
			list = append(list, c.cfg.House.Terminals(site)...)
		}
		for i := range list {
			if t, ok := spec.Default().VirtualTerminals().Parse(list[i].TID); ok && list[i].Simulated {
				list[i].Means = meaning(t)
			}
		}
		if first || !slices.Equal(list, last) {
			if err := send(list); err != nil {
				return err
			}
			last = list
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// meaning says in a line what a virtual terminal plays by its name.
func meaning(t spec.VirtualTerminal) string {
	v := spec.Default().VirtualTerminals()
	var words []string
	for _, named := range []struct {
		letters []spec.VirtualLetter
		value   string
	}{{v.Entries, t.Entry}, {v.Verifications, t.Verification}, {v.Results, t.Result}} {
		for _, l := range named.letters {
			if l.Value == named.value {
				words = append(words, l.Meaning)
			}
		}
	}
	return strings.Join(words, " ")
}

// A machineAsk names a machine and what is to be done with it.
type machineAsk struct {
	Site  string `json:"site"`
	TID   string `json:"tid"`
	Key   string `json:"key"`
	Card  string `json:"card"`
	How   string `json:"how"`
	On    bool   `json:"on"`
	Name  string `json:"name"`
	Times int    `json:"times"`
}

var (
	errNoMachine = errors.New("there is no machine of that name that can be shown")
	errNoHands   = errors.New("machines can be touched on a development gateway only")
)

// machine finds the machine that a page names.
func (c *Console) machine(v viewer, ask jsontext.Value) (Machine, machineAsk, error) {
	q, err := read[machineAsk](ask)
	if err != nil {
		return nil, q, err
	}
	if q.Site == "" && len(v.sites) > 0 {
		q.Site = v.sites[0]
	}
	if !v.sees(q.Site) {
		return nil, q, errNoMachine
	}
	m, ok := c.cfg.House.Machine(q.Site, q.TID)
	if !ok {
		return nil, q, errNoMachine
	}
	return m, q, nil
}

// watchMachine is the topic "machine": the face of one, again when it changes.
func (c *Console) watchMachine(ctx context.Context, v viewer, ask jsontext.Value, send func(any) error) error {
	m, _, err := c.machine(v, ask)
	if err != nil {
		return err
	}
	changed, done := m.Watch()
	defer done()
	var last Face
	for first := true; ; first = false {
		if f := m.Face(); first || !reflect.DeepEqual(f, last) {
			if err := send(f); err != nil {
				return err
			}
			last = f
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// maxTimes bounds for how many requests a scenario can be chosen in advance.
const maxTimes = 100

// machineDeeds are what people can do with a machine.
func (c *Console) machineDeeds() map[string]deed {
	hand := func(do func(Machine, machineAsk) error) deed {
		return func(_ context.Context, v viewer, ask jsontext.Value) (any, error) {
			if !v.hands {
				return nil, errNoHands
			}
			m, q, err := c.machine(v, ask)
			if err != nil {
				return nil, err
			}
			return nil, do(m, q)
		}
	}
	return map[string]deed{
		"touch":    hand(func(m Machine, q machineAsk) error { return m.Touch(q.On) }),
		"press":    hand(func(m Machine, q machineAsk) error { return m.Press(q.Key) }),
		"present":  hand(func(m Machine, q machineAsk) error { return m.Present(q.Card, q.How) }),
		"takeCard": hand(func(m Machine, _ machineAsk) error { return m.TakeCard() }),
		"tearOff":  hand(func(m Machine, _ machineAsk) error { return m.TearOff() }),
		"paper":    hand(func(m Machine, q machineAsk) error { return m.Paper(q.On) }),
		"cable":    hand(func(m Machine, q machineAsk) error { return m.Cable(q.On) }),
		"power":    hand(func(m Machine, q machineAsk) error { return m.Power(q.On) }),
		"scenario": hand(func(m Machine, q machineAsk) error {
			s, ok := spec.Default().Scenario(q.Name)
			switch {
			case q.Name == "":
				return m.Scenario("", 0)
			case !ok:
				return fmt.Errorf("there is no scenario %q", q.Name)
			case q.Times < 0 || q.Times > maxTimes:
				return fmt.Errorf("a scenario is for 1 to %d requests, or for all", maxTimes)
			}
			return m.Scenario(s.Name, q.Times)
		}),
	}
}
