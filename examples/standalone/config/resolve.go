package config

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/mask/re2"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/opa"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

// Parts is what a configuration comes to: everything that can be made without
// listening, connecting or writing. The caller closes it.
type Parts struct {
	Identity   identity.Verifier
	Policy     *opa.Evaluator
	SigningKey ed25519.PrivateKey // nil if it is still to be made
	RootKey    secret.Value
	Mode       record.Mode
	Approvers  identity.Verifier // nil without approvals
	ApprovTLS  *tls.Config
	Routes     []RouteParts
	Entrances  []*pgproxy.Switch

	closers []func(context.Context) error
}

// RouteParts are the parts of a route.
type RouteParts struct {
	Interceptor *pgproxy.Interceptor
	Credentials credsource.Source
}

// Close ends what runs in the parts.
func (p *Parts) Close(ctx context.Context) error {
	failures := make([]error, 0, len(p.closers))
	for _, closer := range p.closers {
		failures = append(failures, closer(ctx))
	}
	return errors.Join(failures...)
}

// A resolver makes parts and collects problems.
type resolver struct {
	*Parts

	cfg      *Config
	lookup   func(string) (string, bool)
	problems Problems
}

// Resolve makes the parts: it reads the files and variables that the
// configuration names and compiles the policy. lookup gets environment
// variables, as os.LookupEnv does. The error is a Problems; the Parts are never
// nil.
func (c *Config) Resolve(ctx context.Context, lookup func(string) (string, bool)) (*Parts, error) {
	r := &resolver{Parts: new(Parts), cfg: c, lookup: lookup}
	r.Identity = r.verifier(c.Identity)
	r.policy(ctx)
	r.recorder()
	if c.Approvals != nil {
		r.Approvers = r.verifier(c.Approvals.Approvers)
		r.ApprovTLS = r.serverTLS(c.Approvals.TLS)
	}
	key := r.secret(c.Mask.Key)
	detectors, err := re2.Detectors(c.Mask.Patterns)
	r.problems.report(c.Mask.below("patterns"), err)
	for i := range c.Routes {
		r.route(&c.Routes[i], key, detectors)
	}
	for i := range c.Entrances {
		r.entrance(&c.Entrances[i])
	}
	return r.Parts, r.problems.sorted()
}

// secret gets a secret from where it is, and the empty one for none.
func (r *resolver) secret(s Secret) secret.Value {
	switch {
	case s.Env != "":
		v, ok := r.lookup(s.Env)
		if !ok || v == "" {
			r.problems.report(s.place, fmt.Errorf("the environment variable %s is not set", s.Env))
		}
		return secret.New(v)
	case s.File != "":
		return r.secretFile(s.place, s.File)
	default:
		return s.Value
	}
}

// secretFile reads a file that nobody but its owner may read. The last newline
// does not count.
func (r *resolver) secretFile(at place, path string) secret.Value {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		err = fmt.Errorf("others than its owner may use %s: its mode should be 0600", path)
	}
	if err != nil {
		r.problems.report(at, err)
		return secret.Value{}
	}
	data, err := os.ReadFile(path)
	r.problems.report(at, err)
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" && err == nil {
		r.problems.report(at, fmt.Errorf("%s is empty", path))
	}
	return secret.New(text)
}

func (r *resolver) policy(ctx context.Context) {
	p := r.cfg.Policy
	if (p.Dir == "") == (p.Bundle == "") {
		return // reported when it was read
	}
	cfg := opa.Config{Dir: p.Dir, AllowBuiltins: p.AllowBuiltins, AllowHosts: p.AllowHosts, Timeout: p.Timeout}
	if p.Bundle != "" {
		cfg.Bundle = opa.BundleFile(p.Bundle)
	}
	evaluator, err := opa.New(ctx, cfg)
	r.problems.report(p.place, err)
	r.Policy = evaluator
}

func (r *resolver) recorder() {
	c := r.cfg.Record
	for _, mode := range []record.Mode{record.Buffered, record.Durable, record.BestEffort} {
		if mode.String() == c.Mode {
			r.Mode = mode
		}
	}
	r.RootKey = r.secret(c.RootKey)
	if !r.RootKey.IsEmpty() && len(r.RootKey.Reveal()) < 32 {
		r.problems.report(c.RootKey.place, errors.New("must have at least 32 bytes"))
	}
	if c.SigningKey == "" {
		return // reported when it was read
	}
	key, err := record.LoadKey(c.SigningKey)
	if errors.Is(err, fs.ErrNotExist) && c.CreateSigningKey {
		return
	}
	r.problems.report(c.below("signing_key"), err)
	r.SigningKey = key
}
