package credsource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// RotatingConfig is what a Rotating works with. Source is required.
type RotatingConfig struct {
	// Source is asked for credentials. If it is a Refresher it is told which one
	// the upstream refused.
	Source Source
	// RefreshBefore is how long before its expiry a credential is replaced; zero
	// means one minute. It is never more than half of the credential's lifetime.
	RefreshBefore time.Duration
	// MaxAge is after how long a credential is fetched again although it has not
	// expired, so that a rotation is noticed; zero means five minutes.
	MaxAge time.Duration
	// MaxStale is for how long after it was due for a refresh a credential is
	// still served while refreshing fails. It is never served beyond its expiry.
	// Zero means until its expiry, and an hour if it has none.
	MaxStale time.Duration
	// RetryAfter is how long after a failed fetch the next one of its key is tried;
	// zero means one second.
	RetryAfter time.Duration
	// Jitter is the most by which a refresh is brought forward at random, so that
	// many gateways don't ask at once; zero means no jitter.
	Jitter time.Duration
	// FetchTimeout bounds one call of Source, and one release of what it gave;
	// zero means ten seconds.
	FetchTimeout time.Duration
	// MaxKeys bounds the number of cached credentials and failures; zero means
	// 1024. Failures make room first, then the least recently used credential.
	MaxKeys int
	// KeyFunc tells which requests may share a credential: those with the same
	// key. Nil means ByIdentity. An error refuses the request.
	KeyFunc func(Request) (string, error)
	// OnError is told of a refresh that failed while the cached credential goes on
	// being served, and of a release that failed with no caller to tell. It must
	// be safe for concurrent use and must not block. Nil ignores them.
	OnError func(error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Rotating is a Refresher that caches the credentials of a Source and replaces
// them before they expire, and when the upstream refuses them.
//
// At most one fetch per key is under way; it runs in a goroutine of its own, so
// that no caller's context fails the others, and ends with FetchTimeout, when
// nobody waits for it any more, or with Close, as soon as Source heeds its
// context. A caller who finds the credential due for a refresh waits for it; while
// it is under way the others get the cached one.
//
// Each Credential that a Rotating returns is a lease of its own on a shared one:
// the shared one is released when it has been replaced and its last lease was
// released, and at Close. Rotating is safe for concurrent use.
type Rotating struct {
	cfg RotatingConfig

	mu      sync.Mutex
	entries map[string]*entry
	leases  map[*lease]struct{} // what has not been released yet
	garbage []*Credential       // to be released outside the lock
	running int                 // fetching goroutines
	idle    chan struct{}       // made and closed by Close, when none is running
	closed  bool
}

var _ Refresher = (*Rotating)(nil)

// NewRotating returns a Rotating. It fetches nothing yet and starts no goroutine.
// The caller must Close it.
func NewRotating(cfg RotatingConfig) (*Rotating, error) {
	if cfg.Source == nil {
		return nil, errors.New("credsource: RotatingConfig needs a Source")
	}
	for _, d := range []time.Duration{cfg.RefreshBefore, cfg.MaxAge, cfg.MaxStale, cfg.RetryAfter, cfg.Jitter, cfg.FetchTimeout} {
		if d < 0 {
			return nil, errors.New("credsource: RotatingConfig has a negative duration")
		}
	}
	if cfg.MaxKeys < 0 {
		return nil, errors.New("credsource: RotatingConfig.MaxKeys is negative")
	}
	cfg.setDefaults()
	return &Rotating{cfg: cfg, entries: map[string]*entry{}, leases: map[*lease]struct{}{}}, nil
}

func (cfg *RotatingConfig) setDefaults() {
	for d, value := range map[*time.Duration]time.Duration{
		&cfg.RefreshBefore: time.Minute,
		&cfg.MaxAge:        5 * time.Minute,
		&cfg.RetryAfter:    time.Second,
		&cfg.FetchTimeout:  10 * time.Second,
	} {
		if *d == 0 {
			*d = value
		}
	}
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = 1024
	}
	if cfg.KeyFunc == nil {
		cfg.KeyFunc = ByIdentity
	}
	if cfg.OnError == nil {
		cfg.OnError = func(error) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
}

// Credential returns the cached credential of the request's key, fetching one if
// there is none or if it is due. If fetching fails it returns the cached one for
// as long as MaxStale and its expiry allow, unless the error wraps ErrNotFound:
// then the credential has been withdrawn and is served no more. Where there is
// none to serve, the error is repeated for RetryAfter without a fetch.
func (r *Rotating) Credential(ctx context.Context, req Request) (*Credential, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("credsource: %w", err)
	}
	key, err := r.cfg.KeyFunc(req)
	if err != nil {
		return nil, fmt.Errorf("credsource: key: %w", err)
	}
	r.mu.Lock()
	e, err := r.entry(key)
	if err != nil {
		r.mu.Unlock()
		return nil, err
	}
	now := r.cfg.Now()
	if l := e.current; l.servable(now) && (now.Before(l.refreshAt) || e.flight != nil) {
		defer r.mu.Unlock()
		return r.hand(l), nil
	}
	if err := e.fetchFailure(now); err != nil && !e.current.servable(now) && e.flight == nil {
		defer r.mu.Unlock()
		return nil, err
	}
	f := r.join(ctx, e, req, nil)
	r.mu.Unlock()
	c, err := r.await(ctx, e, f)
	if err == nil || ctx.Err() != nil {
		return c, err
	}
	return r.fallback(e, err)
}

// Refresh returns a credential that differs from refused. If the cached one does
// already it is returned; otherwise one fetch is made for all who were refused
// with the same credential. While the Source still has the refused credential, or
// fails, the error says so, and for RetryAfter it is repeated without a fetch.
// A nil refused is taken for the cached one.
func (r *Rotating) Refresh(ctx context.Context, req Request, refused *Credential) (*Credential, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("credsource: %w", err)
	}
	key, err := r.cfg.KeyFunc(req)
	if err != nil {
		return nil, fmt.Errorf("credsource: key: %w", err)
	}
	r.mu.Lock()
	e, err := r.entry(key)
	if err != nil {
		r.mu.Unlock()
		return nil, err
	}
	now := r.cfg.Now()
	if l := e.current; l.servable(now) && refused != nil && !sameSecrets(l.inner, refused) {
		defer r.mu.Unlock()
		return r.hand(l), nil
	}
	if err := e.recentFailure(now); err != nil && e.flight == nil {
		defer r.mu.Unlock()
		return nil, err
	}
	f := r.join(ctx, e, req, e.refused(refused))
	r.mu.Unlock()
	c, err := r.await(ctx, e, f)
	if err == nil && sameSecrets(c, refused) {
		err = errors.Join(unchanged(), c.Release(context.WithoutCancel(ctx)))
		c = nil
	}
	return c, err
}

func unchanged() error { return fmt.Errorf("%w: %w", ErrUnavailable, ErrUnchanged) }

// fallback serves what is cached although a refresh has failed with err.
func (r *Rotating) fallback(e *entry, err error) (*Credential, error) {
	r.mu.Lock()
	if r.closed || !e.current.servable(r.cfg.Now()) {
		r.mu.Unlock()
		return nil, err
	}
	c := r.hand(e.current)
	r.mu.Unlock()
	r.cfg.OnError(fmt.Errorf("credsource: refresh: %w", err))
	return c, nil
}
