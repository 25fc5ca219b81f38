package credsource

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
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
// Its secrets redact themselves when formatted, logged or marshalled. Sources
// should pass Certificate through [OpaqueKey], so that the certificate formatted
// by itself shows no private key either. Treat a Credential as read-only: its
// secrets and its certificate are shared with other leases. It must not be
// copied.
type Credential struct {
	Username    string
	Password    secret.Value
	Token       secret.Value
	PrivateKey  secret.Value
	Certificate *tls.Certificate `json:"-" xml:"-" yaml:"-"`
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

// LogValue holds the user, the expiry and the version.
func (c *Credential) LogValue() slog.Value {
	if c == nil {
		return slog.StringValue(c.String())
	}
	return slog.GroupValue(slog.String("username", c.Username), slog.Time("expires", c.Expires), slog.String("version", c.Version))
}

// MarshalJSON writes the user, the expiry and the version. There is no way back
// from JSON to a Credential.
func (c *Credential) MarshalJSON() ([]byte, error) {
	if c == nil {
		return []byte("null"), nil
	}
	return json.Marshal(struct {
		Username string    `json:"username,omitempty"`
		Expires  time.Time `json:"expires,omitzero"`
		Version  string    `json:"version,omitempty"`
	}{c.Username, c.Expires, c.Version})
}

// sameSecrets reports whether an upstream could tell c and d apart. Two nil
// credentials are not the same.
func sameSecrets(c, d *Credential) bool {
	if c == nil || d == nil {
		return false
	}
	return c.Username == d.Username && c.Password.Equal(d.Password) && c.Token.Equal(d.Token) &&
		c.PrivateKey.Equal(d.PrivateKey) && bytes.Equal(leaf(c.Certificate), leaf(d.Certificate))
}

func leaf(cert *tls.Certificate) []byte {
	if cert == nil || len(cert.Certificate) == 0 {
		return nil
	}
	return cert.Certificate[0]
}
