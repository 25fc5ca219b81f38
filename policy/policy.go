// Package policy is Headgate's vocabulary: who acts (Identity), on what
// (Target), in which session (Session), doing what (Command), and what a policy
// says about it (Decision). It also holds the Evaluator port, which a policy
// engine implements.
//
// Everything reachable from an [Input] is immutable once it has been handed to
// an Evaluator. Evaluators rely on that to remember decisions by the identity
// of the values they were given.
//
// The package imports the standard library only.
package policy

import (
	"context"
	"errors"
	"fmt"
)

// An Evaluator decides commands. An error means that no decision was reached,
// and callers must treat it as [Deny].
//
// Evaluate is called concurrently and on the data path: an implementation that
// can block must honour ctx. It must not change in, nor keep anything of it
// that it does not treat as immutable.
type Evaluator interface {
	Evaluate(ctx context.Context, in *Input) (Decision, error)
}

// EvaluatorFunc makes an Evaluator of a function. A nil EvaluatorFunc returns
// [ErrNoEvaluator] and thereby denies.
type EvaluatorFunc func(ctx context.Context, in *Input) (Decision, error)

// Evaluate calls f.
func (f EvaluatorFunc) Evaluate(ctx context.Context, in *Input) (Decision, error) {
	if f == nil {
		return Decision{}, ErrNoEvaluator
	}
	return f(ctx, in)
}

// ErrNoEvaluator is returned where a policy would be needed and none is set.
var ErrNoEvaluator = errors.New("policy: no evaluator")

// ErrNoInput is returned by evaluators that were asked about a nil Input.
var ErrNoInput = errors.New("policy: no input")

// A Revisioner is an Evaluator whose policy can change while it is in use.
// Revision returns an opaque string that differs whenever decisions may differ.
// It must be cheap: it is called for every command.
type Revisioner interface {
	Revision() string
}

// Outcome is the verdict of a policy. Its zero value denies.
type Outcome uint8

// The outcomes, in order of precedence: Deny beats Ask beats Allow.
const (
	Deny  Outcome = iota // refuse
	Ask                  // hold until a human has agreed
	Allow                // go on
)

// String returns "deny", "ask" or "allow"; any other value reads as "deny",
// which is how it acts.
func (o Outcome) String() string {
	switch o {
	case Ask:
		return "ask"
	case Allow:
		return "allow"
	default:
		return "deny"
	}
}

// MarshalText writes the outcome by name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads an outcome by name and refuses any other text.
func (o *Outcome) UnmarshalText(text []byte) error {
	switch string(text) {
	case "deny":
		*o = Deny
	case "ask":
		*o = Ask
	case "allow":
		*o = Allow
	default:
		return fmt.Errorf("policy: unknown outcome %q", text)
	}
	return nil
}
