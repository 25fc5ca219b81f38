package opa

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/headgate/gateway/policy"
)

// decide answers from memory or evaluates.
func (p *program) decide(ctx context.Context, in *policy.Input) (policy.Decision, error) {
	if p.memory == nil || !covers(in) {
		return p.evaluate(ctx, in)
	}
	d, at, err := p.memory.find(in)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("%w: input: %w", ErrEvaluation, err)
	}
	if d != nil {
		return *d, nil
	}
	fresh, err := p.evaluate(ctx, in)
	if err != nil {
		return policy.Decision{}, err
	}
	p.memory.keep(&at, &fresh)
	return fresh, nil
}

// remembered answers from memory only.
func (p *program) remembered(in *policy.Input) (policy.Decision, bool) {
	if p.memory == nil || !covers(in) {
		return policy.Decision{}, false
	}
	d, _, err := p.memory.find(in)
	if err != nil || d == nil {
		return policy.Decision{}, false
	}
	return *d, true
}

// evaluate asks OPA. Nothing that goes wrong leaves a Decision behind.
func (p *program) evaluate(ctx context.Context, in *policy.Input) (d policy.Decision, err error) {
	defer func() {
		if r := recover(); r != nil {
			d, err = policy.Decision{}, fmt.Errorf("%w: panic: %v", ErrEvaluation, r)
		}
	}()
	doc, err := p.documentOf(in)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("%w: input: %w", ErrEvaluation, err)
	}
	values, err := p.run(ctx, doc)
	if err != nil {
		return policy.Decision{}, err
	}
	d, err = decode(p.outputs, values)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("%w: %w", ErrOutput, err)
	}
	d.Revision = p.revision
	return d, nil
}

// documentOf returns what of in the policy can read.
func (p *program) documentOf(in *policy.Input) (*ast.Term, error) {
	return p.input.document(reflect.ValueOf(in).Elem())
}

// run evaluates the query and returns its result, an array with an array of none
// or one value for each output.
func (p *program) run(ctx context.Context, input *ast.Term) (*ast.Array, error) {
	caller := ctx
	if p.network {
		var release context.CancelFunc
		ctx, release = context.WithTimeout(ctx, p.timeout)
		defer release()
	}
	cancel := topdown.NewCancel()
	defer time.AfterFunc(p.timeout, cancel.Cancel).Stop()
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, cancel.Cancel)()
	}
	var result *ast.Array
	err := topdown.NewQuery(p.query).
		WithQueryCompiler(p.queries).
		WithCompiler(p.compiler).
		WithStore(p.store).
		WithTransaction(p.txn).
		WithInput(input).
		WithCancel(cancel).
		WithStrictBuiltinErrors(true).
		WithMetrics(metrics.NoOp()).
		Iter(ctx, func(found topdown.QueryResult) error {
			if t := found[ast.Var("result")]; t != nil {
				result, _ = t.Value.(*ast.Array)
			}
			return nil
		})
	if err != nil {
		return nil, p.failure(caller, err)
	}
	if result == nil || result.Len() != len(p.outputs) {
		return nil, fmt.Errorf("%w: no result", ErrEvaluation)
	}
	return result, nil
}

// failure says what kept the query from a result: the caller, the clock or the
// rules.
func (p *program) failure(caller context.Context, err error) error {
	if !topdown.IsCancel(err) {
		return fmt.Errorf("%w: %w", ErrEvaluation, err)
	}
	if cause := caller.Err(); cause != nil {
		return fmt.Errorf("opa: %w", cause)
	}
	return fmt.Errorf("%w after %v", ErrTimeout, p.timeout)
}
