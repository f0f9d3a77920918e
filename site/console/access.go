package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A viewer is whoever looks at a page.
type viewer struct {
	id    string   // of the session, never shown
	key   string   // public id of the key; empty for none
	sites []string // that may be seen, the one to begin with first
	hands bool     // may touch machines
}

// sees reports whether the viewer may see a site.
func (v viewer) sees(site string) bool {
	return slices.Contains(v.sites, site)
}

// A session is a viewer who showed a key.
type session struct {
	viewer
	until time.Time
}

// sessionTime is how long a login lasts, maxSessions how many there may be.
const (
	sessionTime = 12 * time.Hour
	maxSessions = 1000
	cookieName  = "tillwire_console"
	maxForm     = 4 << 10
)

// foreign says why a request may not come in at all, or nothing. On a
// development gateway there is no key to show, so a page of somewhere else must
// not get here by a name of its own that was bent to this address.
func (c *Console) foreign(r *http.Request) string {
	if !c.cfg.Dev {
		return ""
	}
	const only = "The console of a development gateway is for this machine only"
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	switch {
	case err != nil || !loopback(from):
		return only + "."
	case !loopback(hostOf(r.Host)):
		return only + ": use localhost or a loopback address."
	case r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Via") != "":
		return only + ", not for a proxy."
	}
	return ""
}

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return strings.Trim(hostport, "[]")
	}
	return host
}

// loopback reports whether a host is this machine. Names other than localhost
// are not looked up: who owns them may change what they mean.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// ours reports whether a request that may change something comes from a page
// of this origin. Browsers send an Origin with every WebSocket and POST.
func (c *Console) ours(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, r.Host)
}

// viewer finds out who sent a request.
func (c *Console) viewer(r *http.Request) (viewer, bool) {
	if c.cfg.Dev {
		return viewer{id: "dev", sites: c.cfg.House.Sites(), hands: true}, true
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return viewer{}, false
	}
	name := nameOf(cookie.Value)
	if !c.lives(name) {
		return viewer{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.sessions[name]
	if !ok {
		return viewer{}, false
	}
	return s.viewer, true
}

// lives reports whether a session is there, in its time, and its key works.
func (c *Console) lives(name string) bool {
	c.mu.Lock()
	s, ok := c.sessions[name]
	c.mu.Unlock()
	return ok && time.Now().Before(s.until) && c.cfg.House.KeyWorks(s.key)
}

// nameOf is under which name a session is kept. What lies in memory opens
// nothing.
func nameOf(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return hex.EncodeToString(sum[:])
}

// token is what requests of a viewer's pages bear that change something.
func (c *Console) token(v viewer) string {
	m := hmac.New(sha256.New, c.secret[:])
	m.Write([]byte(v.id))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// holds reports whether a token is the viewer's.
func (c *Console) holds(v viewer, token string) bool {
	return subtle.ConstantTimeCompare([]byte(c.token(v)), []byte(token)) == 1
}

// login exchanges a key for a session.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	if c.cfg.Dev {
		http.Redirect(w, r, root, http.StatusSeeOther)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !c.ours(r) {
		c.problem(w, r, http.StatusForbidden, "This did not come from a page of the console", "Open the console and log in there.")
		return
	}
	key, ok := c.cfg.House.Key(r.PostFormValue("key"))
	if !ok {
		c.showLogin(w, http.StatusUnauthorized, "This key does not open the console here. It must be one that was made for the console and works.")
		return
	}
	cookie := rand.Text() + rand.Text()
	name := nameOf(cookie)
	c.mu.Lock()
	c.forget()
	full := len(c.sessions) >= maxSessions
	if !full {
		c.sessions[name] = &session{viewer{id: name, key: key.ID, sites: []string{key.Site}}, time.Now().Add(sessionTime)}
	}
	c.mu.Unlock()
	if full {
		c.problem(w, r, http.StatusServiceUnavailable, "Too many people are logged in", "Log out where it is not needed, or try again later.")
		return
	}
	c.log.Info("console opened", "site", key.Site, "key", key.ID)
	http.SetCookie(w, c.cookie(cookie, int(sessionTime/time.Second)))
	http.Redirect(w, r, root, http.StatusSeeOther)
}

// logout ends the session and closes what it has open.
func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	v, ok := c.viewer(r)
	if ok && (!c.ours(r) || !c.holds(v, r.PostFormValue("token"))) {
		c.problem(w, r, http.StatusForbidden, "This did not come from a page of the console", "Open the console and log out there.")
		return
	}
	if ok && !c.cfg.Dev {
		c.mu.Lock()
		delete(c.sessions, v.id)
		c.mu.Unlock()
		c.closePages(v.id)
	}
	http.SetCookie(w, c.cookie("", -1))
	http.Redirect(w, r, root+"login", http.StatusSeeOther)
}

func (c *Console) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/console", MaxAge: age,
		HttpOnly: true, Secure: c.cfg.Secure, SameSite: http.SameSiteStrictMode,
	}
}

// forget drops sessions that are over. The caller holds c.mu.
func (c *Console) forget() {
	now := time.Now()
	for name, s := range c.sessions {
		if now.After(s.until) || !c.cfg.House.KeyWorks(s.key) {
			delete(c.sessions, name)
		}
	}
}
