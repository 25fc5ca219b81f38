package credsource_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/credsource"
)

func TestReleaseLeavesOthersTheirLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner, MaxAge: time.Minute})
		first, second := get(t, r, request("a", "db")), get(t, r, request("a", "db"))
		release(t, first)
		wantCount(t, "releases while current", inner.releases("one"), 0)
		inner.set(func(s *store) { s.secret = "two" })
		time.Sleep(time.Minute)
		third := get(t, r, request("a", "db"))
		wantCount(t, "releases while held", inner.releases("one"), 0)
		release(t, second)
		wantCount(t, "releases after the last", inner.releases("one"), 1)
		release(t, third)
		wantCount(t, "releases of the current one", inner.releases("two"), 0)
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCount(t, "releases at Close", inner.releases("two"), 1)
	})
}

func TestReplacedAndUnusedIsReleasedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner, MaxAge: time.Minute})
		release(t, get(t, r, request("a", "db")))
		inner.set(func(s *store) { s.secret = "two" })
		time.Sleep(time.Minute)
		release(t, get(t, r, request("a", "db")))
		synctest.Wait()
		wantCount(t, "releases", inner.releases("one"), 1)
	})
}

func TestCloseReleasesWhatIsHeldAndRefusesFromThenOn(t *testing.T) {
	inner := newStore("one")
	r := rotating(t, credsource.RotatingConfig{Source: inner})
	held := get(t, r, request("a", "db"))
	for range 2 {
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantCount(t, "releases", inner.releases("one"), 1)
	release(t, held)
	wantCount(t, "releases after the session's", inner.releases("one"), 1)
	if _, err := r.Credential(t.Context(), request("a", "db")); !errors.Is(err, credsource.ErrClosed) {
		t.Errorf("Credential: %v", err)
	}
	if _, err := r.Refresh(t.Context(), request("a", "db"), held); !errors.Is(err, credsource.ErrClosed) {
		t.Errorf("Refresh: %v", err)
	}
}

func TestCloseEndsAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		inner.gate = make(chan struct{})
		r := rotating(t, credsource.RotatingConfig{Source: inner})
		failed := make(chan error)
		go func() { _, err := r.Credential(t.Context(), request("a", "db")); failed <- err }()
		synctest.Wait()
		if err := r.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-failed; !errors.Is(err, credsource.ErrClosed) {
			t.Errorf("the waiting caller got %v", err)
		}
	})
}

// A source that ignores its context can't hold callers up, and what it returns
// in the end is given back.
func TestDeafSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		gate := make(chan struct{})
		deaf := credsource.SourceFunc(func(_ context.Context, req credsource.Request) (*credsource.Credential, error) {
			<-gate
			return inner.Credential(context.Background(), req)
		})
		r := rotating(t, credsource.RotatingConfig{Source: deaf, FetchTimeout: time.Second})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := r.Credential(t.Context(), request("a", "db")); !errors.Is(err, credsource.ErrUnavailable) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close while the source hangs: %v", err)
		}
		close(gate)
		synctest.Wait()
		wantCount(t, "releases", inner.releases("one"), inner.count())
	})
}

func TestBadSources(t *testing.T) {
	for name, source := range map[string]credsource.SourceFunc{
		"nil func": nil,
		"nothing":  func(context.Context, credsource.Request) (*credsource.Credential, error) { return nil, nil },
		"panic":    func(context.Context, credsource.Request) (*credsource.Credential, error) { panic(canary) },
		"expired": func(context.Context, credsource.Request) (*credsource.Credential, error) {
			return &credsource.Credential{Expires: time.Now().Add(-time.Hour)}, nil
		},
	} {
		r := rotating(t, credsource.RotatingConfig{Source: source})
		c, err := r.Credential(t.Context(), request("a", "db"))
		if err == nil || c != nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
	}
}

func TestKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore("one")
		r := rotating(t, credsource.RotatingConfig{Source: inner, MaxKeys: 2})
		for i := range 10 {
			release(t, get(t, r, request(fmt.Sprint("user", i), "db")))
			time.Sleep(time.Nanosecond)
		}
		synctest.Wait()
		wantCount(t, "releases of evicted credentials", inner.releases("one"), 8)
		release(t, get(t, r, request("user9", "db")))
		release(t, get(t, r, request("user8", "db")))
		wantCount(t, "fetches", inner.count(), 10)
		inner.set(func(s *store) { s.gate = make(chan struct{}) })
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() { release(t, get(t, r, request(fmt.Sprint("slow", i), "db"))) })
		}
		synctest.Wait()
		if _, err := r.Credential(t.Context(), request("third", "db")); !errors.Is(err, credsource.ErrUnavailable) {
			t.Errorf("with every place being fetched: %v", err)
		}
		close(inner.gate)
		wg.Wait()
	})
}

// TestStorm runs every operation at once and counts leases in the end.
func TestStorm(t *testing.T) {
	var mu sync.Mutex
	made, released := 0, map[int]int{}
	inner := credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
		mu.Lock()
		defer mu.Unlock()
		made++
		id := made
		return (&credsource.Credential{Username: fmt.Sprint(id)}).WithRelease(func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			released[id]++
			return nil
		}), nil
	})
	r := rotating(t, credsource.RotatingConfig{Source: inner, MaxKeys: 3, MaxAge: time.Microsecond})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				req := request(fmt.Sprint((i+j)%5), "db")
				c, err := r.Credential(t.Context(), req)
				if err != nil {
					continue // all places taken
				}
				if fresh, err := r.Refresh(t.Context(), req, c); err == nil {
					release(t, fresh)
				}
				release(t, c)
			}
		})
	}
	wg.Wait()
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id := 1; id <= made; id++ {
		if released[id] != 1 {
			t.Errorf("lease %d of %d was released %d times", id, made, released[id])
		}
	}
}
