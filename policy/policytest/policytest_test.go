package policytest_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/policytest"
)

func reference(tb testing.TB) *policy.Static {
	tb.Helper()
	s, err := policytest.Reference()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestStatic(t *testing.T) {
	policytest.Run(t, func(t *testing.T) policy.Evaluator { return reference(t) })
}

// TestSuiteFinds: the suite must fail on evaluators that are wrong in one way.
func TestSuiteFinds(t *testing.T) {
	ref := reference(t)
	after := func(change func(in *policy.Input, d *policy.Decision)) policy.Evaluator {
		return policy.EvaluatorFunc(func(ctx context.Context, in *policy.Input) (policy.Decision, error) {
			d, err := ref.Evaluate(ctx, in)
			if err == nil {
				change(in, &d)
			}
			return d, err
		})
	}
	for name, e := range map[string]policy.Evaluator{
		"nothing":      policy.EvaluatorFunc(nil),
		"allows all":   after(func(_ *policy.Input, d *policy.Decision) { d.Outcome = policy.Allow }),
		"asks never":   after(func(_ *policy.Input, d *policy.Decision) { d.Outcome &^= policy.Ask }),
		"no reasons":   after(func(_ *policy.Input, d *policy.Decision) { d.Reasons = nil }),
		"no masks":     after(func(_ *policy.Input, d *policy.Decision) { d.Masks = nil }),
		"no limit":     after(func(_ *policy.Input, d *policy.Decision) { d.Limit = nil }),
		"no labels":    after(func(_ *policy.Input, d *policy.Decision) { d.Labels = nil }),
		"changes":      after(changeOpaque),
		"nil allows":   nilAllows{ref},
		"unknown":      unknownAllows{ref},
		"no revision":  noRevision{ref},
		"by facts":     &byFacts{e: ref, seen: map[*policy.Facts]policy.Decision{}},
		"no approvers": after(func(_ *policy.Input, d *policy.Decision) { d.Reasons = strip(d.Reasons) }),
	} {
		if err := policytest.Check(t.Context(), e); err == nil {
			t.Errorf("%s: the suite found nothing", name)
		}
	}
	if err := policytest.Check(t.Context(), ref); err != nil {
		t.Error(err)
	}
}

// changeOpaque changes inputs that no other goroutine has.
func changeOpaque(in *policy.Input, _ *policy.Decision) {
	if in.Command != nil && in.Command.Facts != nil && len(in.Command.Opaque) > 0 {
		in.Identity = nil
	}
}

func strip(reasons []policy.Reason) []policy.Reason {
	var out []policy.Reason
	for _, r := range reasons {
		r.Approvers = nil
		out = append(out, r)
	}
	return out
}

type nilAllows struct{ *policy.Static }

func (e nilAllows) Evaluate(ctx context.Context, in *policy.Input) (policy.Decision, error) {
	if in == nil {
		return policy.Decision{Outcome: policy.Allow}, nil
	}
	return e.Static.Evaluate(ctx, in)
}

type unknownAllows struct{ *policy.Static }

func (e unknownAllows) Evaluate(ctx context.Context, in *policy.Input) (policy.Decision, error) {
	d, err := e.Static.Evaluate(ctx, in)
	if err == nil && in.Command != nil && in.Command.Facts == nil {
		d.Outcome = policy.Allow
	}
	return d, err
}

type noRevision struct{ *policy.Static }

func (noRevision) Revision() string { return "" }

// byFacts remembers decisions by a key that lacks the text.
type byFacts struct {
	e    policy.Evaluator
	mu   sync.Mutex
	seen map[*policy.Facts]policy.Decision
}

func (b *byFacts) Evaluate(ctx context.Context, in *policy.Input) (policy.Decision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if in == nil || in.Command == nil {
		return policy.Decision{}, errors.New("incomplete")
	}
	if d, ok := b.seen[in.Command.Facts]; ok {
		return d, nil
	}
	d, err := b.e.Evaluate(ctx, in)
	b.seen[in.Command.Facts] = d
	return d, err
}
