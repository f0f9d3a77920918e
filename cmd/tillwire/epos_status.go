package main

import (
	"context"
	"fmt"

	"github.com/tillwire/tillwire/epos"
)

type eposStatusCmd struct {
	terminalFlags
	Key       string `name:"key" xor:"which" required:"" placeholder:"KEY" help:"The request key that it was sent with."`
	RequestID string `name:"request-id" xor:"which" required:"" placeholder:"ID" help:"The gateway's own name for it."`
	tillFlags
}

// Help is shown with the command's own help.
func (eposStatusCmd) Help() string {
	return `It reads the gateway's record and starts nothing; the terminal may be busy or away.

    tillwire epos status --tid VCMDEMOSIP0 --key 3d0e5f4c-7f0e-4c55-a1a1-9c3a55a0c0de

Exit codes: that of its result once it is finished, 0 for a report; 12 pending,
unresolved or not found: it is not known whether money was taken; 1 not run, or
an error.`
}

// Run tells what became of a request.
func (c eposStatusCmd) Run(s streams) error {
	return c.ask(s, func(ctx context.Context, t *till) error {
		if c.RequestID != "" {
			st, err := t.client.TransactionStatusByID(ctx, c.tid(), c.RequestID)
			return t.showStatus(st, err)
		}
		socket, ok := t.client.(*epos.Client)
		if !ok {
			return usage("--key: over REST a request is asked about by --request-id; the same request with that --key goes on waiting for it")
		}
		st, err := socket.TransactionStatus(ctx, c.tid(), c.Key)
		return t.showStatus(st, err)
	})
}

// showStatus prints how a request stands and returns the exit status.
func (t *till) showStatus(st epos.TransactionStatus, err error) error {
	if err != nil {
		return t.refused(err)
	}
	meaning, exit := stateOf(st.State)
	if t.json {
		err = t.printRaw()
	} else {
		fmt.Fprintf(t.s.out, "%s: %s\n", st.State, meaning)
		if st.RequestID != "" {
			_, err = fmt.Fprintf(t.s.out, "request id %s\n", st.RequestID)
		}
		if st.Payment != nil && err == nil {
			err = t.printPayment(*st.Payment)
		}
	}
	switch {
	case err != nil:
		return err
	case st.Payment != nil:
		return exitOf(st.Payment.Result)
	}
	return exit
}

// stateOf says what a state means, and which exit status tells it.
func stateOf(s epos.State) (meaning string, exit error) {
	switch s {
	case epos.Pending:
		return "it runs, or its time is not up yet", exitStatus(exitUnknown)
	case epos.Finished:
		return "its outcome is known", nil
	case epos.Unresolved:
		return "it timed out, and the gateway still seeks the truth", exitStatus(exitUnknown)
	case epos.NotRun:
		return "it did not run, and will not", exitStatus(exitError)
	case epos.NotFound:
		return "nothing of that name is on record at this terminal", exitStatus(exitUnknown)
	}
	return "a state that this version does not know", exitStatus(exitUnknown)
}
