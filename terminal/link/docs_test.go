package link

import (
	"os"
	"strings"
	"testing"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
)

// TestPage: every message in the page for builders of machines fits its schema,
// and the page leaves no message out.
func TestPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/terminal-link.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	shown := 0
	for i, block := range strings.Split(text, "```json\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		asked := map[jsonrpc.ID]string{} // by id, within a block
		for line := range strings.Lines(block) {
			shown++
			m, fault := jsonrpc.Decode([]byte(line))
			if fault != nil {
				t.Fatalf("%s: %v", line, fault)
			}
			method, kind := m.Method, spec.KindNotification
			switch m.Kind {
			case jsonrpc.Request:
				kind = spec.KindRequest
				asked[m.ID] = method
			case jsonrpc.Response:
				method, kind = asked[m.ID], spec.KindResponse
			case jsonrpc.Notification, jsonrpc.ErrorResponse, jsonrpc.Invalid:
			}
			file := ""
			for _, known := range spec.Default().Link() {
				if s, ok := known.Schema(spec.V1, kind); ok && known.Name == method {
					file = s.File
				}
			}
			faults, err := validator().Check("link/v1", file, []byte(line))
			if err != nil || len(faults) > 0 {
				t.Errorf("%s: %v %v", line, faults, err)
			}
		}
	}
	if shown < 25 {
		t.Errorf("only %d messages are shown", shown)
	}
	_, shows, _ := strings.Cut(text, "### What it shows")
	shows, _, _ = strings.Cut(shows, "###")
	for _, n := range spec.Default().Notifications() {
		own := n.Group == "frame" || n.Group == "signature" || n.Value == "ATTEMPTING_CANCEL" // the gateway says them
		if strings.Contains(shows, "`"+n.Value+"`") == own {
			t.Errorf("%s stands among what terminals notify: %t", n.Value, !own)
		}
	}
	for _, l := range append(receipt.TerminalTypes(), receipt.EPOSTypes()...) {
		if !strings.Contains(text, "`"+string(l)+"`") {
			t.Errorf("nothing is said of lines of type %s", l)
		}
	}
	for _, m := range spec.Default().Link() {
		if !strings.Contains(text, "| `"+m.Name+"` |") {
			t.Errorf("there is no line for %s", m.Name)
		}
	}
}
