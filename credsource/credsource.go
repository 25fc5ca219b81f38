// Package credsource is the port through which Headgate gets the credentials of
// upstream systems. An agent never sees one.
//
// Sources stand in folders of their own: static, env and file. Rotating wraps
// any of them with a cache that follows rotation. Package credsourcetest holds
// the suite that each of them, and each of yours, must pass. This package
// imports the standard library only.
package credsource

import (
	"context"
	"errors"

	"github.com/headgate/gateway/policy"
)

// A Source hands out credentials. Each returned Credential is a lease that the
// caller releases exactly once, at the latest when its session ends.
//
// Credential is called concurrently and must honour ctx. An error must not
// contain a secret; it should wrap ErrUnavailable where trying again later may
// help. A nil Credential with a nil error is treated as an error.
type Source interface {
	Credential(ctx context.Context, req Request) (*Credential, error)
}

// A Refresher is a Source that can be told that the upstream refused a
// credential. Refresh returns a credential newer than refused or an error; it
// must not return the same secret again unless the backing store still says so.
type Refresher interface {
	Source
	Refresh(ctx context.Context, req Request, refused *Credential) (*Credential, error)
}

// SourceFunc makes a Source of a function. A nil SourceFunc returns
// ErrNoSource.
type SourceFunc func(ctx context.Context, req Request) (*Credential, error)

// Credential calls f.
func (f SourceFunc) Credential(ctx context.Context, req Request) (*Credential, error) {
	if f == nil {
		return nil, ErrNoSource
	}
	return f(ctx, req)
}

// A Request says for whom and for what a credential is wanted, so that a source
// can choose the least privileged one. Its values are read-only.
type Request struct {
	Identity *policy.Identity
	Target   *policy.Target
	// Session is the session's id.
	Session string
	// Decision is what the policy said about connecting.
	Decision *policy.Decision
}

// Errors that callers can test for.
var (
	// ErrNoSource is returned where no source is set.
	ErrNoSource = errors.New("credsource: no source")
	// ErrUnavailable marks an error that may pass: the source is down or slow.
	ErrUnavailable = errors.New("credsource: source unavailable")
	// ErrNotFound says that the source has no credential for the request. It is
	// an answer, not a failure: a cache must not go on serving what it holds.
	ErrNotFound = errors.New("credsource: no such credential")
	// ErrUnchanged says that the source still has the very credential that the
	// upstream refused. It comes with ErrUnavailable.
	ErrUnchanged = errors.New("credsource: source still has the refused credential")
	// ErrClosed is returned by a source after its Close.
	ErrClosed = errors.New("credsource: source is closed")
)
