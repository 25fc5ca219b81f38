package credsource_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/credsource"
)

func TestOneFetchForAllWhoWereRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner})
		var refused []*credsource.Credential
		for range 100 {
			refused = append(refused, get(t, r, request("a", "db")))
		}
		inner.set(func(s *store) { s.secret = "two"; s.gate = make(chan struct{}) })
		var wg sync.WaitGroup
		refresh := func(c *credsource.Credential) {
			fresh, err := r.Refresh(t.Context(), request("a", "db"), c)
			if err != nil {
				t.Errorf("Refresh: %v", err)
				return
			}
			wantSecret(t, fresh, "two")
		}
		for _, c := range refused[1:] {
			wg.Go(func() { refresh(c) })
		}
		synctest.Wait()
		close(inner.gate)
		wg.Wait()
		refresh(refused[0]) // who comes late gets the newer one
		wantCount(t, "fetches", inner.count(), 2)
		for _, c := range refused {
			release(t, c)
		}
		wantCount(t, "releases of the refused one", inner.releases("one"), 1)
	})
}

func TestRefreshFailsWhileTheStoreHasTheRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner, RetryAfter: time.Second})
		refused := get(t, r, request("a", "db"))
		for range 10 {
			c, err := r.Refresh(t.Context(), request("a", "db"), refused)
			if c != nil || !errors.Is(err, credsource.ErrUnchanged) || !errors.Is(err, credsource.ErrUnavailable) {
				t.Fatalf("got %v, %v", c, err)
			}
		}
		wantCount(t, "fetches within RetryAfter", inner.count(), 2)
		inner.set(func(s *store) { s.secret = "two" })
		time.Sleep(time.Second)
		fresh, err := r.Refresh(t.Context(), request("a", "db"), refused)
		if err != nil {
			t.Fatal(err)
		}
		wantSecret(t, fresh, "two")
		wantCount(t, "fetches", inner.count(), 3)
	})
}

func TestFailedRefreshIsNotRepeatedByEachCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner})
		refused := get(t, r, request("a", "db"))
		inner.set(func(s *store) { s.err = errDown })
		for range 100 {
			if c, err := r.Refresh(t.Context(), request("a", "db"), refused); c != nil || !errors.Is(err, errDown) {
				t.Fatalf("got %v, %v", c, err)
			}
		}
		wantCount(t, "fetches", inner.count(), 2)
	})
}

// A session may have been given its lease before an uneventful refresh: what
// counts is the secret, not how often it was fetched.
func TestRefusedSecretIsKnownAcrossFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner, MaxAge: time.Minute})
		refused := get(t, r, request("a", "db"))
		time.Sleep(time.Minute)
		get(t, r, request("a", "db"))
		inner.set(func(s *store) { s.secret = "two" })
		fresh, err := r.Refresh(t.Context(), request("a", "db"), refused)
		if err != nil {
			t.Fatal(err)
		}
		wantSecret(t, fresh, "two")
	})
}

// refresher notes what it is told.
type refresher struct {
	*store
	told []*credsource.Credential
}

func (r *refresher) Refresh(ctx context.Context, req credsource.Request, refused *credsource.Credential) (*credsource.Credential, error) {
	r.told = append(r.told, refused)
	return r.Credential(ctx, req)
}

func TestSourceIsToldWhatWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &refresher{store: newStore("one")}
		r := rotating(t, credsource.RotatingConfig{Source: inner})
		refused := get(t, r, request("a", "db"))
		inner.set(func(s *store) { s.secret = "two" })
		if _, err := r.Refresh(t.Context(), request("a", "db"), refused); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Refresh(t.Context(), request("other", "db"), refused); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Refresh(t.Context(), request("a", "db"), nil); !errors.Is(err, nil) {
			t.Fatal(err)
		}
		wantCount(t, "refreshes", len(inner.told), 3)
		for i, want := range []string{"one", "one", "two"} {
			wantSecret(t, inner.told[i], want)
		}
	})
}
