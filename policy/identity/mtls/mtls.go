// Package mtls verifies clients by the certificate that they proved possession of
// in a TLS handshake. It imports the standard library only.
//
// The server's tls.Config must ask for certificates (ClientAuth), and need not
// verify them: the Verifier does that, against roots of its own.
package mtls

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// Method is the Method of the identities that a Verifier returns.
const Method = "mtls"

// A Name says which name of a certificate is the subject. The zero Name is none.
type Name uint8

// A certificate must have exactly one name of the kind that is asked for.
const (
	// SPIFFE is the one URI of a SPIFFE X.509-SVID, "spiffe://domain/path".
	SPIFFE Name = iota + 1
	// DNS is the one DNS name, which may not have a wildcard.
	DNS
	// CommonName is the common name of the subject. Name constraints of a CA don't
	// govern it, so certificates that come by a constrained CA are refused.
	CommonName
)

// Config is what a Verifier works with. Roots, Name and Issuer are required.
type Config struct {
	// Roots are the CAs whose certificates count. The system's don't.
	Roots *x509.CertPool
	// Name says which name is the identity's subject.
	Name Name
	// TrustDomains are the SPIFFE trust domains whose certificates count. Required
	// for SPIFFE, and for nothing else.
	TrustDomains []string
	// Issuer is what policies see as the identity's issuer.
	Issuer string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Verifier is an identity.Verifier. The zero Verifier refuses every proof. A
// Verifier is safe for concurrent use.
type Verifier struct{ cfg Config }

var _ identity.Verifier = (*Verifier)(nil)

// New returns a Verifier with a copy of cfg.
func New(cfg Config) (*Verifier, error) {
	switch {
	case cfg.Roots == nil:
		return nil, errors.New("mtls: Config.Roots is nil")
	case cfg.Name < SPIFFE || cfg.Name > CommonName:
		return nil, errors.New("mtls: Config.Name is none of SPIFFE, DNS and CommonName")
	case cfg.Issuer == "":
		return nil, errors.New("mtls: Config.Issuer is empty")
	case (cfg.Name == SPIFFE) != (len(cfg.TrustDomains) > 0):
		return nil, errors.New("mtls: Config.TrustDomains is for SPIFFE, which needs it")
	}
	for _, domain := range cfg.TrustDomains {
		if !isTrustDomain(domain) {
			return nil, errors.New("mtls: Config.TrustDomains has a name that is none")
		}
	}
	cfg.Roots, cfg.TrustDomains = cfg.Roots.Clone(), slices.Clone(cfg.TrustDomains)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Verifier{cfg}, nil
}

// maxChain bounds the certificates that a client may send.
const maxChain = 8

// Verify returns the identity of the proof's certificate, which must be good now
// and say that it is for client authentication. The identity ends when the first
// certificate of the chain does. Its claim "fingerprint" is the SHA-256 of the
// certificate in hexadecimal.
//
// It refuses with ReasonUnsupported for want of a certificate, ReasonMalformed,
// ReasonUnknownKey where no root is reached, ReasonExpired, ReasonNotYetValid,
// ReasonClaims where the certificate is for something else or has no proper name,
// and ReasonUnavailable once ctx is done. Revocation is not checked.
func (v *Verifier) Verify(ctx context.Context, p identity.Proof) (policy.Identity, error) {
	if err := ctx.Err(); err != nil {
		return refuse(identity.ReasonUnavailable, err)
	}
	if v.cfg.Roots == nil || len(p.Certificates) == 0 {
		return refuse(identity.ReasonUnsupported, nil)
	}
	if len(p.Certificates) > maxChain || slices.Contains(p.Certificates, nil) {
		return refuse(identity.ReasonMalformed, errors.New("chain"))
	}
	leaf, now := p.Certificates[0], v.cfg.Now()
	chain, err := v.chain(p.Certificates, now)
	if err != nil {
		return refuse(reason(leaf, now, err), err)
	}
	if err := checkPurpose(leaf); err != nil {
		return refuse(identity.ReasonClaims, err)
	}
	subject, err := v.subject(leaf, chain)
	if err != nil {
		return refuse(identity.ReasonClaims, err)
	}
	sum := sha256.Sum256(leaf.Raw)
	return policy.Identity{
		Subject: subject, Issuer: v.cfg.Issuer, Method: Method, Expires: ends(chain),
		Claims: map[string]any{"fingerprint": hex.EncodeToString(sum[:])},
	}, nil
}

func refuse(reason string, err error) (policy.Identity, error) {
	return policy.Identity{}, &identity.Error{Reason: reason, Err: err}
}

// chain returns the chain from the leaf to a root that is good for longest.
func (v *Verifier) chain(certificates []*x509.Certificate, now time.Time) ([]*x509.Certificate, error) {
	intermediates := x509.NewCertPool()
	for _, c := range certificates[1:] {
		intermediates.AddCert(c)
	}
	chains, err := certificates[0].Verify(x509.VerifyOptions{
		Roots: v.cfg.Roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	return slices.MaxFunc(chains, func(a, b []*x509.Certificate) int { return ends(a).Compare(ends(b)) }), nil
}

func ends(chain []*x509.Certificate) time.Time {
	first := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	return first
}

// reason says why a chain could not be verified.
func reason(leaf *x509.Certificate, now time.Time, err error) string {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case !ok:
		return identity.ReasonUnknownKey
	case invalid.Reason == x509.Expired && now.Before(leaf.NotBefore):
		return identity.ReasonNotYetValid
	case invalid.Reason == x509.Expired:
		return identity.ReasonExpired
	default:
		return identity.ReasonClaims
	}
}

// checkPurpose refuses what a CA did not issue for clients: a certificate that
// does not say what it is for would be taken for one that is good for everything.
func checkPurpose(leaf *x509.Certificate) error {
	if leaf.IsCA {
		return errors.New("the certificate is a CA's")
	}
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return errors.New("the certificate is not for client authentication")
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return errors.New("the certificate's key is not for signatures")
	}
	return nil
}
