package credsource

import (
	"context"
	"errors"
	"fmt"
)

// flight is one fetch and those who wait for it. Its fields are guarded by
// Rotating.mu until done is closed, and constant from then on.
type flight struct {
	done     chan struct{}
	over     <-chan struct{} // the fetch's context is done
	cancel   context.CancelFunc
	waiting  int
	finished bool
	lease    *lease // one ref is counted for everyone who waited
	err      error
}

// join makes the caller wait for the entry's fetch and starts one if there is
// none. The caller must call await. refused is what the upstream did not accept,
// nil if nothing. Called with mu held.
func (r *Rotating) join(ctx context.Context, e *entry, req Request, refused *Credential) *flight {
	if e.flight == nil {
		fetchCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.FetchTimeout)
		e.flight = &flight{done: make(chan struct{}), over: fetchCtx.Done(), cancel: cancel}
		r.running++
		go r.fly(fetchCtx, e, e.flight, req, refused)
	}
	e.flight.waiting++
	return e.flight
}

// await returns a lease on what f fetched.
func (r *Rotating) await(ctx context.Context, e *entry, f *flight) (*Credential, error) {
	select {
	case <-f.done:
		return r.landed(f)
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("credsource: %w", ctx.Err()), r.leave(ctx, e, f))
	case <-f.over:
		if err := r.giveUp(e, f); err != nil {
			return nil, err
		}
		return r.landed(f)
	}
}

// errOverdue is what callers get when the Source ignores its context.
var errOverdue = fmt.Errorf("%w: source did not answer in time", ErrUnavailable)

func (r *Rotating) landed(f *flight) (*Credential, error) {
	if f.err != nil {
		return nil, f.err
	}
	return r.handle(f.lease), nil
}

// leave ends the wait of one caller. A fetch that nobody waits for is cancelled.
func (r *Rotating) leave(ctx context.Context, e *entry, f *flight) error {
	r.mu.Lock()
	if f.finished {
		r.mu.Unlock()
		if f.lease == nil {
			return nil
		}
		return r.giveBack(context.WithoutCancel(ctx), f.lease)
	}
	defer r.mu.Unlock()
	f.waiting--
	if f.waiting == 0 && e.flight == f {
		f.cancel()
		r.detach(e)
	}
	return nil
}

// giveUp ends a fetch whose time is over; it returns nil if the fetch has come to
// its end by itself.
func (r *Rotating) giveUp(e *entry, f *flight) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case f.finished:
		return nil
	case r.closed:
		return ErrClosed
	case e.flight == f:
		r.fail(e, errOverdue)
	}
	return errOverdue
}

// detach ends the entry's interest in its fetch. An entry with nothing to tell is
// forgotten. Called with mu held.
func (r *Rotating) detach(e *entry) {
	e.flight = nil
	if e.current == nil && e.recentFailure(r.cfg.Now()) == nil && r.entries[e.key] == e {
		delete(r.entries, e.key)
	}
}

// fly fetches, hands over the result and releases what has become unused.
func (r *Rotating) fly(ctx context.Context, e *entry, f *flight, req Request, refused *Credential) {
	defer f.cancel()
	c, err := r.fetch(ctx, req, refused)
	r.mu.Lock()
	r.land(e, f, c, err, refused)
	r.mu.Unlock()
	r.sweep(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	if r.running == 0 && r.idle != nil {
		close(r.idle)
	}
}

// fetch asks the Source. A Source that panics has failed; the panic's value may
// hold a secret and is dropped.
func (r *Rotating) fetch(ctx context.Context, req Request, refused *Credential) (c *Credential, err error) {
	defer func() {
		if recover() != nil {
			c, err = nil, errors.New("credsource: source panicked")
		}
	}()
	if refresher, ok := r.cfg.Source.(Refresher); ok && refused != nil {
		c, err = refresher.Refresh(ctx, req, refused)
	} else {
		c, err = r.cfg.Source.Credential(ctx, req)
	}
	switch {
	case err != nil:
		return nil, err
	case c == nil:
		return nil, errors.New("credsource: source returned no credential")
	}
	return c, nil
}

// land puts the result of a fetch where it belongs. Called with mu held.
func (r *Rotating) land(e *entry, f *flight, c *Credential, err error, refused *Credential) {
	now := r.cfg.Now()
	if c != nil && c.Expired(now) {
		r.garbage = append(r.garbage, c)
		c, err = nil, fmt.Errorf("%w: source returned an expired credential", ErrUnavailable)
	}
	f.finished = true
	defer close(f.done)
	if r.closed || e.flight != f { // nobody waits for it any more
		if c != nil {
			r.garbage = append(r.garbage, c)
		}
		f.err = ErrClosed
		return
	}
	if err != nil {
		f.err = err
		r.fail(e, err)
		return
	}
	f.lease = r.newLease(c, now)
	f.lease.refs = f.waiting
	e.failure = nil
	if sameSecrets(c, refused) {
		e.failure, e.retryAt = unchanged(), now.Add(r.cfg.RetryAfter)
	}
	r.retire(e.current)
	e.current = f.lease
	r.detach(e)
}

// fail notes that the entry's fetch has failed. Called with mu held.
func (r *Rotating) fail(e *entry, err error) {
	e.failure, e.retryAt = err, r.cfg.Now().Add(r.cfg.RetryAfter)
	if errors.Is(err, ErrNotFound) {
		r.retire(e.current)
		e.current = nil
	}
	if e.current != nil {
		e.current.refreshAt = e.retryAt
	}
	r.detach(e)
}

// sweep releases what is held by nobody.
func (r *Rotating) sweep(ctx context.Context) {
	r.mu.Lock()
	garbage := r.garbage
	r.garbage = nil
	r.mu.Unlock()
	for _, c := range garbage {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.FetchTimeout)
		if err := c.Release(ctx); err != nil {
			r.cfg.OnError(fmt.Errorf("credsource: release: %w", err))
		}
		cancel()
	}
}
