// Package static is a credential source that hands out one fixed credential. It
// suits development, and upstreams whose secret the host has got by itself.
package static

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/internal/fingerprint"
	"github.com/headgate/gateway/policy/secret"
)

// Config is the credential. At least one of Password, Token, PrivateKey and
// Certificate is required.
type Config struct {
	// Username is the account's name; it may be empty with Token or Certificate.
	Username string
	Password secret.Value
	Token    secret.Value
	// PrivateKey is PEM or OpenSSH text. It is handed out as it is.
	PrivateKey secret.Value
	// Certificate is a TLS client certificate; its key must be a crypto.Signer.
	Certificate *tls.Certificate
	// Expires is when the credential ends; zero means that it does not, or with
	// Certificate does. The certificate's own end counts if it comes first.
	Expires time.Time
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Source hands out one credential, to whoever asks. It is safe for concurrent
// use. The zero Source has no credential.
type Source struct {
	credential *credsource.Credential
	now        func() time.Time
}

var _ credsource.Source = (*Source)(nil)

// New returns a Source of a copy of the credential: zeroing cfg's secrets leaves
// the Source's alone.
func New(cfg Config) (*Source, error) {
	c := &credsource.Credential{
		Username:   cfg.Username,
		Password:   secret.New(cfg.Password.Reveal()),
		Token:      secret.New(cfg.Token.Reveal()),
		PrivateKey: secret.New(cfg.PrivateKey.Reveal()),
		Expires:    cfg.Expires,
	}
	if cfg.Certificate != nil {
		if err := withCertificate(c, cfg.Certificate); err != nil {
			return nil, err
		}
	}
	if len(c.Secrets()) == 0 && c.Certificate == nil {
		return nil, errors.New("static: a password, token, private key or certificate is required")
	}
	c.Version = fingerprint.New().Of(c)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Source{credential: c, now: cfg.Now}, nil
}

func withCertificate(c *credsource.Credential, cert *tls.Certificate) error {
	opaque, err := credsource.OpaqueKey(cert)
	if err != nil {
		return fmt.Errorf("static: %w", err)
	}
	leaf, err := x509.ParseCertificate(opaque.Certificate[0])
	if err != nil {
		return fmt.Errorf("static: certificate: %w", err)
	}
	if c.Expires.IsZero() || leaf.NotAfter.Before(c.Expires) {
		c.Expires = leaf.NotAfter
	}
	c.Certificate = opaque
	return nil
}

// Credential returns the credential until it expires, and an error that wraps
// credsource.ErrNotFound from then on.
func (s *Source) Credential(ctx context.Context, _ credsource.Request) (*credsource.Credential, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	if s.credential == nil {
		return nil, fmt.Errorf("static: %w", credsource.ErrNotFound)
	}
	if s.credential.Expired(s.now()) {
		return nil, fmt.Errorf("static: credential has expired: %w", credsource.ErrNotFound)
	}
	return &credsource.Credential{
		Username:    s.credential.Username,
		Password:    s.credential.Password,
		Token:       s.credential.Token,
		PrivateKey:  s.credential.PrivateKey,
		Certificate: s.credential.Certificate,
		Expires:     s.credential.Expires,
		Version:     s.credential.Version,
	}, nil
}
