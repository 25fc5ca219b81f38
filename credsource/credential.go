package credsource

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/headgate/gateway/policy/secret"
)

// A Credential is a leased upstream credential. The zero Credential holds
// nothing. Which fields are set depends on what the upstream takes:
//
//   - user and password: Username and Password
//   - bearer token or API key: Token
//   - private key: PrivateKey, PEM or OpenSSH, with Username where needed
//   - TLS client certificate: Certificate
//
// Its secrets redact themselves when formatted; Certificate's private key is an
// opaque crypto.Signer. Treat a Credential as read-only: sources share them.
type Credential struct {
	Username    string
	Password    secret.Value
	Token       secret.Value
	PrivateKey  secret.Value
	Certificate *tls.Certificate `json:"-"`
	// Expires is when the credential ends; zero means that it does not.
	Expires time.Time
	// Version tells two credentials of the same source apart without showing
	// them; "" if the source has no notion of it.
	Version string

	release func(context.Context) error
	once    sync.Once
	err     error
}

// WithRelease sets what Release does and returns c. Only the source that made c
// calls it, before c is shared.
func (c *Credential) WithRelease(release func(context.Context) error) *Credential {
	c.release = release
	return c
}

// Release gives the lease back: a dynamic credential is revoked at its source.
// It acts once; later calls return the first call's error. A nil Credential may
// be released.
func (c *Credential) Release(ctx context.Context) error {
	if c == nil {
		return nil
	}
	c.once.Do(func() {
		if c.release != nil {
			c.err = c.release(ctx)
		}
	})
	return c.err
}

// Expired reports whether c has ended at the time now.
func (c *Credential) Expired(now time.Time) bool {
	return !c.Expires.IsZero() && !now.Before(c.Expires)
}

// Secrets returns every non-empty secret of c: what an echo guard looks for.
func (c *Credential) Secrets() []secret.Value {
	var out []secret.Value
	for _, v := range []secret.Value{c.Password, c.Token, c.PrivateKey} {
		if !v.IsEmpty() {
			out = append(out, v)
		}
	}
	return out
}

// String names the user and nothing else.
func (c *Credential) String() string {
	if c == nil {
		return "credential(nil)"
	}
	return "credential(" + c.Username + ")"
}

// GoString is String: %#v must not walk into the certificate's key.
func (c *Credential) GoString() string { return c.String() }
