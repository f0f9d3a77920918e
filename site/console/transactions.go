package console

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/site/traffic"
)

// A Ledger is what the console reads of the record, and the two things that an
// operator can do about it. Each method is asked for one site and must not look
// beyond it. Amounts are minor units.
type Ledger interface {
	// Entries lists what the query selects, newest first. more says that there
	// is, or may be, something older that it selects.
	Entries(ctx context.Context, q LedgerQuery) (list []LedgerEntry, more bool, err error)
	// Life tells all that is known of one; ErrNoEntry if the site has none of that
	// id.
	Life(ctx context.Context, site, id string) (Life, error)
	// Waiting lists what the site's till is owed, the oldest first.
	Waiting(ctx context.Context, site string) ([]WaitingNotice, error)
	// Mark is another one whenever something was recorded since.
	Mark() uint64
	// Resolve records an operator's word on what is unresolved.
	Resolve(ctx context.Context, site string, r Resolution) error
	// Resend has a till sent anew what it had before, and returns how many notices
	// that are. Notice 0 is all of them.
	Resend(ctx context.Context, site, id string, notice int, by, reason string) (int, error)
}

// ErrNoEntry says that a site has nothing of that id.
var ErrNoEntry = errors.New("there is nothing of that id here")

// A LedgerQuery selects entries of one site.
type LedgerQuery struct {
	Site   string
	TID    string
	Kind   string // transaction, report, visit or orphan; empty is all
	State  string
	Result string // what is true, or told
	Since  time.Time
	Until  time.Time
	Limit  int
	// Unresolved selects those of which nobody knows what became of them.
	Unresolved bool
}

// A LedgerEntry is a transaction, report, visit or orphan in a list.
type LedgerEntry struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	TID      string `json:"tid"`
	Type     string `json:"type"`
	Amount   int64  `json:"amount"` // minor units
	Currency string `json:"currency,omitzero"`
	State    string `json:"state"`
	True     string `json:"true"` // in words
	Result   string `json:"result,omitzero"`
	Told     string `json:"told"`
	Accepted string `json:"accepted"`
	Ended    string `json:"ended,omitzero"`
	Open     bool   `json:"open,omitzero"`
	Note     string `json:"note,omitzero"` // byHand or conflict
	Table    string `json:"table,omitzero"`
	Waiter   string `json:"waiter,omitzero"`
	Waits    int    `json:"waits,omitzero"` // notices that the till does not have
	Doubt    *Doubt `json:"doubt,omitzero"`
}

// A Doubt says since when and why nobody knows what became of something.
type Doubt struct {
	Since   string `json:"since"`
	Why     string `json:"why"`
	Payment string `json:"payment,omitzero"` // of a visit
	Asked   int64  `json:"asked,omitzero"`   // what that was begun with
}

// A Life is all that is known of an entry.
type Life struct {
	LedgerEntry
	Facts    []Fact          `json:"facts"`
	Steps    []LifeStep      `json:"steps"`
	Payments []Payment       `json:"payments,omitzero"`
	Notices  []WaitingNotice `json:"notices,omitzero"` // delivered ones too
	Copies   []PaperCopy     `json:"copies,omitzero"`
	// Resolvable says that an operator's word can be recorded.
	Resolvable bool `json:"resolvable,omitzero"`
}

// A Fact is something about an entry in words. Its kind is good, warn, bad,
// unsure or none.
type Fact struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Kind string `json:"kind,omitzero"`
}

// A LifeStep is one record.
type LifeStep struct {
	Seq  int            `json:"seq"`
	Kind string         `json:"kind"`
	At   string         `json:"at"`
	Text string         `json:"text"` // in words
	Body jsontext.Value `json:"body"` // as it is stored
}

// A Payment is one card payment of a visit.
type Payment struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Paid     int64  `json:"paid"`
	Gratuity int64  `json:"gratuity"`
	Cashback int64  `json:"cashback"`
	Asked    int64  `json:"asked"`
	Card     string `json:"card,omitzero"`
	AuthCode string `json:"authCode,omitzero"`
	Note     string `json:"note,omitzero"`
}

// A WaitingNotice is something that a Pay-At-Table till is owed, or has had.
type WaitingNotice struct {
	ID        string `json:"id"`
	TID       string `json:"tid"`
	Table     string `json:"table,omitzero"`
	Number    int    `json:"number"`
	Notice    string `json:"notice"`
	Since     string `json:"since"`
	Resent    int    `json:"resent,omitzero"`
	Delivered bool   `json:"delivered,omitzero"`
	Why       string `json:"why,omitzero"`
}

// A PaperCopy is a receipt as it came from the printer.
type PaperCopy struct {
	Title string `json:"title"`
	Lines []Line `json:"lines"`
}

// A Resolution is an operator's word.
type Resolution struct {
	ID       string `json:"id"`
	Payment  string `json:"payment"`
	Taken    bool   `json:"taken"`
	By       string `json:"-"`
	Reason   string `json:"reason"`
	Amount   int64  `json:"amount"`
	Gratuity int64  `json:"gratuity"`
	AuthCode string `json:"authCode"`
}

// Bounds of what is listed, and how often it is looked at again.
const (
	ledgerEvery = 500 * time.Millisecond
	ledgerRows  = 100
	maxReason   = 500 // characters
)

// A ledgerAsk is which entries a page wants.
type ledgerAsk struct {
	Site       string `json:"site"`
	TID        string `json:"tid"`
	Kind       string `json:"kind"`
	State      string `json:"state"`
	Result     string `json:"result"`
	Since      string `json:"since"` // RFC 3339; empty for any
	Until      string `json:"until"`
	Unresolved bool   `json:"unresolved"`
	ID         string `json:"id"` // of one life
}

// A ledgerList is what a page is shown.
type ledgerList struct {
	Entries []LedgerEntry `json:"entries"`
	More    bool          `json:"more,omitzero"`
}

var errNoLedger = errors.New("this gateway does not show its record")

// addTransactions registers what the pages of the record need.
func (c *Console) addTransactions() {
	c.topics["transactions"] = c.watchTransactions
	c.topics["life"] = c.watchLife
	c.topics["outbox"] = c.watchOutbox
	c.deeds["resolve"] = c.resolve
	c.deeds["resend"] = c.resend
}

// ledger reads a page's question about the record.
func (c *Console) ledger(v viewer, ask jsontext.Value) (ledgerAsk, error) {
	q, err := read[ledgerAsk](ask)
	if err != nil {
		return q, err
	}
	if c.cfg.Ledger == nil {
		return q, errNoLedger
	}
	q.Site, err = v.site(q.Site)
	return q, err
}

func timeOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, errors.New("a time is written as 2026-10-07T21:00:00Z")
	}
	return t, nil
}

// followRecord calls show now, and again whenever something was recorded.
func (c *Console) followRecord(ctx context.Context, show func() error) error {
	tick := time.NewTicker(ledgerEvery)
	defer tick.Stop()
	for first, last := true, uint64(0); ; first = false {
		// The mark is taken before the record is read: what comes in between shows
		// the next time.
		if mark := c.cfg.Ledger.Mark(); first || mark != last {
			last = mark
			if err := show(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// watchTransactions is the topic "transactions": a list.
func (c *Console) watchTransactions(ctx context.Context, v viewer, ask jsontext.Value, send func(any) error) error {
	a, err := c.ledger(v, ask)
	if err != nil {
		return err
	}
	q := LedgerQuery{
		Site: a.Site, TID: strings.TrimSpace(a.TID), Kind: a.Kind, State: a.State, Result: a.Result, Unresolved: a.Unresolved, Limit: ledgerRows,
	}
	if q.Since, err = timeOf(a.Since); err != nil {
		return err
	}
	if q.Until, err = timeOf(a.Until); err != nil {
		return err
	}
	return c.followRecord(ctx, func() error {
		list, more, err := c.cfg.Ledger.Entries(ctx, q)
		if err != nil {
			return c.failed(ctx, "the record could not be listed", err)
		}
		return send(ledgerList{append([]LedgerEntry{}, list...), more})
	})
}

// failed logs an error of the record and returns what a page is told of it.
func (c *Console) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	c.log.Warn(what, "error", err)
	return errors.New(what + "; the gateway's log says why")
}

// A lifeView is one life with what was said in it, as far as that is kept.
type lifeView struct {
	Life
	Said []trafficRow `json:"said"`
}

// watchLife is the topic "life": one entry in full.
func (c *Console) watchLife(ctx context.Context, v viewer, ask jsontext.Value, send func(any) error) error {
	q, err := c.ledger(v, ask)
	if err != nil {
		return err
	}
	return c.followRecord(ctx, func() error {
		life, err := c.cfg.Ledger.Life(ctx, q.Site, q.ID)
		switch {
		case errors.Is(err, ErrNoEntry):
			return err
		case err != nil:
			return c.failed(ctx, "the record could not be read", err)
		}
		return send(lifeView{life, c.said(q.Site, life)})
	})
}

// around is how long before a request was accepted, and after its end, what was
// said may belong to it.
const around = 2 * time.Second

// said are the kept messages of tills that belong to a life: of its terminal, in
// its time.
func (c *Console) said(site string, life Life) []trafficRow {
	out := []trafficRow{}
	from, err := time.Parse(time.RFC3339Nano, life.Accepted)
	if c.cfg.Traffic == nil || err != nil {
		return out
	}
	until := time.Now()
	if len(life.Steps) > 0 && !life.Open {
		if at, err := time.Parse(time.RFC3339Nano, life.Steps[len(life.Steps)-1].At); err == nil {
			until = at.Add(around)
		}
	}
	list := c.cfg.Traffic.Select(traffic.Filter{Site: site, TID: life.TID})
	list = slices.DeleteFunc(list, func(m *traffic.Message) bool {
		return m.At.Before(from.Add(-around)) || m.At.After(until)
	})
	if life.Kind == "transaction" || life.Kind == "report" {
		list = ofRequest(list, from, life.ID)
	}
	if n := len(list) - maxPart; n > 0 {
		list = list[:maxPart]
	}
	for _, m := range list {
		out = append(out, rowOf(m))
	}
	return out
}

// ofRequest leaves of what was said about a terminal what is about one request:
// another one, shortly before or after, is not its.
func ofRequest(list []*traffic.Message, accepted time.Time, id string) []*traffic.Message {
	// What a till asked last before it was accepted; times are cut to milliseconds.
	var own *traffic.Message
	mine := map[uint64]bool{} // of the terminal's connection
	for _, m := range list {
		switch {
		case m.Line.Face == traffic.FaceTerminal:
			mine[m.Seq] = m.Ref == id
		case m.Kind == traffic.Request && m.Line.Face == traffic.FacePAC && !m.FromGateway && m.Of == 0 && m.At.Before(accepted.Add(time.Millisecond)):
			own = m
		}
	}
	return slices.DeleteFunc(list, func(m *traffic.Message) bool {
		if m.Line.Face == traffic.FaceTerminal {
			return !mine[m.Seq] && !mine[m.Answers]
		}
		return own != nil && m != own && m.Of != own.Seq && m.Answers != own.Seq && (m.Of != 0 || m.Answers != 0 || m.Kind == traffic.Request)
	})
}

// watchOutbox is the topic "outbox".
func (c *Console) watchOutbox(ctx context.Context, v viewer, ask jsontext.Value, send func(any) error) error {
	q, err := c.ledger(v, ask)
	if err != nil {
		return err
	}
	return c.followRecord(ctx, func() error {
		list, err := c.cfg.Ledger.Waiting(ctx, q.Site)
		if err != nil {
			return c.failed(ctx, "the outbox could not be listed", err)
		}
		return send(append([]WaitingNotice{}, list...))
	})
}

// reason is an operator's, which must be there.
func reason(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", errors.New("say how it is known, for who reads the record later")
	case len([]rune(text)) > maxReason:
		return "", errors.New("the reason is too long for the record")
	}
	return text, nil
}

// operator is how the record names who acted in the console.
func operator(v viewer) string {
	if v.key == "" {
		return "console"
	}
	return "console, key " + v.key
}

// resolve is the deed "resolve".
func (c *Console) resolve(ctx context.Context, v viewer, ask jsontext.Value) (any, error) {
	q, err := c.ledger(v, ask)
	if err != nil {
		return nil, err
	}
	r, err := read[Resolution](ask)
	if err != nil {
		return nil, err
	}
	if r.Reason, err = reason(r.Reason); err != nil {
		return nil, err
	}
	if r.Amount < 0 || r.Gratuity < 0 || !r.Taken && (r.Amount != 0 || r.Gratuity != 0 || r.AuthCode != "") {
		return nil, errors.New("a payment that took nothing has no amount, gratuity or auth code")
	}
	r.By = operator(v)
	if err := c.cfg.Ledger.Resolve(ctx, q.Site, r); err != nil {
		return nil, err
	}
	c.log.Info("resolved in the console", "site", q.Site, "id", r.ID, "taken", r.Taken, "by", r.By)
	return nil, nil
}

// resend is the deed "resend".
func (c *Console) resend(ctx context.Context, v viewer, ask jsontext.Value) (any, error) {
	q, err := c.ledger(v, ask)
	if err != nil {
		return nil, err
	}
	r, err := read[struct {
		ID     string `json:"id"`
		Notice int    `json:"notice"`
		Reason string `json:"reason"`
	}](ask)
	if err != nil {
		return nil, err
	}
	if r.Reason, err = reason(r.Reason); err != nil {
		return nil, err
	}
	if r.Notice < 0 {
		return nil, errors.New("the first notice is 1")
	}
	n, err := c.cfg.Ledger.Resend(ctx, q.Site, r.ID, r.Notice, operator(v), r.Reason)
	if err != nil {
		return nil, err
	}
	c.log.Info("sent anew from the console", "site", q.Site, "id", r.ID, "notices", n, "by", operator(v))
	return map[string]int{"count": n}, nil
}
