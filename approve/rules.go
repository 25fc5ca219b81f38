package approve

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/headgate/gateway/policy"
)

// check refuses a request that can't be reviewed: an approver must see exactly
// what the digest stands for.
func (e *Engine) check(req *Request) error {
	digest, err := policy.ActionDigest(req.Input, req.Revision)
	if err != nil {
		return err
	}
	in := req.Input
	switch {
	case digest != req.Digest:
		return errors.New("digest is not that of the input")
	case in.Session == nil || in.Session.ID == "":
		return errors.New("input has no session")
	case strings.TrimSpace(in.Identity.Subject) == "":
		return errors.New("input has no subject")
	case size(in.Command) > e.cfg.MaxCommandBytes:
		return fmt.Errorf("command is too large to be reviewed, the limit is %d bytes", e.cfg.MaxCommandBytes)
	case !reviewable(in):
		return errors.New("input is not UTF-8")
	}
	return nil
}

func size(c *policy.Command) int {
	n := len(c.Text)
	for _, p := range c.Params {
		n += len(p.Value)
	}
	return n
}

// reviewable reports whether everything that the digest covers in its JSON form
// is UTF-8: two texts that are not could look the same. The command's text may be
// anything, it is shown as its bytes.
func reviewable(in *policy.Input) bool {
	valid := func(texts ...string) bool {
		return !slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) })
	}
	if !valid(in.Target.Name, in.Target.Protocol, in.Command.Action) {
		return false
	}
	for name, value := range in.Target.Labels {
		if !valid(name, value) {
			return false
		}
	}
	for _, p := range in.Identity.Principals() {
		if !valid(p.Subject, p.Issuer) {
			return false
		}
	}
	if slices.ContainsFunc(in.Command.Params, func(p policy.Param) bool { return !valid(p.Value) }) {
		return false
	}
	f := in.Command.Facts
	return f == nil || valid(f.Opaque...) && !slices.ContainsFunc(f.Effects, func(e policy.Effect) bool {
		return !valid(e.Verb, e.Kind, e.Name) || !valid(e.Columns...) || !valid(e.Filtered...)
	})
}

// eligible reports whether the approver may decide about the request: nil if so,
// ErrSelf for the requester's own chain, and ErrUnknown for everybody else, who
// is not to learn that there is such a request.
func (e *Engine) eligible(approver *policy.Identity, req *Request, now time.Time) error {
	if !e.mayApprove(approver, now) {
		return ErrUnknown
	}
	return req.decidableBy(approver)
}

// decidableBy returns what is wrong with the approver as far as the request itself
// tells: see eligible.
func (r *Request) decidableBy(approver *policy.Identity) error {
	if r.Input == nil {
		return ErrUnknown
	}
	if samePrincipal(approver, r.Input.Identity) {
		return ErrSelf
	}
	for _, reason := range r.Reasons {
		if len(reason.Approvers) > 0 && !intersect(reason.Approvers, approver.Groups) {
			return ErrUnknown
		}
	}
	return nil
}

// mayApprove reports whether the identity may decide anything at all.
func (e *Engine) mayApprove(approver *policy.Identity, now time.Time) bool {
	if strings.TrimSpace(approver.Subject) == "" {
		return false
	}
	if !approver.Expires.IsZero() && !now.Before(approver.Expires) {
		return false
	}
	return len(e.cfg.ApproverGroups) == 0 || intersect(e.cfg.ApproverGroups, approver.Groups)
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// samePrincipal reports whether the two chains may have a party in common. It
// errs on the safe side: subjects are compared without regard to case and outer
// space, and an issuer that was left out is like any other.
func samePrincipal(a, b *policy.Identity) bool {
	if a == nil || b == nil {
		return true
	}
	theirs := parties(b)
	return slices.ContainsFunc(parties(a), func(p policy.Actor) bool {
		return slices.ContainsFunc(theirs, func(q policy.Actor) bool {
			return strings.EqualFold(p.Subject, q.Subject) && (p.Issuer == "" || q.Issuer == "" || p.Issuer == q.Issuer)
		})
	})
}

// parties is Identity.Principals, but leaves out issuers that were left out.
func parties(id *policy.Identity) []policy.Actor {
	out := append([]policy.Actor{{Subject: id.Subject, Issuer: id.Issuer}}, id.Actors...)
	for i := range out {
		out[i].Subject = strings.TrimSpace(out[i].Subject)
	}
	return out
}

// allows refuses a scope that is wider than the configuration.
func (e *Engine) allows(s Scope) error {
	switch {
	case s.Uses < 0 || s.For < 0:
		return fmt.Errorf("%w: negative", ErrScope)
	case s.Uses > e.cfg.MaxScopeUses:
		return fmt.Errorf("%w: at most %d uses", ErrScope, e.cfg.MaxScopeUses)
	case s.For > e.cfg.MaxScopeFor:
		return fmt.Errorf("%w: at most for %s", ErrScope, e.cfg.MaxScopeFor)
	}
	return nil
}
