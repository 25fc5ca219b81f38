package oidc_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/oidc"
	"github.com/headgate/gateway/policy/secret"
)

// newBubble returns a provider and a verifier that live by the clock of the
// synctest bubble they are made in, and a good token that isn't remembered.
func newBubble(t *testing.T) (*oidctest.Provider, *oidc.Verifier, identity.Proof) {
	t.Helper()
	idp := newProvider(t, oidctest.Config{})
	v := newVerifier(t, oidc.Config{
		Issuers:    []oidc.Issuer{{URL: idp.Issuer(), Audiences: []string{audience}}},
		HTTPClient: &http.Client{Transport: inProcess{"idp.example": idp}},
		CacheSize:  -1,
	})
	token, err := idp.Mint(usual(claims{"exp": time.Now().Add(24 * time.Hour).Unix()}))
	if err != nil {
		t.Fatal(err)
	}
	return idp, v, identity.Proof{Token: secret.New(token)}
}

// TestSingleFlight has many callers want the keys at once.
func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idp, v, proof := newBubble(t)
		answer := make(chan struct{})
		idp.Fail(oidctest.Failure{Until: answer})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), proof); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(answer)
		wg.Wait()
		if got := idp.Requests(); got != (oidctest.Requests{Discovery: 1, Keys: 1}) {
			t.Errorf("requests: %+v", got)
		}
	})
}

// TestHangingProvider lets a refresh hang: the caller who found it due waits for
// the timeout and then gets the keys at hand, all others get them at once.
func TestHangingProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idp, v, proof := newBubble(t)
		if _, err := v.Verify(t.Context(), proof); err != nil {
			t.Fatal(err)
		}
		idp.Fail(oidctest.Failure{Until: make(chan struct{})})
		time.Sleep(5 * time.Minute) // of the bubble's clock
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), proof); err != nil {
				t.Error(err)
			}
			if waited := time.Since(start); waited != 10*time.Second {
				t.Errorf("waited for %v", waited)
			}
		})
		synctest.Wait()
		for range 20 {
			if _, err := v.Verify(t.Context(), proof); err != nil {
				t.Error(err)
			}
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("another caller has waited for %v", waited)
		}
		wg.Wait()
	})
}

// TestImpatientCaller gives up waiting for the first keys; the fetch goes on for
// the next one.
func TestImpatientCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idp, v, proof := newBubble(t)
		answer := make(chan struct{})
		idp.Fail(oidctest.Failure{Until: answer})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := v.Verify(ctx, proof)
		if !errors.Is(err, context.DeadlineExceeded) || identity.ReasonOf(err) != identity.ReasonUnavailable {
			t.Errorf("got %v", err)
		}
		close(answer)
		if _, err := v.Verify(t.Context(), proof); err != nil {
			t.Error(err)
		}
		if got := idp.Requests(); got != (oidctest.Requests{Discovery: 1, Keys: 1}) {
			t.Errorf("requests: %+v", got)
		}
	})
}

// TestClose ends a hanging fetch, and with it those who wait.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idp, v, proof := newBubble(t)
		idp.Fail(oidctest.Failure{Until: make(chan struct{})})
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), proof); identity.ReasonOf(err) != identity.ReasonUnavailable {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		for range 2 {
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
		if waited := time.Since(start); waited != 0 {
			t.Errorf("Close took %v", waited)
		}
		idp.Fail(oidctest.Failure{})
		time.Sleep(time.Hour) // of the bubble's clock
		before := idp.Requests()
		if _, err := v.Verify(t.Context(), proof); identity.ReasonOf(err) != identity.ReasonUnavailable {
			t.Errorf("after Close: %v", err)
		}
		if idp.Requests() != before {
			t.Error("a closed verifier fetches")
		}
	})
}

// panicking is an HTTP transport of the worst kind.
type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("transport") }

func TestPanickingTransport(t *testing.T) {
	b := newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) { cfg.HTTPClient = &http.Client{Transport: panicking{}} })
	b.refuse(t, b.mint(t, nil), identity.ReasonUnavailable)
}
