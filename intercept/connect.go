package intercept

import (
	"context"
	"errors"
	"fmt"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy"
)

// ErrCredentialRefused is wrapped by a dial function's error to say that the
// upstream did not accept the credential. Connect then asks the source for a
// fresh one and dials once more.
var ErrCredentialRefused = errors.New("intercept: upstream refused the credential")

// Connect judges the action "connect", fetches the credential and calls dial
// with it. dial must not keep the credential: the Guard releases it when the
// session ends. waiting is as in AuthorizeWaiting.
//
// A Verdict that refuses comes with a nil error; an error means that the
// upstream could not be reached, and may be told to the host but not, in its
// text, to the client.
func (g *Guard) Connect(ctx context.Context, waiting func(approve.Pending), dial func(context.Context, *credsource.Credential) error) (Verdict, error) {
	if !g.in(stateIdentified) {
		return Verdict{}, ErrOutOfOrder
	}
	v, decision := g.judge(ctx, g.connectCommand(), waiting)
	if !v.Forward {
		return v, nil
	}
	g.connectAt.Store(&decision.Revision)
	req := credsource.Request{Identity: g.id, Target: &g.cfg.Target, Session: g.cfg.Session, Decision: &decision}
	if err := g.dial(ctx, req, dial); err != nil {
		return Verdict{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != stateIdentified {
		return Verdict{}, ErrOutOfOrder
	}
	g.state = stateConnected
	return v, nil
}

func (g *Guard) connectCommand() *policy.Command {
	return &policy.Command{Action: policy.ActionConnect, Facts: &policy.Facts{
		Effects: []policy.Effect{{Verb: policy.VerbConnect, Kind: "target", Name: g.cfg.Target.Name}},
		Opaque:  []string{},
	}}
}

func (g *Guard) dial(ctx context.Context, req credsource.Request, dial func(context.Context, *credsource.Credential) error) error {
	if g.cfg.Source == nil {
		return credsource.ErrNoSource
	}
	cred, err := lease(g.cfg.Source.Credential(ctx, req))
	if err != nil {
		return err
	}
	g.hold(cred)
	err = dial(ctx, cred)
	if !errors.Is(err, ErrCredentialRefused) {
		return err
	}
	refresher, ok := g.cfg.Source.(credsource.Refresher)
	if !ok {
		return err
	}
	fresh, refreshErr := lease(refresher.Refresh(ctx, req, cred))
	if refreshErr != nil {
		return errors.Join(err, refreshErr)
	}
	g.hold(fresh)
	if err := cred.Release(ctx); err != nil {
		if err := g.Note("credential_release_failed", map[string]string{"version": cred.Version}); err != nil {
			return err
		}
	}
	return dial(ctx, fresh)
}

// hold keeps the lease for Close. A Guard that has been closed meanwhile can't
// keep it: it goes back at once.
func (g *Guard) hold(cred *credsource.Credential) {
	g.mu.Lock()
	closed := g.state == stateClosed
	if !closed {
		g.credential = cred
	}
	g.mu.Unlock()
	if closed {
		_ = cred.Release(context.WithoutCancel(g.ctx)) // nobody is left to tell
	}
}

func lease(cred *credsource.Credential, err error) (*credsource.Credential, error) {
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	if cred == nil {
		return nil, errors.New("credential: source returned none")
	}
	return cred, nil
}
