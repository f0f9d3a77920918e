package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

// Faces are what a key that is not a terminal's can be for. One that names none
// is for tills: all but FaceConsole.
func Faces() []string { return []string{"pac", "pat", "rest", FaceConsole} }

// FaceConsole is the face of keys that people show to see their site's console.
const FaceConsole = "console"

var siteName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// CheckSite returns what is wrong with a site's record, or nil.
func CheckSite(s journal.Site) error {
	if !siteName.MatchString(string(s.ID)) {
		return fmt.Errorf("gateway: site id %q: use 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit", s.ID)
	}
	_, err := newSettings(s)
	return err
}

// AddSite keeps a new site. It refuses one that is there.
func AddSite(ctx context.Context, r journal.Register, s journal.Site) error {
	if err := CheckSite(s); err != nil {
		return err
	}
	if _, err := FindSite(ctx, r, s.ID); err == nil {
		return fmt.Errorf("gateway: site %q is there already", s.ID)
	}
	if s.Created.IsZero() {
		s.Created = time.Now().UTC()
	}
	return r.PutSite(ctx, s)
}

// FindSite returns the site with that id or an error that names it.
func FindSite(ctx context.Context, r journal.Register, id txn.SiteID) (journal.Site, error) {
	sites, err := r.Sites(ctx)
	if err != nil {
		return journal.Site{}, err
	}
	for _, s := range sites {
		if s.ID == id {
			return s, nil
		}
	}
	return journal.Site{}, fmt.Errorf("gateway: no site %q", id)
}

// AddKey makes a key for a site and returns it in clear, this once: only its
// hash is kept. With secret empty it is random.
func AddKey(ctx context.Context, r journal.Register, id txn.SiteID, secret, note string, faces []string) (string, journal.Key, error) {
	if _, err := FindSite(ctx, r, id); err != nil {
		return "", journal.Key{}, err
	}
	for _, f := range faces {
		if !slices.Contains(Faces(), f) {
			return "", journal.Key{}, fmt.Errorf("gateway: a key cannot be for %q; use %v", f, Faces())
		}
	}
	if secret == "" {
		secret = "tw_" + rand.Text()
	}
	k := journal.Key{
		ID: "k" + rand.Text()[:8], Site: id, Hash: HashKey(secret),
		Faces: faces, Note: note, Created: time.Now().UTC(),
	}
	return secret, k, r.PutKey(ctx, k)
}

// FaceTerminal is the face of keys that are for a terminal and open nothing else.
const FaceTerminal = "terminal"

// maxTID is how long a TID may be, in bytes.
const maxTID = 32

// CheckTID returns what is wrong with the name of a terminal that is to dial in,
// or nil.
func CheckTID(tid txn.TID) error {
	if tid == "" || len(tid) > maxTID || strings.ContainsFunc(string(tid), func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
	}) {
		return fmt.Errorf("gateway: TID %q: use 1 to %d letters, digits, hyphens and underscores", tid, maxTID)
	}
	return nil
}

// EnrolTerminal makes a key with which the terminal of that TID dials in, and
// returns it in clear, this once. It refuses the name of a simulated terminal of
// the site. A terminal may have several keys.
func EnrolTerminal(ctx context.Context, r journal.Register, id txn.SiteID, tid txn.TID, note string) (string, journal.Key, error) {
	if err := CheckTID(tid); err != nil {
		return "", journal.Key{}, err
	}
	s, err := FindSite(ctx, r, id)
	if err != nil {
		return "", journal.Key{}, err
	}
	if v, ok := spec.Default().VirtualTerminals().Parse(string(tid)); ok && strings.EqualFold(v.Account, s.Simulated) {
		return "", journal.Key{}, fmt.Errorf("gateway: %s is a simulated terminal of site %q", tid, id)
	}
	secret := "tt_" + rand.Text()
	k := journal.Key{
		ID: "k" + rand.Text()[:8], Site: id, Hash: HashKey(secret),
		Faces: []string{FaceTerminal}, TID: tid, Note: note, Created: time.Now().UTC(),
	}
	return secret, k, r.PutKey(ctx, k)
}

// RevokeKey ends a key by its public id. Revoking twice changes nothing.
func RevokeKey(ctx context.Context, r journal.Register, keyID string) (journal.Key, error) {
	keys, err := r.Keys(ctx)
	if err != nil {
		return journal.Key{}, err
	}
	for _, k := range keys {
		if k.ID != keyID {
			continue
		}
		if k.Revoked.IsZero() {
			k.Revoked = time.Now().UTC()
			err = r.PutKey(ctx, k)
		}
		return k, err
	}
	return journal.Key{}, fmt.Errorf("gateway: no key with the id %q; `tillwire key list` shows them", keyID)
}

// HashKey is the form in which a key is kept. Keys are random and long, so one
// round of SHA-256 is enough.
func HashKey(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// key returns the working key that was presented.
func (g *Gateway) key(secret string) (journal.Key, bool) {
	h := HashKey(secret)
	g.mu.RLock()
	k, ok := g.keys[h]
	g.mu.RUnlock()
	// The map finds by hash, which an attacker cannot steer byte by byte; the
	// comparison that decides takes the same time wherever it fails.
	return k, subtle.ConstantTimeCompare(k.Hash[:], h[:]) == 1 && ok
}

// ConsoleKey finds the working key of that secret if it was made for the console:
// its site and its public id.
func (g *Gateway) ConsoleKey(secret string) (site txn.SiteID, id string, ok bool) {
	k, ok := g.key(secret)
	if !ok || !slices.Contains(k.Faces, FaceConsole) || g.site(k.Site) == nil {
		return "", "", false
	}
	return k.Site, k.ID, true
}

// KeyWorks reports whether a key, by its public id, is there and not revoked.
func (g *Gateway) KeyWorks(id string) bool {
	_, ok := g.workingKey(id)
	return ok
}

// Sites lists the sites in order.
func (g *Gateway) Sites() []txn.SiteID {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return slices.Sorted(maps.Keys(g.sites))
}
