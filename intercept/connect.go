package intercept

import (
	"context"
	"errors"
	"fmt"
	"time"

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
// session ends, or at once when dialing fails. waiting is as in AuthorizeWaiting.
//
// A Verdict that refuses comes with a nil error; an error means that the
// upstream could not be reached, and may be told to the host but not, in its
// text, to the client. After either Connect may be called again.
func (g *Guard) Connect(ctx context.Context, waiting func(approve.Pending), dial func(context.Context, *credsource.Credential) error) (Verdict, error) {
	return g.ConnectFor(ctx, nil, waiting, dial)
}

// ConnectFor is Connect for a session of a kind that a policy has to know of before
// there is one, as one that copies all that there is. purpose's text, effects and
// opaque reasons are added to those of the command "connect", also where a changed
// policy is asked about that again; nil adds nothing.
func (g *Guard) ConnectFor(ctx context.Context, purpose *policy.Command, waiting func(approve.Pending), dial func(context.Context, *credsource.Credential) error) (Verdict, error) {
	if !g.move(stateIdentified, stateConnecting) {
		return Verdict{}, ErrOutOfOrder
	}
	g.purpose = purpose
	defer g.move(stateConnecting, stateIdentified)
	v, decision := g.judge(ctx, g.connectCommand(), waiting)
	if !v.Forward {
		return v, nil
	}
	g.connectAt.Store(&decision.Revision)
	g.limit.Store(decision.Limit)
	g.connectAsked = decision.Outcome == policy.Ask
	req := credsource.Request{Identity: g.id, Target: &g.cfg.Target, Session: g.cfg.Session, Decision: &decision}
	ctx, stop := g.joined(ctx)
	defer stop()
	if err := g.dial(ctx, req, dial); err != nil {
		return Verdict{}, errors.Join(err, g.hold(ctx, nil))
	}
	if !g.move(stateConnecting, stateConnected) {
		return Verdict{}, ErrOutOfOrder
	}
	return v, nil
}

func (g *Guard) connectCommand() *policy.Command {
	cmd := &policy.Command{Action: policy.ActionConnect, Facts: &policy.Facts{
		Effects: []policy.Effect{{Verb: policy.VerbConnect, Kind: "target", Name: g.cfg.Target.Name}},
		Opaque:  []string{},
	}}
	if p := g.purpose; p != nil {
		cmd.Text = p.Text
		if p.Facts != nil {
			cmd.Effects, cmd.Opaque = append(cmd.Effects, p.Effects...), append(cmd.Opaque, p.Opaque...)
		}
	}
	return cmd
}

// dial fetches a credential and dials with it, once more with a fresh one if the
// upstream refuses the first.
func (g *Guard) dial(ctx context.Context, req credsource.Request, dial func(context.Context, *credsource.Credential) error) error {
	cred, err := g.fetch(ctx, req)
	if err != nil {
		return err
	}
	if err := g.hold(ctx, cred); err != nil {
		return err
	}
	err = dial(ctx, cred)
	if !errors.Is(err, ErrCredentialRefused) {
		return err
	}
	refresher, ok := g.cfg.Source.(credsource.Refresher)
	if !ok {
		return err
	}
	fresh, refreshErr := lease(func() (*credsource.Credential, error) { return refresher.Refresh(ctx, req, cred) })
	if refreshErr != nil {
		return errors.Join(err, refreshErr)
	}
	if err := g.hold(ctx, fresh); err != nil {
		return err
	}
	return dial(ctx, fresh)
}

func (g *Guard) fetch(ctx context.Context, req credsource.Request) (*credsource.Credential, error) {
	if g.cfg.Source == nil {
		return nil, credsource.ErrNoSource
	}
	return lease(func() (*credsource.Credential, error) { return g.cfg.Source.Credential(ctx, req) })
}

// hold keeps the lease for Close, in place of the one that it has, which goes
// back. A Guard that has been closed meanwhile keeps none.
func (g *Guard) hold(ctx context.Context, cred *credsource.Credential) error {
	g.mu.Lock()
	g.injects(cred)
	closed := g.state == stateClosed
	old := g.credential
	if g.credential = cred; closed {
		g.credential = nil
	}
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout) // what is not revoked lives on
	defer cancel()
	if old != nil && old != cred && release(ctx, old) != nil {
		if err := g.Note("credential_release_failed", map[string]string{"version": old.Version}); err != nil {
			return err
		}
	}
	if closed {
		_ = release(ctx, cred) // nobody is left to tell
		return ErrOutOfOrder
	}
	return nil
}

// injects notes a credential that is about to be used. It is looked for in what
// comes back until the session's end, also when another one has replaced it. The
// caller holds mu.
func (g *Guard) injects(cred *credsource.Credential) {
	if cred == nil {
		return
	}
	g.injected = append(g.injected, cred)
	g.echo.Store(g.cfg.Echoes.of(g.injected))
}

// releaseTimeout bounds giving a lease back before the session's end.
const releaseTimeout = 10 * time.Second

func release(ctx context.Context, cred *credsource.Credential) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("credential: release panicked: %T", r)
		}
	}()
	return cred.Release(ctx)
}

// lease asks a source. What a source panics with may hold a secret, so only its
// type is told.
func lease(ask func() (*credsource.Credential, error)) (cred *credsource.Credential, err error) {
	defer func() {
		if r := recover(); r != nil {
			cred, err = nil, fmt.Errorf("credential: source panicked: %T", r)
		}
	}()
	cred, err = ask()
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	if cred == nil {
		return nil, errors.New("credential: source returned none")
	}
	return cred, nil
}
