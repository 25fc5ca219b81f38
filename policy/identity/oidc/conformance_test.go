package oidc_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/identitytest"
	"github.com/headgate/gateway/policy/identity/oidc"
	"github.com/headgate/gateway/policy/secret"
)

func TestConformance(t *testing.T) {
	identitytest.Run(t, identitytest.Harness{New: func(t *testing.T) identitytest.Fixture {
		t.Helper()
		b := newBench(t, nil)
		return fixture(t, b)
	}})
}

func TestConformanceWithoutCache(t *testing.T) {
	identitytest.Run(t, identitytest.Harness{New: func(t *testing.T) identitytest.Fixture {
		t.Helper()
		b := newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) { cfg.CacheSize = -1 })
		return fixture(t, b)
	}})
}

func fixture(t *testing.T, b *bench) identitytest.Fixture {
	t.Helper()
	good := b.mint(t, claims{
		"groups": []string{"eng", "dba"}, "azp": "agent-app", "jti": "1",
		"act": claims{"sub": "agent-7", "act": claims{"sub": "planner", "iss": "https://other.example"}},
	})
	proof := func(extra claims) identity.Proof { return identity.Proof{Token: secret.New(b.mint(t, extra))} }
	return identitytest.Fixture{
		Verifier: b.v,
		Proof:    identity.Proof{Token: secret.New(good)},
		Want: policy.Identity{
			Subject: "ann", Issuer: b.idp.Issuer(), Method: oidc.Method, Groups: []string{"eng", "dba"},
			Claims:  map[string]any{"azp": "agent-app"},
			Actors:  []policy.Actor{{Subject: "agent-7"}, {Subject: "planner", Issuer: "https://other.example"}},
			Expires: b.Now().Add(oidctest.Lifetime),
		},
		Refused: map[string]identity.Proof{
			"wrong audience": proof(claims{"aud": "another"}),
			"expired":        proof(claims{"exp": b.Now().Unix()}),
			"wrong issuer":   proof(claims{"iss": "https://another.example"}),
			"no subject":     proof(claims{"sub": nil}),
		},
		Expire: func(*testing.T) { b.advance(oidctest.Lifetime) },
		Break:  func(*testing.T) { b.idp.Fail(oidctest.Failure{Status: http.StatusBadGateway}) },
	}
}

// TestOverTheNetwork uses the Verifier's own client and a real listener.
func TestOverTheNetwork(t *testing.T) {
	idp, err := oidctest.Start(oidctest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := idp.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	v := newVerifier(t, oidc.Config{Issuers: []oidc.Issuer{{URL: idp.Issuer(), Audiences: []string{audience}}}})
	token, err := idp.Mint(usual(nil))
	if err != nil {
		t.Fatal(err)
	}
	id, err := v.Verify(t.Context(), identity.Proof{Token: secret.New(token)})
	if err != nil || id.Subject != "ann" || id.Issuer != idp.Issuer() {
		t.Errorf("got %+v, %v", id, err)
	}
	if left := time.Until(id.Expires); left <= 0 || left > oidctest.Lifetime {
		t.Errorf("the identity ends in %v", left)
	}
}

func TestZeroVerifierRefuses(t *testing.T) {
	var v oidc.Verifier
	for _, token := range []string{"", "a.b.c"} {
		if id, err := v.Verify(t.Context(), identity.Proof{Token: secret.New(token)}); err == nil {
			t.Errorf("%q: accepted as %+v", token, id)
		}
	}
	if err := v.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
