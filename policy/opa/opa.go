// Package opa decides commands by Rego policies, in process. It implements
// policy.Evaluator with Open Policy Agent's compiler and evaluator.
//
// The contract between Headgate and a policy is docs/rego.md: what `input` holds
// and what the rules of package gateway mean. Policies are loaded strictly: a
// misspelled input field, an output rule of the wrong kind, a rule that nothing
// uses, an unused variable or import and a deprecated built-in are errors of New
// and Reload, not rules that never fire.
//
// Whatever prevents a decision denies: an undefined rule, a failing built-in
// function, a conflict, a malformed output, a timeout, a panic.
//
// Decisions are remembered by what the policy can read, which is known from the
// compiled rules. Policies that consult the clock or another varying built-in
// are asked each time.
package opa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/headgate/gateway/policy"
)

// Config says where a policy comes from and what it may do. Exactly one of Dir,
// FS and Bundle is required.
type Config struct {
	// Dir is a directory with *.rego files and data.json, data.yaml or data.yml
	// documents, at any depth; a document stands below the names of its
	// directories. Names that start with a dot and *_test.rego are left out.
	// Symbolic links to files are followed; one to a directory is an error.
	Dir string
	// FS is the same as Dir for a file system, for instance an embed.FS.
	FS fs.FS
	// Bundle opens an OPA bundle, a gzipped tar archive, at each load; BundleFile
	// makes one of a path. The reader is closed after it has been read.
	Bundle func(ctx context.Context) (io.ReadCloser, error)
	// Verification holds the keys that the bundle must be signed with. Nil means
	// that signatures are not looked at. It needs Bundle.
	Verification *bundle.VerificationConfig
	// Timeout bounds one evaluation; zero means 250 ms. It is noticed between
	// steps of the evaluation, not within a built-in function that works on its
	// own, such as a sprintf with an enormous width: policies are trusted.
	Timeout time.Duration
	// AllowBuiltins turns on built-in functions that are off: "http.send",
	// "net.lookup_ip_addr", "opa.runtime", "rand.intn", "uuid.rfc4122",
	// "io.jwt.encode_sign", "io.jwt.encode_sign_raw", "trace". Any other name is
	// an error.
	AllowBuiltins []string
	// AllowHosts are the hosts that allowed built-ins may reach; empty means none.
	AllowHosts []string
	// Remember is the number of decisions to remember, in each of two stores;
	// zero means 8192, a negative number none. Decisions that a policy can't
	// reproduce from its input are never remembered.
	Remember int
}

// The defaults of Config.
const (
	defaultTimeout  = 250 * time.Millisecond
	defaultRemember = 8192
)

// Errors that Evaluate's errors wrap. Any error denies.
var (
	// ErrEvaluation says that the rules failed: a built-in function's error, a
	// conflict of rules, a panic.
	ErrEvaluation = errors.New("opa: evaluation failed")
	// ErrOutput says that an output of the policy doesn't follow the contract.
	ErrOutput = errors.New("opa: malformed output")
	// ErrTimeout says that the evaluation took longer than Config.Timeout.
	ErrTimeout = errors.New("opa: evaluation timed out")
)

// BundleFile returns a Config.Bundle that opens the file at path.
func BundleFile(path string) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return os.Open(path) }
}

// An Evaluator decides by a Rego policy. The zero Evaluator denies with
// policy.ErrNoEvaluator. An Evaluator is safe for concurrent use; it has no
// goroutines of its own and needs no closing.
type Evaluator struct {
	cfg     Config
	current atomic.Pointer[program]

	loading sync.Mutex // serialises Reload
	mu      sync.Mutex // guards lastErr
	lastErr error
}

var (
	_ policy.Evaluator  = (*Evaluator)(nil)
	_ policy.Revisioner = (*Evaluator)(nil)
)

// New loads and compiles the policy. It copies cfg.
func New(ctx context.Context, cfg Config) (*Evaluator, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	e := &Evaluator{cfg: cfg}
	p, err := e.build(ctx)
	if err != nil {
		return nil, err
	}
	e.current.Store(p)
	return e, nil
}

func (cfg *Config) validate() error {
	sources := 0
	for _, set := range []bool{cfg.Dir != "", cfg.FS != nil, cfg.Bundle != nil} {
		if set {
			sources++
		}
	}
	switch {
	case sources != 1:
		return fmt.Errorf("opa: exactly one of Dir, FS and Bundle must be set, not %d", sources)
	case cfg.Verification != nil && cfg.Bundle == nil:
		return errors.New("opa: Verification needs Bundle")
	case cfg.Timeout < 0:
		return errors.New("opa: Timeout is negative")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Remember == 0 {
		cfg.Remember = defaultRemember
	}
	cfg.AllowBuiltins = slices.Clone(cfg.AllowBuiltins)
	cfg.AllowHosts = slices.Clone(cfg.AllowHosts)
	return nil
}

// Revision identifies the policy in use: a hash of its modules, its data, the
// contract and the built-ins allowed. The zero Evaluator's is "".
func (e *Evaluator) Revision() string {
	if p := e.current.Load(); p != nil {
		return p.revision
	}
	return ""
}

// Evaluate decides in by the policy in use. The Decision's Revision says which
// that was.
//
// Errors wrap ErrEvaluation, ErrOutput, ErrTimeout or ctx's error. They can
// quote values of the input and are for the host's log, not for the client.
func (e *Evaluator) Evaluate(ctx context.Context, in *policy.Input) (policy.Decision, error) {
	p := e.current.Load()
	if p == nil {
		return policy.Decision{}, policy.ErrNoEvaluator
	}
	if in == nil {
		return policy.Decision{}, policy.ErrNoInput
	}
	if err := ctx.Err(); err != nil {
		return policy.Decision{}, fmt.Errorf("opa: %w", err)
	}
	return p.decide(ctx, in)
}

// Remembered returns the decision on in if it has been reached before, without
// evaluating anything. It never blocks for long.
func (e *Evaluator) Remembered(in *policy.Input) (policy.Decision, bool) {
	p := e.current.Load()
	if p == nil || in == nil {
		return policy.Decision{}, false
	}
	return p.remembered(in)
}
