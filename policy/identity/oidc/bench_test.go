package oidc_test

import (
	"testing"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/oidc"
	"github.com/headgate/gateway/policy/secret"
)

func BenchmarkHit(b *testing.B) {
	benchmark(b, "ES256", 0)
}

func BenchmarkMiss(b *testing.B) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		b.Run(algorithm, func(b *testing.B) { benchmark(b, algorithm, -1) })
	}
}

// BenchmarkRefuse is what a forged token costs.
func BenchmarkRefuse(b *testing.B) {
	v := newBench(b, nil)
	proof := identity.Proof{Token: secret.New(v.mint(b, claims{"aud": "another"}))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.v.Verify(b.Context(), proof); err == nil {
			b.Fatal("accepted")
		}
	}
}

func benchmark(b *testing.B, algorithm string, cacheSize int) {
	b.Helper()
	v := newBench(b, func(cfg *oidc.Config, _ *oidctest.Provider) {
		cfg.CacheSize = cacheSize
		cfg.Issuers[0].Algorithms = []string{"RS256", "ES256", "EdDSA"}
	}, "RS256", "EdDSA")
	token, err := v.idp.MintWith(algorithm, nil, usual(claims{"groups": []string{"eng", "dba"}, "azp": "agent-app"}))
	if err != nil {
		b.Fatal(err)
	}
	proof := identity.Proof{Token: secret.New(token)}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.v.Verify(ctx, proof); err != nil {
			b.Fatal(err)
		}
	}
}
