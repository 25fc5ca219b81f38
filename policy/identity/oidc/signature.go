package oidc

import (
	"bytes"
	"context"
	"errors"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/headgate/gateway/policy/identity"
)

// checkSignature has go-oidc verify t with one of keys. It repeats some checks
// that t has passed, with a decoder of its own.
func (iss *issuer) checkSignature(ctx context.Context, t *token, keys []key, now func() time.Time) error {
	signed := &signedBy{keys: keys, token: t}
	verifier := gooidc.NewVerifier(iss.cfg.URL, signed, &gooidc.Config{
		ClientID:             iss.audience(t),
		SupportedSigningAlgs: []string{t.header.algorithm},
		Now:                  now,
	})
	_, err := verifier.Verify(ctx, t.raw)
	_, expired := errors.AsType[*gooidc.TokenExpiredError](err)
	switch {
	case !signed.holds:
		return refuse(identity.ReasonSignature, "the signature is of none of the issuer's keys")
	case expired:
		return refuse(identity.ReasonExpired, "the token has expired")
	case err != nil: // its text quotes claims
		return refuse(identity.ReasonClaims, "the claims are ambiguous or of a wrong type")
	}
	return nil
}

// signedBy is a go-oidc key set of the keys that a token may be signed by.
type signedBy struct {
	keys  []key
	token *token
	holds bool
}

var _ gooidc.KeySet = (*signedBy)(nil)

// VerifySignature returns the payload of jwt if one of the keys has signed it and
// it is what the checks have seen.
func (s *signedBy) VerifySignature(_ context.Context, jwt string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(s.token.header.algorithm)})
	if err != nil {
		return nil, errSignature
	}
	for _, k := range s.keys {
		payload, err := jws.Verify(k.public)
		if err == nil && bytes.Equal(payload, s.token.payload) {
			s.holds = true
			return payload, nil
		}
	}
	return nil, errSignature
}

var errSignature = errors.New("bad signature")
