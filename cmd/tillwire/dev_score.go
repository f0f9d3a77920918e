package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/site/console"
	"github.com/tillwire/tillwire/site/traffic"
)

// A scoreKeeper reads what tills say out of the traffic and has a scorer go by
// the checklist. It takes as long as it needs: the traffic does not wait for it.
type scoreKeeper struct {
	scorer *conform.Scorer
	stop   context.CancelFunc
	done   chan struct{}
}

// scoreEvery is how often the scorer is told what was said, and scoreMost how
// much of it at once.
const (
	scoreEvery = 100 * time.Millisecond
	scoreMost  = 2000
)

// keepScore begins to keep score of what goes through a hub. Close it.
func keepScore(hub *traffic.Hub) *scoreKeeper {
	ctx, stop := context.WithCancel(context.Background())
	k := &scoreKeeper{scorer: conform.NewScorer(conform.ScorerOptions{}), stop: stop, done: make(chan struct{})}
	reader := hub.Read(traffic.Filter{})
	go func() {
		defer close(k.done)
		defer reader.Leave()
		for {
			b, err := reader.Next(ctx, scoreMost)
			if err != nil {
				return // closed
			}
			began := time.Now()
			k.take(b)
			rest := time.NewTimer(max(scoreEvery, 3*time.Since(began)))
			select {
			case <-ctx.Done():
				rest.Stop()
				return
			case <-rest.C:
			}
		}
	}()
	return k
}

func (k *scoreKeeper) close() {
	k.stop()
	<-k.done
}

// take tells the scorer a batch.
func (k *scoreKeeper) take(b traffic.Batch) {
	if b.Gone > 0 || b.Dropped > 0 || b.Passed > 0 {
		k.scorer.Missed()
	}
	for _, m := range b.Messages {
		l := m.Line
		if l.Face == traffic.FaceTerminal {
			continue
		}
		if m.Cut {
			k.scorer.Missed()
			continue
		}
		f := conform.Frame{At: m.At, Conn: int(l.Number), Kind: conform.Message, Path: "/" + l.Face, FromGateway: m.FromGateway, Text: m.Text}
		switch m.Kind {
		case traffic.Opened:
			f = conform.Frame{
				At: m.At, Conn: int(l.Number), Kind: conform.Opened, Path: "/" + l.Face, Version: l.Version,
				SoftwareHouse: l.SoftwareHouse, Installer: l.Installer,
			}
		case traffic.Refused:
			f = conform.Frame{
				At: m.At, Conn: int(l.Number), Kind: conform.Refused, Path: "/" + l.Face, Version: l.Version, Status: m.Status,
				SoftwareHouse: l.SoftwareHouse, Installer: l.Installer, WrongKey: m.Status == http.StatusUnauthorized,
			}
		case traffic.Closed:
			f = conform.Frame{At: m.At, Conn: int(l.Number), Kind: conform.Closed, Path: "/" + l.Face, ByTill: m.Ending.ByPeer}
		case traffic.Request, traffic.Reply, traffic.Error, traffic.Notification, traffic.Unreadable:
		}
		k.scorer.Saw(callerOf(l), f, m.Seq)
	}
}

// callerOf is what tells tills apart: whose software it is, with which key, from
// which computer.
func callerOf(l *traffic.Line) conform.Caller {
	return conform.Caller{Site: l.Site, Key: l.Key, Host: hostOf(l.Remote), SoftwareHouse: l.SoftwareHouse}
}

// hostOf is an address without its port; all of this computer are one.
func hostOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	switch {
	case err != nil:
		return remote
	case loopback(host):
		return "this computer"
	}
	return host
}

// Scores are the tills of a site for the console.
func (k *scoreKeeper) Scores(site string) []console.Score {
	var out []console.Score
	for _, s := range k.scorer.Scores(site, time.Now()) {
		v := console.Score{
			Till: s.Number, SoftwareHouse: s.SoftwareHouse, Installer: s.Installer, Host: s.Host, Key: s.Key,
			Faces: s.Faces, First: s.First, Last: s.Last, Open: s.Open,
		}
		for _, l := range s.Lines {
			line := console.ScoreLine{
				ID: l.ID, Side: l.Side, Text: l.Text, Clause: l.Clause, Optional: l.Optional, State: string(l.State),
			}
			for _, p := range l.Parts {
				part := console.ScorePart{
					Step: p.Step, State: string(p.State), Hint: p.Hint, Todo: p.Todo, Question: p.Question, ByWord: p.Word,
					At: p.At, Failed: p.Failed,
				}
				for _, e := range p.Evidence {
					part.Evidence = append(part.Evidence, console.Sighting{Seq: e.Ref, At: e.At, Text: e.Tell()})
				}
				line.Parts = append(line.Parts, part)
			}
			v.Lines = append(v.Lines, line)
		}
		out = append(out, v)
	}
	return out
}

// Say takes down what somebody saw at a till.
func (k *scoreKeeper) Say(site string, till int, step string, yes *bool) error {
	return k.scorer.Say(site, till, step, yes, time.Now())
}
