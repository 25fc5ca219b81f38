// Package file is a credential source that reads files, as secret stores mount
// them: a single value, a JSON document, or a TLS key pair.
//
// Files are read whenever a credential is asked for, so a rotation is seen by
// the next session. Rotate by renaming a complete file over the old one, or as
// Kubernetes does by swapping a symbolic link; a file that is written in place
// may be read half-written.
//
// Where a file's mode means something, it must not be open to others: see
// [Config].AllowGroupRead. On Windows, Plan 9 and in WebAssembly the mode and the
// owner are not checked; protect the files by other means there.
package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/internal/fingerprint"
)

// A Format says what the file at Config.Path holds.
type Format string

// The formats. In the single-value ones exactly one trailing newline, "\n" or
// "\r\n", is not part of the value; an empty value is an error.
const (
	// FormatPassword is a password and nothing else.
	FormatPassword Format = "password"
	// FormatToken is a bearer token and nothing else.
	FormatToken Format = "token"
	// FormatPrivateKey is a private key in PEM or OpenSSH form. It is handed out
	// with its last newline.
	FormatPrivateKey Format = "private-key"
	// FormatJSON is one object with the members "username", "password", "token"
	// and "expires" (RFC 3339), each optional, but a password or a token must be
	// there. Other members are an error.
	FormatJSON Format = "json"
	// FormatTLS is a certificate chain in PEM form, with its key at KeyPath: the
	// two files of a Kubernetes secret of the type kubernetes.io/tls.
	FormatTLS Format = "tls"
)

// Config says what to read.
type Config struct {
	// Path is the file. Symbolic links are followed, and the file at their end is
	// what is checked. Required.
	Path string
	// Format is what the file holds; "" means FormatPassword.
	Format Format
	// Username is a fixed user name, which a JSON document must not repeat.
	Username string
	// UsernamePath is a file with the user name, as in a Kubernetes secret of the
	// type kubernetes.io/basic-auth. Only one of Username and UsernamePath may be
	// set.
	UsernamePath string
	// KeyPath is the private key of FormatTLS, and required there.
	KeyPath string
	// MaxBytes bounds each file; zero means 64 KiB.
	MaxBytes int64
	// AllowGroupRead accepts files that their group may read, which is how
	// Kubernetes gives secrets to a process that is not root (fsGroup). Others
	// may never read them, and nobody but the owner may write.
	AllowGroupRead bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Source reads a credential from files. It keeps nothing between calls but the
// key of its fingerprints. It is safe for concurrent use. The zero Source finds
// nothing.
type Source struct {
	cfg    Config
	decode decoder
	paths  []string
	key    *fingerprint.Key
}

var _ credsource.Refresher = (*Source)(nil)

// defaultMaxBytes is far more than any key or token.
const defaultMaxBytes = 64 << 10

// New returns a Source. It does not open the files yet.
func New(cfg Config) (*Source, error) {
	if cfg.Format == "" {
		cfg.Format = FormatPassword
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Source{
		cfg:    cfg,
		decode: decoderOf(cfg.Format),
		paths:  []string{cfg.Path, cfg.UsernamePath, cfg.KeyPath},
		key:    fingerprint.New(),
	}, nil
}

func (cfg *Config) validate() error {
	switch {
	case cfg.Path == "":
		return errors.New("file: Path is required")
	case cfg.Username != "" && cfg.UsernamePath != "":
		return errors.New("file: only one of Username and UsernamePath may be set")
	case (cfg.Format == FormatTLS) != (cfg.KeyPath != ""):
		return errors.New("file: KeyPath belongs to FormatTLS")
	case cfg.MaxBytes < 0:
		return errors.New("file: MaxBytes is negative")
	}
	if decoderOf(cfg.Format) == nil {
		return fmt.Errorf("file: unknown format %q", cfg.Format)
	}
	return nil
}

// Credential reads the files. A file that is missing is an error that wraps
// credsource.ErrNotFound; one that can't be read or understood, or is open to
// others, wraps credsource.ErrUnavailable. Errors name paths, never content.
func (s *Source) Credential(ctx context.Context, _ credsource.Request) (*credsource.Credential, error) {
	if s.key == nil {
		return nil, fmt.Errorf("file: %w", credsource.ErrNotFound)
	}
	contents, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	c := &credsource.Credential{Username: s.cfg.Username}
	if s.cfg.UsernamePath != "" {
		c.Username = string(trimNewline(contents[1]))
	}
	if err := s.decode(c, contents[0], contents[2]); err != nil {
		return nil, fmt.Errorf("file: %s: %w: %w", s.cfg.Path, credsource.ErrUnavailable, err)
	}
	if c.Expired(s.cfg.Now()) {
		return nil, fmt.Errorf("file: %s: credential has expired: %w", s.cfg.Path, credsource.ErrUnavailable)
	}
	c.Version = s.key.Of(c)
	return c, nil
}

// Refresh reads the files again. While they still hold what was refused it
// fails, so that an account is not locked by trying the same secret twice; the
// error wraps credsource.ErrUnchanged.
func (s *Source) Refresh(ctx context.Context, req credsource.Request, refused *credsource.Credential) (*credsource.Credential, error) {
	c, err := s.Credential(ctx, req)
	if err != nil {
		return nil, err
	}
	if refused != nil && refused.Version == c.Version {
		return nil, fmt.Errorf("file: %s: %w: %w", s.cfg.Path, credsource.ErrUnavailable, credsource.ErrUnchanged)
	}
	return c, nil
}
