package intercept

import (
	"context"
	"errors"
	"fmt"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/policy"
)

// approve asks for one use of an approval of exactly cmd.
func (g *Guard) approve(ctx context.Context, cmd *policy.Command, d policy.Decision, waiting func(approve.Pending)) (approve.Grant, error) {
	if g.cfg.Approver == nil {
		return approve.Grant{}, fmt.Errorf("%w: no approver is set", approve.ErrRefused)
	}
	session := g.Snapshot()
	in := &policy.Input{Identity: g.Identity(), Target: &g.cfg.Target, Session: &session, Command: cmd}
	digest, err := policy.ActionDigest(in, d.Revision)
	if err != nil {
		return approve.Grant{}, err
	}
	req := approve.Request{Digest: digest, Input: in, Reasons: d.Reasons, Revision: d.Revision}
	for _, r := range d.Reasons {
		if r.Expires > 0 && (req.Expires == 0 || r.Expires < req.Expires) {
			req.Expires = r.Expires
		}
	}
	if err := g.noteApproval("requested", digest, approve.Grant{}); err != nil {
		return approve.Grant{}, err
	}
	grant, err := g.callApprover(ctx, req, waiting)
	if err != nil {
		return approve.Grant{}, errors.Join(err, g.noteApproval("not granted", digest, grant))
	}
	if grant.Digest != digest {
		return approve.Grant{}, errors.Join(approve.ErrRefused, g.noteApproval("grant is for another action", digest, grant))
	}
	if err := g.noteApproval("granted", digest, grant); err != nil {
		return approve.Grant{}, err
	}
	return grant, nil
}

func (g *Guard) callApprover(ctx context.Context, req approve.Request, waiting func(approve.Pending)) (grant approve.Grant, err error) {
	defer func() {
		if r := recover(); r != nil {
			grant, err = approve.Grant{}, fmt.Errorf("approver panicked: %v", r)
		}
	}()
	return g.cfg.Approver.Approve(ctx, req, waiting)
}

// unapproved says why there is no approval. The error's text may hold what an
// approver wrote; only its kind goes to the client.
func (g *Guard) unapproved(err error, d policy.Decision) *Refusal {
	r := denied(d)
	switch {
	case errors.Is(err, approve.ErrExpired):
		r.Code, r.Retryable = CodeApprovalExpired, true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		r.Code, r.Retryable = CodeApprovalCanceled, true
	case errors.Is(err, approve.ErrOverloaded), errors.Is(err, approve.ErrUsedUp):
		r.Code, r.Retryable = CodeApprovalRefused, true
	default:
		r.Code = CodeApprovalRefused
	}
	return r
}
