package oidc_test

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/identitytest"
	"github.com/headgate/gateway/policy/identity/oidc"
)

func rotate(t *testing.T, b *bench, keep bool) {
	t.Helper()
	if err := b.idp.Rotate(keep); err != nil {
		t.Fatal(err)
	}
}

func TestNewDoesNoIO(t *testing.T) {
	b := newBench(t, nil)
	if got := b.idp.Requests(); got != (oidctest.Requests{}) {
		t.Errorf("New has made requests: %+v", got)
	}
}

func TestRotation(t *testing.T) {
	b := newBench(t, nil)
	first := b.mint(t, nil)
	b.accept(t, first)
	rotate(t, b, true)
	second := b.mint(t, nil)
	b.refuse(t, second, identity.ReasonUnknownKey) // the last fetch is too fresh
	b.advance(30 * time.Second)
	b.accept(t, second)
	b.accept(t, first)
	if got := b.fetches(); got != 2 {
		t.Errorf("%d fetches, want 2", got)
	}
	rotate(t, b, false)
	b.advance(30 * time.Second)
	b.accept(t, second) // remembered, and the keys are still thought good
	b.accept(t, b.mint(t, nil))
	b.refuse(t, second, identity.ReasonUnknownKey)
	b.refuse(t, first, identity.ReasonUnknownKey)
}

// TestWithdrawnKey withdraws a key that nothing replaces.
func TestWithdrawnKey(t *testing.T) {
	b := newBench(t, nil)
	token := b.mint(t, claims{"exp": b.Now().Add(time.Hour).Unix()})
	b.accept(t, token)
	b.idp.Fail(oidctest.Failure{KeysOnly: true, Body: []byte(`{"keys":[]}`)})
	b.advance(5*time.Minute - time.Second)
	b.accept(t, token)
	b.advance(time.Second)
	b.refuse(t, token, identity.ReasonUnknownKey)
}

// TestFlood sends tokens with made-up key ids, which must not reach the provider
// more than once per interval.
func TestFlood(t *testing.T) {
	b := newBench(t, nil)
	good := b.mint(t, nil)
	b.accept(t, good)
	for round := range 3 {
		b.advance(30 * time.Second)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 50 {
					b.refuse(t, b.mintWith(t, claims{"kid": fmt.Sprintf("%d-%d-%d", round, i, j)}, nil), identity.ReasonUnknownKey)
				}
			})
		}
		wg.Wait()
		b.accept(t, good)
		if got, want := b.fetches(), round+2; got != want {
			t.Errorf("after flood %d: %d fetches, want %d", round, got, want)
		}
	}
	if got := b.idp.Requests(); got.Discovery != got.Keys {
		t.Errorf("requests: %+v", got)
	}
}

// TestProviderDownAtStart also pins the waits between attempts.
func TestProviderDownAtStart(t *testing.T) {
	b := newBench(t, nil)
	b.idp.Fail(oidctest.Failure{KeysOnly: true, Status: http.StatusServiceUnavailable})
	token := b.mint(t, claims{"exp": b.Now().Add(time.Hour).Unix()})
	for attempt, seconds := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		wait := time.Duration(seconds) * time.Second
		for range 3 {
			b.refuse(t, token, identity.ReasonUnavailable)
		}
		b.advance(wait - 1)
		b.refuse(t, token, identity.ReasonUnavailable)
		if got := b.fetches(); got != attempt+1 {
			t.Fatalf("%d fetches before the wait of %v was over, want %d", got, wait, attempt+1)
		}
		b.advance(1)
	}
	b.idp.Fail(oidctest.Failure{})
	b.accept(t, token)
}

// TestProviderDownLater rides out an outage with the keys at hand, for an hour.
func TestProviderDownLater(t *testing.T) {
	b := newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) { cfg.CacheSize = -1 })
	token := b.mint(t, claims{"exp": b.Now().Add(24 * time.Hour).Unix()})
	b.accept(t, token)
	b.idp.Fail(oidctest.Failure{DiscoveryOnly: true, Status: http.StatusInternalServerError})
	b.advance(59*time.Minute + 59*time.Second)
	b.accept(t, token)
	b.refuse(t, b.mintWith(t, claims{"kid": "new"}, nil), identity.ReasonUnavailable)
	b.advance(time.Second)
	b.refuse(t, token, identity.ReasonUnavailable)
	b.idp.Fail(oidctest.Failure{})
	b.advance(2 * time.Second)
	b.accept(t, token)
}

// TestUnusableDocuments feeds the Verifier what is no discovery document or no key
// set. It must say that it can't tell, and show nothing of the document.
func TestUnusableDocuments(t *testing.T) {
	const canary = "canary-of-the-document"
	padding := bytes.Repeat([]byte(" "), 1<<20)
	for name, f := range map[string]oidctest.Failure{
		"discovery status":        {DiscoveryOnly: true, Status: http.StatusNotFound, Body: []byte(canary)},
		"discovery redirect":      {DiscoveryOnly: true, Status: http.StatusFound, Location: "https://idp.example/keys"},
		"discovery garbage":       {DiscoveryOnly: true, Body: []byte(canary)},
		"discovery empty":         {DiscoveryOnly: true, Body: []byte{}},
		"discovery too long":      {DiscoveryOnly: true, Body: append([]byte(`{"issuer":"https://idp.example","jwks_uri":"https://idp.example/keys"}`), padding...)},
		"another issuer":          {DiscoveryOnly: true, Body: []byte(`{"issuer":"https://` + canary + `","jwks_uri":"https://idp.example/keys"}`)},
		"issuer with slash":       {DiscoveryOnly: true, Body: []byte(`{"issuer":"https://idp.example/","jwks_uri":"https://idp.example/keys"}`)},
		"no jwks_uri":             {DiscoveryOnly: true, Body: []byte(`{"issuer":"https://idp.example"}`)},
		"jwks_uri in the clear":   {DiscoveryOnly: true, Body: []byte(`{"issuer":"https://idp.example","jwks_uri":"http://idp.example/keys"}`)},
		"jwks_uri on the gateway": {DiscoveryOnly: true, Body: []byte(`{"issuer":"https://idp.example","jwks_uri":"http://127.0.0.1/keys"}`)},
		"jwks_uri a file":         {DiscoveryOnly: true, Body: []byte(`{"issuer":"https://idp.example","jwks_uri":"file:///keys"}`)},
		"jwks_uri a number":       {DiscoveryOnly: true, Body: []byte(`{"issuer":"https://idp.example","jwks_uri":7}`)},
		"jwks_uri unparsable":     {DiscoveryOnly: true, Body: []byte(`{"issuer":"https://idp.example","jwks_uri":"https://%zz"}`)},
		"keys status":             {KeysOnly: true, Status: http.StatusTooManyRequests, Body: []byte(canary)},
		"keys redirect":           {KeysOnly: true, Status: http.StatusMovedPermanently, Location: "https://idp.example/keys2"},
		"keys garbage":            {KeysOnly: true, Body: []byte(canary)},
		"keys array":              {KeysOnly: true, Body: []byte(`[]`)},
		"keys missing":            {KeysOnly: true, Body: []byte(`{}`)},
		"keys too long":           {KeysOnly: true, Body: append([]byte(`{"keys":[]}`), padding...)},
	} {
		b := newBench(t, func(cfg *oidc.Config, idp *oidctest.Provider) {
			cfg.HTTPClient.Transport = inProcess{"idp.example": idp, "127.0.0.1": idp}
		})
		b.idp.Fail(f)
		_, err := b.verify(t, b.mint(t, nil))
		if got := identity.ReasonOf(err); got != identity.ReasonUnavailable {
			t.Errorf("%s: refused for %q: %v", name, got, err)
		}
		if found := identitytest.Leak(canary, fmt.Sprintf("%v %#v", err, err)); found != "" {
			t.Errorf("%s: the error shows %q", name, found)
		}
	}
}

func TestJWKSURL(t *testing.T) {
	b := newBench(t, func(cfg *oidc.Config, idp *oidctest.Provider) {
		cfg.Issuers[0].JWKSURL = idp.Issuer() + oidctest.KeysPath
	})
	b.accept(t, b.mint(t, nil))
	if got := b.idp.Requests(); got != (oidctest.Requests{Keys: 1}) {
		t.Errorf("requests: %+v", got)
	}
}

func TestFixedKeys(t *testing.T) {
	b := newBench(t, func(cfg *oidc.Config, idp *oidctest.Provider) {
		doc, err := idp.JWKS()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Issuers[0].JWKS = doc
	})
	b.accept(t, b.mint(t, nil))
	b.refuse(t, b.mintWith(t, claims{"kid": "another"}, nil), identity.ReasonUnknownKey)
	b.advance(100 * time.Hour)
	b.accept(t, b.mint(t, nil))
	rotate(t, b, true)
	b.refuse(t, b.mint(t, nil), identity.ReasonUnknownKey)
	if got := b.idp.Requests(); got != (oidctest.Requests{}) {
		t.Errorf("requests: %+v", got)
	}
}

// TestIssuersDontMix has two issuers whose keys have the same id.
func TestIssuersDontMix(t *testing.T) {
	var second *oidctest.Provider
	b := newBench(t, func(cfg *oidc.Config, first *oidctest.Provider) {
		second = newProvider(t, oidctest.Config{Issuer: "https://second.example/tenant", Now: cfg.Now})
		cfg.Issuers = append(cfg.Issuers, oidc.Issuer{URL: second.Issuer(), Audiences: []string{"second"}})
		cfg.HTTPClient.Transport = inProcess{"idp.example": first, "second.example": second}
	})
	if b.idp.KeyID("ES256") != second.KeyID("ES256") {
		t.Fatal("the key ids differ")
	}
	mint := func(p *oidctest.Provider, iss, aud string) string {
		token, err := p.Mint(usual(claims{"iss": iss, "aud": aud}))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := b.idp
	if id := b.accept(t, mint(first, first.Issuer(), audience)); id.Issuer != first.Issuer() {
		t.Errorf("issuer %q", id.Issuer)
	}
	if id := b.accept(t, mint(second, second.Issuer(), "second")); id.Issuer != second.Issuer() {
		t.Errorf("issuer %q", id.Issuer)
	}
	b.refuse(t, mint(second, first.Issuer(), audience), identity.ReasonSignature)
	b.refuse(t, mint(first, second.Issuer(), "second"), identity.ReasonSignature)
	b.refuse(t, mint(second, second.Issuer(), audience), identity.ReasonAudience)
	second.Fail(oidctest.Failure{Status: http.StatusBadGateway})
	b.advance(2 * time.Hour)
	b.refuse(t, mint(second, second.Issuer(), "second"), identity.ReasonUnavailable)
	b.accept(t, mint(first, first.Issuer(), audience))
}

// TestLoopbackIssuerStaysLocal has an issuer that may use http, since it is on this
// machine, lead elsewhere in the clear.
func TestLoopbackIssuerStaysLocal(t *testing.T) {
	const issuer = "http://localhost"
	for uri, reason := range map[string]string{
		"http://localhost/keys":    "",
		"http://localhost/keys?x":  "",
		"https://idp.example/keys": "",
		"http://idp.example/keys":  identity.ReasonUnavailable,
		"http://a:b@localhost/":    identity.ReasonUnavailable,
	} {
		b := newBench(t, func(cfg *oidc.Config, idp *oidctest.Provider) {
			cfg.Issuers[0].URL = issuer
			cfg.HTTPClient.Transport = inProcess{"localhost": idp, "idp.example": idp}
		})
		b.idp.Fail(oidctest.Failure{DiscoveryOnly: true, Body: fmt.Appendf(nil, `{"issuer":%q,"jwks_uri":%q}`, issuer, uri)})
		_, err := b.verify(t, b.mint(t, claims{"iss": issuer}))
		if got := identity.ReasonOf(err); got != reason {
			t.Errorf("%s: %v", uri, err)
		}
	}
}
