package intercept_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// calls are the methods that have a turn. Each reports whether it was refused.
var calls = []struct {
	name string
	// turns are the states in which the call is in order.
	turns   []string
	refused func(ctx context.Context, g *intercept.Guard) bool
}{
	{"Identify", []string{"new"}, func(ctx context.Context, g *intercept.Guard) bool {
		return errors.Is(g.Identify(ctx, identity.Proof{}), intercept.ErrOutOfOrder)
	}},
	{"Connect", []string{"identified"}, func(ctx context.Context, g *intercept.Guard) bool {
		v, err := g.Connect(ctx, nil, dialed)
		return errors.Is(err, intercept.ErrOutOfOrder) && !v.Forward
	}},
	{"Authorize", []string{"connected"}, func(ctx context.Context, g *intercept.Guard) bool {
		return !g.Authorize(ctx, query("SELECT 1")).Forward
	}},
	{"TryAuthorize", []string{"connected"}, func(_ context.Context, g *intercept.Guard) bool {
		v, ok := g.TryAuthorize(query("SELECT 1"))
		return !ok && !v.Forward
	}},
	{"Result", []string{"identified", "connected"}, func(_ context.Context, g *intercept.Guard) bool {
		return g.Result(intercept.Verdict{Forward: true, Sequence: 1}, intercept.Outcome{}) != nil
	}},
	{"Output", []string{"identified", "connected"}, func(_ context.Context, g *intercept.Guard) bool { return g.Output(0, []byte("x")) != nil }},
	{"Input", []string{"identified", "connected"}, func(_ context.Context, g *intercept.Guard) bool { return g.Input(0, []byte("x")) != nil }},
	{"Note", []string{"identified", "connected"}, func(_ context.Context, g *intercept.Guard) bool { return g.Note("x", nil) != nil }},
}

func TestOutOfOrderIsRefused(t *testing.T) {
	remembering := func(c *intercept.GuardConfig) {
		c.Policy = &memory{decision: policy.Decision{Outcome: policy.Allow, Revision: "1"}}
	}
	for state, begin := range map[string]func(*testing.T, ...change) *rig{
		"new":        func(t *testing.T, c ...change) *rig { t.Helper(); return newRig(t, c...) },
		"identified": identified, "connected": connected,
		"closed": func(t *testing.T, c ...change) *rig {
			t.Helper()
			r := connected(t, c...)
			if err := r.Close(t.Context(), "over"); err != nil {
				t.Fatal(err)
			}
			return r
		},
	} {
		for _, c := range calls {
			r := begin(t, remembering)
			inTurn := false
			for _, turn := range c.turns {
				inTurn = inTurn || turn == state
			}
			if refused := c.refused(t.Context(), r.Guard); refused == inTurn {
				t.Errorf("%s when %s: refused %v", c.name, state, refused)
			}
		}
	}
}

func TestResultNeedsACommand(t *testing.T) {
	r := connected(t)
	if err := r.Result(intercept.Verdict{}, intercept.Outcome{Rows: 7}); !errors.Is(err, intercept.ErrOutOfOrder) {
		t.Fatal(err)
	}
	if c := r.Snapshot().Counters; c.Rows != 0 {
		t.Errorf("counted %+v", c)
	}
}

func TestWithholdBeforeIdentifyRefuses(t *testing.T) {
	r := newRig(t)
	refuses(t, r.Withhold(intercept.Verdict{Forward: true}, &intercept.Refusal{Code: intercept.CodeUnmaskable}), intercept.CodeRecorder)
	refuses(t, r.Refuse(query("x"), &intercept.Refusal{Code: intercept.CodeUnparsable}), intercept.CodeRecorder)
}

func TestOneOfManyIdentifies(t *testing.T) {
	var verified atomic.Int32
	r := newRig(t, func(c *intercept.GuardConfig) {
		c.Identity = identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
			verified.Add(1)
			return agent(), nil
		})
	})
	if n := count(func() bool { return r.Identify(t.Context(), identity.Proof{}) == nil }); n != 1 {
		t.Errorf("%d succeeded", n)
	}
	if verified.Load() != 1 || r.Context().Err() != nil {
		t.Errorf("verified %d times, context: %v", verified.Load(), r.Context().Err())
	}
}

func TestOneOfManyConnects(t *testing.T) {
	source := new(vault)
	r := identified(t, func(c *intercept.GuardConfig) { c.Source = source })
	if n := count(func() bool { v, err := r.Connect(t.Context(), nil, dialed); return err == nil && v.Forward }); n != 1 {
		t.Errorf("%d succeeded", n)
	}
	source.outstanding(t, 1)
	if source.given.Load() != 1 {
		t.Errorf("%d credentials were fetched", source.given.Load())
	}
}

// count calls f on many goroutines at a time and counts its true results.
func count(f func() bool) int {
	var n atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if f() {
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return int(n.Load())
}

func TestAnotherProofMayBeTried(t *testing.T) {
	good := false
	r := newRig(t, func(c *intercept.GuardConfig) {
		c.Identity = identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
			if !good {
				return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
			}
			return agent(), nil
		})
	})
	if err := r.Identify(t.Context(), identity.Proof{}); identity.ReasonOf(err) != identity.ReasonUnknown || r.Identity() != nil {
		t.Fatal(err)
	}
	if r.recorder.Sessions() != nil {
		t.Error("a record of nobody")
	}
	good = true
	if err := r.Identify(t.Context(), identity.Proof{}); err != nil || r.Identity().Subject != "agent-7" {
		t.Fatal(err)
	}
}

func TestConnectAgainAfterAFailure(t *testing.T) {
	source := new(vault)
	r := identified(t, func(c *intercept.GuardConfig) { c.Source = source })
	for range 3 {
		if v, err := r.Connect(t.Context(), nil, func(context.Context, *credsource.Credential) error { return errBroken }); !errors.Is(err, errBroken) || v.Forward {
			t.Fatalf("%+v, %v", v, err)
		}
		source.outstanding(t, 0)
	}
	if v, err := r.Connect(t.Context(), nil, dialed); err != nil || !v.Forward {
		t.Fatalf("%+v, %v", v, err)
	}
	source.outstanding(t, 1)
}
