package oidc_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/oidc"
	"github.com/headgate/gateway/policy/secret"
)

const audience = "headgate"

// A clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// inProcess serves requests by calling the handler of the host they go to, so
// that tests need no network and their goroutines can be waited for.
type inProcess map[string]http.Handler

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	handler, ok := t[req.URL.Host]
	if !ok {
		return nil, http.ErrServerClosed
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// A bench is a verifier with its provider.
type bench struct {
	*clock
	idp *oidctest.Provider
	v   *oidc.Verifier
}

// newBench starts a provider of ES256, and of the other algorithms named, and a
// verifier as configured by edit, which may be nil.
func newBench(tb testing.TB, edit func(*oidc.Config, *oidctest.Provider), algorithms ...string) *bench {
	tb.Helper()
	b := &bench{clock: newClock()}
	b.idp = newProvider(tb, oidctest.Config{Now: b.Now, Algorithms: algorithms})
	cfg := oidc.Config{
		Issuers:    []oidc.Issuer{{URL: b.idp.Issuer(), Audiences: []string{audience}}},
		HTTPClient: &http.Client{Transport: inProcess{"idp.example": b.idp}},
		Now:        b.Now,
	}
	if edit != nil {
		edit(&cfg, b.idp)
	}
	b.v = newVerifier(tb, cfg)
	return b
}

func newProvider(tb testing.TB, cfg oidctest.Config) *oidctest.Provider {
	tb.Helper()
	p, err := oidctest.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func newVerifier(tb testing.TB, cfg oidc.Config) *oidc.Verifier {
	tb.Helper()
	v, err := oidc.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := v.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return v
}

type claims = map[string]any

// usual returns the claims of a good token, with those of extra.
func usual(extra claims) claims {
	out := claims{"sub": "ann", "aud": audience}
	maps.Copy(out, extra)
	return out
}

// mint returns a token of the usual claims with those of extra.
func (b *bench) mint(tb testing.TB, extra claims) string {
	tb.Helper()
	return b.mintWith(tb, nil, extra)
}

func (b *bench) mintWith(tb testing.TB, header, extra claims) string {
	tb.Helper()
	token, err := b.idp.MintWith("ES256", header, usual(extra))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func (b *bench) verify(tb testing.TB, token string) (policy.Identity, error) {
	tb.Helper()
	return b.v.Verify(tb.Context(), identity.Proof{Token: secret.New(token)})
}

// accept checks that token is accepted.
func (b *bench) accept(tb testing.TB, token string) policy.Identity {
	tb.Helper()
	id, err := b.verify(tb, token)
	if err != nil {
		tb.Errorf("refused: %v", err)
	}
	return id
}

// refuse checks that token is refused for reason.
func (b *bench) refuse(tb testing.TB, token, reason string) {
	tb.Helper()
	id, err := b.verify(tb, token)
	if got := identity.ReasonOf(err); got != reason {
		tb.Errorf("refused for %q, want %q: %v", got, reason, err)
	}
	if id.Subject != "" {
		tb.Errorf("an identity comes with the error: %+v", id)
	}
}

// fetches returns how often the key set has been asked for.
func (b *bench) fetches() int { return b.idp.Requests().Keys }
