// Package approve is the port through which a risky command waits for a human.
//
// An approval is for one action: a Request carries the digest of exactly what
// will be sent, and a Grant counts for that digest only. Engine is the reference
// implementation, with a store in memory and an http.Handler to list and decide.
// Package approvetest holds the suite for other implementations. This package
// imports the standard library only.
package approve

import (
	"context"
	"errors"
	"time"

	"github.com/headgate/gateway/policy"
)

// An Approver answers requests. Approve blocks until the request has been
// granted, refused or has expired, or ctx is done. A returned Grant has been
// consumed, atomically: no other call gets the same use of it.
//
// pending is called at most once, before Approve blocks, when a human has to be
// waited for; it may be nil and must return promptly. An error never means
// granted; it wraps ErrRefused, ErrExpired, ErrOverloaded or ctx's error. After
// ctx is done the request is withdrawn: deciding it later has no effect.
type Approver interface {
	Approve(ctx context.Context, req Request, pending func(Pending)) (Grant, error)
}

// ApproverFunc makes an Approver of a function. A nil ApproverFunc refuses.
type ApproverFunc func(ctx context.Context, req Request, pending func(Pending)) (Grant, error)

// Approve calls f.
func (f ApproverFunc) Approve(ctx context.Context, req Request, pending func(Pending)) (Grant, error) {
	if f == nil {
		return Grant{}, ErrRefused
	}
	return f(ctx, req, pending)
}

// A Request is one action that waits. Everything in it is shown to approvers and
// is as hostile as the agent that sent it: escape it for where it is shown.
type Request struct {
	// Digest is policy.ActionDigest of Input. Grants bind to it.
	Digest string `json:"digest"`
	// Input is what the policy was asked. It is read-only.
	Input *policy.Input `json:"input"`
	// Reasons are the rules that asked.
	Reasons []policy.Reason `json:"reasons"`
	// Revision identifies the policy that asked.
	Revision string `json:"revision"`
	// Expires bounds the wait; zero means the approver's default.
	Expires time.Duration `json:"expires,omitempty"`
}

// Pending describes a request that waits for a human.
type Pending struct {
	ID string `json:"id"`
	// URL is where it can be decided, "" if there is no such place.
	URL     string    `json:"url,omitempty"`
	Expires time.Time `json:"expires"`
}

// A Grant is a consumed permission to run one action once.
type Grant struct {
	ID        string          `json:"id"`
	Digest    string          `json:"digest"`
	Approver  policy.Identity `json:"approver"`
	Reason    string          `json:"reason,omitempty"`
	GrantedAt time.Time       `json:"granted_at"`
	Scope     Scope           `json:"scope"`
}

// A Scope is how far one human answer reaches. The zero Scope is one use, now.
// However wide, it covers the same digest only: the same principals, target,
// command, parameters, facts and policy revision. It does not cover a request
// whose reasons ask for other groups than the approver's.
type Scope struct {
	// Uses is how often the action may run; zero means once.
	Uses int `json:"uses,omitempty"`
	// For is how long unused uses stay good; zero means that they are lost when
	// the waiting request is answered.
	For time.Duration `json:"for,omitempty"`
	// Session restricts further uses to the session that asked.
	Session bool `json:"session,omitempty"`
}

// Errors of Approve. ErrRefused also covers "no approver is set".
var (
	ErrRefused    = errors.New("approve: refused")
	ErrExpired    = errors.New("approve: nobody answered in time")
	ErrOverloaded = errors.New("approve: too many requests are waiting")
	ErrRevoked    = errors.New("approve: revoked")
	// ErrUsedUp says that an identical call, which waited for the same answer,
	// has had the last use of it. Approve returns it with ErrRefused; asking again
	// puts a new question.
	ErrUsedUp = errors.New("approve: an identical call has had the last use")
)

// Errors of deciding and revoking.
var (
	// ErrUnknown says that there is no such request, or that whoever asks has
	// nothing to do with it.
	ErrUnknown = errors.New("approve: no such request")
	// ErrDecided says that the request has been answered already.
	ErrDecided = errors.New("approve: already decided")
	// ErrWithdrawn says that nobody waits for the answer any more.
	ErrWithdrawn = errors.New("approve: request was withdrawn")
	// ErrDigest says that the decision was about another action.
	ErrDigest = errors.New("approve: decision is about another action")
	// ErrSelf says that the approver is one of the requester's principals.
	ErrSelf = errors.New("approve: requester can't approve")
	// ErrScope says that the scope is wider than the Engine allows.
	ErrScope = errors.New("approve: scope is not allowed")
)
