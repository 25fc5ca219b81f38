package intercept

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

// GuardConfig is what a Guard works with. Policy, Recorder and Session are
// required; a nil Identity, Approver or Source refuses what would need it.
type GuardConfig struct {
	// Session is the session's id: unique, file-name safe, at most 64 bytes.
	Session string
	// Client is the peer's network address, "" in process.
	Client   string
	Target   policy.Target
	Identity identity.Verifier
	Policy   policy.Evaluator
	Recorder record.Recorder
	Approver approve.Approver
	Source   credsource.Source
	// Proof, when set, is verified by Identify in place of what the client
	// presents: the host has brought it in process.
	Proof *identity.Proof
	// Echoes are shared by the Guards of one host, so that what finds a credential is
	// made once; nil means that each Guard makes its own.
	Echoes *Echoes
	// DecisionTimeout bounds one evaluation of the policy; zero means 1 s.
	DecisionTimeout time.Duration
	// Observer is told what happens; nil means nobody is.
	Observer Observer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Guard is one live session. Its methods must be called in the order Identify,
// Connect, then Authorize and Result in pairs; anything out of order is refused.
// Authorize, Output, Result, Note, End and Close are safe for concurrent use; of
// several calls of Identify or Connect at a time one acts and the others are
// refused.
type Guard struct {
	cfg     GuardConfig
	started time.Time
	ctx     context.Context //nolint:containedctx // the session's life
	cancel  context.CancelCauseFunc

	mu         sync.Mutex
	state      state
	id         *policy.Identity
	credential *credsource.Credential
	injected   []*credsource.Credential // all that the session has had
	expiry     *time.Timer

	log       record.Log
	facts     factsIndex
	echo      atomic.Pointer[Echo]
	enforced  atomic.Bool                  // see EnforcesLimits
	limit     atomic.Pointer[policy.Limit] // of the connection
	pace      pace
	sequence  atomic.Uint64
	counters  counters
	labels    atomic.Pointer[map[string]string]
	connectAt atomic.Pointer[string] // revision under which connecting was judged
	connectMu sync.Mutex
	// connectAsked says that a human agreed to connecting. Set before the first
	// command.
	connectAsked bool
	// purpose is what connecting is for. Set before that is judged.
	purpose *policy.Command
}

type state uint8

const (
	stateNew state = iota
	stateIdentifying
	stateIdentified
	stateConnecting
	stateConnected
	stateClosed
)

// Errors that callers can test for. All but ErrOutOfOrder end the session.
var (
	// ErrOutOfOrder says that a method was called out of its turn.
	ErrOutOfOrder = errors.New("intercept: out of order")
	// ErrRecorder says that the record can't be kept.
	ErrRecorder = errors.New("intercept: recorder failed")
	// ErrExpired says that the identity's proof has expired.
	ErrExpired = errors.New("intercept: identity expired")
	// ErrRevoked says that the host has revoked the session.
	ErrRevoked = errors.New("intercept: session revoked")
	// ErrShutdown says that the gateway is being shut down.
	ErrShutdown = errors.New("intercept: gateway is shutting down")
)

// NewGuard returns a Guard whose life is bounded by ctx. The caller must Close it.
func NewGuard(ctx context.Context, cfg GuardConfig) (*Guard, error) {
	if cfg.Policy == nil || cfg.Recorder == nil || cfg.Session == "" {
		return nil, errors.New("intercept: GuardConfig needs Session, Policy and Recorder")
	}
	if cfg.DecisionTimeout <= 0 {
		cfg.DecisionTimeout = time.Second
	}
	if cfg.Observer == nil {
		cfg.Observer = unobserved{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	g := &Guard{cfg: cfg, started: cfg.Now()}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	return g, nil
}

// Context is done when the session must end: expiry, revocation, shutdown, a
// recorder that failed. context.Cause says why.
func (g *Guard) Context() context.Context { return g.ctx }

// Session returns the session's id.
func (g *Guard) Session() string { return g.cfg.Session }

// Target returns what the session leads to.
func (g *Guard) Target() policy.Target { return g.cfg.Target }

// Identity returns who the session belongs to, nil before Identify.
func (g *Guard) Identity() *policy.Identity {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.id
}

// Echo returns what finds the credentials that the session has had so far, in
// clear and encoded. Output applies it; so must an interceptor to whatever it
// sends to the client without recording it.
func (g *Guard) Echo() *Echo { return g.echo.Load() }

// Snapshot returns the session as a policy sees it.
func (g *Guard) Snapshot() policy.Session {
	s := policy.Session{ID: g.cfg.Session, Started: g.started, Client: g.cfg.Client, Counters: g.counters.snapshot()}
	if l := g.labels.Load(); l != nil {
		s.Labels = *l
	}
	return s
}

// End makes the session end with cause as its reason. It acts once.
func (g *Guard) End(cause error) { g.cancel(cause) }

// Close releases the credential, seals the record with reason and ends the
// Guard. It acts once. The context bounds the release only.
func (g *Guard) Close(ctx context.Context, reason string) error {
	g.mu.Lock()
	if g.state == stateClosed {
		g.mu.Unlock()
		return nil
	}
	g.state = stateClosed
	timer, log := g.expiry, g.log
	cred := g.credential
	g.credential = nil
	g.mu.Unlock()
	g.cancel(context.Canceled)
	if timer != nil {
		timer.Stop()
	}
	err := release(ctx, cred)
	if log != nil {
		if sealErr := log.Close(reason); sealErr != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w", ErrRecorder, sealErr))
		}
		g.cfg.Observer.SessionEnded(g, reason)
	}
	return err
}

// fail ends the session because its record can't be kept.
func (g *Guard) fail(err error) error {
	err = fmt.Errorf("%w: %w", ErrRecorder, err)
	g.cancel(err)
	return err
}

// Prompt reports whether recording returns without waiting for the storage, so
// that one thread may record for many sessions.
func (g *Guard) Prompt() bool {
	p, ok := g.log.(record.Prompter)
	return ok && p.Prompt()
}

func (g *Guard) in(s state) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == s
}

// move goes from one state to another, or reports that it is in neither.
func (g *Guard) move(from, to state) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != from {
		return false
	}
	g.state = to
	return true
}

// over returns why the session must not go on at the time now, nil while it may.
// It does not rely on the timer alone: a machine that slept stops timers.
func (g *Guard) over(now time.Time) error {
	if g.ctx.Err() == nil && g.id != nil && !g.id.Expires.IsZero() && !now.Before(g.id.Expires) {
		g.End(ErrExpired)
	}
	return context.Cause(g.ctx)
}

// Current reports whether a verdict was reached under the policy that is in
// force. A policy that can't tell its revision does not change.
func (g *Guard) Current(v Verdict) bool {
	r, ok := g.cfg.Policy.(policy.Revisioner)
	return !ok || r.Revision() == v.Revision
}
