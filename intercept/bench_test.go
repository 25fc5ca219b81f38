package intercept_test

import (
	"context"
	"testing"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

// discard is a Recorder that keeps nothing, so that the Guard alone is measured.
func discard(context.Context, record.Header) (record.Log, error) { return nowhere{}, nil }

type nowhere struct{}

func (nowhere) Append(record.Entry) error { return nil }
func (nowhere) Close(string) error        { return nil }

func benchmarkGuard(b *testing.B) *rig {
	b.Helper()
	r := newRig(b, func(c *intercept.GuardConfig) {
		c.Recorder = record.RecorderFunc(discard)
		c.Policy = &memory{decision: policy.Decision{
			Outcome: policy.Allow, Revision: "1", Masks: []policy.Mask{{Table: "public.items", Column: "email", Method: "email"}},
		}}
	})
	if err := r.Identify(b.Context(), identity.Proof{}); err != nil {
		b.Fatal(err)
	}
	if _, err := r.Connect(b.Context(), nil, dialed); err != nil {
		b.Fatal(err)
	}
	return r
}

func BenchmarkAuthorize(b *testing.B) {
	r, cmd := benchmarkGuard(b), query("SELECT id, email FROM items WHERE id = $1")
	b.ReportAllocs()
	for b.Loop() {
		if v := r.Authorize(r.Context(), cmd); !v.Forward {
			b.Fatal(v.Refusal)
		}
	}
}

func BenchmarkTryAuthorize(b *testing.B) {
	r, cmd := benchmarkGuard(b), query("SELECT id, email FROM items WHERE id = $1")
	b.ReportAllocs()
	for b.Loop() {
		if v, ok := r.TryAuthorize(cmd); !ok || !v.Forward {
			b.Fatal(v.Refusal)
		}
	}
}

func BenchmarkResult(b *testing.B) {
	r := benchmarkGuard(b)
	v := intercept.Verdict{Forward: true, Sequence: 7}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Result(v, intercept.Outcome{Status: "SELECT 1", Rows: 1, Bytes: 40}); err != nil {
			b.Fatal(err)
		}
	}
}
