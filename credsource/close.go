package credsource

import (
	"context"
	"errors"
	"fmt"
)

// Close cancels what is being fetched, waits for it to end or ctx to be done, and
// releases every credential, those that sessions still hold included: end the
// sessions first. Later calls of Credential and Refresh fail with ErrClosed. It
// acts once.
func (r *Rotating) Close(ctx context.Context) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.idle = make(chan struct{})
	if r.running == 0 {
		close(r.idle)
	}
	for _, e := range r.entries {
		if e.flight != nil {
			e.flight.cancel()
		}
	}
	held := r.garbage
	for l := range r.leases {
		held = append(held, l.inner)
	}
	r.entries, r.leases, r.garbage = nil, nil, nil
	r.mu.Unlock()
	return errors.Join(r.awaitIdle(ctx), releaseAll(ctx, held))
}

// awaitIdle waits until no goroutine of r is left.
func (r *Rotating) awaitIdle(ctx context.Context) error {
	select {
	case <-r.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("credsource: a fetch has not ended: %w", ctx.Err())
	}
}

func releaseAll(ctx context.Context, held []*Credential) error {
	errs := make([]error, 0, len(held))
	for _, c := range held {
		errs = append(errs, c.Release(ctx))
	}
	return errors.Join(errs...)
}
