package conform

import (
	"encoding/json"
	"slices"
	"strings"
)

// patBill: the till gives the lines of the bill.
func patBill(table *Scene) Check {
	return Check{ID: "pat.bill", Needs: ByWire, Scene: table, Judge: func(s *Seen) Verdict {
		bills := by(asks(s.Frames), "posReceiptRequest")
		if len(bills) == 0 {
			return wait("no bill could be asked for: the table was not locked")
		}
		return s.receipts(bills)
	}}
}

// receipts judges lines that a till gives to be printed.
func (s *Seen) receipts(all []*ask) Verdict {
	var frames []int
	for _, a := range all {
		if v, bad := s.unanswered(a); bad {
			return v
		}
		if wrong := unprintable(a.answer.result["receiptLines"]); wrong != "" {
			return fail("the answer to "+a.method+": "+wrong, a.at, a.answered)
		}
		frames = append(frames, a.at, a.answered)
	}
	return pass(frames...)
}

// unprintable says what is wrong with receipt lines of a till; nothing where they
// can be printed.
func unprintable(raw json.RawMessage) string {
	var lines []struct {
		Type   *string         `json:"type"`
		Format json.RawMessage `json:"format"`
		Value  *string         `json:"value"`
	}
	if json.Unmarshal(raw, &lines) != nil || lines == nil {
		return "result.receiptLines must be an array of lines, each with type, format and value, and is " + quoted(raw)
	}
	text := false
	for i, l := range lines {
		n := itoa(int64(i))
		switch {
		case l.Type == nil || !slices.Contains(tillLines(), *l.Type):
			return "the type of line " + n + " must be one of " + strings.Join(tillLines(), ", ")
		case l.Value == nil:
			return "line " + n + " has no value that is a text; it may be empty"
		}
		var formats []string
		if len(l.Format) > 0 && json.Unmarshal(l.Format, &formats) != nil {
			return "the format of line " + n + " must be an array of texts"
		}
		text = text || *l.Type == "TEXT" && strings.TrimSpace(*l.Value) != ""
	}
	if !text {
		return "the receipt has no text: print what was ordered and what is to pay"
	}
	return ""
}

// tillLines are the types of lines that a till may send.
func tillLines() []string {
	return []string{
		"TEXT", "IMAGE_LOGO", "CARRIAGE_RETURN", "LINE_SEPARATOR_SINGLE", "LINE_SEPARATOR_DOUBLE", "TICKET_FEED",
		"BARCODE_CODE25", "BARCODE_CODE39", "BARCODE_CODE128",
	}
}
