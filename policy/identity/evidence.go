package identity

import (
	"context"

	"github.com/headgate/gateway/policy"
)

// ByEvidence is a Verifier for clients that prove themselves in different ways: it
// goes by what a proof holds, and never tries one way after another.
//
// A proof with a token goes to Token, one with a certificate to Certificate. Of a
// proof with both, both must hold, and the identity is the token's; it ends with
// the first of the two. A nil part refuses what would go to it, but where
// Certificate is nil a certificate beside a token is of no concern.
type ByEvidence struct {
	Token       Verifier
	Certificate Verifier
}

var _ Verifier = ByEvidence{}

// Verify refuses with ReasonUnsupported what no part is there for.
func (b ByEvidence) Verify(ctx context.Context, p Proof) (policy.Identity, error) {
	hasToken, hasCertificate := !p.Token.IsEmpty(), len(p.Certificates) > 0
	switch {
	case hasToken && b.Token == nil, !hasToken && (!hasCertificate || b.Certificate == nil):
		return policy.Identity{}, &Error{Reason: ReasonUnsupported}
	case !hasToken:
		return b.Certificate.Verify(ctx, p)
	case !hasCertificate || b.Certificate == nil:
		return b.Token.Verify(ctx, p)
	}
	held, err := b.Certificate.Verify(ctx, p)
	if err != nil {
		return policy.Identity{}, err
	}
	id, err := b.Token.Verify(ctx, p)
	if err != nil {
		return policy.Identity{}, err
	}
	if id.Expires.IsZero() || !held.Expires.IsZero() && held.Expires.Before(id.Expires) {
		id.Expires = held.Expires
	}
	return id, nil
}
