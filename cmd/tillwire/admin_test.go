package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
)

func ptr[T any](v T) *T { return &v }

// either runs an order in the two ways in which it can be carried out.
func either(t *testing.T, f func(t *testing.T, store journal.Store, carryOut func(order) (result, error))) {
	t.Run("here", func(t *testing.T) {
		store := memory.New()
		f(t, store, func(o order) (result, error) { return o.carryOut(t.Context(), store, nil) })
	})
	t.Run("over the socket", func(t *testing.T) {
		store := memory.New()
		srv := httptest.NewServer(&office{store: store, after: func(context.Context) error { return nil }})
		defer srv.Close()
		client := &http.Client{Transport: redirect{srv.URL}}
		f(t, store, func(o order) (result, error) { return sendOrder(t.Context(), client, o) })
	})
}

// redirect sends every request to one server, as the client of a socket does.
type redirect struct{ to string }

func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Host = strings.TrimPrefix(r.to, "http://")
	return http.DefaultTransport.RoundTrip(out)
}

func TestOrders(t *testing.T) {
	either(t, func(t *testing.T, store journal.Store, carryOut func(order) (result, error)) {
		ctx := t.Context()
		r, err := carryOut(order{AddSite: &siteOrder{ID: "shop", Name: ptr("Shop"), Simulated: ptr("shop"), Limits: map[string]string{"signature": "60s", "report": "30s"}}})
		if err != nil || r.Site.Simulated != "SHOP" {
			t.Fatalf("add site: %+v, %v", r.Site, err)
		}
		if _, err := carryOut(order{AddSite: &siteOrder{ID: "shop"}}); err == nil {
			t.Error("a site was added twice")
		}
		if _, err := carryOut(order{SetSite: &siteOrder{ID: "shop", Strict: ptr(true), Limits: map[string]string{"signature": ""}}}); err != nil {
			t.Fatal(err)
		}
		got, err := gateway.FindSite(ctx, store, "shop")
		if err != nil {
			t.Fatal(err)
		}
		want := journal.Site{ID: "shop", Name: "Shop", Simulated: "SHOP", Strict: true, Limits: map[string]time.Duration{"report": 30 * time.Second}, Created: got.Created}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("site (-want +got)\n%s", diff)
		}

		r, err = carryOut(order{AddKey: &keyOrder{Site: "shop", Note: "till 1", Faces: []string{"pac"}}})
		if err != nil || r.Secret == "" {
			t.Fatalf("add key: %v", err)
		}
		keys, err := store.Keys(ctx)
		if err != nil || len(keys) != 1 || keys[0].Hash != gateway.HashKey(r.Secret) || !keys[0].Revoked.IsZero() {
			t.Fatalf("keys %+v, %v", keys, err)
		}
		if _, err := carryOut(order{RevokeKey: r.Key.ID}); err != nil {
			t.Fatal(err)
		}
		keys, err = store.Keys(ctx)
		if err != nil || keys[0].Revoked.IsZero() {
			t.Errorf("the key was not revoked: %+v, %v", keys, err)
		}
	})
}

func TestBadOrders(t *testing.T) {
	for name, test := range map[string]struct {
		order order
		want  string
	}{
		"nothing":          {order{}, "without anything"},
		"no such site":     {order{SetSite: &siteOrder{ID: "nowhere"}}, `no site "nowhere"`},
		"bad name":         {order{AddSite: &siteOrder{ID: "Shop 1"}}, "lower-case"},
		"bad letters":      {order{AddSite: &siteOrder{ID: "shop", Simulated: ptr("SHOPS")}}, "4 letters"},
		"bad zone":         {order{AddSite: &siteOrder{ID: "shop", TimeZone: ptr("Mars/Base")}}, "time zone"},
		"bad limit":        {order{AddSite: &siteOrder{ID: "shop", Limits: map[string]string{"signature": "soon"}}}, "not a time like 90s"},
		"negative limit":   {order{AddSite: &siteOrder{ID: "shop", Limits: map[string]string{"signature": "-1s"}}}, "not a time like 90s"},
		"no such limit":    {order{AddSite: &siteOrder{ID: "shop", Limits: map[string]string{"patience": "1s"}}}, "patience"},
		"key for nowhere":  {order{AddKey: &keyOrder{Site: "nowhere"}}, `no site "nowhere"`},
		"no such key":      {order{RevokeKey: "k0"}, `"k0"`},
		"nothing to build": {order{Rebuild: true}, "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			either(t, func(t *testing.T, store journal.Store, carryOut func(order) (result, error)) {
				_, err := carryOut(test.order)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one with %q", err, test.want)
				}
				sites, err := store.Sites(t.Context())
				if err != nil || len(sites) > 0 {
					t.Errorf("a refused order left %v, %v", sites, err)
				}
			})
		})
	}
}

// fullStore is on a disk without space.
type fullStore struct{ journal.Store }

func (fullStore) PutSite(context.Context, journal.Site) error { return journal.ErrFull }

func TestFullDiskOverTheSocket(t *testing.T) {
	srv := httptest.NewServer(&office{store: fullStore{memory.New()}})
	defer srv.Close()
	_, err := sendOrder(t.Context(), &http.Client{Transport: redirect{srv.URL}}, order{AddSite: &siteOrder{ID: "shop"}})
	if !errors.Is(err, journal.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if adviceOn(err) == "" {
		t.Error("there is no hint on a full disk")
	}
}

// FuzzOffice: whatever comes over the socket is answered.
func FuzzOffice(f *testing.F) {
	for _, seed := range []string{
		`{"addSite":{"id":"shop","simulated":"SHOP"}}`, `{"addKey":{"site":"shop"}}`, `{"revokeKey":"k1"}`,
		`{"rebuild":true}`, `{}`, `[]`, `{"addSite":{"id":"a","limits":{"signature":"1s"}}}`, `{"addSite":null,"x":1}`, "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a := &office{store: memory.New(), after: func(context.Context) error { return nil }}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodPost, orderPath, strings.NewReader(body)))
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest, http.StatusUnprocessableEntity:
		default:
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}
