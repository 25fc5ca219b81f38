package approve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config is what an Engine works with. Every field is optional.
type Config struct {
	// Store keeps the tickets; nil means a MemoryStore of the Engine's own.
	Store Store
	// URL returns where a request can be decided, for Pending.URL. It goes to the
	// client, so it must hold no secret but the id. Nil means nowhere.
	URL func(id string) string
	// DefaultExpiry is how long a request without an Expires waits; zero means
	// five minutes.
	DefaultExpiry time.Duration
	// MaxExpiry bounds every wait; zero means 24 hours.
	MaxExpiry time.Duration
	// MaxPending bounds how many calls may wait; zero means 1000.
	MaxPending int
	// MaxPendingPerPrincipal bounds those of one subject; zero means 50.
	MaxPendingPerPrincipal int
	// MaxPendingPerSession bounds those of one session; zero means 10.
	MaxPendingPerSession int
	// MaxCommandBytes bounds a command's text and parameters together: what is
	// longer is refused, since nobody would review it. Zero means 64 KiB.
	MaxCommandBytes int
	// MaxScopeUses bounds Scope.Uses; zero means one.
	MaxScopeUses int
	// MaxScopeFor bounds Scope.For; zero means that no use outlives its request.
	MaxScopeFor time.Duration
	// ApproverGroups are the groups of which one must contain whoever decides
	// anything, besides what a Reason asks for. Empty means that everybody may
	// decide whom the host brings as an approver: then it must not bring agents.
	ApproverGroups []string
	// Notify is told of each new ticket, in the goroutine of the call that asked.
	// It must return promptly and be safe for concurrent use. What it does with the
	// request must treat it as hostile. Nil tells nobody.
	Notify func(ctx context.Context, t Ticket)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Engine is an Approver that lets humans decide, through Decide or its Handler.
//
// Identical calls of one session (the same digest, and reasons that ask the same
// groups) that wait at the same time share one ticket, so that a human is asked once. Each of them needs a use of
// its own: if the grant has fewer, the rest are refused with ErrUsedUp and may ask
// again. Refusing the ticket refuses all of them.
//
// An Engine starts no goroutines and is safe for concurrent use.
type Engine struct {
	cfg    Config
	limits Limits
}

var _ Approver = (*Engine)(nil)

// NewEngine returns an Engine. The configuration is copied.
func NewEngine(cfg Config) (*Engine, error) {
	if cfg.DefaultExpiry < 0 || cfg.MaxExpiry < 0 || cfg.MaxScopeFor < 0 {
		return nil, errors.New("approve: Config has a negative duration")
	}
	if min(cfg.MaxPending, cfg.MaxPendingPerPrincipal, cfg.MaxPendingPerSession, cfg.MaxCommandBytes, cfg.MaxScopeUses) < 0 {
		return nil, errors.New("approve: Config has a negative bound")
	}
	cfg.setDefaults()
	limits := Limits{Total: cfg.MaxPending, PerPrincipal: cfg.MaxPendingPerPrincipal, PerSession: cfg.MaxPendingPerSession}
	return &Engine{cfg: cfg, limits: limits}, nil
}

func (cfg *Config) setDefaults() {
	if cfg.Store == nil {
		cfg.Store = NewMemoryStore()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.DefaultExpiry == 0 {
		cfg.DefaultExpiry = 5 * time.Minute
	}
	if cfg.MaxExpiry == 0 {
		cfg.MaxExpiry = 24 * time.Hour
	}
	for n, value := range map[*int]int{
		&cfg.MaxPending:             1000,
		&cfg.MaxPendingPerPrincipal: 50,
		&cfg.MaxPendingPerSession:   10,
		&cfg.MaxCommandBytes:        64 << 10,
		&cfg.MaxScopeUses:           1,
	} {
		if *n == 0 {
			*n = value
		}
	}
	cfg.ApproverGroups = slices.Clone(cfg.ApproverGroups)
}

// Approve asks a human, unless a standing grant covers the request. It refuses a
// request whose Digest is not that of its Input, that names no session or
// subject, or that is too large to be reviewed.
func (e *Engine) Approve(ctx context.Context, req Request, pending func(Pending)) (Grant, error) {
	if err := ctx.Err(); err != nil {
		return Grant{}, fmt.Errorf("approve: %w", err)
	}
	if err := e.check(&req); err != nil {
		return Grant{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	now := e.cfg.Now()
	expires := now.Add(e.wait(req.Expires))
	asked := Ticket{ID: rand.Text(), Request: req, State: StatePending, Waiting: 1, Created: now, Expires: expires}
	t, opening, err := e.cfg.Store.Open(ctx, asked, e.limits)
	if err != nil {
		return Grant{}, fmt.Errorf("approve: open: %w", err)
	}
	if opening == Redeemed {
		return t.grant(), nil
	}
	if t.Expires.Before(expires) {
		expires = t.Expires
	}
	return e.await(ctx, t, expires, func() {
		if pending != nil {
			pending(Pending{ID: t.ID, URL: e.url(t.ID), Expires: expires})
		}
		if opening == Added && e.cfg.Notify != nil {
			e.cfg.Notify(ctx, t)
		}
	})
}

func (e *Engine) wait(asked time.Duration) time.Duration {
	if asked <= 0 {
		asked = e.cfg.DefaultExpiry
	}
	return min(asked, e.cfg.MaxExpiry)
}

func (e *Engine) url(id string) string {
	if e.cfg.URL == nil {
		return ""
	}
	return e.cfg.URL(id)
}

// await waits for the ticket's answer until expires, having called announce. The
// call's place is given up whichever way it ends, by a panic too.
func (e *Engine) await(ctx context.Context, t Ticket, expires time.Time, announce func()) (Grant, error) {
	collected := false
	defer func() {
		if !collected {
			e.leave(ctx, t.ID)
		}
	}()
	announce()
	waitCtx, cancel := context.WithTimeout(ctx, expires.Sub(e.cfg.Now()))
	defer cancel()
	err := e.cfg.Store.Wait(waitCtx, t.ID)
	if ctx.Err() != nil {
		return Grant{}, fmt.Errorf("approve: %w", ctx.Err())
	}
	if err != nil && waitCtx.Err() == nil {
		return Grant{}, fmt.Errorf("approve: wait: %w", err)
	}
	collected = true
	t, err = e.cfg.Store.Redeem(ctx, t.ID, e.cfg.Now())
	if err != nil {
		return Grant{}, unanswered(t, err)
	}
	return t.grant(), nil
}

// leaveTimeout bounds the withdrawal of a call whose own context is done.
const leaveTimeout = 5 * time.Second

// leave gives up a call's place. If the store can't be told, the ticket expires.
func (e *Engine) leave(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	_ = e.cfg.Store.Leave(ctx, id, e.cfg.Now()) // the caller has an error already
}

// unanswered makes Approve's error of Redeem's.
func unanswered(t Ticket, err error) error {
	switch {
	case errors.Is(err, ErrRefused):
		return fmt.Errorf("%w by %q: %q", err, t.Ruling.Approver.Subject, t.Ruling.Reason)
	case errors.Is(err, ErrExpired):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
}
