package opa

import (
	"context"
	"time"
)

// Reload reads the policy again and puts it in use, at once for every command
// that is judged from then on. If that fails, the policy in use stays and the
// error is returned and kept for LastError. Decisions remembered are forgotten
// only if the policy has changed.
func (e *Evaluator) Reload(ctx context.Context) error {
	e.loading.Lock()
	defer e.loading.Unlock()
	p, err := e.build(ctx)
	if err == nil && p.revision != e.Revision() {
		e.current.Store(p)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lastErr = err
	return err
}

// LastError returns the error of the last Reload, nil if it succeeded or there
// was none: whether the policy in use is older than its source.
func (e *Evaluator) LastError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lastErr
}

// Watch calls Reload each interval until ctx is done, and returns ctx's error.
// It hands every failure to report, which may be nil. The host runs it on a
// goroutine of its own. An interval below a second counts as a second.
func (e *Evaluator) Watch(ctx context.Context, interval time.Duration, report func(error)) error {
	ticker := time.NewTicker(max(interval, time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			if err := e.Reload(ctx); err != nil && report != nil && ctx.Err() == nil {
				report(err)
			}
		}
	}
}
