package oidc_test

import (
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/oidc"
)

func TestNewRefuses(t *testing.T) {
	for name, edit := range map[string]func(*oidc.Config, *oidc.Issuer){
		"no issuers":              func(c *oidc.Config, _ *oidc.Issuer) { c.Issuers = nil },
		"issuer twice":            func(c *oidc.Config, i *oidc.Issuer) { c.Issuers = append(c.Issuers, *i) },
		"no URL":                  func(_ *oidc.Config, i *oidc.Issuer) { i.URL = "" },
		"URL in the clear":        func(_ *oidc.Config, i *oidc.Issuer) { i.URL = "http://idp.example" },
		"URL that looks local":    func(_ *oidc.Config, i *oidc.Issuer) { i.URL = "http://localhost.idp.example" },
		"URL without host":        func(_ *oidc.Config, i *oidc.Issuer) { i.URL = "https:///x" },
		"URL with query":          func(_ *oidc.Config, i *oidc.Issuer) { i.URL += "?a=b" },
		"URL with empty query":    func(_ *oidc.Config, i *oidc.Issuer) { i.URL += "?" },
		"URL with fragment":       func(_ *oidc.Config, i *oidc.Issuer) { i.URL += "#a" },
		"URL with empty fragment": func(_ *oidc.Config, i *oidc.Issuer) { i.URL += "#" },
		"URL with user":           func(_ *oidc.Config, i *oidc.Issuer) { i.URL = "https://a:b@idp.example" },
		"URL unparsable":          func(_ *oidc.Config, i *oidc.Issuer) { i.URL = "https://%zz" },
		"no audience":             func(_ *oidc.Config, i *oidc.Issuer) { i.Audiences = nil },
		"empty audience":          func(_ *oidc.Config, i *oidc.Issuer) { i.Audiences = []string{"a", ""} },
		"alg none":                func(_ *oidc.Config, i *oidc.Issuer) { i.Algorithms = []string{"RS256", "none"} },
		"alg HS256":               func(_ *oidc.Config, i *oidc.Issuer) { i.Algorithms = []string{"HS256"} },
		"alg in another case":     func(_ *oidc.Config, i *oidc.Issuer) { i.Algorithms = []string{"rs256"} },
		"negative MaxAge":         func(_ *oidc.Config, i *oidc.Issuer) { i.MaxAge = -1 },
		"two sources of keys":     func(_ *oidc.Config, i *oidc.Issuer) { i.JWKS, i.JWKSURL = []byte(`{"keys":[]}`), i.URL+"/keys" },
		"JWKSURL in the clear":    func(_ *oidc.Config, i *oidc.Issuer) { i.JWKSURL = "http://idp.example/keys" },
		"JWKS unreadable":         func(_ *oidc.Config, i *oidc.Issuer) { i.JWKS = []byte("{") },
		"JWKS empty":              func(_ *oidc.Config, i *oidc.Issuer) { i.JWKS = []byte(`{"keys":[]}`) },
		"JWKS of no use":          func(_ *oidc.Config, i *oidc.Issuer) { i.JWKS = []byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`) },
		"negative skew":           func(c *oidc.Config, _ *oidc.Issuer) { c.ClockSkew = -1 },
		"large skew":              func(c *oidc.Config, _ *oidc.Issuer) { c.ClockSkew = 5*time.Minute + 1 },
		"negative timeout":        func(c *oidc.Config, _ *oidc.Issuer) { c.FetchTimeout = -1 },
		"negative token size":     func(c *oidc.Config, _ *oidc.Issuer) { c.MaxTokenBytes = -1 },
		"large token size":        func(c *oidc.Config, _ *oidc.Issuer) { c.MaxTokenBytes = 1<<20 + 1 },
		"stale before old":        func(c *oidc.Config, _ *oidc.Issuer) { c.KeysMaxAge = 2 * time.Hour },
	} {
		cfg := oidc.Config{Issuers: []oidc.Issuer{{URL: "https://idp.example", Audiences: []string{audience}}}}
		edit(&cfg, func() *oidc.Issuer {
			if len(cfg.Issuers) == 0 {
				return nil
			}
			return &cfg.Issuers[0]
		}())
		if _, err := oidc.New(cfg); err == nil || !strings.HasPrefix(err.Error(), "oidc: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLoopbackInTheClear(t *testing.T) {
	for _, host := range []string{"localhost", "127.0.0.1:80", "127.8.8.8", "[::1]:80", "[::ffff:127.0.0.1]"} {
		if _, err := oidc.New(oidc.Config{Issuers: []oidc.Issuer{{URL: "http://" + host, Audiences: []string{"a"}}}}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestConfigIsCopied changes what New was given.
func TestConfigIsCopied(t *testing.T) {
	issuers := []oidc.Issuer{{
		Audiences: []string{audience}, Algorithms: []string{"ES256"}, Types: []string{"JWT"},
		Required: map[string][]string{"team": {"db"}}, Mapping: oidc.Mapping{Groups: []string{"roles"}, Claims: []string{"team"}},
	}}
	b := newBench(t, func(cfg *oidc.Config, idp *oidctest.Provider) {
		issuers[0].URL = idp.Issuer()
		cfg.Issuers = issuers
	})
	i := &issuers[0]
	i.Audiences[0], i.Algorithms[0], i.Types[0], i.Required["team"][0], i.Required["x"] = "x", "x", "x", "x", nil
	i.Mapping.Groups[0], i.Mapping.Claims[0] = "x", "x"
	id := b.accept(t, b.mint(t, claims{"team": "db", "roles": "dba"}))
	if len(id.Groups) != 1 || id.Claims["team"] != "db" {
		t.Errorf("got %+v", id)
	}
}

func TestTypes(t *testing.T) {
	b := newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) { cfg.Issuers[0].Types = []string{"application/at+JWT"} })
	for typ, reason := range map[any]string{
		"at+jwt": "", "AT+JWT": "", "application/at+jwt": "", "JWT": identity.ReasonClaims, nil: identity.ReasonClaims, "": identity.ReasonClaims,
		"application/application/at+jwt": identity.ReasonClaims,
	} {
		_, err := b.verify(t, b.mintWith(t, claims{"typ": typ}, nil))
		if got := identity.ReasonOf(err); got != reason {
			t.Errorf("typ %v: %v", typ, err)
		}
	}
}

func TestMaxAgeAndSkew(t *testing.T) {
	b := newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) {
		cfg.ClockSkew = 5 * time.Minute
		cfg.Issuers[0].MaxAge = time.Minute
	})
	now := b.Now().Unix()
	exp := now + 3600
	token := b.mint(t, claims{"exp": exp})
	b.accept(t, token)
	b.accept(t, b.mint(t, claims{"iat": now + 300, "nbf": now + 300, "exp": exp}))
	b.refuse(t, b.mint(t, claims{"iat": now + 301, "exp": exp}), identity.ReasonNotYetValid)
	b.advance(time.Minute)
	b.accept(t, token)
	b.advance(time.Second)
	b.refuse(t, token, identity.ReasonTooOld) // remembered, but too old by now
}
