package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

type terminalsCmd struct {
	Enrol  terminalsEnrolCmd  `cmd:"" help:"Make a key with which a terminal dials in. It is shown this once: only its hash is kept."`
	List   terminalsListCmd   `cmd:"" help:"List the terminals and how each stands."`
	PAT    terminalsPATCmd    `cmd:"" name:"pat" help:"Be a waiter at a simulated terminal: one visit to a table."`
	Report terminalsReportCmd `cmd:"" help:"Start a report at a simulated terminal; it goes to the Pay-At-Table till."`

	Scenario  terminalsScenarioCmd  `cmd:"" help:"Say what happens in the next transactions at a simulated terminal."`
	Scenarios terminalsScenariosCmd `cmd:"" help:"List what can happen there: cards, people and faults."`
}

// Help is shown with the command's own help.
func (terminalsCmd) Help() string {
	return `Terminals elsewhere are enrolled, and dial in with the key that they are given.
The others do what people do at the simulated terminals of a gateway that runs
with --dev on this machine.

    tillwire terminals enrol shop 10001234 --note "counter 2"
    tillwire terminals list
    tillwire terminals pat --tid VCMDEMOSIP0 --waiter 3 --table 12
    tillwire terminals report end-of-day --tid VCMDEMOSIP0
    tillwire terminals scenario --tid VCMDEMOSIP0 back-after-five-minutes`
}

// devFlags say which gateway's simulated terminals are meant.
type devFlags struct {
	URL  string `name:"url" default:"http://${listen}" env:"TILLWIRE_URL" placeholder:"URL" help:"Address of the gateway, as in http://127.0.0.1:8484; of a till's address only the host counts."`
	Site string `default:"demo" placeholder:"SITE" help:"The site."`
	JSON bool   `name:"json" help:"Print what came as JSON on stdout, one value a line."`
}

// A devClient asks for things at the simulated terminals of one site.
type devClient struct {
	base *url.URL
	http *http.Client
}

func (f devFlags) client() (*devClient, error) {
	u, err := url.Parse(f.URL)
	scheme := ""
	if err == nil && u.Host != "" {
		scheme = map[string]string{"http": "http", "ws": "http", "https": "https", "wss": "https"}[u.Scheme]
	}
	if scheme == "" { // the address is not repeated: a till's bears the key
		return nil, usageError{hint(errors.New("--url: the address begins with http:// or https://"), "tillwire serve --dev prints it; by default it is http://%s", defaultListen)}
	}
	base := &url.URL{Scheme: scheme, Host: u.Host}
	return &devClient{base: base.JoinPath("dev", "sites", url.PathEscape(f.Site), "terminals"), http: &http.Client{}}, nil
}

// ask sends a request about a terminal, or about all. The answer's body is to
// be closed.
func (c *devClient) ask(ctx context.Context, method string, body any, words ...string) (*http.Response, error) {
	for i := range words {
		words[i] = url.PathEscape(words[i])
	}
	var content io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(words...).String(), content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var refused refusedOrder
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, maxOrder), &refused); err != nil || refused.Error == "" {
		return nil, hint(fmt.Errorf("the gateway answered %s", resp.Status), "these commands want a gateway that runs with --dev, and one without --behind-proxy")
	}
	err = errors.New(refused.Error)
	switch resp.StatusCode {
	case http.StatusNotFound:
		err = hint(err, "tillwire terminals list shows those of the site demo; --site names another")
	case http.StatusConflict:
		err = hint(err, "wait until it is AVAILABLE: tillwire terminals list")
	}
	return nil, err
}

type terminalsPATCmd struct {
	terminalFlags
	Waiter       string  `placeholder:"ID" help:"What the waiter keys in; by default nothing."`
	Table        string  `placeholder:"TABLE" help:"The table to pick from the list."`
	List         bool    `help:"Only look at the list of tables."`
	ByName       bool    `help:"Key the table in if the list lacks it."`
	Pay          *string `placeholder:"45.50" help:"What is to be paid in all, without gratuity; by default all that is due."`
	Tip          *string `placeholder:"4.50|10%" help:"Gratuity: an amount, with the first card, or a percentage, with each."`
	Split        int     `default:"1" placeholder:"N" help:"Pay in so many equal parts, each with a card."`
	DeclineFirst bool    `help:"One more card comes first and is declined."`
	PrintBill    bool    `help:"Have the bill printed."`
	Contactless  bool    `help:"Cards are tapped."`
	Signature    bool    `help:"Cardholders sign, and the waiter verifies it."`
	CancelAt     string  `enum:"list,lock,bill,split,gratuity,card," default:"" placeholder:"STEP" help:"Leave once that step is reached: list, lock, bill, split, gratuity or card."`
	devFlags
}

// Help is shown with the command's own help.
func (terminalsPATCmd) Help() string {
	return `A Pay-At-Table till has to be connected: tillwire epos tables is one.

    tillwire terminals pat --tid VCMDEMOSIP0 --waiter 3 --list
    tillwire terminals pat --tid VCMDEMOSIP0 --waiter 3 --table 12 --print-bill --split 2 --tip 10%

Exit codes: 0 paid as asked for; 10 a card was declined and something of it is
not paid; 11 cancelled; 3 refused, no such table, or no till: nothing was paid;
12 it is not known what was paid; 1 an error, and there was no visit.

Ctrl-C has the waiter leave; a second one gives up waiting, exit code 12.`
}

// order reads the amounts as they are typed.
func (c terminalsPATCmd) order() (visitOrder, error) {
	o := visitOrder{
		Waiter: table.WaiterID(c.Waiter), Table: table.TableID(c.Table), ByName: c.ByName, PrintBill: c.PrintBill,
		Split: c.Split, DeclineFirst: c.DeclineFirst, Contactless: c.Contactless, Signature: c.Signature,
		CancelAt: sim.Step(c.CancelAt),
	}
	switch {
	case c.Table == "" && !c.List:
		return o, usage("--table names the table, or --list looks at the list only")
	case c.Table != "" && c.List:
		return o, usage("--table and --list do not go together")
	case c.Split < 1:
		return o, usage("--split: at least 1")
	}
	// The gateway reads minor units; in which currency, the terminal decides.
	currency := money.GBP
	if v, ok := spec.Default().VirtualTerminals().Parse(c.TID); ok {
		currency = money.Currency(v.Machine.Currency)
	}
	if c.Pay != nil {
		a, err := money.Parse(*c.Pay, currency)
		if err == nil && a.Minor <= 0 {
			err = errors.New("it must be more than nothing")
		}
		if err != nil {
			return o, usage("--pay: %w", err)
		}
		o.Pay = a.Minor
	}
	if c.Tip == nil {
		return o, nil
	}
	if share, ok := strings.CutSuffix(*c.Tip, "%"); ok {
		n, err := strconv.Atoi(share)
		if err != nil || n < 0 || n > 100 {
			return o, usage("--tip: %q is not a percentage from 0%% to 100%%", *c.Tip)
		}
		o.TipPercent = n
		return o, nil
	}
	a, err := money.Parse(*c.Tip, currency)
	if err != nil {
		return o, usage("--tip: %w", err)
	}
	o.Tip = a.Minor
	return o, nil
}

// Run makes one visit.
func (c terminalsPATCmd) Run(s streams) error {
	o, err := c.order()
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	interrupts, ignore := onInterrupt()
	defer ignore()
	ctx, giveUp := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer giveUp()
	watching.Go(func() { c.watch(ctx, s, client, interrupts, giveUp) })

	resp, err := client.ask(ctx, http.MethodPost, o, c.TID, "visit")
	if lost(err) {
		return c.unknown(s, err)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r, err := c.follow(s, resp.Body)
	if err != nil {
		return c.unknown(s, err)
	}
	if !c.JSON {
		if err := r.print(s.out, c.TID, c.Table); err != nil {
			return err
		}
	}
	return exitOfVisit(*r, o.Pay)
}

// lost reports whether the connection was lost after the request may have
// arrived.
func lost(err error) bool {
	_, transport := errors.AsType[*url.Error](err)
	op, network := errors.AsType[*net.OpError](err)
	return transport && (!network || op.Op != "dial")
}

// watch turns interrupts into the waiter's leaving, then into giving up.
func (c terminalsPATCmd) watch(ctx context.Context, s streams, client *devClient, interrupts <-chan os.Signal, giveUp func()) {
	select {
	case <-ctx.Done():
		return
	case <-interrupts:
	}
	fmt.Fprintln(s.err, "the waiter leaves as soon as the terminal lets go. Ctrl-C again gives up, and then it is not known what was paid")
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := client.ask(ctx, http.MethodDelete, nil, c.TID, "visit")
		if err == nil {
			resp.Body.Close()
		} else if ctx.Err() == nil {
			fmt.Fprintf(s.err, "the waiter was not told: %v\n", err)
		}
	}()
	defer func() { <-done }()
	select {
	case <-ctx.Done():
	case <-interrupts:
		giveUp()
	}
}

// unknown is when the connection ended before the visit did.
func (c terminalsPATCmd) unknown(s streams, err error) error {
	fmt.Fprintf(s.err, "tillwire: error: the end of the visit did not come: %v\n", err)
	fmt.Fprintln(s.err, "tillwire: hint: tillwire history list shows what became of it; a waiter whom nobody watches leaves")
	return exitStatus(exitUnknown)
}

// maxLine bounds one line of the answer; a till's bill is one.
const maxLine = 8 << 20

// follow shows the steps as they come, and returns the result.
func (c terminalsPATCmd) follow(s streams, body io.Reader) (*resultView, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var l visitLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, err
		}
		if c.JSON {
			if _, err := fmt.Fprintf(s.out, "%s\n", lines.Bytes()); err != nil {
				return nil, err
			}
		} else if l.Step != nil {
			fmt.Fprint(s.err, l.Step.text())
		}
		if l.Result != nil {
			return l.Result, nil
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// text is a step as it is shown: the screen in a line or a few, paper with its
// edge.
func (v stepView) text() string {
	at := v.At.Local().Format("15:04:05.000")
	lines := strings.Split(strings.TrimRight(v.Text, "\n"), "\n")
	paper := len(lines) > 1 && (v.Step == sim.StepBill || v.Step == sim.StepSignature || v.Step == sim.StepReceipt)
	if paper {
		return fmt.Sprintf("%s  %-9s  prints\n%s", at, v.Step, sheet(v.Text))
	}
	return fmt.Sprintf("%s  %-9s  %s\n", at, v.Step, strings.Join(lines, "\n"+strings.Repeat(" ", 25)))
}

// print says what became of the visit.
func (v resultView) print(out io.Writer, tid, name string) error {
	amount := func(m money.Minor) string { return money.Amount{Minor: m, Currency: v.Currency}.String() }
	fmt.Fprintln(out, endWords(v.End))
	if v.End == sim.EndListed {
		for _, t := range v.Tables {
			fmt.Fprintf(out, "  %s\n", t)
		}
	}
	if v.Currency == "" { // it came to no lock
		return nil
	}
	fmt.Fprintf(out, "table %s on %s: paid %s of %s", name, tid, amount(v.Paid), amount(v.Due))
	if v.Gratuity > 0 {
		fmt.Fprintf(out, ", gratuity %s", amount(v.Gratuity))
	}
	fmt.Fprintf(out, ", %s is left\n", amount(v.Balance))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range v.Payments {
		if p.Result == txn.Successful {
			fmt.Fprintf(w, "  %s\t%s\tgratuity %s\t%s %s\t%s\tauth code %s\t%s\n",
				p.Result, amount(p.Paid), amount(p.Gratuity), orDash(p.Scheme), orDash(p.PAN), p.Method, orDash(p.AuthCode), p.ID)
		} else {
			fmt.Fprintf(w, "  %s\t\t\t\t\t\t%s\n", p.Result, p.ID)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "visit %s\n", v.ID)
	return err
}

// endWords say how a visit ended.
func endWords(e sim.VisitEnd) string {
	switch e {
	case sim.EndPaid:
		return "PAID"
	case sim.EndPartPaid:
		return "PART PAID"
	case sim.EndDeclined:
		return "DECLINED: nothing was paid"
	case sim.EndRefused:
		return "REFUSED: the terminal takes no payment for this table"
	case sim.EndNoTable:
		return "NO TABLE: it is not in the list, or there is no list"
	case sim.EndListed:
		return "LISTED"
	case sim.EndOffline:
		return "OFFLINE: the gateway did not answer the terminal"
	case sim.EndCancelled:
		return "CANCELLED: nothing was paid"
	case sim.EndUnresolved:
		return "UNRESOLVED: the terminal is lost, and nobody knows what was paid"
	}
	return string(e)
}

// exitOfVisit is the exit status that tells how a visit ended, nil when all was
// paid that was asked for; 0 asks for all that was due.
func exitOfVisit(v resultView, asked money.Minor) error {
	switch v.End {
	case sim.EndPaid, sim.EndListed:
		return nil
	case sim.EndPartPaid:
		if asked > 0 && v.Paid >= min(asked, v.Due) {
			return nil
		}
		for _, p := range v.Payments {
			if p.Result != txn.Successful && p.Result != txn.Cancelled {
				return exitStatus(exitNotTaken)
			}
		}
		return exitStatus(exitCancelled)
	case sim.EndDeclined:
		return exitStatus(exitNotTaken)
	case sim.EndRefused, sim.EndNoTable, sim.EndOffline:
		return exitStatus(exitRefused)
	case sim.EndCancelled:
		return exitStatus(exitCancelled)
	case sim.EndUnresolved:
	}
	return exitStatus(exitUnknown)
}

type terminalsReportCmd struct {
	Type string `arg:"" enum:"x-balance,z-balance,banking,end-of-day" help:"x-balance: running totals. z-balance: totals, then reset. banking: the sessions with the acquirers. end-of-day: all of it, and closes the session."`
	terminalFlags
	devFlags
}

// Help is shown with the command's own help.
func (terminalsReportCmd) Help() string {
	return `The till gets it as reportResponse, now or when it is back.

    tillwire terminals report end-of-day --tid VCMDEMOSIP0`
}

// Run starts the report.
func (c terminalsReportCmd) Run(s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), reportLimit)
	defer cancel()
	resp, err := client.ask(ctx, http.MethodPost, reportOrder{reportTypes()[c.Type]}, c.TID, "report")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxLine))
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := fmt.Fprintf(s.out, "%s\n", jsontext.Value(body))
		return err
	}
	var r reportView
	if err := json.Unmarshal(body, &r); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\n%s", r.Result, sheet(r.Paper))
	return err
}

// reportLimit is how long a report at a terminal may take.
const reportLimit = 3 * time.Minute

// reportTypes are the reports by their names on the command line.
func reportTypes() map[string]report.Type {
	return map[string]report.Type{
		"x-balance": report.XBalance, "z-balance": report.ZBalance,
		"banking": report.Banking, "end-of-day": report.EndOfDay,
	}
}

// sheet renders text as paper with its edge.
func sheet(text string) string {
	var b strings.Builder
	edge := "  +" + strings.Repeat("-", receipt.Width+2) + "+\n"
	b.WriteString(edge)
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "  | %-*s |\n", receipt.Width, strings.TrimRight(line, "\n"))
	}
	b.WriteString(edge)
	return b.String()
}
