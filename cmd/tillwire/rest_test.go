package main

import (
	"net/netip"
	"strings"
	"testing"
)

// TestRESTFlags reads what says how tills reach the REST face.
func TestRESTFlags(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string // of the error
	}{
		"none":               {nil, ""},
		"all":                {[]string{"--public-url", "https://gateway.example/till", "--trusted-proxies", "10.0.0.7,fd00::/8", "--cors-origins", "https://till.example,http://localhost:3000"}, ""},
		"no scheme":          {[]string{"--public-url", "gateway.example"}, "--public-url"},
		"another scheme":     {[]string{"--public-url", "wss://gateway.example"}, "--public-url"},
		"a key in it":        {[]string{"--public-url", "https://u:k@gateway.example"}, "--public-url"},
		"a query in it":      {[]string{"--public-url", "https://gateway.example/?a=b"}, "--public-url"},
		"a proxy by name":    {[]string{"--trusted-proxies", "proxy.example"}, "--trusted-proxies"},
		"an origin's path":   {[]string{"--cors-origins", "https://till.example/"}, "--cors-origins"},
		"an origin's scheme": {[]string{"--cors-origins", "till.example"}, "--cors-origins"},
	} {
		t.Run(name, func(t *testing.T) {
			cli, _, err := parse(t, nil, append([]string{"serve"}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			err = cli.Serve.REST.check()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("said %v, want %q", err, c.want)
			}
		})
	}
	cli, _, err := parse(t, nil, "serve", "--trusted-proxies", "10.1.2.3/8,::ffff:10.0.0.7")
	if err != nil {
		t.Fatal(err)
	}
	proxies := cli.Serve.REST.config(true).TrustedProxies
	if len(proxies) != 2 || proxies[0] != netip.MustParsePrefix("10.0.0.0/8") || proxies[1] != netip.MustParsePrefix("10.0.0.7/32") {
		t.Errorf("proxies %v", proxies)
	}
	for _, behind := range []bool{true, false} {
		if got := len((restFlags{}).config(behind).TrustedProxies) > 0; got != behind {
			t.Errorf("behind a proxy %t: somebody is trusted: %t", behind, got)
		}
	}
}
