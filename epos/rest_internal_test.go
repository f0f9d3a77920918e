package epos

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/wire/rest"
)

// What may be pasted as the address, and what it is taken apart to.
func TestRESTOptions(t *testing.T) {
	for _, tt := range []struct {
		o                        RESTOptions
		base, key, house, fitter string
		till                     string
	}{
		{RESTOptions{URL: " https://gateway.example/ ", Key: "k", SoftwareHouseID: "S", InstallerID: "I", Till: "t"}, "https://gateway.example", "k", "S", "I", "t"},
		{RESTOptions{URL: "https://proxy.example/a/b/", Key: "k"}, "https://proxy.example/a/b", "k", "", "", ""},
		{RESTOptions{URL: "http://till%201:k@127.0.0.1:8484/?software-house-id=S&installer-id=I"}, "http://127.0.0.1:8484", "k", "S", "I", "till 1"},
		{RESTOptions{URL: "ws://127.0.0.1:8484/pac?token=k&api-version=v1&software-house-id=S&installer-id=I"}, "http://127.0.0.1:8484", "k", "S", "I", ""},
		{RESTOptions{URL: "wss://h/PAT/?token=k", Key: "mine"}, "https://h", "mine", "", "", ""},
	} {
		c, err := NewREST(tt.o)
		if err != nil {
			t.Errorf("%s: %v", tt.o.URL, err)
			continue
		}
		got := []string{c.base.String(), c.options.Key, c.options.SoftwareHouseID, c.options.InstallerID, c.options.Till}
		if diff := cmp.Diff([]string{tt.base, tt.key, tt.house, tt.fitter, tt.till}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.o.URL, diff)
		}
		if c.version != rest.V2 {
			t.Errorf("%s: version %s", tt.o.URL, c.version)
		}
		_ = c.Close()
	}
	for _, o := range []RESTOptions{
		{},
		{URL: "gateway.example"},
		{URL: "ftp://u:" + secret + "@h"},
		{URL: "https://" + secret + "%zz"},
		{URL: "https:///" + secret},
		{URL: "https://h", Till: "a:b"},
		{URL: "https://h", Version: "v3"},
	} {
		if _, err := NewREST(o); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%+v: %v", o.URL, err)
		}
	}
}

// A location is asked where the gateway says that it is, but the key never leaves TLS
// for it.
func TestRESTFound(t *testing.T) {
	c, err := NewREST(RESTOptions{URL: "https://gateway.example/behind"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for location, want := range map[string]string{
		"https://other.example/pac/x":   "https://other.example/pac/x",
		"http://gateway.example/pac/x":  "https://gateway.example/pac/x",
		"http://inside.example:80/y":    "https://gateway.example/y",
		"/pac/terminals/1":              "https://gateway.example/pac/terminals/1",
		"https://u:p@other.example/a#b": "https://other.example/a",
	} {
		if got, err := c.found(location); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", location, got, err, want)
		}
	}
	for _, location := range []string{"ftp://gateway.example/", "https://%zz", "mailto:a@b"} {
		if got, err := c.found(location); err == nil {
			t.Errorf("%s: %s", location, got)
		}
	}
}

// Whatever is read, events are those that are there whole.
func TestEventReader(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []serverEvent
	}{
		{"", nil},
		{"id: 1\nevent: a\ndata: {}\n", nil}, // cut before its end
		{"retry: 1000\n\n: keep-alive\n\nid: 1\nevent: a\ndata: {}\n\n", []serverEvent{{}, {}, {1, "a", "{}"}}},
		{"id: 2\r\nevent: b\r\ndata:x\r\ndata:  y\r\n\r\n", []serverEvent{{2, "b", "x\n y"}}},
		{"id: one\n\n", nil},
		{"data: " + strings.Repeat("x", maxEvent) + "\n\n", nil},
		{strings.Repeat("data: 0123456789\n", maxEvent/10) + "\n", nil},
	} {
		var got []serverEvent
		r := newEventReader(strings.NewReader(tt.in))
		for {
			e, err := r.next()
			if err != nil {
				break
			}
			got = append(got, e)
		}
		if diff := cmp.Diff(fmt.Sprint(tt.want), fmt.Sprint(got)); diff != "" {
			t.Errorf("%.40q (-want +got):\n%s", tt.in, diff)
		}
	}
}

func FuzzEventReader(f *testing.F) {
	f.Add("retry: 1000\n\nid: 1\nevent: notification\ndata: {}\n\n")
	f.Add("id: 1\r\n\r\n: x\n\n")
	f.Fuzz(func(t *testing.T, in string) {
		r := newEventReader(strings.NewReader(in))
		for n := 0; ; n++ {
			e, err := r.next()
			if err != nil {
				if n > 0 && errors.Is(err, io.EOF) {
					t.Fatal("the end of a stream is no end of events")
				}
				return
			}
			if len(e.data) > maxEvent {
				t.Fatalf("%d bytes of data", len(e.data))
			}
		}
	})
}
