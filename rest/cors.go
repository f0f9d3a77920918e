package rest

import (
	"net/http"
	"slices"
)

// What pages of other origins are told (the contract of REST, section 1.8). Tills
// in browsers are such pages; nothing but the key that they show authorises them.
const (
	corsMethods = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
	corsHeaders = "Authorization, Content-Type, Accept, Software-House-Id, Installer-Id, Idempotency-Key, Last-Event-ID, Cache-Control, X-Requested-With"
	corsExposed = "Content-Length, Location, Allow, Retry-After, Idempotency-Replayed"
	corsMaxAge  = "7200"
)

// crossOrigin says whose pages may read the answer.
func (q *request) crossOrigin() {
	header := q.w.Header()
	if len(q.h.cfg.Origins) == 0 {
		header.Set("Access-Control-Allow-Origin", "*")
	} else {
		header.Add("Vary", "Origin")
		if origin := q.r.Header.Get("Origin"); slices.Contains(q.h.cfg.Origins, origin) {
			header.Set("Access-Control-Allow-Origin", origin)
		}
	}
	header.Set("Access-Control-Expose-Headers", corsExposed)
}

// preflight answers what a browser asks first.
func (q *request) preflight() {
	header := q.w.Header()
	header.Del("Access-Control-Expose-Headers")
	header.Set("Access-Control-Allow-Methods", corsMethods)
	header.Set("Access-Control-Allow-Headers", corsHeaders)
	header.Set("Access-Control-Max-Age", corsMaxAge)
	if q.r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		header.Set("Access-Control-Allow-Private-Network", "true")
	}
	q.answer(http.StatusNoContent, nil)
}
