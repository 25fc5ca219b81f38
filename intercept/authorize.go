package intercept

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/policy"
)

// Authorize judges a command and records it with its verdict. It returns before
// anything may be forwarded; the interceptor then sends exactly cmd, or tells
// the client of the refusal. cmd and its Facts must not change afterwards.
//
// Authorize blocks while a human decides. It ends when ctx or the session ends.
func (g *Guard) Authorize(ctx context.Context, cmd *policy.Command) Verdict {
	return g.AuthorizeWaiting(ctx, cmd, nil)
}

// AuthorizeWaiting is Authorize for interceptors that can tell the client that a
// human is being waited for: waiting is called at most once, before the wait.
func (g *Guard) AuthorizeWaiting(ctx context.Context, cmd *policy.Command, waiting func(approve.Pending)) Verdict {
	if cmd == nil || !g.in(stateConnected) {
		return Verdict{Refusal: &Refusal{Code: CodeInternal, Reason: ErrOutOfOrder.Error()}}
	}
	v, _ := g.judge(ctx, cmd, waiting)
	return v
}

// TryAuthorize is Authorize for callers that must not block: it reports false,
// and has done nothing, where the policy's decision is not remembered or asks
// for a human. The caller then uses AuthorizeWaiting.
func (g *Guard) TryAuthorize(cmd *policy.Command) (Verdict, bool) {
	rememberer, ok := g.cfg.Policy.(Rememberer)
	if !ok || cmd == nil || !g.in(stateConnected) {
		return Verdict{}, false
	}
	start := g.cfg.Now()
	if g.over(start) != nil {
		return Verdict{}, false
	}
	decision, ok := g.remembered(rememberer, cmd)
	if !ok || mustAsk(cmd, decision) || g.connectStale(decision.Revision) || g.unenforced(decision.Limit) != nil {
		return Verdict{}, false
	}
	return g.settle(start, cmd, decision, nil), true
}

// remembered asks for a decision from memory. One that panics has none: Evaluate
// will say why.
func (g *Guard) remembered(r Rememberer, cmd *policy.Command) (d policy.Decision, ok bool) {
	defer func() {
		if recover() != nil {
			d, ok = policy.Decision{}, false
		}
	}()
	q := g.question(cmd, nil)
	defer q.free()
	return r.Remembered(&q.input)
}

// mustAsk reports whether a human has to agree before cmd is sent.
func mustAsk(cmd *policy.Command, d policy.Decision) bool {
	return d.Outcome == policy.Ask && cmd.Action != policy.ActionPrepare
}

// A Rememberer is a policy.Evaluator that can answer from memory. Remembered
// must not block; it reports false where Evaluate would have to be asked.
type Rememberer interface {
	Remembered(in *policy.Input) (policy.Decision, bool)
}

// judge is the one order: decide, ask, decide again, record.
func (g *Guard) judge(ctx context.Context, cmd *policy.Command, waiting func(approve.Pending)) (Verdict, policy.Decision) {
	ctx, stop := g.joined(ctx)
	defer stop()
	start := g.cfg.Now()
	if cause := g.over(start); cause != nil {
		return Verdict{Refusal: ended(cause)}, policy.Decision{}
	}
	decision, refusal := g.decide(ctx, cmd, nil)
	if refusal == nil && g.connectStale(decision.Revision) {
		refusal = g.reconnect(ctx)
	}
	if refusal == nil && mustAsk(cmd, decision) {
		// Not worth a human's time if it could not run.
		if refusal = g.tooFast(cmd, g.limited(decision.Limit), g.cfg.Now(), false); refusal == nil {
			decision, refusal = g.ask(ctx, cmd, decision, waiting)
		}
	}
	if cause := g.over(g.cfg.Now()); cause != nil && (refusal == nil || refusal.Code != CodeDenied) {
		refusal = ended(cause)
	}
	return g.settle(start, cmd, decision, refusal), decision
}

// settle records the command and makes its verdict. A decision that asks has been
// answered by now, or is about a command that need not be.
func (g *Guard) settle(start time.Time, cmd *policy.Command, decision policy.Decision, refusal *Refusal) Verdict {
	if refusal == nil && decision.Outcome != policy.Allow && decision.Outcome != policy.Ask {
		refusal = denied(decision)
	}
	limit, now := g.limited(decision.Limit), g.cfg.Now()
	if refusal == nil {
		refusal = g.tooFast(cmd, limit, now, true)
	}
	v := Verdict{Forward: refusal == nil, Refusal: refusal, Revision: decision.Revision, Sequence: g.sequence.Add(1)}
	g.counters.commands.Add(1)
	if v.Forward {
		v.Masks, v.Limit = decision.Masks, limit
	} else {
		g.counters.denied.Add(1)
	}
	err := g.recordCommand(cmd, decision, v)
	if errors.Is(err, errFactsTooLong) {
		v, err = g.refuseUnrecordable(cmd, v)
	}
	if err != nil {
		v = Verdict{Sequence: v.Sequence, Refusal: &Refusal{Code: CodeRecorder, Reason: "the session's record could not be kept"}}
	}
	g.cfg.Observer.Decided(g, cmd.Action, decision.Outcome, v, now.Sub(start))
	if v.Forward && len(decision.Labels) > 0 {
		g.addLabels(decision.Labels)
	}
	return v
}

// refuseUnrecordable takes back a Verdict of a command of which more is known than
// can be recorded, and records its refusal without that.
func (g *Guard) refuseUnrecordable(cmd *policy.Command, v Verdict) (Verdict, error) {
	if v.Forward {
		g.counters.denied.Add(1)
		v = Verdict{Revision: v.Revision, Sequence: v.Sequence, Refusal: &Refusal{
			Code: CodeTooLarge, Reason: "the command does more than an entry of the record has room for", Hint: "Send fewer statements at a time.",
		}}
	}
	short := *cmd
	short.Facts = &policy.Facts{Effects: []policy.Effect{}, Opaque: []string{"more effects than an entry of the record holds"}}
	return v, g.recordCommand(&short, policy.Decision{Revision: v.Revision}, v)
}

// decide asks the policy once, within the decision timeout.
func (g *Guard) decide(ctx context.Context, cmd *policy.Command, redeemed *policy.Approval) (policy.Decision, *Refusal) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.DecisionTimeout)
	defer cancel()
	q := g.question(cmd, redeemed)
	defer q.free()
	d, err := g.evaluate(ctx, &q.input)
	if err != nil {
		_ = g.Note("policy_error", map[string]string{"error": err.Error()}) // a failing record ends the session by itself
		return policy.Decision{}, &Refusal{Code: CodePolicyError, Reason: "the policy reached no decision", Retryable: true, cause: err}
	}
	if refusal := g.unenforced(d.Limit); refusal != nil {
		return policy.Decision{Revision: d.Revision}, refusal
	}
	return d, nil
}

func (g *Guard) evaluate(ctx context.Context, in *policy.Input) (d policy.Decision, err error) {
	defer func() {
		if r := recover(); r != nil {
			d, err = policy.Decision{}, fmt.Errorf("policy panicked: %v", r)
		}
	}()
	d, err = g.cfg.Policy.Evaluate(ctx, in)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return policy.Decision{}, err
	}
	return d, nil
}

// connectStale reports whether the policy has changed since connecting was
// judged.
func (g *Guard) connectStale(revision string) bool {
	at := g.connectAt.Load()
	return at != nil && *at != revision
}

// reconnect judges connecting again under a changed policy: a right that has
// been taken away ends the session, and so does one that now takes a human,
// unless one has agreed.
func (g *Guard) reconnect(ctx context.Context) *Refusal {
	g.connectMu.Lock()
	defer g.connectMu.Unlock()
	decision, refusal := g.decide(ctx, g.connectCommand(), nil)
	if refusal == nil && decision.Outcome != policy.Allow && (decision.Outcome != policy.Ask || !g.connectAsked) {
		refusal = denied(decision)
	}
	if refusal != nil {
		g.End(fmt.Errorf("%w: a changed policy no longer allows connecting", ErrRevoked))
		return refusal
	}
	g.connectAt.Store(&decision.Revision)
	g.limit.Store(decision.Limit)
	return nil
}

// ask waits for a human and puts the question to the policy again.
func (g *Guard) ask(ctx context.Context, cmd *policy.Command, d policy.Decision, waiting func(approve.Pending)) (policy.Decision, *Refusal) {
	grant, err := g.approve(ctx, cmd, d, waiting)
	if err != nil {
		return d, g.unapproved(err, d)
	}
	g.counters.approved.Add(1)
	again, refusal := g.decide(ctx, cmd, &policy.Approval{
		ID: grant.ID, Approver: grant.Approver.Subject, Groups: grant.Approver.Groups,
		Reason: grant.Reason, GrantedAt: grant.GrantedAt,
	})
	if refusal != nil {
		return again, refusal
	}
	if again.Revision != d.Revision {
		return again, &Refusal{Code: CodeApprovalExpired, Reason: "the policy changed while the approval was waited for", Retryable: true}
	}
	return again, nil
}

// joined returns a context that is done when either the caller or the session
// is.
func (g *Guard) joined(ctx context.Context) (context.Context, func()) {
	if ctx == g.ctx {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.ctx, func() { cancel(context.Cause(g.ctx)) })
	return ctx, func() { stop(); cancel(context.Canceled) }
}

func denied(d policy.Decision) *Refusal {
	r := &Refusal{Code: CodeDenied, Reason: "no rule allows this"}
	if len(d.Reasons) > 0 {
		r.Rule, r.Reason, r.Hint = d.Reasons[0].Rule, d.Reasons[0].Message, d.Reasons[0].Hint
	}
	return r
}

func ended(cause error) *Refusal {
	r := &Refusal{Code: CodeSessionEnded, Reason: "the session has ended"}
	for _, known := range []error{ErrExpired, ErrRevoked, ErrShutdown, ErrRecorder} {
		if errors.Is(cause, known) {
			r.Reason = known.Error()
		}
	}
	return r
}

// EndedRefusal returns what to tell a client whose session was ended with cause.
func EndedRefusal(cause error) *Refusal { return ended(cause) }
