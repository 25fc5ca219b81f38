package credsource_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

// store is a backing store that leases what it holds and counts.
type store struct {
	mu       sync.Mutex
	secret   string
	life     time.Duration // zero: no expiry
	err      error
	fetches  int
	released map[string]int
	gate     chan struct{} // when set, Credential waits for it or its context
}

func newStore(secret string) *store { return &store{secret: secret, released: map[string]int{}} }

func (s *store) Credential(ctx context.Context, _ credsource.Request) (*credsource.Credential, error) {
	s.mu.Lock()
	s.fetches++
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, fmt.Errorf("store: %w", ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	content := s.secret
	c := &credsource.Credential{Username: "app", Password: secret.New(content), Version: content[:3] + fmt.Sprint(s.fetches)}
	if s.life > 0 {
		c.Expires = time.Now().Add(s.life)
	}
	return c.WithRelease(func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.released[content]++
		return nil
	}), nil
}

func (s *store) set(change func(*store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *store) count() (fetches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

func (s *store) releases(secret string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released[secret]
}

func request(subject, target string) credsource.Request {
	return credsource.Request{
		Identity: &policy.Identity{Subject: subject, Issuer: "https://idp"},
		Target:   &policy.Target{Name: target, Protocol: "postgres"},
	}
}

func rotating(t *testing.T, cfg credsource.RotatingConfig) *credsource.Rotating {
	t.Helper()
	r, err := credsource.NewRotating(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

func get(t *testing.T, s credsource.Source, req credsource.Request) *credsource.Credential {
	t.Helper()
	c, err := s.Credential(t.Context(), req)
	if err != nil {
		t.Fatalf("Credential: %v", err)
	}
	return c
}

func release(t *testing.T, c *credsource.Credential) {
	t.Helper()
	if err := c.Release(t.Context()); err != nil {
		t.Fatalf("Release: %v", err)
	}
}

func wantSecret(t *testing.T, c *credsource.Credential, want string) {
	t.Helper()
	if got := c.Password.Reveal(); got != want {
		t.Errorf("got the secret %q, want %q", got, want)
	}
}

func wantCount(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %d, want %d", what, got, want)
	}
}
