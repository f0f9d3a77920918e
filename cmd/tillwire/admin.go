package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/internal/folder"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

// An order is a wish to write into a data folder. One of its fields is set. It
// is carried out by the gateway that owns the folder, or, while none does, by
// the command itself: the same code in either place.
type order struct {
	AddSite   *siteOrder      `json:"addSite,omitzero"`
	SetSite   *siteOrder      `json:"setSite,omitzero"`
	AddKey    *keyOrder       `json:"addKey,omitzero"`
	RevokeKey string          `json:"revokeKey,omitzero"` // the key's public id
	Rebuild   bool            `json:"rebuild,omitzero"`
	Resend    *resendOrder    `json:"resend,omitzero"`
	Enrol     *enrolOrder     `json:"enrol,omitzero"`
	Terminals *terminalsOrder `json:"terminals,omitzero"` // changes nothing
	Resolve   *resolveOrder   `json:"resolve,omitzero"`
	Prune     *pruneOrder     `json:"prune,omitzero"`
	Unlock    *unlockOrder    `json:"unlock,omitzero"`
}

// A siteOrder names a site and what is to be so about it; nil leaves it alone.
type siteOrder struct {
	ID               txn.SiteID        `json:"id"`
	Name             *string           `json:"name,omitzero"`
	TimeZone         *string           `json:"timeZone,omitzero"`
	Strict           *bool             `json:"strict,omitzero"`
	RejectUnanswered *bool             `json:"rejectUnanswered,omitzero"`
	PAT              *string           `json:"pat,omitzero"`
	Simulated        *string           `json:"simulated,omitzero"`
	Limits           map[string]string `json:"limits,omitzero"` // "90s"; an empty one is the contract's again
}

type keyOrder struct {
	Site  txn.SiteID `json:"site"`
	Note  string     `json:"note,omitzero"`
	Faces []string   `json:"faces,omitzero"`
}

// A resendOrder names delivered notices of a visit or report that are to be sent
// to the till anew.
type resendOrder struct {
	ID     journal.Stream `json:"id"`
	Notice int            `json:"notice,omitzero"` // 0 is all that were delivered
	By     string         `json:"by"`
	Reason string         `json:"reason"`
}

// A resentView is what is sent anew.
type resentView struct {
	ID      journal.Stream `json:"id"`
	Count   int            `json:"count"`
	Running bool           `json:"running"` // a gateway runs, and sends it
}

// A result is what came of an order.
type result struct {
	Site   *siteView `json:"site,omitzero"`
	Key    *keyView  `json:"key,omitzero"`
	Secret string    `json:"secret,omitzero"` // of a new key, shown this once

	Rebuilt int         `json:"rebuilt,omitzero"` // how many requests were rebuilt
	Resent  *resentView `json:"resent,omitzero"`

	Terminals []standingView `json:"terminals,omitzero"`
	Resolved  bool           `json:"resolved,omitzero"`
	Pruned    *prunedView    `json:"pruned,omitzero"`
	Unlocked  *unlockedView  `json:"unlocked,omitzero"`
}

// change returns the site as the order wants it.
func (o siteOrder) change(s journal.Site) (journal.Site, error) {
	set(&s.Name, o.Name)
	set(&s.TimeZone, o.TimeZone)
	set(&s.Strict, o.Strict)
	set(&s.RejectUnanswered, o.RejectUnanswered)
	set(&s.Simulated, o.Simulated)
	if o.PAT != nil {
		s.PAT = journal.PATKeeper(*o.PAT)
		if s.PAT == patAuto {
			s.PAT = journal.PATAuto
		}
	}
	if s.Simulated != "" {
		s.Simulated = strings.ToUpper(s.Simulated)
		v := spec.Default().VirtualTerminals()
		if _, ok := v.Parse(v.Prefix + s.Simulated + "SIP0"); !ok {
			return s, fmt.Errorf("simulated terminals are named by %d letters, as in DEMO", v.Letters)
		}
	}
	limits := map[string]time.Duration{}
	for name, d := range s.Limits {
		limits[name] = d
	}
	for name, text := range o.Limits {
		if text == "" {
			delete(limits, name)
			continue
		}
		d, err := parseAge(text)
		if err != nil || d <= 0 {
			return s, fmt.Errorf("limit %s: %q is not a time like 90s", name, text)
		}
		limits[name] = d
	}
	s.Limits = limits
	return s, gateway.CheckSite(s)
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// carryOut writes what the order says into the store. The gateway is the one
// that runs on it, or nil.
func (o order) carryOut(ctx context.Context, store journal.Store, g *gateway.Gateway) (result, error) {
	switch {
	case o.AddSite != nil:
		s, err := o.AddSite.change(journal.Site{ID: o.AddSite.ID, Created: time.Now().UTC()})
		if err != nil {
			return result{}, err
		}
		return result{Site: viewSite(s)}, gateway.AddSite(ctx, store, s)
	case o.SetSite != nil:
		s, err := gateway.FindSite(ctx, store, o.SetSite.ID)
		if err != nil {
			return result{}, err
		}
		if s, err = o.SetSite.change(s); err != nil {
			return result{}, err
		}
		return result{Site: viewSite(s)}, store.PutSite(ctx, s)
	case o.AddKey != nil:
		k := o.AddKey
		secret, key, err := gateway.AddKey(ctx, store, k.Site, "", k.Note, k.Faces)
		return result{Key: viewKey(key), Secret: secret}, err
	case o.RevokeKey != "":
		key, err := gateway.RevokeKey(ctx, store, o.RevokeKey)
		return result{Key: viewKey(key)}, err
	case o.Rebuild:
		n, err := rebuild(ctx, store)
		return result{Rebuilt: n}, err
	case o.Resend != nil:
		return o.Resend.carryOut(ctx, store, g)
	case o.Resolve != nil:
		return o.Resolve.carryOut(ctx, store, g)
	case o.Unlock != nil:
		return o.Unlock.carryOut(ctx, store, g)
	case o.Prune != nil:
		return o.Prune.carryOut(ctx, store)
	case o.Enrol != nil:
		secret, key, err := gateway.EnrolTerminal(ctx, store, o.Enrol.Site, o.Enrol.TID, o.Enrol.Note)
		return result{Key: viewKey(key), Secret: secret}, err
	case o.Terminals != nil:
		list, err := o.Terminals.list(ctx, store, g)
		return result{Terminals: list}, err
	}
	return result{}, errors.New("an order without anything to do")
}

func (o resendOrder) carryOut(ctx context.Context, store journal.Store, g *gateway.Gateway) (result, error) {
	resend := func() (int, error) { return gateway.Requeue(ctx, store, o.ID, o.Notice, o.By, o.Reason) }
	if g != nil { // it holds what is open in its hands
		resend = func() (int, error) { return g.Resend(ctx, o.ID, o.Notice, o.By, o.Reason) }
	}
	n, err := resend()
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return result{}, fmt.Errorf("nothing has the id %q", o.ID)
	case errors.Is(err, gateway.ErrNothingToResend) && o.Notice > 0:
		return result{}, fmt.Errorf("notice %d of it was not delivered, or there is none", o.Notice)
	case errors.Is(err, gateway.ErrNothingToResend):
		return result{}, errors.New("none of its notices was delivered, so nothing is sent anew; what waits is sent by itself")
	case err != nil:
		return result{}, err
	}
	return result{Resent: &resentView{ID: o.ID, Count: n, Running: g != nil}}, nil
}

// give has an order carried out on a data folder: by the gateway that owns it,
// else here.
func (d dataFlags) give(ctx context.Context, command string, o order) (result, error) {
	dir, err := d.dir()
	if err != nil {
		return result{}, err
	}
	var r result
	err = folder.Ask(ctx, dir, command, func(c *http.Client) error {
		r, err = sendOrder(ctx, c, o)
		return err
	}, func(f *folder.Folder) error {
		store, err := openStore(f.Dir(), nil)
		if err != nil {
			return err
		}
		r, err = o.carryOut(ctx, store, nil)
		return errors.Join(err, store.Close())
	})
	return r, err
}

// orderPath is where orders go on the admin socket.
const orderPath = "/orders"

// maxOrder bounds an order's size in bytes.
const maxOrder = 64 << 10

// refusedOrder is the body of an answer that is not 200.
type refusedOrder struct {
	Error string `json:"error"`
}

func sendOrder(ctx context.Context, c *http.Client, o order) (result, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return result{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://owner"+orderPath, bytes.NewReader(body))
	if err != nil {
		return result{}, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return result{}, fmt.Errorf("ask the running gateway: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var refused refusedOrder
		if err := json.UnmarshalRead(resp.Body, &refused); err != nil {
			return result{}, fmt.Errorf("ask the running gateway: it answered %s", resp.Status)
		}
		if resp.StatusCode == http.StatusInsufficientStorage {
			return result{}, journal.ErrFull
		}
		return result{}, errors.New(refused.Error)
	}
	var r result
	if err := json.UnmarshalRead(resp.Body, &r); err != nil {
		return result{}, fmt.Errorf("ask the running gateway: %w", err)
	}
	return r, nil
}

// An office carries out orders for a running gateway, one after the other.
type office struct {
	store journal.Store
	gw    *gateway.Gateway
	after func(context.Context) error // has the gateway read sites and keys anew

	mu sync.Mutex
}

// ServeHTTP takes one order.
func (a *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, answer := a.take(r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An asker that is gone misses the answer only: the order is carried out.
	_ = json.MarshalWrite(w, answer)
}

// carryOut does what an order says. One that was begun is finished, whether its
// asker waits or not.
func (a *office) carryOut(ctx context.Context, o order) (result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	done, err := o.carryOut(ctx, a.store, a.gw)
	if err == nil {
		err = a.after(ctx)
	}
	return done, err
}

func (a *office) take(r *http.Request) (int, any) {
	if r.Method != http.MethodPost || r.URL.Path != orderPath {
		return http.StatusNotFound, refusedOrder{"there is only POST " + orderPath}
	}
	var o order
	body := io.LimitReader(r.Body, maxOrder)
	if err := json.UnmarshalRead(body, &o, json.RejectUnknownMembers(true)); err != nil {
		return http.StatusBadRequest, refusedOrder{"this tillwire and the running one differ: " + err.Error()}
	}
	done, err := a.carryOut(r.Context(), o)
	switch {
	case errors.Is(err, journal.ErrFull):
		return http.StatusInsufficientStorage, refusedOrder{err.Error()}
	case err != nil:
		return http.StatusUnprocessableEntity, refusedOrder{err.Error()}
	}
	return http.StatusOK, done
}
