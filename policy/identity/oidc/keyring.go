package oidc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headgate/gateway/policy/identity"
)

// A keyring holds the keys of one issuer and fetches them when they are due or
// when a token names one that is unknown, both within limits that don't depend on
// how many tokens come.
//
// One fetch at a time is under way. It has a goroutine of its own, which ends
// with its timeout or with close, and no caller's context ends it for the others.
// Whoever can be served by the keys at hand doesn't wait for a fetch that another
// caller has started.
type keyring struct {
	now         func() time.Time
	timeout     time.Duration
	maxAge      time.Duration
	maxStale    time.Duration
	minInterval time.Duration
	fetch       func(context.Context) (keySet, error) // nil for fixed keys

	generation atomic.Uint64 // counts the changes of set

	mu       sync.Mutex
	set      keySet
	loaded   bool
	fetched  time.Time
	failures int   // in a row
	failure  error // of the last fetch
	retryAt  time.Time
	flight   *flight
	closed   bool
	fetches  sync.WaitGroup
}

// A flight is a fetch that is under way.
type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
}

// find returns the keys that can have signed a token, and the generation that
// they are of.
func (r *keyring) find(ctx context.Context, id, algorithm string) ([]key, uint64, error) {
	keys, generation, f, err := r.lookup(id, algorithm, true) //nolint:contextcheck // start says why no context gets there
	if f == nil {
		return keys, generation, err
	}
	select {
	case <-ctx.Done():
		return nil, 0, &identity.Error{Reason: identity.ReasonUnavailable, Err: fmt.Errorf("waiting for the issuer's keys: %w", ctx.Err())}
	case <-f.done:
	}
	keys, generation, _, err = r.lookup(id, algorithm, false) //nolint:contextcheck // as above
	return keys, generation, err
}

// lookup returns keys, or a flight to wait for if there is reason to and wait is
// set, or why there is neither.
func (r *keyring) lookup(id, algorithm string, wait bool) ([]key, uint64, *flight, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	usable := r.fetch == nil || r.loaded && now.Sub(r.fetched) < r.maxStale
	var keys []key
	if usable {
		keys = r.set.match(id, algorithm)
	}
	due := r.fetch != nil && now.Sub(r.fetched) >= r.maxAge
	if wait && (len(keys) == 0 || due && r.flight == nil) {
		if f := r.start(now); f != nil {
			return nil, 0, f, nil
		}
	}
	if len(keys) == 0 {
		return nil, 0, nil, r.missing(usable)
	}
	return keys, r.generation.Load(), nil, nil
}

// missing says why there is no key. Called with mu held.
func (r *keyring) missing(usable bool) error {
	switch {
	case r.failure != nil:
		return &identity.Error{Reason: identity.ReasonUnavailable, Err: r.failure}
	case !usable:
		return refuse(identity.ReasonUnavailable, "the issuer's keys have not been fetched")
	default:
		return refuse(identity.ReasonUnknownKey, "the issuer publishes no key that fits kid and alg")
	}
}

// start returns the flight that is under way, or a new one if it is time for
// one, or nil. Nothing of a caller's context gets into it, since values of a
// context can make go-oidc skip its check of the issuer. Called with mu held.
func (r *keyring) start(now time.Time) *flight {
	if r.flight != nil {
		return r.flight
	}
	if r.fetch == nil || r.closed || now.Before(r.retryAt) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	f := &flight{done: make(chan struct{}), cancel: cancel}
	r.flight = f
	r.fetches.Go(func() {
		defer cancel()
		set, err := r.fetchSafely(ctx)
		r.land(f, set, err)
	})
	return f
}

// fetchSafely makes a panic, which could be one of the host's HTTP client, an
// error: no caller's recover reaches this goroutine.
func (r *keyring) fetchSafely(ctx context.Context) (set keySet, err error) {
	defer func() {
		if p := recover(); p != nil {
			set, err = keySet{}, fmt.Errorf("fetching panicked: %T", p)
		}
	}()
	return r.fetch(ctx)
}

// land takes over what a flight has brought.
func (r *keyring) land(f *flight, set keySet, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(f.done)
	now := r.now()
	r.flight, r.failure = nil, err
	if err != nil {
		r.failures++
		r.retryAt = now.Add(backoff(r.failures))
		return
	}
	if !r.loaded || set.sum != r.set.sum {
		r.generation.Add(1)
	}
	r.set, r.loaded, r.fetched = set, true, now
	r.failures, r.retryAt = 0, now.Add(r.minInterval)
}

// backoff returns how long to wait after so many failures in a row.
func backoff(failures int) time.Duration {
	const longest = time.Minute
	if failures > 6 {
		return longest
	}
	return min(time.Second<<(failures-1), longest)
}

var errClosed = errors.New("the verifier is closed")

// close ends the flight that is under way, waits for it and lets none start.
func (r *keyring) close() {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		if r.failure == nil {
			r.failure = errClosed
		}
	}
	if r.flight != nil {
		r.flight.cancel()
	}
	r.mu.Unlock()
	r.fetches.Wait()
}
