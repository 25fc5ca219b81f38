package credsource_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/credsource"
)

func wantFailure(t *testing.T, s credsource.Source, req credsource.Request, want error) {
	t.Helper()
	if c, err := s.Credential(t.Context(), req); c != nil || !errors.Is(err, want) {
		t.Fatalf("got %v, %v, want %v", c, err, want)
	}
}

func TestFailureIsRepeatedUntilRetryAfter(t *testing.T) {
	for _, failure := range []error{errDown, credsource.ErrNotFound, context.DeadlineExceeded} {
		synctest.Test(t, func(t *testing.T) {
			inner := newStore("one")
			inner.err = fmt.Errorf("store: %w", failure)
			r := rotating(t, credsource.RotatingConfig{Source: inner, RetryAfter: time.Minute})
			for range 1000 {
				wantFailure(t, r, request("a", "db"), failure)
			}
			if c, err := r.Refresh(t.Context(), request("a", "db"), nil); c != nil || !errors.Is(err, failure) {
				t.Errorf("Refresh: %v, %v", c, err)
			}
			wantCount(t, "fetches", inner.count(), 1)
			wantFailure(t, r, request("b", "db"), failure)
			wantCount(t, "fetches with another key", inner.count(), 2)
			inner.set(func(s *store) { s.err = nil })
			time.Sleep(time.Minute - 1)
			wantFailure(t, r, request("a", "db"), failure)
			time.Sleep(time.Nanosecond)
			wantSecret(t, get(t, r, request("a", "db")), "one")
			wantCount(t, "fetches", inner.count(), 3)
		})
	}
}

func TestFailureIsRepeatedOnceTheCachedHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.life = 10 * time.Minute
		r := rotating(t, credsource.RotatingConfig{Source: inner, RetryAfter: time.Minute})
		release(t, get(t, r, request("a", "db")))
		inner.set(func(s *store) { s.err = errDown })
		time.Sleep(10 * time.Minute)
		for range 1000 {
			wantFailure(t, r, request("a", "db"), errDown)
		}
		wantCount(t, "fetches", inner.count(), 2)
		inner.set(func(s *store) { s.err, s.secret = nil, "two" })
		time.Sleep(time.Minute)
		wantSecret(t, get(t, r, request("a", "db")), "two")
	})
}

// A source that has answered with what was refused has not failed: a credential
// that ends within RetryAfter is fetched anew.
func TestUnchangedIsNoFailureOfFetching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.life = time.Second
		r := rotating(t, credsource.RotatingConfig{Source: inner, RetryAfter: time.Minute})
		refused := get(t, r, request("a", "db"))
		if _, err := r.Refresh(t.Context(), request("a", "db"), refused); !errors.Is(err, credsource.ErrUnchanged) {
			t.Fatalf("Refresh: %v", err)
		}
		time.Sleep(2 * time.Second)
		wantSecret(t, get(t, r, request("a", "db")), "one")
		wantCount(t, "fetches", inner.count(), 3)
	})
}

func TestFailuresMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner, RetryAfter: time.Hour, MaxAge: 2 * time.Hour, MaxKeys: 2})
		release(t, get(t, r, request("good", "db")))
		inner.set(func(s *store) { s.err = errDown })
		for i := range 100 {
			wantFailure(t, r, request(fmt.Sprint(i), "db"), errDown)
		}
		wantSecret(t, get(t, r, request("good", "db")), "one")
		wantCount(t, "fetches", inner.count(), 101)
		wantFailure(t, r, request("99", "db"), errDown) // is the one that is left
		wantCount(t, "fetches", inner.count(), 101)
	})
}

// One caller who gives up, for whatever reason, says nothing about the source.
func TestCallersContextIsNotCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.gate = make(chan struct{})
		r := rotating(t, credsource.RotatingConfig{Source: inner, RetryAfter: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for want, ctx := range map[error]context.Context{context.DeadlineExceeded: ctx, context.Canceled: canceled(t)} {
			if _, err := r.Credential(ctx, request("a", "db")); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			synctest.Wait()
		}
		inner.set(func(s *store) { s.gate = nil })
		wantSecret(t, get(t, r, request("a", "db")), "one")
	})
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	return ctx
}
