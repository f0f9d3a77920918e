package conform

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	_ "embed"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Report is what became of a run.
type Report struct {
	Product string    `json:"product"` // who checked
	Side    string    `json:"side"`    // pac or pat
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	Lines   []Line    `json:"lines"`
	Frames  []Frame   `json:"frames"` // the whole conversation
}

// A Line is one line of the checklist and what was found.
type Line struct {
	ID       string    `json:"id"`
	Text     string    `json:"text"`
	Clause   string    `json:"clause"`
	Optional bool      `json:"optional,omitzero"`
	Needs    Needs     `json:"needs"`
	State    State     `json:"state"`
	Hint     string    `json:"hint,omitzero"`
	Evidence []int     `json:"evidence,omitzero"` // numbers of frames, from 0
	Words    []Said    `json:"words,omitzero"`
	Began    time.Time `json:"began,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
}

// Said is a word and the step that it was said about.
type Said struct {
	Step string `json:"step"`
	Word Word   `json:"word"`
}

func newLine(c Check) Line {
	l := c.Line()
	return Line{ID: l.ID, Text: l.Text, Clause: l.Clause, Optional: l.Optional, Needs: c.Needs}
}

// take adds a verdict whose frames are counted from one of the run's.
func (l *Line) take(v Verdict, from int) {
	l.State, l.Hint = v.State, v.Hint
	if l.State == Open {
		l.State = NotReached
	}
	if l.State == Passed {
		l.Hint = ""
	}
	for _, n := range v.Frames {
		l.Evidence = append(l.Evidence, from+n)
	}
	l.Evidence = sorted(l.Evidence)
}

// Count says how many lines are in a state.
func (r Report) Count(s State) int {
	n := 0
	for _, l := range r.Lines {
		if l.State == s {
			n++
		}
	}
	return n
}

// Passed reports whether every line that must pass has, and no optional one has
// failed: one that a till does not have is not reached.
func (r Report) Passed() bool {
	for _, l := range r.Lines {
		if l.State == Failed || l.State != Passed && !l.Optional {
			return false
		}
	}
	return len(r.Lines) > 0
}

// Verdict is the report in one line.
func (r Report) Verdict() string {
	verdict := "not passed"
	if r.Passed() {
		verdict = "passed"
	}
	return fmt.Sprintf("%s: %d lines passed, %d failed, %d not reached", verdict, r.Count(Passed), r.Count(Failed), r.Count(NotReached))
}

// Tell is a frame as people read it.
func (f Frame) Tell() string {
	who := "till"
	if f.FromGateway {
		who = "gateway"
	}
	if f.Added {
		who = "checker"
	}
	switch f.Kind {
	case Opened:
		if f.REST {
			return fmt.Sprintf("till comes to %s over REST, %s", f.Path, f.Version)
		}
		return fmt.Sprintf("till connects to %s, %s", f.Path, cmp.Or(f.Version, "no api-version"))
	case Refused:
		return fmt.Sprintf("till is refused at %s with status %d", f.Path, f.Status)
	case Closed:
		switch {
		case f.Cut:
			return "checker cuts the connection"
		case f.ByTill:
			return "till closes the connection"
		}
		return "gateway closes the connection"
	case Pong:
		return "till answers a ping"
	case Asked:
		text := fmt.Sprintf("till asks %s %s", f.Method, f.Path)
		if f.Key != "" {
			text += " under the key " + f.Key
		}
		if f.Text != "" {
			text += ": " + f.Text
		}
		return text
	case Message:
	}
	return who + ": " + f.Text
}

// Brief is Tell without the end of a long message.
func (f Frame) Brief() string {
	const most = 400
	text := f.Tell()
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " …"
}

// stamp is when a frame was seen, as people read it.
func (f Frame) stamp() string { return f.At.Local().Format("15:04:05.000") }

// evidence are the frames that decided a line.
func (r Report) evidence(l Line) []Frame {
	var out []Frame
	for _, n := range l.Evidence {
		if n >= 0 && n < len(r.Frames) {
			out = append(out, r.Frames[n])
		}
	}
	return out
}

// WriteText writes the report for a terminal.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, l := range r.Lines {
		fmt.Fprintf(&b, "%-11s  %-24s section %-5s %s\n", l.State, l.ID, l.Clause, l.Text)
		if l.State == Passed {
			continue
		}
		fmt.Fprintf(&b, "             %s\n", l.Hint)
		for _, f := range r.evidence(l) {
			fmt.Fprintf(&b, "             %s  #%d %s\n", f.stamp(), f.Conn, f.Brief())
		}
	}
	fmt.Fprintf(&b, "\n%s\n", r.Verdict())
	_, err := io.WriteString(w, b.String())
	return err
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Stamp    string      `xml:"timestamp,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Time    string     `xml:"time,attr"`
	Failure *junitNote `xml:"failure,omitempty"`
	Skipped *junitNote `xml:"skipped,omitempty"`
	Out     string     `xml:"system-out,omitempty"`
}

type junitNote struct {
	Message string `xml:"message,attr"`
}

// WriteJUnit writes the report for CI. A line that was not reached is a failure,
// and skipped where the line is optional.
func (r Report) WriteJUnit(w io.Writer) error {
	s := junitSuite{
		Name: "tillwire check " + r.Side, Tests: len(r.Lines),
		Time: seconds(r.Ended.Sub(r.Began)), Stamp: r.Began.Format(time.RFC3339),
	}
	for _, l := range r.Lines {
		c := junitCase{Class: "checklist." + r.Side, Name: l.ID + ": " + l.Text, Time: seconds(l.Ended.Sub(l.Began))}
		switch {
		case l.State == Failed:
			c.Failure = &junitNote{l.Hint}
			s.Failures++
		case l.State == Passed:
		case l.Optional:
			c.Skipped = &junitNote{"not reached: " + l.Hint}
			s.Skipped++
		default:
			c.Failure = &junitNote{"not reached: " + l.Hint}
			s.Failures++
		}
		var b strings.Builder
		for _, f := range r.evidence(l) {
			fmt.Fprintf(&b, "%s #%d %s\n", f.stamp(), f.Conn, f.Brief())
		}
		c.Out = b.String()
		s.Cases = append(s.Cases, c)
	}
	out, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, out)
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", max(d, 0).Seconds()) }

//go:embed report.html
var page string

// WriteHTML writes the report as one page that needs nothing else.
func (r Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"stamp":    Frame.stamp,
		"evidence": r.evidence,
		"class":    func(s State) string { return strings.ReplaceAll(string(s), " ", "-") },
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}

// A signed report is what is written as JSON.
type signed struct {
	Report    jsontext.Value `json:"report"`
	Signature *signature     `json:"signature,omitzero"`
}

type signature struct {
	Algorithm string `json:"algorithm"`
	Key       string `json:"key"`   // public, in base64
	Value     string `json:"value"` // over the report without white space, in base64
}

const algorithm = "Ed25519"

// signedText begins what is signed, so that nothing else can be passed off as a
// report.
const signedText = "tillwire check report\n"

// WriteSigned writes the report as JSON with a signature.
func (r Report) WriteSigned(w io.Writer, key ed25519.PrivateKey) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	value := jsontext.Value(body)
	if err := value.Compact(); err != nil {
		return err
	}
	out, err := json.Marshal(signed{value, &signature{
		Algorithm: algorithm,
		Key:       base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)),
		Value:     base64.StdEncoding.EncodeToString(ed25519.Sign(key, append([]byte(signedText), value...))),
	}}, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	_, err = w.Write(append(out, '\n'))
	return err
}

// ErrForged says that a report is not as its signer left it.
var ErrForged = errors.New("the report was changed after it was signed, or was signed by somebody else")

// Verify reads a signed report and returns it with the fingerprint of the key
// that signed it. It returns [ErrForged] when anything in it was edited; white
// space does not count.
func Verify(data []byte) (Report, string, error) {
	var s signed
	var r Report
	if err := json.Unmarshal(data, &s, json.RejectUnknownMembers(true)); err != nil {
		return r, "", fmt.Errorf("this is no report of the checklist: %w", err)
	}
	if s.Signature == nil || s.Signature.Algorithm != algorithm {
		return r, "", errors.New("the report has no " + algorithm + " signature")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(s.Signature.Key)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return r, "", errors.New("the signature's key is not one of " + algorithm)
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(s.Signature.Value)
	if err != nil {
		return r, "", errors.New("the signature cannot be read")
	}
	if err := s.Report.Compact(); err != nil {
		return r, "", err
	}
	if !ed25519.Verify(key, append([]byte(signedText), s.Report...), sum) {
		return r, "", ErrForged
	}
	if err := json.Unmarshal(s.Report, &r, json.RejectUnknownMembers(true)); err != nil {
		return r, "", fmt.Errorf("this is no report of the checklist: %w", err)
	}
	return r, Fingerprint(key), nil
}

// Fingerprint names a public key for people.
func Fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	text := hex.EncodeToString(sum[:10])
	var b bytes.Buffer
	for i := 0; i < len(text); i += 4 {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(text[i : i+4])
	}
	return b.String()
}
