package intercept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

// Preverified reports whether the host has brought a proof of its own, so that
// the client need not be asked for one.
func (g *Guard) Preverified() bool { return g.cfg.Proof != nil }

// Identify verifies the proof and binds its result to the session. Until it
// succeeds the session has no name and no record. The error wraps an
// *identity.Error: log it, and tell the client no more than "authentication
// failed".
//
// Where the host brought a proof, that one counts and p is ignored. After a proof
// that did not hold another one may be tried; how often is the interceptor's to
// bound. Identify ends when ctx or the session ends.
func (g *Guard) Identify(ctx context.Context, p identity.Proof) error {
	if !g.move(stateNew, stateIdentifying) {
		return ErrOutOfOrder
	}
	defer g.move(stateIdentifying, stateNew)
	ctx, stop := g.joined(ctx)
	defer stop()
	if g.cfg.Proof != nil {
		p = *g.cfg.Proof
	}
	p.Target, p.RemoteAddr = g.cfg.Target.Name, g.cfg.Client
	id, err := g.verify(ctx, p)
	if cause := context.Cause(g.ctx); cause != nil { //nolint:contextcheck // the session's end, whoever calls
		return errors.Join(cause, err)
	}
	if err != nil {
		g.cfg.Observer.IdentityRefused(g, err)
		return err
	}
	if err := g.open(ctx, &id); err != nil {
		return err
	}
	g.cfg.Observer.SessionStarted(g)
	return nil
}

func (g *Guard) verify(ctx context.Context, p identity.Proof) (id policy.Identity, err error) {
	if g.cfg.Identity == nil {
		return id, &identity.Error{Reason: identity.ReasonUnsupported}
	}
	defer func() {
		if r := recover(); r != nil {
			id, err = policy.Identity{}, &identity.Error{Reason: identity.ReasonUnavailable, Err: fmt.Errorf("verifier panicked: %T", r)}
		}
	}()
	id, err = g.cfg.Identity.Verify(ctx, p)
	if err != nil {
		return policy.Identity{}, err
	}
	if err := ctx.Err(); err != nil {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnavailable, Err: err}
	}
	if id.Subject == "" {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonClaims, Err: errors.New("verifier returned no subject")}
	}
	if !id.Expires.IsZero() && !g.cfg.Now().Before(id.Expires) {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonExpired}
	}
	return id, nil
}

// open starts the record and the clock of the proof.
func (g *Guard) open(ctx context.Context, id *policy.Identity) error {
	log, err := g.openLog(ctx, id)
	if err != nil {
		return g.fail(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != stateIdentifying {
		return errors.Join(ErrOutOfOrder, log.Close("closed"))
	}
	g.id, g.log, g.state = id, log, stateIdentified
	if !id.Expires.IsZero() {
		g.expiry = time.AfterFunc(id.Expires.Sub(g.cfg.Now()), func() { g.End(ErrExpired) })
	}
	return nil
}

// openLog opens the record and puts the identity into it.
func (g *Guard) openLog(ctx context.Context, id *policy.Identity) (log record.Log, err error) {
	defer func() {
		if r := recover(); r != nil {
			log, err = nil, fmt.Errorf("recorder panicked: %v", r)
		}
	}()
	who, err := json.Marshal(id)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	log, err = g.cfg.Recorder.Open(ctx, record.Header{
		Session: g.cfg.Session, Started: g.started,
		Target: g.cfg.Target.Name, Protocol: g.cfg.Target.Protocol, Labels: g.cfg.Target.Labels,
	})
	if err != nil {
		return nil, err
	}
	if log == nil {
		return nil, record.ErrNoRecorder
	}
	if err := log.Append(record.Entry{Type: record.TypeIdentity, Payload: who}); err != nil {
		return nil, errors.Join(err, log.Close("identity not recorded"))
	}
	return log, nil
}
