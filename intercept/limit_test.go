package intercept_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
)

// wall is a clock that a test sets, to parts of a second.
type wall struct {
	mu  sync.Mutex
	now time.Time
}

func (c *wall) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *wall) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// limiting answers connecting with one limit and commands with another.
func limiting(connect, command *policy.Limit) change {
	return decide(func(in *policy.Input) policy.Decision {
		d := policy.Decision{Outcome: policy.Allow, Revision: "1", Limit: command}
		if in.Command.Action == policy.ActionConnect {
			d.Limit = connect
		}
		return d
	})
}

func TestVerdictCarriesTheStricterLimit(t *testing.T) {
	for _, c := range []struct{ connect, command, want *policy.Limit }{
		{nil, nil, nil},
		{nil, &policy.Limit{Rows: 5}, &policy.Limit{Rows: 5}},
		{&policy.Limit{Rows: 5}, nil, &policy.Limit{Rows: 5}},
		{&policy.Limit{Rows: 5}, new(policy.Limit), &policy.Limit{Rows: 5}},
		{&policy.Limit{Rows: 5, Bytes: 9}, &policy.Limit{Rows: 6, Timeout: 7}, &policy.Limit{Rows: 5, Bytes: 9, Timeout: 7}},
		{new(policy.Limit), new(policy.Limit), nil},
	} {
		r := identified(t, limiting(c.connect, c.command))
		r.EnforcesLimits()
		if v, err := r.Connect(t.Context(), nil, dialed); err != nil || !v.Forward {
			t.Fatalf("%+v, %v", v.Refusal, err)
		}
		v := r.Authorize(t.Context(), query("SELECT 1"))
		if !v.Forward || (v.Limit == nil) != (c.want == nil) || v.Limit != nil && *v.Limit != *c.want {
			t.Errorf("%+v and %+v: got %+v", c.connect, c.command, v.Limit)
		}
	}
}

func TestLimitOfTheConnectionNeedsSomebodyToEnforceIt(t *testing.T) {
	r := identified(t, limiting(&policy.Limit{Rows: 5}, nil))
	v, err := r.Connect(t.Context(), nil, dialed)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, v, intercept.CodeUnsupported)
}

func TestRateIsOfAnyMinute(t *testing.T) {
	c := &wall{now: time.Date(2026, 1, 1, 0, 0, 0, 999_000_000, time.UTC)}
	r := connected(t, limiting(nil, &policy.Limit{CommandsPerMinute: 3}), func(g *intercept.GuardConfig) { g.Now = c.Now })
	run := func() intercept.Verdict { return r.Authorize(t.Context(), query("SELECT 1")) }
	for range 10 { // not counted
		cmd := query("SELECT 1")
		cmd.Action = policy.ActionPrepare
		if v := r.Authorize(t.Context(), cmd); !v.Forward {
			t.Fatalf("%+v", v.Refusal)
		}
	}
	for range 3 {
		if v := run(); !v.Forward {
			t.Fatalf("%+v", v.Refusal)
		}
		c.advance(10 * time.Second)
	}
	v := run()
	refuses(t, v, intercept.CodeRateLimited)
	if !v.Refusal.Retryable || v.Refusal.RetryAfter != 31 || !strings.Contains(v.Refusal.Hint, "31 s") {
		t.Errorf("%+v", v.Refusal)
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(v.Refusal.JSON()), &object); err != nil || object["retry_after"] != 31.0 || object["code"] != "rate_limited" {
		t.Errorf("%s, %v", v.Refusal.JSON(), err)
	}
	c.advance(30 * time.Second) // the first is 60 s ago
	refuses(t, run(), intercept.CodeRateLimited)
	c.advance(time.Duration(run().Refusal.RetryAfter) * time.Second)
	if v := run(); !v.Forward {
		t.Errorf("after the time told: %+v", v.Refusal)
	}
	refuses(t, run(), intercept.CodeRateLimited)
	c.advance(-time.Hour) // a clock that is set back gives nothing away
	refuses(t, run(), intercept.CodeRateLimited)
}

func TestRateOfManyAtATime(t *testing.T) {
	c := &wall{now: time.Unix(1e9, 0)}
	r := connected(t, limiting(&policy.Limit{CommandsPerMinute: 50}, nil), func(g *intercept.GuardConfig) { g.Now = c.Now })
	var mu sync.Mutex
	ran := 0
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if r.Authorize(t.Context(), query("SELECT 1")).Forward {
				mu.Lock()
				ran++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if ran != 50 || r.Snapshot().Counters.Denied != 150 {
		t.Errorf("%d ran, %+v", ran, r.Snapshot().Counters)
	}
}

// Nobody is asked about what could not run, and what was agreed to counts when it
// runs.
func TestRateBeforeApproval(t *testing.T) {
	asked := 0
	r := connected(t, decide(func(in *policy.Input) policy.Decision {
		d := policy.Decision{Outcome: policy.Ask, Revision: "1", Limit: &policy.Limit{CommandsPerMinute: 1}}
		if in.Command.Action == policy.ActionConnect {
			d = policy.Decision{Outcome: policy.Allow, Revision: "1"}
		}
		return d
	}), approver(granting(func(approve.Request) { asked++ })))
	if v := r.Authorize(t.Context(), query("DELETE FROM t")); !v.Forward {
		t.Fatalf("%+v", v.Refusal)
	}
	refuses(t, r.Authorize(t.Context(), query("DELETE FROM t")), intercept.CodeRateLimited)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
