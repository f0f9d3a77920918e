package sim

import (
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

// Scenario returns the script of a scenario by its name in package spec, without
// regard to case. It reports false when there is none of that name.
func Scenario(name string) (Script, bool) {
	s, ok := spec.Default().Scenario(name)
	if !ok {
		return Script{}, false
	}
	return scriptOf(s.Script), true
}

func scriptOf(p spec.ScenarioScript) Script {
	s := Script{
		Result: txn.Result(p.Result), Entry: txn.PaymentMethod(p.Entry), CVM: txn.CVM(p.Verification),
		Cashback: money.Minor(p.Cashback), GratuityPercent: p.GratuityPercent,
		EndAfter: txn.Notification(p.EndsAfter), LoseReply: p.LoseReply,
		PaperOut: seconds(p.PaperOutSeconds), AcquirerSilent: seconds(p.AcquirerSilentSeconds), ClockOff: seconds(p.ClockSeconds),
	}
	for _, show := range p.Shows {
		s.Shows = append(s.Shows, Show{txn.Notification(show.After), txn.Notification(show.Value)})
	}
	for _, m := range p.Mishaps {
		s.Mishaps = append(s.Mishaps, Mishap{Point(m.At), Deed(m.Do), seconds(m.Seconds)})
	}
	return s
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
