package epos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/wire"
)

// This file carries calls over the gaps between the connections of a stream. The
// gateway answers a request that it has on whatever connection comes next. What
// is left to find out is whether it has it.

// A reply is the end of one try of a call.
type reply struct {
	try    int
	result []byte
	err    error
}

// A sighting is what the gateway has of a request.
type sighting struct {
	turns int
	state State // empty where it cannot be asked for
}

// carry is call on a stream.
//
// A request with a key is looked for by it after each loss, and is sent anew only
// if the gateway does not have it: it never had the chance to run. Where answers
// have been lost, too, because the gateway was restarted or keeps no more, the
// request joins its first try under the key. What only asks is asked again. A
// wish is not: by now it could hit another transaction.
func (c *Client) carry(ctx context.Context, method string, m wire.Message) ([]byte, error) {
	if err := c.stream.ready(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	replies, sightings := make(chan reply), make(chan sighting)
	const again = -1 // no number of gaps: the request is sent anew
	tries, void := 0, 0
	ask := func() {
		tries++
		try := tries
		go func() {
			result, err := c.send(ctx, method, m)
			select {
			case replies <- reply{try, result, err}:
			case <-ctx.Done():
			}
		}()
	}
	v, begun := c.stream.view(), time.Now()
	gaps, clashes := v.gaps, v.clashes
	ask()
	for {
		select {
		case r := <-replies:
			switch {
			case r.try <= void, c.stream.view().clashes != clashes:
			case r.try > 1 && turnedAway(r.err) && !onlyAsks(method):
				// It is no word on the tries before: a limit, or a gateway that stops,
				// may refuse a message before its key is looked at.
				gaps = again
				go c.lookLater(ctx, v.turns, m, sightings)
			default:
				return r.result, r.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-v.away:
			return nil, errAway
		case <-v.turn:
			v = c.stream.view()
			if v.clashes != clashes {
				// What comes under the numbers of before may be for requests of an
				// earlier run of this till, which had them first.
				clashes, void = v.clashes, tries
			}
			if onlyAsks(method) {
				ask()
				continue
			}
			go c.look(ctx, v.turns, m, sightings)
		case s := <-sightings:
			switch {
			case s.turns != v.turns: // another look is under way
			case s.state == "":
				select { // it may be on its last inch
				case r := <-replies:
					return r.result, r.err
				case <-time.After(time.Second):
					return nil, errLostWish
				}
			case s.state == NotFound && time.Since(begun) > deliverLimit:
				return nil, fmt.Errorf("%w: the line was lost before it arrived", errNotSent)
			case s.state == NotFound || v.gaps != gaps:
				gaps = v.gaps
				ask()
			} // else its answer is to come
		}
	}
}

// errLostWish ends a call of which nobody can say whether it arrived, and that
// charges nobody.
var errLostWish = errors.New("the line was lost before the answer")

// onlyAsks reports whether a request changes nothing.
func onlyAsks(method string) bool {
	switch method {
	case wire.MethodConnectedTerminals, wire.MethodTerminalDetails, wire.MethodTerminalsDetails,
		wire.MethodTransactionStatus, wire.MethodDuplicate:
		return true
	}
	return false
}

// turnedAway reports whether the gateway did not take a message, for reasons of its
// own.
func turnedAway(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == ErrInternal
}

// lookLater is look after a pause.
func (c *Client) lookLater(ctx context.Context, turns int, m wire.Message, found chan<- sighting) {
	select {
	case <-ctx.Done():
	case <-time.After(firstPause):
		c.look(ctx, turns, m, found)
	}
}

// look finds out what the gateway has of a request, as often as it takes. When
// the answer comes, so have all that were sent before.
func (c *Client) look(ctx context.Context, turns int, m wire.Message, found chan<- sighting) {
	var asked wire.TransactionStatusRequest
	switch m := m.(type) {
	case wire.PerformTransactionRequest:
		asked.TerminalID, asked.RequestKey = m.TerminalID, m.RequestKey
	case wire.ReportRequest:
		asked.TerminalID, asked.RequestKey = m.TerminalID, m.RequestKey
	}
	for {
		s := sighting{turns: turns}
		var err error
		if asked.RequestKey == "" {
			_, err = c.send(ctx, wire.MethodConnectedTerminals, nil)
		} else {
			s.state, err = c.stateOf(ctx, asked)
		}
		if err == nil {
			select {
			case found <- s:
			case <-ctx.Done():
			}
			return
		}
		if _, refused := errors.AsType[*Error](err); !refused {
			return // the line again: the next turn looks again, or the call ends with it
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(firstPause):
		}
	}
}

func (c *Client) stateOf(ctx context.Context, asked wire.TransactionStatusRequest) (State, error) {
	result, err := c.send(ctx, wire.MethodTransactionStatus, asked)
	if err != nil {
		return "", err
	}
	s, err := wire.DecodeTransactionStatusResult(result)
	return State(s.State), err
}
