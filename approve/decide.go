package approve

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/headgate/gateway/policy"
)

// maxReasonBytes bounds what an approver may write.
const maxReasonBytes = 2000

// An Answer is what a human says to a request. The zero Answer refuses nothing
// and grants nothing: it lacks the Digest.
type Answer struct {
	// Grant lets the action run.
	Grant bool
	// Digest is the one of the request that the human was shown.
	Digest string
	// Reason is for the record, at most 2000 bytes of UTF-8.
	Reason string
	// Scope is how far a grant reaches. It must be zero where Grant is false.
	Scope Scope
}

// Decide answers a pending request in the name of approver, which must be a
// verified identity. It fails with ErrSelf if any party of the approver's chain is
// one of the requester's, with ErrUnknown if the approver lacks the groups that the
// request's reasons name (each reason that names some must be met) or the
// request does not exist, with ErrDigest if the answer is about another action,
// with ErrScope if the scope is too wide, and with ErrDecided, ErrExpired or
// ErrWithdrawn if it comes too late.
func (e *Engine) Decide(ctx context.Context, approver policy.Identity, id string, a Answer) (Ticket, error) {
	t, err := e.Get(ctx, approver, id)
	if err != nil {
		return Ticket{}, err
	}
	if a.Digest != t.Request.Digest {
		return Ticket{}, ErrDigest
	}
	if err := e.allows(a.Scope); err != nil {
		return Ticket{}, err
	}
	if !a.Grant && a.Scope != (Scope{}) {
		return Ticket{}, fmt.Errorf("%w: a refusal has none", ErrScope)
	}
	if len(a.Reason) > maxReasonBytes || !utf8.ValidString(a.Reason) {
		return Ticket{}, fmt.Errorf("approve: reason is longer than %d bytes or not UTF-8", maxReasonBytes)
	}
	t, err = e.cfg.Store.Decide(ctx, id, Ruling{
		Granted: a.Grant, Digest: a.Digest, Reason: a.Reason, Scope: a.Scope, Approver: approver, At: e.cfg.Now(),
	})
	if err != nil {
		return Ticket{}, fmt.Errorf("approve: decide: %w", err)
	}
	return t, nil
}

// Revoke takes back what is left of a grant. Whoever may decide about the request
// may revoke it. It fails with ErrDecided if nothing is left.
func (e *Engine) Revoke(ctx context.Context, approver policy.Identity, id string) (Ticket, error) {
	if _, err := e.Get(ctx, approver, id); err != nil {
		return Ticket{}, err
	}
	t, err := e.cfg.Store.Revoke(ctx, id, approver, e.cfg.Now())
	if err != nil {
		return Ticket{}, fmt.Errorf("approve: revoke: %w", err)
	}
	return t, nil
}

// Get returns a request that the approver may decide about; see Decide for the
// errors.
func (e *Engine) Get(ctx context.Context, approver policy.Identity, id string) (Ticket, error) {
	now := e.cfg.Now()
	t, err := e.cfg.Store.Get(ctx, id, now)
	if err != nil {
		return Ticket{}, fmt.Errorf("approve: get: %w", err)
	}
	if err := e.eligible(&approver, &t.Request, now); err != nil {
		return Ticket{}, err
	}
	return t, nil
}

// List returns the pending requests and the standing grants that the approver may
// decide about, the oldest first.
func (e *Engine) List(ctx context.Context, approver policy.Identity) ([]Ticket, error) {
	now := e.cfg.Now()
	all, err := e.cfg.Store.List(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("approve: list: %w", err)
	}
	var out []Ticket
	for _, t := range all {
		if e.eligible(&approver, &t.Request, now) == nil {
			out = append(out, t)
		}
	}
	return out, nil
}
