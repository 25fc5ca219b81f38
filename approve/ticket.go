package approve

import (
	"slices"
	"time"

	"github.com/headgate/gateway/policy"
)

// A State says how far a Ticket has come. The zero State is none of them.
type State string

// The states. A ticket starts as pending; from every state but pending and
// granted there is no way on.
const (
	StatePending   State = "pending"
	StateGranted   State = "granted"   // uses may be left
	StateUsed      State = "used"      // granted, and nothing is left of it
	StateRefused   State = "refused"   // a human said no
	StateExpired   State = "expired"   // nobody answered in time
	StateWithdrawn State = "withdrawn" // nobody waited any more
	StateRevoked   State = "revoked"   // granted, and taken back
)

// A Ticket is what a Store keeps of a request, from the question to the end of
// the grant.
type Ticket struct {
	// ID is random and can't be guessed.
	ID      string  `json:"id"`
	Request Request `json:"request"`
	State   State   `json:"state"`
	// Waiting is how many calls of Approve wait for the answer, or have not
	// collected it yet.
	Waiting int       `json:"waiting"`
	Created time.Time `json:"created"`
	// Expires is when a pending ticket can't be decided any more.
	Expires time.Time `json:"expires"`
	// Ruling is the answer. It is zero while the ticket is pending.
	Ruling Ruling `json:"ruling"`
	// UsesLeft is how many uses nobody has had yet.
	UsesLeft int `json:"uses_left"`
	// Until is when unused uses lapse; zero means that only calls that were
	// waiting when the ticket was granted may have them.
	Until time.Time `json:"until,omitzero"`
	// RevokedBy is who took the grant back, nil if nobody did.
	RevokedBy *policy.Identity `json:"revoked_by,omitempty"`
}

// A Ruling is one human's answer to one ticket. The zero Ruling refuses.
type Ruling struct {
	// Granted is the answer.
	Granted bool `json:"granted"`
	// Digest is the action that the approver was shown.
	Digest string `json:"digest"`
	// Reason is what the approver wrote. It does not go to the client.
	Reason string `json:"reason,omitempty"`
	// Scope is how far a grant reaches.
	Scope    Scope           `json:"scope"`
	Approver policy.Identity `json:"approver"`
	At       time.Time       `json:"at"`
}

// Session returns the id of the session that asked.
func (t *Ticket) Session() string { return t.Request.session() }

func (r *Request) session() string {
	if r.Input == nil || r.Input.Session == nil {
		return ""
	}
	return r.Input.Session.ID
}

// Principal returns the subject that asked, the first of its chain.
func (t *Ticket) Principal() policy.Actor {
	if t.Request.Input == nil || t.Request.Input.Identity == nil {
		return policy.Actor{}
	}
	id := t.Request.Input.Identity
	return policy.Actor{Subject: id.Subject, Issuer: id.Issuer}
}

// Standing reports whether new calls could have a use of t at the time now.
func (t *Ticket) Standing(now time.Time) bool {
	return t.State == StateGranted && t.UsesLeft > 0 && now.Before(t.Until)
}

// Covers reports whether a new call with the request may have a use of t at the
// time now: the action is the same, and whoever granted t might grant the request
// as well. Calls that wait for t come first: what they may need is not given away.
func (t *Ticket) Covers(req *Request, now time.Time) bool {
	if !t.Standing(now) || t.UsesLeft <= t.Waiting || t.Request.Digest != req.Digest {
		return false
	}
	if t.Ruling.Scope.Session && t.Session() != req.session() {
		return false
	}
	return req.decidableBy(&t.Ruling.Approver) == nil
}

// Joinable reports whether a new call with the request may wait for t's answer: t
// is pending, for the same action in the same session, and asks the same groups.
func (t *Ticket) Joinable(req *Request) bool {
	return t.State == StatePending && t.Request.Digest == req.Digest && t.Session() == req.session() &&
		slices.EqualFunc(t.Request.Reasons, req.Reasons, func(a, b policy.Reason) bool {
			return slices.Equal(a.Approvers, b.Approvers)
		})
}

// grant is what a call that has had a use of t gets.
func (t *Ticket) grant() Grant {
	return Grant{
		ID: t.ID, Digest: t.Request.Digest, Approver: t.Ruling.Approver,
		Reason: t.Ruling.Reason, GrantedAt: t.Ruling.At, Scope: t.Ruling.Scope,
	}
}
