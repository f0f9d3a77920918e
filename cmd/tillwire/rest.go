package main

import (
	"fmt"
	"net/netip"
	"net/url"

	"github.com/tillwire/tillwire/rest"
)

// restFlags say how tills reach the REST face.
type restFlags struct {
	PublicURL      string   `name:"public-url" env:"TILLWIRE_PUBLIC_URL" placeholder:"URL" help:"How tills reach this gateway over REST, as in https://gateway.example; what it answers begins with that. Else it is taken from each request."`
	TrustedProxies []string `name:"trusted-proxies" env:"TILLWIRE_TRUSTED_PROXIES" placeholder:"ADDR,…" help:"Proxies, addresses or networks, whose X-Forwarded-Proto and X-Forwarded-Host say how tills reach it over REST. With --behind-proxy and none named, all are."`
	CORSOrigins    []string `name:"cors-origins" env:"TILLWIRE_CORS_ORIGINS" placeholder:"ORIGIN,…" help:"Web pages that may call over REST, as in https://till.example. Else all may: it is the key that opens the site."`
}

// check says what is wrong with the flags.
func (f restFlags) check() error {
	if _, err := f.publicURL(); err != nil {
		return err
	}
	for _, p := range f.TrustedProxies {
		if _, err := proxyPrefix(p); err != nil {
			return err
		}
	}
	for _, o := range f.CORSOrigins {
		if u, err := url.Parse(o); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("--cors-origins: %q is not an origin: scheme, host and port, as in https://till.example", o)
		}
	}
	return nil
}

// config is what the flags say; they were checked. Where every connection comes
// from a proxy and none is named, whoever connects is it.
func (f restFlags) config(behindProxy bool) rest.Config {
	var c rest.Config
	c.PublicURL, _ = f.publicURL()
	for _, p := range f.TrustedProxies {
		prefix, _ := proxyPrefix(p)
		c.TrustedProxies = append(c.TrustedProxies, prefix)
	}
	if behindProxy && len(c.TrustedProxies) == 0 {
		c.TrustedProxies = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	c.Origins = f.CORSOrigins
	return c
}

// publicURL is nil where none is given.
func (f restFlags) publicURL() (*url.URL, error) {
	if f.PublicURL == "" {
		return nil, nil
	}
	u, err := url.Parse(f.PublicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("--public-url: %q is not an address that tills can call; use https://host, with a port and a path if there is one", f.PublicURL)
	}
	return u, nil
}

// proxyPrefix reads an address or a network.
func proxyPrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().Prefix(a.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("--trusted-proxies: %q is neither an address nor a network, as in 10.0.0.7 or 10.0.0.0/8", s)
	}
	return p.Masked(), nil
}
