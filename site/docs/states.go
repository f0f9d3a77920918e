package docs

import (
	"fmt"
	"html/template"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/spec"
)

// A machine is a state machine, as its own tests write it down after trying
// every state with every event.
type machine struct {
	Machine string `json:"machine"`
	Start   string `json:"start"`
	States  []struct {
		Name      string `json:"name"`
		Next      string `json:"next"` // who moves
		Standings []struct {
			Name string   `json:"name"`
			Told string   `json:"told"`
			Due  []string `json:"due"`
		} `json:"standings"`
	} `json:"states"`
	Transitions []transition `json:"transitions"`
}

type transition struct {
	From      string   `json:"from"`
	Event     string   `json:"event"`
	To        string   `json:"to"`
	Standings []string `json:"standings"`
}

func readMachine(name string) (machine, error) {
	var m machine
	data, err := fs.ReadFile(spec.Files(), "states/"+name+".json")
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(data, &m)
}

// A way is what leads from one state to another.
type wayOut struct {
	to     string
	events []string
	lines  []string // the events, broken to fit
}

func (m machine) waysOut(from string) (out []wayOut, stays []string) {
	for _, t := range m.Transitions {
		switch {
		case t.From != from:
		case t.To == from:
			stays = append(stays, t.Event)
		default:
			i := slices.IndexFunc(out, func(w wayOut) bool { return w.to == t.To })
			if i < 0 {
				out = append(out, wayOut{to: t.To})
				i = len(out) - 1
			}
			if !slices.Contains(out[i].events, t.Event) {
				out[i].events = append(out[i].events, t.Event)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b wayOut) int { return m.at(a.to) - m.at(b.to) })
	for i := range out {
		out[i].lines = wrap(strings.Join(out[i].events, ", "), 44)
	}
	return out, slices.Compact(stays)
}

func (m machine) at(state string) int {
	for i, s := range m.States {
		if s.Name == state {
			return i
		}
	}
	return -1
}

// wrap breaks a text at spaces into lines of at most n characters.
func wrap(text string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > n {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// draw shows the states from top to bottom. The ways out of a state are listed
// in its box; from each a line leads along a lane of its own to the next state.
func (m machine) draw() template.HTML {
	const (
		width, left, gap = 348, 1, 22
		line, pad        = 17, 10
		lane             = 13
	)
	type box struct {
		y, height int
		ways      []wayOut
		stays     []string
		ports     []int
	}
	boxes := make([]box, len(m.States))
	y, lanes := 2, 0
	for i, s := range m.States {
		b := box{y: y}
		b.ways, b.stays = m.waysOut(s.Name)
		at := y + pad + 2*line + 2
		for _, w := range b.ways {
			b.ports = append(b.ports, at+(len(w.lines)-1)*line/2)
			at += len(w.lines)*line + 5
			lanes++
		}
		if len(b.stays) > 0 {
			at += len(wrap("stays: "+strings.Join(b.stays, ", "), 50)) * line
		}
		b.height = at - y
		boxes[i] = b
		y += b.height + gap
	}
	total := left + width + 26 + lanes*lane
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="states" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="State diagram of a %s; the table below says the same.">`, total, y-gap+2, total, y-gap+2, escape(m.Machine))
	used := 0
	for i, s := range m.States {
		b := boxes[i]
		for j, w := range b.ways {
			target := boxes[m.at(w.to)]
			x := left + width + 18 + used*lane
			used++
			end := target.y + pad + 6
			fmt.Fprintf(&out, `<path class="way k%d" d="M%d %dH%dV%dH%d"/><path class="tip k%d" d="M%d %dl8-4v8z"/>`,
				used%4, left+width, b.ports[j], x, end, left+width+7, used%4, left+width+1, end)
		}
		class := "state"
		if s.Next == "nobody" {
			class += " last"
		}
		fmt.Fprintf(&out, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`, class, left, b.y, width, b.height)
		fmt.Fprintf(&out, `<text class="name" x="%d" y="%d">%s</text><text class="next" x="%d" y="%d">%s</text>`,
			left+12, b.y+pad+10, escape(s.Name), left+12, b.y+pad+10+line-2, escape(mover(s.Next)))
		for j, w := range b.ways {
			top := b.ports[j] - (len(w.lines)-1)*line/2
			for k, text := range w.lines {
				fmt.Fprintf(&out, `<text class="event" x="%d" y="%d">%s</text>`, left+width-8, top+k*line+4, escape(text))
			}
		}
		if len(b.stays) > 0 {
			stays := wrap("stays: "+strings.Join(b.stays, ", "), 50)
			for k, text := range stays {
				fmt.Fprintf(&out, `<text class="stays" x="%d" y="%d">%s</text>`, left+12, b.y+b.height-pad-(len(stays)-1-k)*line, escape(text))
			}
		}
	}
	out.WriteString("</svg>")
	return template.HTML(out.String())
}

func mover(next string) string {
	if next == "nobody" {
		return "over"
	}
	return "next: " + next
}

// states are the drawing and the table of a machine.
func (s *Site) states(name string) ([]block, error) {
	m, err := readMachine(name)
	if err != nil {
		return nil, err
	}
	t := table{Dense: true, Head: []string{"state", "next", "event", "leads to"}}
	for _, st := range m.States {
		ways, stays := m.waysOut(st.Name)
		first := true
		add := func(events []string, to string) {
			cells := []string{"", "", allOf(events), to}
			id := ""
			if first {
				cells[0], cells[1] = "**"+st.Name+"**", st.Next
				id = name + "-" + st.Name
			}
			t.Rows = append(t.Rows, row{ID: id, Cells: cells})
			first = false
		}
		for _, w := range ways {
			add(w.events, fmt.Sprintf("[%s](#%s-%s)", w.to, name, w.to))
		}
		if len(stays) > 0 {
			add(stays, "itself")
		}
		if first {
			t.Rows = append(t.Rows, row{ID: name + "-" + st.Name, Cells: []string{"**" + st.Name + "**", st.Next, "", ""}})
		}
	}
	return []block{
		figure{ID: "states-" + name, SVG: m.draw(), Caption: "Drawn from `spec/states/" + name + ".json`, which the machine's own test writes after it has tried every state with every event."},
		t,
	}, nil
}
