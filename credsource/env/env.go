// Package env is a credential source that reads environment variables. It is the
// only package of Headgate that reads the environment.
//
// A process's environment is readable by the same user and is inherited by child
// processes: prefer package file where there is a choice.
package env

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/internal/fingerprint"
	"github.com/headgate/gateway/policy/secret"
)

// Config names variables. At least one of PasswordVar, TokenVar and
// PrivateKeyVar is required.
type Config struct {
	// Username is a fixed user name; UserVar is where to read it instead. Both
	// may be empty, and only one may be set.
	Username string
	UserVar  string
	// PasswordVar, TokenVar and PrivateKeyVar hold the secrets; "" means that the
	// credential has none of that kind.
	PasswordVar   string
	TokenVar      string
	PrivateKeyVar string
}

// A Source reads its variables whenever it is asked. It is safe for concurrent
// use. The zero Source finds nothing.
type Source struct {
	cfg Config
	key *fingerprint.Key
}

var _ credsource.Source = (*Source)(nil)

// New returns a Source. It does not read the environment yet.
func New(cfg Config) (*Source, error) {
	if cfg.PasswordVar == "" && cfg.TokenVar == "" && cfg.PrivateKeyVar == "" {
		return nil, errors.New("env: PasswordVar, TokenVar or PrivateKeyVar is required")
	}
	if cfg.Username != "" && cfg.UserVar != "" {
		return nil, errors.New("env: only one of Username and UserVar may be set")
	}
	return &Source{cfg: cfg, key: fingerprint.New()}, nil
}

// Credential reads all variables. One that is not set or is empty is an error
// that wraps credsource.ErrNotFound and names the variable.
func (s *Source) Credential(ctx context.Context, _ credsource.Request) (*credsource.Credential, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("env: %w", err)
	}
	if s.key == nil {
		return nil, fmt.Errorf("env: %w", credsource.ErrNotFound)
	}
	user, userErr := lookup(s.cfg.UserVar)
	password, passwordErr := lookup(s.cfg.PasswordVar)
	token, tokenErr := lookup(s.cfg.TokenVar)
	key, keyErr := lookup(s.cfg.PrivateKeyVar)
	if err := errors.Join(userErr, passwordErr, tokenErr, keyErr); err != nil {
		return nil, err
	}
	if s.cfg.UserVar == "" {
		user = s.cfg.Username
	}
	c := &credsource.Credential{Username: user, Password: secret.New(password), Token: secret.New(token), PrivateKey: secret.New(key)}
	c.Version = s.key.Of(c)
	return c, nil
}

// lookup returns "" for the name "", which stands for a variable not wanted.
func lookup(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("env: %s is not set: %w", name, credsource.ErrNotFound)
	}
	if value == "" {
		return "", fmt.Errorf("env: %s is empty: %w", name, credsource.ErrNotFound)
	}
	return value, nil
}
