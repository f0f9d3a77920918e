package traffic

import (
	"strings"
	"testing"
)

// TestRefused: one that was refused stands among what was said, is no message to
// be judged, and is no till of a script.
func TestRefused(t *testing.T) {
	h := New(Options{Always: true})
	defer h.Close()
	h.Refused(Connection{Number: 1, Site: "demo", Face: FacePAC, SoftwareHouse: "H"}, 401)
	l := h.Opened(Connection{Number: 2, Site: "demo", Face: FacePAC, Version: "v1"})
	l.Message(false, []byte(`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`))
	all := h.Select(Filter{Site: "demo"})
	if len(all) != 3 || all[0].Kind != Refused || all[0].Status != 401 || all[0].Line.SoftwareHouse != "H" || all[0].Line.Ending() == nil {
		t.Fatalf("heard %+v", all)
	}
	if Refused.IsMessage() || Opened.IsMessage() || Closed.IsMessage() || !Request.IsMessage() || !Unreadable.IsMessage() {
		t.Error("what is a message and what is not is mixed up")
	}
	if v := NewJudge().Judge(all[0]); v.Unjudged == "" || len(v.Deviations) > 0 {
		t.Errorf("judged: %+v", v)
	}
	if s := WriteScript(all); s.Tills != 1 || strings.Contains(s.Text, "401") {
		t.Errorf("the script:\n%s", s.Text)
	}
	quiet := New(Options{})
	defer quiet.Close()
	quiet.Refused(Connection{Number: 1}, 401)
	if got := quiet.Select(Filter{}); len(got) > 0 {
		t.Errorf("%d were kept while nobody looked", len(got))
	}
}
