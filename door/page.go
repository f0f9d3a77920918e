package door

import (
	"net/http"
	pathpkg "path"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
)

const welcome = `This is Tillwire, a gateway between till software and card machines.

Tills connect with a WebSocket:
    /pac?token=<api-key>&api-version=v1&software-house-id=<id>&installer-id=<id>
    /pat with the same query, for tills that keep tables

or over REST, with the api-key as the password of HTTP Basic:
    /pac/terminals                     card machines, and all that is asked of them
    /pat/tables                        tables that are kept here
    /docs/rest/till                    how, with curl

People find here, in a browser:
    /docs/                             the documentation
    /console/                          terminals, traffic, transactions, and a till to try

Machines find here:
    /healthz                           it runs
    /readyz                            it takes new requests, or says why not
    /metrics                           figures for Prometheus
    /docs/schemas/<version>/<file>     the messages as JSON Schema, v1 and v0
    /docs/schemas/extensions/<name>/<version>/<file>   those of an extension
`

const schemas = "/docs/schemas/"

// page answers what is no socket.
func (d *Door) page(w http.ResponseWriter, r *http.Request, path string) {
	var show func(http.ResponseWriter, *http.Request)
	switch {
	case path == "/":
		show = func(w http.ResponseWriter, _ *http.Request) { text(w, welcome) }
	case path == "/healthz":
		show = func(w http.ResponseWriter, _ *http.Request) { text(w, "ok\n") }
	case path == "/readyz":
		show = d.ready
	case path == "/metrics" && d.metrics != nil:
		show = d.metrics.ServeHTTP
	case strings.HasPrefix(path, schemas):
		show = func(w http.ResponseWriter, r *http.Request) { d.schema(w, r, path) }
	default:
		d.refuse(w, r, refusal(http.StatusNotFound, "There is nothing at this path. Tills connect to /pac or /pat; / lists what else is here. Check host and path of the URI."))
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		d.refuse(w, r, refusal(http.StatusMethodNotAllowed, "This address is only read: use GET."))
		return
	}
	show(w, r)
}

// ready answers whether new requests are taken.
func (d *Door) ready(w http.ResponseWriter, _ *http.Request) {
	if err := d.cfg.Gateway.Ready(); err != nil {
		answer(w, http.StatusServiceUnavailable, map[string]string{"userMessage": "Not ready: " + err.Error() + "."})
		return
	}
	text(w, "ready\n")
}

// schema gives out a schema file as it is published. Validators in browsers
// fetch them from other origins.
func (d *Door) schema(w http.ResponseWriter, r *http.Request, path string) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	folder, file := pathpkg.Split(strings.TrimPrefix(path, schemas))
	raw, ok := spec.Default().Schema(strings.TrimSuffix(folder, "/"), file)
	if !ok {
		d.refuse(w, r, refusal(http.StatusNotFound, "There is no such schema file. They are at "+schemas+"<version>/<file>, the version v1 or v0, the file as in CtSR_PerformTransaction_Request.json."))
		return
	}
	send(w, http.StatusOK, "application/schema+json; charset=utf-8", raw)
}

func text(w http.ResponseWriter, s string) {
	send(w, http.StatusOK, "text/plain; charset=utf-8", []byte(s))
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	data, err := json.Marshal(body, jsontext.AllowInvalidUTF8(true)) // an error's text may repeat bytes from outside
	if err != nil {
		panic("door: " + err.Error())
	}
	send(w, status, "application/json; charset=utf-8", append(data, '\n'))
}

// send writes a whole answer. A peer that has gone is no news.
func send(w http.ResponseWriter, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
