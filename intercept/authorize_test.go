package intercept_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

// failing has a policy that allows connecting and answers all else with f.
func failing(f policy.EvaluatorFunc) change {
	return func(c *intercept.GuardConfig) {
		c.Policy = policy.EvaluatorFunc(func(ctx context.Context, in *policy.Input) (policy.Decision, error) {
			if in.Command.Action == policy.ActionConnect {
				return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
			}
			return f(ctx, in)
		})
	}
}

func TestPolicyThatFailsDenies(t *testing.T) {
	allow := policy.Decision{Outcome: policy.Allow, Revision: "1"}
	for name, f := range map[string]policy.EvaluatorFunc{
		"error":              func(context.Context, *policy.Input) (policy.Decision, error) { return policy.Decision{}, errBroken },
		"decision and error": func(context.Context, *policy.Input) (policy.Decision, error) { return allow, errBroken },
		"panic":              func(context.Context, *policy.Input) (policy.Decision, error) { panic("boom") },
		"nil panic":          func(context.Context, *policy.Input) (policy.Decision, error) { panic(error(nil)) }, //nolint:govet // on purpose
		"none":               nil,
		"timeout": func(ctx context.Context, _ *policy.Input) (policy.Decision, error) {
			<-ctx.Done()
			return policy.Decision{}, ctx.Err()
		},
		"decision after timeout": func(ctx context.Context, _ *policy.Input) (policy.Decision, error) { <-ctx.Done(); return allow, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := connected(t, failing(f))
			start := time.Now()
			v := r.Authorize(t.Context(), query("SELECT 1"))
			if v.Forward || v.Refused().Code != intercept.CodePolicyError {
				t.Fatalf("%s: %+v", name, v)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s: took %v", name, took)
			}
			if v.Refused().Unwrap() == nil || strings.Contains(v.Refused().JSON(), "broken") {
				t.Errorf("%s: the fault is for the host only: %s", name, v.Refused().JSON())
			}
			if notes := r.entries(record.TypeEvent); len(notes) != 1 || !strings.Contains(notes[0], "policy_error") {
				t.Errorf("%s: recorded %q", name, notes)
			}
		})
	}
}

func TestPolicyThatFailsKeepsTheUpstreamAway(t *testing.T) {
	source := new(vault)
	r := identified(t, func(c *intercept.GuardConfig) {
		c.Source = source
		c.Policy = policy.EvaluatorFunc(nil)
	})
	v, err := r.Connect(t.Context(), nil, dialed)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, v, intercept.CodePolicyError)
	if source.given.Load() != 0 {
		t.Error("a credential was fetched")
	}
}

func TestDecisionTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := connected(t, func(c *intercept.GuardConfig) { c.DecisionTimeout = 7 * time.Second }, failing(func(ctx context.Context, _ *policy.Input) (policy.Decision, error) {
			<-ctx.Done()
			return policy.Decision{}, ctx.Err()
		}))
		start := time.Now()
		refuses(t, r.Authorize(t.Context(), query("SELECT 1")), intercept.CodePolicyError)
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestDenialSaysWhy(t *testing.T) {
	r := connected(t, answering(policy.Decision{
		Reasons: []policy.Reason{{Rule: "no-ddl", Message: "not here", Hint: "ask ann"}, {Rule: "other", Message: "nor there"}},
		Masks:   []policy.Mask{{Table: "*"}},
	}))
	v := r.Authorize(t.Context(), query("DROP TABLE t"))
	refuses(t, v, intercept.CodeDenied)
	if got := *v.Refused(); got.Rule != "no-ddl" || got.Reason != "not here" || got.Hint != "ask ann" || got.Retryable {
		t.Errorf("%+v", got)
	}
}

func TestPolicySeesTheWholeInput(t *testing.T) {
	var got policy.Input
	r := connected(t, decide(func(in *policy.Input) policy.Decision {
		got = *in
		if in.Session != nil {
			s := *in.Session
			got.Session = &s
		}
		return policy.Decision{Outcome: policy.Allow, Labels: map[string]string{"seen": in.Command.Action}, Revision: "1"}
	}))
	cmd := query("SELECT 1")
	r.Authorize(t.Context(), cmd)
	v := r.Authorize(t.Context(), cmd)
	if got.Identity.Subject != "agent-7" || got.Target.Name != "orders" || got.Command != cmd || got.Approval != nil {
		t.Errorf("%+v", got)
	}
	if s := got.Session; s.ID != session || s.Client != "192.0.2.1:5" || s.Counters.Commands != 2 || s.Labels["seen"] != policy.ActionQuery || s.Started.IsZero() {
		t.Errorf("session %+v", got.Session)
	}
	if v.Sequence != 3 || v.Revision != "1" {
		t.Errorf("%+v", v)
	}
}

func TestConnectIsJudged(t *testing.T) {
	var got policy.Command
	r := identified(t, decide(func(in *policy.Input) policy.Decision {
		got = *in.Command
		return policy.Decision{}
	}))
	v, err := r.Connect(t.Context(), nil, dialed)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, v, intercept.CodeDenied)
	want := []policy.Effect{{Verb: policy.VerbConnect, Kind: "target", Name: "orders"}}
	if got.Action != policy.ActionConnect || !reflect.DeepEqual(got.Effects, want) {
		t.Errorf("%+v %+v", got, got.Facts)
	}
	refuses(t, r.Authorize(t.Context(), query("SELECT 1")), intercept.CodeInternal)
}

func TestLimitThatNobodyEnforcesIsRefused(t *testing.T) {
	r := connected(t, answering(policy.Decision{Outcome: policy.Allow, Limit: &policy.Limit{Rows: 1}}))
	refuses(t, r.Authorize(t.Context(), query("SELECT 1")), intercept.CodeUnsupported)
	r = connected(t, answering(policy.Decision{Outcome: policy.Allow, Limit: new(policy.Limit)}))
	if v := r.Authorize(t.Context(), query("SELECT 1")); !v.Forward {
		t.Errorf("a limit that limits nothing: %+v", v.Refusal)
	}
}

func TestLabelsAreBounded(t *testing.T) {
	var next int
	r := connected(t, decide(func(*policy.Input) policy.Decision {
		next++
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Labels: map[string]string{"n" + strings.Repeat("x", next): "v", "last": strings.Repeat("y", next)}}
	}))
	for range 200 {
		r.Authorize(t.Context(), query("SELECT 1"))
	}
	labels := r.Snapshot().Labels
	if len(labels) != 64 {
		t.Errorf("%d labels", len(labels))
	}
	if len(labels["last"]) != 201 {
		t.Error("a label that is known no longer changes")
	}
}

func TestLabelsOfARefusalDoNotCount(t *testing.T) {
	r := connected(t, answering(policy.Decision{Outcome: policy.Deny, Labels: map[string]string{"a": "b"}}))
	r.Authorize(t.Context(), query("SELECT 1"))
	if labels := r.Snapshot().Labels; len(labels) != 0 {
		t.Errorf("%v", labels)
	}
}

func TestEndedSessionRefuses(t *testing.T) {
	for _, cause := range []error{intercept.ErrRevoked, intercept.ErrShutdown, intercept.ErrExpired} {
		r := connected(t, func(c *intercept.GuardConfig) {
			c.Policy = &memory{decision: policy.Decision{Outcome: policy.Allow, Revision: "1"}}
		})
		r.End(cause)
		r.End(errBroken) // acts once
		v := r.Authorize(t.Context(), query("SELECT 1"))
		refuses(t, v, intercept.CodeSessionEnded)
		if v.Refused().Reason != cause.Error() || intercept.EndedRefusal(cause).Reason != cause.Error() {
			t.Errorf("reason %q", v.Refused().Reason)
		}
		if v, ok := r.TryAuthorize(query("SELECT 1")); ok || v.Forward {
			t.Errorf("TryAuthorize after %v: %+v", cause, v)
		}
	}
}

func TestEndWhileThePolicyDecides(t *testing.T) {
	var r *rig
	r = connected(t, failing(func(context.Context, *policy.Input) (policy.Decision, error) {
		r.End(intercept.ErrRevoked)
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	}))
	refuses(t, r.Authorize(t.Context(), query("SELECT 1")), intercept.CodeSessionEnded)
}

func TestCallerGivesUp(t *testing.T) {
	r := connected(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	refuses(t, r.Authorize(ctx, query("SELECT 1")), intercept.CodePolicyError)
	if v := r.Authorize(t.Context(), query("SELECT 1")); !v.Forward {
		t.Errorf("the session has ended with one command: %+v", v.Refusal)
	}
}

// versioned is a policy whose revision and answer to connecting a test changes.
type versioned struct {
	mu       sync.Mutex
	revision string
	connect  policy.Outcome
	asked    int
}

func (p *versioned) set(revision string, connect policy.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revision, p.connect, p.asked = revision, connect, 0
}

func (p *versioned) Revision() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.revision
}

func (p *versioned) Evaluate(_ context.Context, in *policy.Input) (policy.Decision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if in.Command.Action == policy.ActionConnect {
		p.asked++
		return policy.Decision{Outcome: p.connect, Revision: p.revision}, nil
	}
	return policy.Decision{Outcome: policy.Allow, Revision: p.revision}, nil
}

func TestChangedPolicyJudgesConnectingAgain(t *testing.T) {
	p := &versioned{revision: "1", connect: policy.Allow}
	r := connected(t, func(c *intercept.GuardConfig) { c.Policy = p })
	old := r.Authorize(t.Context(), query("SELECT 1"))
	if !old.Forward || !r.Current(old) || p.asked != 1 {
		t.Fatalf("%+v, asked %d times", old, p.asked)
	}
	p.set("2", policy.Allow)
	if r.Current(old) {
		t.Error("a verdict of the old policy is current")
	}
	for range 2 {
		if v := r.Authorize(t.Context(), query("SELECT 1")); !v.Forward || v.Revision != "2" || p.asked != 1 {
			t.Fatalf("%+v, asked %d times", v, p.asked)
		}
	}
	p.set("3", policy.Deny)
	refuses(t, r.Authorize(t.Context(), query("SELECT 1")), intercept.CodeDenied)
	if cause := context.Cause(r.Context()); !errors.Is(cause, intercept.ErrRevoked) {
		t.Errorf("cause %v", cause)
	}
	p.set("4", policy.Allow)
	refuses(t, r.Authorize(t.Context(), query("SELECT 1")), intercept.CodeSessionEnded)
}

func TestChangedPolicyAsksAboutConnecting(t *testing.T) {
	p := &versioned{revision: "1", connect: policy.Allow}
	r := connected(t, func(c *intercept.GuardConfig) { c.Policy = p })
	p.set("2", policy.Ask)
	refuses(t, r.Authorize(t.Context(), query("SELECT 1")), intercept.CodeDenied)
	if r.Context().Err() == nil {
		t.Error("the session goes on though nobody agreed to it")
	}
	p.set("1", policy.Ask)
	r = connected(t, func(c *intercept.GuardConfig) { c.Policy, c.Approver = p, granting(nil) })
	p.set("2", policy.Ask)
	if v := r.Authorize(t.Context(), query("SELECT 1")); !v.Forward {
		t.Errorf("a human has agreed to connecting: %+v", v.Refusal)
	}
}

func TestPolicyWithoutRevisionIsCurrent(t *testing.T) {
	r := connected(t)
	if !r.Current(r.Authorize(t.Context(), query("SELECT 1"))) || !r.Current(intercept.Verdict{}) {
		t.Error("a policy that can't change has changed")
	}
}

func TestManyAtATime(t *testing.T) {
	r := connected(t, decide(func(in *policy.Input) policy.Decision {
		if strings.HasPrefix(in.Command.Text, "DROP") {
			return policy.Decision{Revision: "1"}
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Labels: map[string]string{in.Command.Text: "x"}}
	}))
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			text, want := "SELECT 1", true
			if i%2 == 0 {
				text, want = "DROP TABLE t", false
			}
			v := r.Authorize(t.Context(), query(text))
			if v.Forward != want {
				t.Errorf("%s: %+v", text, v)
			}
			if v.Forward {
				if err := r.Result(v, intercept.Outcome{Rows: 2, Bytes: 3}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want := policy.Counters{Commands: 101, Denied: 50, Rows: 100, Bytes: 150}
	if got := r.Snapshot().Counters; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// witness is an Observer that writes down what it is told.
type witness struct {
	mu    sync.Mutex
	lines []string
}

func (w *witness) add(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, line)
}

func (w *witness) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, ", ")
}

func (w *witness) SessionStarted(*intercept.Guard) { w.add("started") }
func (w *witness) IdentityRefused(_ *intercept.Guard, err error) {
	w.add("refused " + identity.ReasonOf(err))
}
func (w *witness) SessionEnded(_ *intercept.Guard, reason string) { w.add("ended " + reason) }
func (w *witness) Decided(_ *intercept.Guard, action string, o policy.Outcome, v intercept.Verdict, _ time.Duration) {
	forward := " refused"
	if v.Forward {
		forward = " forwarded"
	}
	w.add(action + " " + o.String() + forward)
}

func TestObserver(t *testing.T) {
	seen := new(witness)
	r := connected(t, func(c *intercept.GuardConfig) { c.Observer = seen }, answering(policy.Decision{}))
	r.Authorize(t.Context(), query("SELECT 1"))
	for range 2 {
		if err := r.Close(t.Context(), "over"); err != nil {
			t.Fatal(err)
		}
	}
	if got := seen.String(); got != "started, connect allow forwarded, query deny refused, ended over" {
		t.Error(got)
	}
}
