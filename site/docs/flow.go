package docs

import (
	"fmt"
	"html/template"
	"io/fs"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A conversation is one of those that the gateway is tested with: what tills
// sent and got, in order, with what happened between. The test of the gateway
// writes what it got into the same file, so a drawing of it cannot drift.
type conversation struct {
	About string
	Lines []event
}

// An event is one line of a conversation. From and To are actors; a thing that
// just happens has no To.
type event struct {
	From, To string
	Text     string // short
	JSON     []byte // of a message
	Kind     string // request, response, error, notification, time, screen or event
}

const gatewayName = "Connect"

// conversations are where the gateway's tests have theirs.
const conversations = "gateway/testdata/scenario/"

var (
	tillLine   = regexp.MustCompile(`^till (\w+) (v\d)(.*)$`)
	messageOf  = regexp.MustCompile(`^(\w+)([<>]) (.*)$`)
	screenLine = regexp.MustCompile(`^(\w+)\| (\w+)\s+(.*)$`)
)

// readConversation reads a file of the gateway's tests. Card machines are one
// actor; of several tills each is one.
func readConversation(texts fs.FS, name string) (conversation, error) {
	data, err := fs.ReadFile(texts, conversations+name+".txt")
	if err != nil {
		return conversation{}, err
	}
	var c conversation
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	tills := 0
	for _, l := range lines {
		if tillLine.MatchString(l) {
			tills++
		}
	}
	till := func(name string) string {
		if tills == 1 {
			return "Till"
		}
		return "Till " + strings.ToUpper(name)
	}
	for i, l := range lines {
		if text, ok := strings.CutPrefix(l, "#"); ok {
			if i == strings.Count(c.About, "\n") {
				c.About += strings.TrimSpace(text) + "\n"
			}
			continue
		}
		e, ok, err := readEvent(l, till)
		if err != nil {
			return c, fmt.Errorf("line %d: %w", i+1, err)
		}
		if ok {
			c.Lines = append(c.Lines, e)
		}
	}
	c.About = strings.TrimSpace(strings.ReplaceAll(c.About, "\n", " "))
	return c, nil
}

const machineName = "Card machine"

func readEvent(l string, till func(string) string) (event, bool, error) {
	if m := messageOf.FindStringSubmatch(l); m != nil {
		e := event{From: till(m[1]), To: gatewayName, JSON: []byte(m[3])}
		if m[2] == "<" {
			if !strings.HasPrefix(m[3], "{") {
				return event{From: gatewayName, Text: m[3], Kind: "event"}, true, nil
			}
			e.From, e.To = e.To, e.From
		}
		if e.read() != nil {
			e.Kind, e.Text = "request", "what is no message"
		}
		return e, true, nil
	}
	if m := screenLine.FindStringSubmatch(l); m != nil {
		return event{From: machineName, Text: strings.TrimSpace(m[3]), Kind: "screen"}, strings.TrimSpace(m[3]) != "", nil
	}
	word, rest, _ := strings.Cut(l, " ")
	switch word {
	case "till", "script", "site":
		return event{}, false, nil
	case "wait":
		return event{Text: strings.TrimSuffix(rest, "s") + " s", Kind: "time"}, true, nil
	case "visit":
		return event{From: machineName, Text: "a waiter begins", Kind: "event"}, true, nil
	case "cut":
		return event{From: machineName, Text: "its link breaks", Kind: "event"}, true, nil
	case "restore":
		return event{From: machineName, Text: "its link is back", Kind: "event"}, true, nil
	case "power":
		return event{From: machineName, Text: "it restarts", Kind: "event"}, true, nil
	case "report":
		return event{From: machineName, Text: "somebody starts a report", Kind: "event"}, true, nil
	case "restart":
		return event{From: gatewayName, Text: "the gateway restarts", Kind: "event"}, true, nil
	}
	switch {
	case rest == "closes":
		return event{From: till(word), Text: "its connection is gone", Kind: "event"}, true, nil
	case strings.HasPrefix(rest, "falls mute"), strings.HasPrefix(rest, "answers pings"):
		return event{From: till(word), Text: rest, Kind: "event"}, true, nil
	case strings.Contains(word, "|") && strings.HasPrefix(rest, "end: "), strings.HasSuffix(word, "|"):
		return event{}, false, nil
	}
	return event{}, false, fmt.Errorf("%q is no line that the docs know", l)
}

// read says in short what a message is.
func (e *event) read() error {
	var m struct {
		Method string         `json:"method"`
		ID     *int           `json:"id"`
		Params jsontext.Value `json:"params"`
		Result jsontext.Value `json:"result"`
		Error  *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(e.JSON, &m); err != nil {
		return err
	}
	var p struct {
		Value       string         `json:"notificationValue"`
		Currency    string         `json:"currency"`
		Amount      *int64         `json:"amount"`
		AmountTotal *int64         `json:"amountTotal"`
		TableID     string         `json:"tableId"`
		Result      string         `json:"transactionResult"`
		Status      string         `json:"status"`
		Accepted    jsontext.Value `json:"accepted"`
		Confirmed   *bool          `json:"confirmed"`
		Cancelling  *bool          `json:"cancelling"`
		TableIDs    []string       `json:"tableIds"`
		Receipt     jsontext.Value `json:"receiptLines"`
	}
	body := m.Params
	if body == nil {
		body = m.Result
	}
	if body.Kind() == '{' {
		if err := json.Unmarshal(body, &p); err != nil {
			return err
		}
	}
	amount := func(n *int64) string {
		if n == nil || p.Currency == "" {
			return ""
		}
		return fmt.Sprintf(" %d.%02d %s", *n/100, *n%100, p.Currency)
	}
	switch {
	case m.Error != nil:
		message, _, _ := strings.Cut(m.Error.Message, ":")
		e.Kind, e.Text = "error", fmt.Sprintf("error %d %s", m.Error.Code, message)
	case m.Method == "terminalNotification":
		e.Kind, e.Text = "notification", p.Value
	case m.Method != "" && m.ID == nil:
		e.Kind, e.Text = "notification", m.Method+amount(p.AmountTotal)
	case m.Method != "":
		e.Kind, e.Text = "request", m.Method+amount(p.Amount)
		if p.TableID != "" {
			e.Text += " " + p.TableID
		}
	default:
		e.Kind = "response"
		switch {
		case p.Result != "":
			e.Text = p.Result + amount(p.AmountTotal)
		case p.Status != "":
			e.Text = p.Status
		case p.Accepted != nil:
			e.Text = "accepted: " + string(p.Accepted)
		case p.Confirmed != nil:
			e.Text = fmt.Sprintf("confirmed: %t", *p.Confirmed) + amount(p.Amount)
		case p.Cancelling != nil:
			e.Text = fmt.Sprintf("cancelling: %t", *p.Cancelling)
		case p.TableIDs != nil:
			e.Text = "tables " + strings.Join(p.TableIDs, ", ")
		case p.Receipt != nil:
			e.Text = "receipt lines"
		case m.Result.Kind() == '[':
			e.Text = "a list of card machines"
		default:
			e.Text = "result"
		}
	}
	return nil
}

// short puts what a screen shows one after the other into one event, and takes
// the part of the conversation from its first message with the word from, up to
// and with the last that has the word to.
func (c conversation) short(from, to string) conversation {
	out := conversation{About: c.About}
	begun := from == ""
	last := len(c.Lines)
	if to != "" {
		for i, e := range c.Lines {
			if strings.Contains(e.Text, to) {
				last = i + 1
			}
		}
	}
	for _, e := range c.Lines[:last] {
		begun = begun || strings.Contains(e.Text, from)
		if !begun {
			continue
		}
		if n := len(out.Lines); n > 0 && e.Kind == "screen" && out.Lines[n-1].Kind == "screen" {
			first, _, _ := strings.Cut(out.Lines[n-1].Text, " … ")
			out.Lines[n-1].Text = first + " … " + e.Text
			continue
		}
		out.Lines = append(out.Lines, e)
	}
	for len(out.Lines) > 0 && out.Lines[len(out.Lines)-1].Kind == "time" {
		out.Lines = out.Lines[:len(out.Lines)-1]
	}
	return out
}

// actors are who takes part, from left to right.
func (c conversation) actors() []string {
	seen := map[string]bool{}
	var tills []string
	for _, e := range c.Lines {
		for _, a := range []string{e.From, e.To} {
			if a != "" && !seen[a] && strings.HasPrefix(a, "Till") {
				tills = append(tills, a)
			}
			seen[a] = true
		}
	}
	out := append(tills, gatewayName)
	if seen[machineName] {
		out = append(out, machineName)
	}
	return out
}

// draw is the conversation as a drawing: actors side by side, time going down.
// Its places across are shares of its width, so that it fits any screen.
func (c conversation) draw(label string) template.HTML {
	const head, row = 34, 30
	actors := c.actors()
	at := map[string]float64{}
	for i, a := range actors {
		margin := 50 / float64(len(actors)+1)
		if len(actors) == 2 {
			margin = 14
		}
		at[a] = margin + float64(i)*(100-2*margin)/float64(len(actors)-1)
	}
	height := head + row*len(c.Lines) + 18
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="flow of%d" width="100%%" height="%d" role="img" aria-label="%s">`, len(actors), height, escape(label))
	for _, a := range actors {
		fmt.Fprintf(&b, `<line class="life" x1="%.1f%%" x2="%.1f%%" y1="%d" y2="%d"/><text class="actor" x="%.1f%%" y="18">%s</text>`,
			at[a], at[a], head-8, height, at[a], escape(a))
	}
	for i, e := range c.Lines {
		y := head + row*i + 20
		switch e.Kind {
		case "time":
			fmt.Fprintf(&b, `<text class="time" x="50%%" y="%d">%s later</text>`, y-2, escape(e.Text))
		case "screen", "event":
			anchor, x := "middle", at[e.From]
			if x > 70 {
				anchor, x = "end", x-1.2
			} else if x < 30 {
				anchor, x = "start", x+1.2
			}
			fmt.Fprintf(&b, `<text class="%s %s" x="%.1f%%" y="%d">%s</text>`, e.Kind, anchor, x, y-2, escape(e.Text))
		default:
			from, to := at[e.From], at[e.To]
			tip := `<path d="M0 0l-8-4v8z"/>`
			if to < from {
				tip = `<path d="M0 0l8-4v8z"/>`
			}
			fmt.Fprintf(&b, `<g class="%s"><line x1="%.1f%%" x2="%.1f%%" y1="%d" y2="%d"/><svg x="%.1f%%" y="%d" overflow="visible">%s</svg><text x="%.1f%%" y="%d">%s</text></g>`,
				e.Kind, from, to, y, y, to, y, tip, (from+to)/2, y-5, escape(e.Text))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// steps are the conversation as a list.
func (c conversation) steps() []step {
	var out []step
	for _, e := range c.Lines {
		s := step{From: e.From, To: e.To, Text: "`" + e.Text + "`", JSON: e.JSON}
		switch e.Kind {
		case "time":
			s.Text = e.Text + " later"
		case "event":
			s.Text = e.Text
		}
		out = append(out, s)
	}
	return out
}

// flow is a conversation as a figure. The words after its name say which part
// of it: from=WORD, to=WORD.
func (s *Site) flow(words []string) (block, error) {
	name := words[0]
	c, err := readConversation(s.texts, name)
	if err != nil {
		return nil, err
	}
	var from, to string
	for _, w := range words[1:] {
		if v, ok := strings.CutPrefix(w, "from="); ok {
			from = v
		} else if v, ok := strings.CutPrefix(w, "to="); ok {
			to = v
		} else {
			return nil, fmt.Errorf("flow %s: what is %q?", name, w)
		}
	}
	c = c.short(from, to)
	if len(c.Lines) == 0 {
		return nil, fmt.Errorf("flow %s: nothing is left of it", name)
	}
	return figure{
		ID: "flow-" + strings.ReplaceAll(name, "_", "-"), Caption: c.About + " Drawn from `" + conversations + name + ".txt`, which the gateway is tested with.",
		SVG: c.draw("Sequence diagram. " + c.About), Steps: c.steps(), Summary: "The messages, one by one",
	}, nil
}
