package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A Report is what one run has measured.
type Report struct {
	Seed     uint64  `json:"seed"`
	CPUs     int     `json:"cpus"`
	Platform string  `json:"platform"`
	Go       string  `json:"go"`
	Sync     Value   `json:"sync"`
	Groups   []Group `json:"measurements"`
}

// A Group is one measurement with its figures.
type Group struct {
	Name    string   `json:"name"`
	Meaning string   `json:"meaning"`
	Notes   []string `json:"notes,omitempty"`
	Figures []Figure `json:"figures"`
}

// A Figure is one ratio, or one time where Unit says so.
type Figure struct {
	Case   string  `json:"case"`
	Unit   string  `json:"unit,omitempty"` // none for a ratio
	Figure Spread  `json:"figure"`
	Aim    *Aim    `json:"aim,omitempty"` // none: for information
	Values []Value `json:"values"`        // what it was made of
}

// An Aim is where a figure should be.
type Aim struct {
	Bound   float64 `json:"bound"`
	AtLeast bool    `json:"atLeast"` // else at most
	Met     bool    `json:"met"`     // by the median
}

// A Value is one side's absolute value.
type Value struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	Spread
}

// A Spread is the median of the rounds, the lowest and the highest.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Rounds int     `json:"rounds"`
}

// atMost and atLeast set an aim and judge the median by it.
func (f Figure) atMost(bound float64) Figure {
	f.Aim = &Aim{Bound: bound, Met: f.Figure.Median <= bound}
	return f
}

func (f Figure) atLeast(bound float64) Figure {
	f.Aim = &Aim{Bound: bound, AtLeast: true, Met: f.Figure.Median >= bound}
	return f
}

// String writes an aim as people read it.
func (a *Aim) String() string {
	if a == nil {
		return "for information"
	}
	sign, word := "≤", "missed"
	if a.AtLeast {
		sign = "≥"
	}
	if a.Met {
		word = "met"
	}
	return fmt.Sprintf("aim %s %s %s", sign, number(a.Bound), word)
}

// String writes a spread as people read it.
func (s Spread) String() string {
	return fmt.Sprintf("%s (%s to %s)", number(s.Median), number(s.Low), number(s.High))
}

// number has as many digits as mean something.
func number(f float64) string {
	switch {
	case f >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// width is that of the text between the figures.
const width = 96

// Write writes the report as a table for people.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d CPUs, %s, %s\n%s: %s %s\n", r.Seed, r.CPUs, r.Platform, r.Go, r.Sync.Name, r.Sync.Spread, r.Sync.Unit)
	b.WriteString("Each figure is the median of its rounds (lowest to highest). The aim is for the median.\n")
	for _, g := range r.Groups {
		fmt.Fprintf(&b, "\n%s\n", g.Name)
		wrap(&b, g.Meaning)
		for _, n := range g.Notes {
			wrap(&b, n)
		}
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, f := range g.Figures {
			fmt.Fprintf(t, "    %s\t%s\t%s\t%s\t\n", f.Case, strings.TrimSpace(f.Figure.String()+" "+f.Unit), f.Aim, rounds(f.Figure.Rounds))
			for _, v := range f.Values {
				fmt.Fprintf(t, "      %s\t%s %s\t\t\t\n", v.Name, v.Spread, v.Unit)
			}
		}
		t.Flush()
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func rounds(n int) string {
	if n == 1 {
		return "1 round"
	}
	return strconv.Itoa(n) + " rounds"
}

// wrap writes a text in lines that fit.
func wrap(b *strings.Builder, text string) {
	used := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case used == 0:
			b.WriteString("  ")
		case used+1+len(word) > width:
			b.WriteString("\n  ")
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += len(word)
	}
	b.WriteByte('\n')
}
