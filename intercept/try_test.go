package intercept_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
)

// memory is a policy that remembers everything: one decision, or one for each
// text, and allows connecting.
type memory struct {
	decision policy.Decision
	texts    map[string]policy.Decision
	forgets  bool
	panics   bool
}

func (m *memory) Evaluate(_ context.Context, in *policy.Input) (policy.Decision, error) {
	if in.Command.Action == policy.ActionConnect {
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	}
	if d, ok := m.texts[in.Command.Text]; ok {
		return d, nil
	}
	return m.decision, nil
}

func (m *memory) Remembered(in *policy.Input) (policy.Decision, bool) {
	if m.panics {
		panic("boom")
	}
	d, err := m.Evaluate(context.Background(), in)
	return d, err == nil && !m.forgets
}

// TestTryAuthorizeIsAuthorize puts every decision to both, on sessions of their
// own, and compares verdicts, counters, labels and records.
func TestTryAuthorizeIsAuthorize(t *testing.T) {
	m := &memory{texts: map[string]policy.Decision{}}
	for _, outcome := range []policy.Outcome{policy.Deny, policy.Ask, policy.Allow, 9} {
		for _, masks := range [][]policy.Mask{nil, {{Table: "*", Column: "*", Method: "redact"}}} {
			for _, limit := range []*policy.Limit{nil, {}, {Rows: 1}} {
				for _, revision := range []string{"1", "2", ""} {
					d := policy.Decision{Outcome: outcome, Masks: masks, Limit: limit, Revision: revision}
					d.Labels = map[string]string{"n": fmt.Sprint(len(m.texts))}
					d.Reasons = []policy.Reason{{Rule: "r", Message: "m", Hint: "h"}}
					m.texts[fmt.Sprint(len(m.texts))] = d
				}
			}
		}
	}
	tried := 0
	for _, action := range []string{policy.ActionQuery, policy.ActionPrepare} {
		for text := range m.texts {
			trying := connected(t, func(c *intercept.GuardConfig) { c.Policy = m })
			blocking := connected(t, func(c *intercept.GuardConfig) { c.Policy = m })
			cmd := query(text)
			cmd.Action = action
			before := trying.types()
			got, ok := trying.TryAuthorize(cmd)
			if !ok {
				if trying.types() != before || got.Forward {
					t.Fatalf("%+v: done something", m.texts[text])
				}
				continue
			}
			tried++
			want := blocking.Authorize(t.Context(), cmd)
			if got.Forward != want.Forward || got.Revision != want.Revision || got.Sequence != want.Sequence ||
				got.Refused().JSON() != want.Refused().JSON() || !slices.EqualFunc(got.Masks, want.Masks, policy.Mask.Equal) {
				t.Errorf("%+v:\ngot  %+v\nwant %+v", m.texts[text], got, want)
			}
			if !maps.Equal(trying.Snapshot().Labels, blocking.Snapshot().Labels) || trying.Snapshot().Counters != blocking.Snapshot().Counters {
				t.Errorf("%+v: %+v, %+v", m.texts[text], trying.Snapshot(), blocking.Snapshot())
			}
			if trying.types() != blocking.types() {
				t.Errorf("%+v: recorded %s, %s", m.texts[text], trying.types(), blocking.types())
			}
		}
	}
	if want := (3 + 4) * 2 * 2; tried != want { // no limit that nobody enforces, revision 1; Ask only of prepare
		t.Errorf("%d decisions were tried, want %d", tried, want)
	}
}

func TestTryAuthorizeDoesNotBlock(t *testing.T) {
	allow := policy.Decision{Outcome: policy.Allow, Revision: "1"}
	for name, p := range map[string]policy.Evaluator{
		"not remembered": &memory{decision: allow, forgets: true},
		"can't remember": always(policy.Allow),
		"panics":         &memory{decision: allow, panics: true},
		"asks":           &memory{decision: policy.Decision{Outcome: policy.Ask, Revision: "1"}},
		"changed":        &memory{decision: policy.Decision{Outcome: policy.Allow, Revision: "2"}},
	} {
		r := connected(t, func(c *intercept.GuardConfig) {
			c.Policy = p
			c.Approver = approve.ApproverFunc(stuck)
		})
		before := r.types()
		if v, ok := r.TryAuthorize(query("SELECT 1")); ok || v.Forward || r.types() != before || r.Context().Err() != nil {
			t.Errorf("%s: %+v, recorded %s", name, v, r.types())
		}
	}
	r := connected(t, func(c *intercept.GuardConfig) { c.Policy = &memory{decision: allow} })
	if v, ok := r.TryAuthorize(nil); ok || v.Forward {
		t.Errorf("nil: %+v", v)
	}
}
