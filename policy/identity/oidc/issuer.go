package oidc

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An issuer is an Issuer that has been checked and copied, with its keys.
type issuer struct {
	cfg  Issuer
	keys *keyring
}

func newIssuer(cfg Issuer, c *Config, client *http.Client) (*issuer, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	ring := &keyring{
		now: c.Now, timeout: c.FetchTimeout,
		maxAge: c.KeysMaxAge, maxStale: c.KeysMaxStale, minInterval: c.KeysMinInterval,
	}
	if cfg.JWKS == nil {
		source := &keySource{client: client, issuer: cfg.URL, url: cfg.JWKSURL}
		ring.fetch = source.fetch
		return &issuer{cfg: cfg, keys: ring}, nil
	}
	set, err := parseKeySet(cfg.JWKS)
	if err != nil {
		return nil, fmt.Errorf("JWKS: %w", err)
	}
	if len(set.keys) == 0 {
		return nil, errors.New("JWKS: no usable key")
	}
	ring.set = set
	return &issuer{cfg: cfg, keys: ring}, nil
}

// complete checks and copies i and fills in what is zero.
func (i *Issuer) complete() error {
	if err := checkURL(i.URL); err != nil {
		return err
	}
	if len(i.Audiences) == 0 || slices.Contains(i.Audiences, "") {
		return errors.New("an audience is required, and none may be empty")
	}
	if i.MaxAge < 0 {
		return errors.New("MaxAge is negative")
	}
	if i.MaxAge == 0 {
		i.MaxAge = 24 * time.Hour
	}
	if i.Algorithms == nil {
		i.Algorithms = []string{"RS256", "ES256"}
	}
	for _, a := range i.Algorithms {
		if !knownAlgorithm(a) {
			return fmt.Errorf("algorithm %q can't be allowed", a)
		}
	}
	if i.Types == nil {
		i.Types = []string{"", "JWT", "at+jwt"}
	}
	i.copy()
	return i.checkKeys()
}

func (i *Issuer) copy() {
	i.Audiences = slices.Clone(i.Audiences)
	i.Algorithms = slices.Clone(i.Algorithms)
	i.Types = slices.Clone(i.Types)
	for n, t := range i.Types {
		i.Types[n] = mediaType(t)
	}
	i.Required = maps.Clone(i.Required)
	for name, values := range i.Required {
		i.Required[name] = slices.Clone(values)
	}
	i.Mapping.complete()
}

func (i *Issuer) checkKeys() error {
	switch {
	case i.JWKSURL != "" && i.JWKS != nil:
		return errors.New("both JWKSURL and JWKS are set")
	case i.JWKSURL != "":
		if err := checkURL(i.JWKSURL); err != nil {
			return fmt.Errorf("JWKSURL: %w", err)
		}
	}
	return nil
}

// checkURL accepts the URLs that documents are fetched from: https, or http
// within this machine.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Host == "" || u.User != nil || u.Fragment != "" || u.RawQuery != "" || u.ForceQuery || strings.HasSuffix(text, "#"):
		return errors.New("the URL must have a host, and no user, query or fragment")
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("the URL must be https, or http to a loopback address")
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
