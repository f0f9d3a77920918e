package rest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire/rest"
)

// A route is one endpoint.
type route struct {
	method  string
	pattern string // as in /pac/terminals/{tid}
	keyed   bool   // takes an Idempotency-Key
	body    bool   // has a body that is read
	polled  bool   // has its requests spaced
	stream  bool   // is v2's where no version is named
	serve   func(*request) *refusal

	words []string // of the pattern
}

// routes are the endpoints. Methods of one path stand together.
var routes = func() []route {
	list := []route{
		{method: http.MethodGet, pattern: "/pac/terminals", serve: (*request).terminals, polled: true},
		{method: http.MethodGet, pattern: "/pac/terminals/{tid}", serve: (*request).terminal, polled: true},
		{method: http.MethodPost, pattern: "/pac/terminals/{tid}/transactions", serve: (*request).begin, keyed: true, body: true},
		{method: http.MethodGet, pattern: "/pac/terminals/{tid}/transactions/{requestId}", serve: (*request).transaction, polled: true},
		{method: http.MethodDelete, pattern: "/pac/terminals/{tid}/transactions/{requestId}", serve: (*request).cancel},
		{method: http.MethodPut, pattern: "/pac/terminals/{tid}/transactions/{requestId}/signature", serve: (*request).sign, body: true},
		{method: http.MethodGet, pattern: "/pac/terminals/{tid}/transactions/{requestId}/events", serve: (*request).events, stream: true},
		{method: http.MethodPost, pattern: "/pac/terminals/{tid}/reports", serve: (*request).beginReport, keyed: true, body: true},
		{method: http.MethodGet, pattern: "/pac/terminals/{tid}/reports/{requestId}", serve: (*request).report, polled: true},
		{method: http.MethodGet, pattern: "/pat/tables", serve: (*request).tables, polled: true},
		{method: http.MethodPut, pattern: "/pat/tables", serve: (*request).storeTable, body: true},
		{method: http.MethodPost, pattern: "/pat/tables", serve: (*request).storeTable, body: true},
		{method: http.MethodGet, pattern: "/pat/tables/{tableName}", serve: (*request).table, polled: true},
		{method: http.MethodDelete, pattern: "/pat/tables/{tableName}", serve: (*request).deleteTable, body: true},
		{method: http.MethodPut, pattern: "/pat/tables/{tableName}/amount", serve: (*request).changeAmount, body: true},
		{method: http.MethodPut, pattern: "/pat/tables/{tableName}/receipt", serve: (*request).changeReceipt, body: true},
		{method: http.MethodPut, pattern: "/pat/tables/{tableName}/waiterids", serve: (*request).changeWaiters, body: true},
		{method: http.MethodPut, pattern: "/pat/tables/{tableName}/lock", serve: (*request).lockTable, body: true},
		{method: http.MethodGet, pattern: "/pat/reports", serve: (*request).tableReports, polled: true},
		{method: http.MethodGet, pattern: "/pat/reports/{reportId}", serve: (*request).tableReport, polled: true},
	}
	for i := range list {
		list[i].words = strings.Split(list[i].pattern[1:], "/")
	}
	return list
}()

// split takes a path apart before it is decoded, so that a slash in a name stays
// in it. Slashes that stand for nothing are dropped: tills double them.
func split(escaped string) []string {
	return slices.DeleteFunc(strings.Split(escaped, "/"), func(s string) bool { return s == "" })
}

// decode makes the words of a path readable, with one name for each root. It
// reports false where they are not.
func decode(path []string) (words []string, ok bool) {
	words = make([]string, len(path))
	for i, escaped := range path {
		word, err := url.PathUnescape(escaped)
		if err != nil {
			return nil, false
		}
		words[i] = word
	}
	if len(words) > 0 && strings.EqualFold(words[0], "retail") {
		words[0] = "pac"
	}
	return words, true
}

// isStream reports whether a path is one of a stream, whose version is another one
// where none is named.
func isStream(path []string) bool {
	words, ok := decode(path)
	return ok && slices.ContainsFunc(routes, func(one route) bool {
		_, matches := one.match(words)
		return one.stream && matches
	})
}

// find looks the endpoint up (the contract of REST, section 1.6).
func (q *request) find(path []string) *refusal {
	words, ok := decode(path)
	if !ok {
		return q.refusal(spec.RESTUnknownPath)
	}
	if len(words) > 0 && strings.EqualFold(words[0], "pat") && q.version == rest.V2 {
		return q.refusal(spec.RESTNoTablesInV2)
	}
	method := q.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for _, one := range routes {
		args, ok := one.match(words)
		if !ok {
			continue
		}
		if one.method == method {
			q.route, q.args = one, args
			return nil
		}
		if allowed = append(allowed, one.method); one.method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	if allowed == nil {
		return q.refusal(spec.RESTUnknownPath)
	}
	slices.SortFunc(allowed, func(a, b string) int { return cmp.Compare(a, b) })
	q.w.Header().Set("Allow", strings.Join(append(slices.Compact(allowed), http.MethodOptions), ", "))
	return q.refusal(spec.RESTMethodNotAllowed)
}

// match reports whether a path is the route's, and what stands in it for names.
// The fixed words match without regard to case.
func (r *route) match(words []string) (args []string, ok bool) {
	if len(words) != len(r.words) {
		return nil, false
	}
	for i, want := range r.words {
		switch {
		case strings.HasPrefix(want, "{"):
			args = append(args, words[i])
		case !strings.EqualFold(want, words[i]):
			return nil, false
		}
	}
	return args, true
}
