package intercept_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

const session = "s1"

// rig is a Guard whose parts a test can break.
type rig struct {
	*intercept.Guard
	recorder *record.Memory
}

// change breaks a part of a configuration in which everything is allowed.
type change func(*intercept.GuardConfig)

func newRig(tb testing.TB, changes ...change) *rig {
	tb.Helper()
	r := &rig{recorder: new(record.Memory)}
	cfg := intercept.GuardConfig{
		Session: session, Client: "192.0.2.1:5", Target: policy.Target{Name: "orders", Protocol: "lines"},
		Identity: identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) { return agent(), nil }),
		Policy:   always(policy.Allow), Recorder: r.recorder, Source: new(vault),
	}
	for _, c := range changes {
		c(&cfg)
	}
	g, err := intercept.NewGuard(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	r.Guard = g
	tb.Cleanup(func() { _ = g.Close(context.Background(), "test over") }) // what Close returns has its own tests
	return r
}

func agent() policy.Identity {
	return policy.Identity{Subject: "agent-7", Issuer: "test", Method: "static"}
}

// identified is newRig with an identity.
func identified(t *testing.T, changes ...change) *rig {
	t.Helper()
	r := newRig(t, changes...)
	if err := r.Identify(t.Context(), identity.Proof{Token: secret.New("token")}); err != nil {
		t.Fatal(err)
	}
	return r
}

// connected is newRig with an identity and an upstream.
func connected(t *testing.T, changes ...change) *rig {
	t.Helper()
	r := identified(t, changes...)
	if v, err := r.Connect(t.Context(), nil, dialed); err != nil || !v.Forward {
		t.Fatalf("connect: %+v, %v", v.Refusal, err)
	}
	return r
}

func dialed(context.Context, *credsource.Credential) error { return nil }

// decide makes an evaluator of a function that can't fail.
func decide(f func(in *policy.Input) policy.Decision) change {
	return func(c *intercept.GuardConfig) {
		c.Policy = policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) { return f(in), nil })
	}
}

func always(o policy.Outcome) policy.Evaluator {
	return policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		return policy.Decision{Outcome: o, Revision: "1"}, nil
	})
}

// answering allows connecting and answers every other command with d.
func answering(d policy.Decision) change {
	if d.Revision == "" {
		d.Revision = "1"
	}
	return decide(func(in *policy.Input) policy.Decision {
		if in.Command.Action == policy.ActionConnect {
			return policy.Decision{Outcome: policy.Allow, Revision: "1"}
		}
		return d
	})
}

func query(text string) *policy.Command {
	return &policy.Command{Action: policy.ActionQuery, Text: text, Facts: &policy.Facts{
		Effects: []policy.Effect{{Verb: policy.VerbRead, Kind: "table", Name: "public.items"}}, Opaque: []string{},
	}}
}

// refuses checks that a verdict refuses with a code.
func refuses(t *testing.T, v intercept.Verdict, code string) {
	t.Helper()
	if v.Forward || v.Refused().Code != code || len(v.Masks) > 0 {
		t.Fatalf("got %+v, refusal %+v, want a refusal with code %s", v, v.Refusal, code)
	}
}

// entries returns what is recorded, of the types that are asked for.
func (r *rig) entries(types ...record.Type) []string {
	var out []string
	for _, e := range r.recorder.Entries(session) {
		for _, t := range types {
			if e.Type == t {
				out = append(out, string(e.Payload))
			}
		}
	}
	return out
}

// vault is a Source that counts what it gives out and gets back.
type vault struct {
	given, returned, refreshed atomic.Int32
	err, refreshErr            error
	release                    error
}

func (v *vault) Credential(context.Context, credsource.Request) (*credsource.Credential, error) {
	if v.err != nil {
		return nil, v.err
	}
	return v.lease(), nil
}

func (v *vault) Refresh(context.Context, credsource.Request, *credsource.Credential) (*credsource.Credential, error) {
	v.refreshed.Add(1)
	if v.refreshErr != nil {
		return nil, v.refreshErr
	}
	return v.lease(), nil
}

func (v *vault) lease() *credsource.Credential {
	v.given.Add(1)
	c := &credsource.Credential{Username: "app", Password: secret.New("pw"), Version: string('a' + v.given.Load())}
	return c.WithRelease(func(context.Context) error {
		v.returned.Add(1)
		return v.release
	})
}

// outstanding checks how many leases have not come back.
func (v *vault) outstanding(t *testing.T, want int32) {
	t.Helper()
	if got := v.given.Load() - v.returned.Load(); got != want {
		t.Fatalf("%d leases are out, want %d", got, want)
	}
}

var errBroken = errors.New("broken")

// clock is a clock that tests set.
type clock struct{ now atomic.Int64 }

func (c *clock) Now() time.Time { return time.Unix(c.now.Load(), 0) }
