package rest

import (
	"encoding/base64"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire/rest"
)

// credentials reads HTTP Basic. The key is what follows the last colon, since
// names of users in the field have colons in them; the name is only for the log.
func credentials(header string) (name, key string, ok bool) {
	scheme, encoded, found := strings.Cut(strings.TrimSpace(header), " ")
	if !found || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	encoded = strings.TrimRight(strings.TrimSpace(encoded), "=")
	plain, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	colon := strings.LastIndexByte(string(plain), ':')
	if colon < 0 {
		return "", "", false
	}
	name, key = strings.TrimSpace(string(plain[:colon])), strings.TrimSpace(string(plain[colon+1:]))
	return name, key, key != ""
}

// The headers that name who made and who installed a till.
const (
	headerSoftwareHouse = "Software-House-Id"
	headerInstaller     = "Installer-Id"
	headerKey           = "Idempotency-Key"
	maxPartner          = 64
)

// partner is such a header as it may be recorded.
func partner(r *http.Request, header string) string {
	id := strings.TrimSpace(strings.ToValidUTF8(r.Header.Get(header), "\uFFFD"))
	if utf8.RuneCountInString(id) > maxPartner || strings.ContainsFunc(id, unicode.IsControl) {
		return ""
	}
	return receipt.MaskPANs(id)
}

// readHeaders checks the headers that a version or an endpoint wants.
func (q *request) readHeaders() *refusal {
	if q.version == rest.V2 {
		for _, name := range []string{headerSoftwareHouse, headerInstaller} {
			switch id := strings.TrimSpace(q.r.Header.Get(name)); {
			case id == "":
				return q.refusal(spec.RESTNoPartnerHeaders)
			case partner(q.r, name) == "":
				return q.refusal(spec.RESTLongPartnerHeaders)
			}
		}
	}
	if !q.route.keyed {
		return nil
	}
	switch keys := q.r.Header.Values(headerKey); {
	case len(keys) == 0:
	case len(keys) > 1 || !gateway.PrintableKey(keys[0]):
		return q.refusal(spec.RESTBadKey)
	default:
		q.key = keys[0]
	}
	return nil
}
