// Package identity is the port through which Headgate learns who a client is: a
// Verifier turns a Proof that the client presented into a policy.Identity.
//
// Verifiers stand in folders of their own: static for development, oidc for
// OpenID Connect. Package identitytest holds the suite that each of them, and
// each of yours, must pass. This package imports the standard library only.
package identity

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

// A Verifier checks a proof. It returns the zero Identity and an error when the
// proof does not hold; the error should wrap an *Error, whose Reason goes to the
// host's log and never to the client.
//
// Verify is called concurrently, before a client is authenticated, with whatever
// an attacker chose to send: it must bound its work and honour ctx. Once ctx is
// done it returns an error that wraps ctx's.
//
// The Identity may share its slices and maps with other results: read it only.
type Verifier interface {
	Verify(ctx context.Context, p Proof) (policy.Identity, error)
}

// VerifierFunc makes a Verifier of a function. A nil VerifierFunc refuses.
type VerifierFunc func(ctx context.Context, p Proof) (policy.Identity, error)

// Verify calls f.
func (f VerifierFunc) Verify(ctx context.Context, p Proof) (policy.Identity, error) {
	if f == nil {
		return policy.Identity{}, &Error{Reason: ReasonUnsupported}
	}
	return f(ctx, p)
}

// A Proof is what a client presented. A verifier looks at the kind of evidence
// that it understands and refuses a proof that lacks it.
type Proof struct {
	// Token is a bearer token: a JWT, a development token, a ticket.
	Token secret.Value
	// Certificates is the chain that the client proved possession of in a TLS
	// handshake, leaf first. It has not been verified against any root.
	Certificates []*x509.Certificate
	// Claimed is the user name that the client gave. It proves nothing.
	Claimed string
	// RemoteAddr is the peer's network address, "" in process.
	RemoteAddr string
	// Target is the name of the target that the client asks for.
	Target string
}

// Reasons of refusal, for logs and metrics. They hold nothing that the client
// sent.
const (
	ReasonUnsupported = "unsupported_proof"
	ReasonMalformed   = "malformed"
	ReasonSignature   = "bad_signature"
	ReasonAlgorithm   = "algorithm_not_allowed"
	ReasonUnknownKey  = "unknown_key"
	ReasonIssuer      = "issuer_not_allowed"
	ReasonAudience    = "wrong_audience"
	ReasonExpired     = "expired"
	ReasonNotYetValid = "not_yet_valid"
	ReasonTooOld      = "too_old"
	ReasonClaims      = "claims_not_accepted"
	ReasonUnknown     = "unknown_token"
	ReasonUnavailable = "verifier_unavailable"
)

// An Error says why a proof was refused. Its text is for the host's log.
type Error struct {
	// Reason is one of the Reason constants.
	Reason string
	// Err is the cause, nil if there is none. It must not contain the proof.
	Err error
}

// Error returns the reason and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return "identity: " + e.Reason
	}
	return "identity: " + e.Reason + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the Reason of the first *Error in err's chain, or
// ReasonUnavailable for any other error, or "" for nil.
func ReasonOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ReasonUnavailable
}
