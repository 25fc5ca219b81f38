package credsource

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// entry is what the cache holds for one key: the current credential, the fetch
// that is under way, and why the last fetch failed. An entry with neither a
// credential nor a fetch nor a recent failure is not kept once the fetch has ended.
// Its fields are guarded by Rotating.mu.
type entry struct {
	key     string
	current *lease
	flight  *flight
	used    time.Time
	failure error // of the last fetch, nil if it succeeded
	retryAt time.Time
}

// recentFailure returns why the last fetch failed, nil if it did not or if the
// next one may be tried.
func (e *entry) recentFailure(now time.Time) error {
	if !now.Before(e.retryAt) {
		return nil
	}
	return e.failure
}

// fetchFailure is recentFailure, but nil where the Source has answered and only
// had nothing else than what was refused.
func (e *entry) fetchFailure(now time.Time) error {
	if err := e.recentFailure(now); !errors.Is(err, ErrUnchanged) {
		return err
	}
	return nil
}

// refused returns what to tell the Source about: its own credential where the
// caller's lease c is one on it.
func (e *entry) refused(c *Credential) *Credential {
	if e.current != nil && (c == nil || sameSecrets(e.current.inner, c)) {
		return e.current.inner
	}
	return c
}

// lease is one credential of the Source, shared by the leases handed out.
type lease struct {
	inner     *Credential
	refs      int       // leases handed out and not released
	retired   bool      // replaced: to be released with the last ref
	refreshAt time.Time // when to fetch the next one
	until     time.Time // when to stop serving it
}

// servable may be called on nil, which isn't.
func (l *lease) servable(now time.Time) bool {
	return l != nil && !l.inner.Expired(now) && now.Before(l.until)
}

// newLease works out when c must be replaced. It takes c over.
func (r *Rotating) newLease(c *Credential, now time.Time) *lease {
	fresh := r.cfg.MaxAge
	if !c.Expires.IsZero() {
		life := c.Expires.Sub(now)
		fresh = min(fresh, max(life-r.cfg.RefreshBefore, life/2))
	}
	due := now.Add(fresh)
	if jitter := min(r.cfg.Jitter, fresh/2); jitter > 0 {
		due = due.Add(-rand.N(jitter)) //nolint:gosec // spreads load, guards nothing
	}
	l := &lease{inner: c, refreshAt: due}
	switch {
	case r.cfg.MaxStale > 0:
		l.until = due.Add(r.cfg.MaxStale)
	case c.Expires.IsZero():
		l.until = due.Add(time.Hour)
	default:
		l.until = c.Expires
	}
	r.leases[l] = struct{}{}
	return l
}

// entry returns the entry of key, making room for it if there is none. It must
// be followed by a join unless the entry has a credential or a recent failure.
// Called with mu held.
func (r *Rotating) entry(key string) (*entry, error) {
	if r.closed {
		return nil, ErrClosed
	}
	e := r.entries[key]
	if e == nil {
		if len(r.entries) >= r.cfg.MaxKeys && !r.evict() {
			return nil, fmt.Errorf("%w: too many credentials are being fetched", ErrUnavailable)
		}
		e = &entry{key: key}
		r.entries[key] = e
	}
	e.used = r.cfg.Now()
	return e, nil
}

// evict drops every entry without a credential that can be served, or else the
// least recently used one. It reports whether it has made room. Called with mu
// held.
func (r *Rotating) evict() bool {
	now := r.cfg.Now()
	var oldest *entry
	room := false
	for key, e := range r.entries {
		switch {
		case e.flight != nil:
		case !e.current.servable(now):
			r.drop(key, e)
			room = true
		case oldest == nil || e.used.Before(oldest.used):
			oldest = e
		}
	}
	if !room && oldest != nil {
		r.drop(oldest.key, oldest)
		room = true
	}
	return room
}

func (r *Rotating) drop(key string, e *entry) {
	delete(r.entries, key)
	r.retire(e.current)
	e.current = nil
}

// hand returns a new lease on l. Called with mu held.
func (r *Rotating) hand(l *lease) *Credential {
	l.refs++
	return r.handle(l)
}

// handle returns a lease for a ref that has been counted already.
func (r *Rotating) handle(l *lease) *Credential {
	in := l.inner
	out := &Credential{
		Username: in.Username, Password: in.Password, Token: in.Token, PrivateKey: in.PrivateKey,
		Certificate: in.Certificate, Expires: in.Expires, Version: in.Version,
	}
	return out.WithRelease(func(ctx context.Context) error { return r.giveBack(ctx, l) })
}

// giveBack ends one ref. The last one on a replaced credential releases it.
func (r *Rotating) giveBack(ctx context.Context, l *lease) error {
	r.mu.Lock()
	l.refs--
	_, held := r.leases[l]
	last := held && l.retired && l.refs == 0
	if last {
		delete(r.leases, l)
	}
	r.mu.Unlock()
	if !last {
		return nil
	}
	return l.inner.Release(ctx)
}

// retire takes l, which may be nil, out of use. If nobody holds it, it becomes
// garbage. Called with mu held.
func (r *Rotating) retire(l *lease) {
	if l == nil {
		return
	}
	l.retired = true
	if l.refs == 0 {
		delete(r.leases, l)
		r.garbage = append(r.garbage, l.inner)
	}
}
