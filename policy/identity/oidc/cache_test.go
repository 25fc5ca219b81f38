package oidc_test

import (
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/oidc"
	"github.com/headgate/gateway/policy/secret"
)

// TestCacheEnds withdraws the key of a remembered token and never lets another
// token make the keys be fetched again.
func TestCacheEnds(t *testing.T) {
	for _, cacheFor := range []time.Duration{time.Minute, 0, 20 * time.Minute} {
		b := newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) {
			cfg.CacheFor = cacheFor
			cfg.KeysMaxAge = time.Second
		})
		token := b.mint(t, claims{"exp": b.Now().Add(time.Hour).Unix()})
		b.accept(t, token)
		rotate(t, b, false)
		if cacheFor == 0 {
			cacheFor = 5 * time.Minute
		}
		b.advance(cacheFor - 1)
		b.accept(t, token)
		b.advance(1)
		b.refuse(t, token, identity.ReasonUnknownKey)
	}
}

// TestCacheBound verifies more tokens than are remembered. Those that have been
// forgotten are told from the others by breaking the provider.
func TestCacheBound(t *testing.T) {
	b := newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) {
		cfg.CacheSize = 2
		cfg.KeysMaxAge, cfg.KeysMaxStale = time.Second, time.Second
	})
	var tokens []string
	for _, jti := range []string{"a", "b", "c", "d", "e"} {
		tokens = append(tokens, b.mint(t, claims{"jti": jti}))
		b.accept(t, tokens[len(tokens)-1])
		b.accept(t, tokens[len(tokens)-1])
	}
	b.idp.Fail(oidctest.Failure{Status: 500})
	b.advance(time.Minute)
	for i, token := range tokens {
		if i < 3 {
			b.refuse(t, token, identity.ReasonUnavailable)
		} else {
			b.accept(t, token)
		}
	}
}

// TestCacheIsExact looks for a remembered token under other texts.
func TestCacheIsExact(t *testing.T) {
	b := newBench(t, nil)
	token := b.mint(t, nil)
	b.accept(t, token)
	for _, other := range []string{token + "=", token + "\n", strings.ToUpper(token), token[:len(token)-1]} {
		if _, err := b.verify(t, other); err == nil {
			t.Errorf("%q is taken for the remembered token", other)
		}
	}
}

// TestRefusalsAreNotRemembered verifies a token before and after it counts.
func TestRefusalsAreNotRemembered(t *testing.T) {
	b := newBench(t, nil)
	token := b.mint(t, claims{"nbf": b.Now().Add(time.Minute).Unix()})
	b.refuse(t, token, identity.ReasonNotYetValid)
	b.advance(30 * time.Second)
	b.accept(t, token)
}

func TestCacheHitAllocatesLittle(t *testing.T) {
	b := newBench(t, nil)
	proof := identity.Proof{Token: secret.New(b.mint(t, nil))}
	ctx := t.Context()
	if got := testing.AllocsPerRun(100, func() {
		if _, err := b.v.Verify(ctx, proof); err != nil {
			t.Error(err)
		}
	}); got > 2 {
		t.Errorf("a hit makes %v allocations", got)
	}
}
