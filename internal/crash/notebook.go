package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A line stands in the diary of a till with keys: what it asks for is there
// before it is sent, and what it was told before the till acts on it.
type line struct {
	Key  string `json:"key"`
	Wish *wish  `json:"wish,omitempty"` // that is about to be asked for under the key
	Told *try   `json:"told,omitempty"` // what the till believes from now on about the key

	At string `json:"at,omitempty"` // where a till without a connection asks about it

	Corrected *correction `json:"corrected,omitempty"` // what it was told unasked, of whichever till
}

// A correction is the truth about a request that ended as TIMED_OUT.
type correction struct {
	TID           string `json:"tid"`
	RequestID     string `json:"requestId"`
	TransactionID string `json:"transactionId,omitempty"`
	Result        string `json:"result"`
}

// A wish is a sale or refund that a till wants done once. Its amount is like no
// other's.
type wish struct {
	TID    string `json:"tid"`
	Type   string `json:"type"`
	Amount int64  `json:"amount"`
}

// tillSuffix ends the names of these files; the rest is the till's.
const tillSuffix = ".till"

// readTickets reads the tills' diaries in a folder as tickets: one a wish, with all
// that its till was told, in order; and as the corrections that any till heard.
func readTickets(dir string) (all []ticket, corrections []correction, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+tillSuffix))
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		lines, _, err := readDiary[line](file)
		if err != nil {
			return nil, nil, err
		}
		byKey, byWish := map[string]int{}, map[wish]int{}
		for _, l := range lines {
			switch {
			case l.At != "":
			case l.Wish != nil:
				at, ok := byWish[*l.Wish]
				if !ok {
					at = len(all)
					byWish[*l.Wish] = at
					all = append(all, ticket{
						Till: strings.TrimSuffix(filepath.Base(file), tillSuffix), TID: l.Wish.TID, Type: l.Wish.Type, Amount: l.Wish.Amount,
					})
				}
				byKey[l.Key] = at
				all[at].Keys = append(all[at].Keys, l.Key)
			case l.Corrected != nil:
				corrections = append(corrections, *l.Corrected)
			case l.Told != nil:
				at, ok := byKey[l.Key]
				if !ok {
					return nil, nil, fmt.Errorf("%s: %s was never asked for", file, l.Key)
				}
				said := *l.Told
				said.Key = l.Key
				all[at].Tries = append(all[at].Tries, said)
			}
		}
	}
	return all, corrections, nil
}
