package credsource_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/credsourcetest"
	"github.com/headgate/gateway/credsource/env"
	"github.com/headgate/gateway/credsource/file"
	"github.com/headgate/gateway/credsource/static"
	"github.com/headgate/gateway/policy/secret"
)

var errDown = errors.New("store is down")

const canary = "can4ry<&\"+/rotating"

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// around wraps a source for the suite. Its clock passes every age at which the
// cache must ask again.
func around(t *testing.T, source credsource.Source, c *clock) credsource.Source {
	t.Helper()
	return rotating(t, credsource.RotatingConfig{Source: source, MaxAge: time.Minute, MaxStale: time.Minute, Now: c.Now})
}

func TestConformanceAroundStatic(t *testing.T) {
	credsourcetest.Run(t, credsourcetest.Harness{New: func(t *testing.T) credsourcetest.Fixture {
		t.Helper()
		c := &clock{now: time.Now()}
		inner, err := static.New(static.Config{Password: secret.New(canary), Expires: c.now.Add(time.Hour), Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		end := func(*testing.T) { c.add(time.Hour) }
		return credsourcetest.Fixture{Source: around(t, inner, c), Request: request("a", "db"), Canary: canary, Expire: end, Break: end}
	}})
}

func TestConformanceAroundEnv(t *testing.T) {
	credsourcetest.Run(t, credsourcetest.Harness{New: func(t *testing.T) credsourcetest.Fixture {
		t.Helper()
		t.Setenv("HG_TEST_SECRET", canary)
		c := &clock{now: time.Now()}
		inner, err := env.New(env.Config{TokenVar: "HG_TEST_SECRET"})
		if err != nil {
			t.Fatal(err)
		}
		set := func(t *testing.T, value string) { t.Helper(); t.Setenv("HG_TEST_SECRET", value); c.add(time.Minute) }
		return credsourcetest.Fixture{
			Source: around(t, inner, c), Request: request("a", "db"), Canary: canary,
			Rotate: func(t *testing.T) string { t.Helper(); set(t, "rotated-canary"); return "rotated-canary" },
			Break:  func(t *testing.T) { t.Helper(); set(t, "") },
		}
	}})
}

func TestConformanceAroundFile(t *testing.T) {
	credsourcetest.Run(t, credsourcetest.Harness{New: func(t *testing.T) credsourcetest.Fixture {
		t.Helper()
		c := &clock{now: time.Now()}
		path := filepath.Join(t.TempDir(), "secret")
		write := func(t *testing.T, content string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			c.add(2 * time.Minute)
		}
		write(t, canary)
		inner, err := file.New(file.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		return credsourcetest.Fixture{
			Source: around(t, inner, c), Request: request("a", "db"), Canary: canary,
			Rotate: func(t *testing.T) string { t.Helper(); write(t, "rotated-canary"); return "rotated-canary" },
			Break:  func(t *testing.T) { t.Helper(); write(t, "") },
		}
	}})
}

func TestConformanceAroundLeases(t *testing.T) {
	credsourcetest.Run(t, credsourcetest.Harness{New: func(t *testing.T) credsourcetest.Fixture {
		t.Helper()
		c := &clock{now: time.Now()}
		inner := newStore(canary)
		inner.life = time.Hour
		change := func(f func(*store)) { inner.set(f); c.add(2 * time.Minute) }
		return credsourcetest.Fixture{
			Source: around(t, inner, c), Request: request("a", "db"), Canary: canary,
			Rotate: func(*testing.T) string {
				change(func(s *store) { s.secret = "rotated-canary" })
				return "rotated-canary"
			},
			Break:    func(*testing.T) { change(func(s *store) { s.err = errDown }) },
			Expire:   func(*testing.T) { change(func(s *store) { s.err = errDown }); c.add(time.Hour) },
			Released: func() int { return inner.releases(canary) },
		}
	}})
}

func TestNewRotatingRefuses(t *testing.T) {
	for name, cfg := range map[string]credsource.RotatingConfig{
		"no source":         {},
		"negative duration": {Source: newStore("s"), Jitter: -1},
		"negative keys":     {Source: newStore("s"), MaxKeys: -1},
	} {
		if r, err := credsource.NewRotating(cfg); err == nil || r != nil {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
	}
}

func TestOneFetchForManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.gate = make(chan struct{})
		r := rotating(t, credsource.RotatingConfig{Source: inner})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { wantSecret(t, get(t, r, request("a", "db")), "one") })
		}
		synctest.Wait()
		close(inner.gate)
		wg.Wait()
		wantCount(t, "fetches", inner.count(), 1)
	})
}

func TestRefreshedBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.life = 10 * time.Minute
		r := rotating(t, credsource.RotatingConfig{Source: inner, RefreshBefore: 2 * time.Minute, MaxAge: time.Hour})
		wantSecret(t, get(t, r, request("a", "db")), "one")
		inner.set(func(s *store) { s.secret = "two" })
		time.Sleep(8*time.Minute - 1)
		wantSecret(t, get(t, r, request("a", "db")), "one")
		time.Sleep(time.Nanosecond)
		wantSecret(t, get(t, r, request("a", "db")), "two")
		wantCount(t, "fetches", inner.count(), 2)
	})
}

func TestShortLivedCredentialIsUsedForHalfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.life = 10 * time.Second
		r := rotating(t, credsource.RotatingConfig{Source: inner, RefreshBefore: time.Minute, Jitter: time.Minute})
		release(t, get(t, r, request("a", "db")))
		release(t, get(t, r, request("a", "db")))
		time.Sleep(2499 * time.Millisecond) // half of the life, less the most that jitter may take of it
		release(t, get(t, r, request("a", "db")))
		wantCount(t, "fetches", inner.count(), 1)
		time.Sleep(2501 * time.Millisecond)
		release(t, get(t, r, request("a", "db")))
		wantCount(t, "fetches after half the life", inner.count(), 2)
	})
}

func TestCachedIsServedWhileRefreshingFailsAndNotBeyondItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.life = 10 * time.Minute
		var told []error
		r := rotating(t, credsource.RotatingConfig{Source: inner, RetryAfter: time.Minute, OnError: func(err error) { told = append(told, err) }})
		get(t, r, request("a", "db"))
		inner.set(func(s *store) { s.err = errDown })
		time.Sleep(9 * time.Minute)
		for range 5 {
			wantSecret(t, get(t, r, request("a", "db")), "one")
		}
		wantCount(t, "fetches within RetryAfter", inner.count(), 2)
		if len(told) != 1 || !errors.Is(told[0], errDown) {
			t.Errorf("OnError was told %v", told)
		}
		time.Sleep(time.Minute - 1)
		wantSecret(t, get(t, r, request("a", "db")), "one")
		time.Sleep(time.Nanosecond)
		if c, err := r.Credential(t.Context(), request("a", "db")); !errors.Is(err, errDown) || c != nil {
			t.Errorf("after its expiry: got %v, %v", c, err)
		}
	})
}

func TestMaxStaleBoundsCredentialsWithoutExpiry(t *testing.T) {
	for stale, bound := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			inner := newStore("one")
			r := rotating(t, credsource.RotatingConfig{Source: inner, MaxAge: time.Minute, MaxStale: stale})
			get(t, r, request("a", "db"))
			inner.set(func(s *store) { s.err = errDown })
			time.Sleep(time.Minute + bound - 1)
			wantSecret(t, get(t, r, request("a", "db")), "one")
			time.Sleep(time.Nanosecond)
			if _, err := r.Credential(t.Context(), request("a", "db")); !errors.Is(err, errDown) {
				t.Errorf("after MaxStale: %v", err)
			}
		})
	}
}

func TestWithdrawnCredentialIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner, MaxAge: time.Minute})
		release(t, get(t, r, request("a", "db")))
		inner.set(func(s *store) { s.err = credsource.ErrNotFound })
		time.Sleep(time.Minute)
		if _, err := r.Credential(t.Context(), request("a", "db")); !errors.Is(err, credsource.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		wantCount(t, "releases", inner.releases("one"), 1)
	})
}

func TestOthersGetTheCachedOneDuringARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner, MaxAge: time.Minute})
		get(t, r, request("a", "db"))
		gate := make(chan struct{})
		inner.set(func(s *store) { s.secret, s.gate = "two", gate })
		time.Sleep(time.Minute)
		refreshed := make(chan string)
		go func() { refreshed <- get(t, r, request("a", "db")).Password.Reveal() }()
		synctest.Wait()
		wantSecret(t, get(t, r, request("a", "db")), "one") // would block for good if it waited
		close(gate)
		if got := <-refreshed; got != "two" {
			t.Errorf("the refreshing caller got %q", got)
		}
	})
}

func TestOneCallersContextDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.gate = make(chan struct{})
		r := rotating(t, credsource.RotatingConfig{Source: inner})
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error)
		go func() { _, err := r.Credential(ctx, request("a", "db")); first <- err }()
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() { wantSecret(t, get(t, r, request("a", "db")), "one") })
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled caller got %v", err)
		}
		close(inner.gate)
		wg.Wait()
		wantCount(t, "fetches", inner.count(), 1)
	})
}

func TestFetchThatNobodyWaitsForIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.gate = make(chan struct{})
		r := rotating(t, credsource.RotatingConfig{Source: inner})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Credential(ctx, request("a", "db")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		inner.set(func(s *store) { s.gate = nil })
		wantSecret(t, get(t, r, request("a", "db")), "one")
		wantCount(t, "fetches", inner.count(), 2)
	})
}
