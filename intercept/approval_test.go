package intercept_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

// granting is an approver who grants what is asked, after f has seen it.
func granting(f func(approve.Request)) approve.Approver {
	return approve.ApproverFunc(func(_ context.Context, req approve.Request, pending func(approve.Pending)) (approve.Grant, error) {
		if pending != nil {
			pending(approve.Pending{ID: "a1", URL: "https://approve.example/a1"})
		}
		if f != nil {
			f(req)
		}
		return approve.Grant{
			ID: "a1", Digest: req.Digest, Reason: "backed up", GrantedAt: time.Unix(1, 0),
			Approver: policy.Identity{Subject: "ann", Issuer: "test", Groups: []string{"dba"}},
		}, nil
	})
}

func approver(a approve.Approver) change {
	return func(c *intercept.GuardConfig) { c.Approver = a }
}

// asks allows connecting and asks about all else, until there is an approval.
func asks(redeemed policy.Decision) change {
	return decide(func(in *policy.Input) policy.Decision {
		switch {
		case in.Command.Action == policy.ActionConnect:
			return policy.Decision{Outcome: policy.Allow, Revision: "1"}
		case in.Approval != nil:
			return redeemed
		default:
			return policy.Decision{Outcome: policy.Ask, Revision: "1", Reasons: []policy.Reason{
				{Rule: "humans", Message: "a human has to agree", Expires: time.Hour}, {Rule: "soon", Expires: time.Minute}, {Rule: "whenever"},
			}}
		}
	})
}

func TestApprovedCommandIsForwarded(t *testing.T) {
	var asked approve.Request
	var again *policy.Approval
	masks := []policy.Mask{{Table: "*", Column: "*", Method: "redact"}}
	for name, redeemed := range map[string]policy.Decision{
		"allow":             {Outcome: policy.Allow, Revision: "1", Masks: masks},
		"ask, as it was":    {Outcome: policy.Ask, Revision: "1", Masks: masks},
		"deny":              {Outcome: policy.Deny, Revision: "1", Masks: masks},
		"unknown outcome":   {Outcome: 9, Revision: "1", Masks: masks},
		"zero":              {Revision: "1"},
		"another revision":  {Outcome: policy.Allow, Revision: "2", Masks: masks},
		"a limit as well":   {Outcome: policy.Allow, Revision: "1", Limit: &policy.Limit{Rows: 1}},
		"revision is empty": {Outcome: policy.Allow},
	} {
		want := map[string]string{
			"allow": "", "ask, as it was": "", "deny": intercept.CodeDenied, "unknown outcome": intercept.CodeDenied,
			"zero": intercept.CodeDenied, "another revision": intercept.CodeApprovalExpired,
			"a limit as well": intercept.CodeUnsupported, "revision is empty": intercept.CodeApprovalExpired,
		}[name]
		t.Run(name, func(t *testing.T) {
			r := connected(t, approver(granting(func(req approve.Request) { asked = req })), func(c *intercept.GuardConfig) {
				asks(redeemed)(c)
				inner := c.Policy
				c.Policy = policy.EvaluatorFunc(func(ctx context.Context, in *policy.Input) (policy.Decision, error) {
					if in.Approval != nil {
						again = in.Approval
					}
					return inner.Evaluate(ctx, in)
				})
			})
			var pending []approve.Pending
			cmd := query("DELETE FROM t")
			v := r.AuthorizeWaiting(t.Context(), cmd, func(p approve.Pending) { pending = append(pending, p) })
			if want == "" {
				if !v.Forward || len(v.Masks) != 1 {
					t.Errorf("%+v, %+v", v, v.Refusal)
				}
			} else {
				refuses(t, v, want)
			}
			if len(pending) != 1 || pending[0].ID != "a1" {
				t.Errorf("pending %+v", pending)
			}
			if again == nil || again.ID != "a1" || again.Approver != "ann" || again.Groups[0] != "dba" || again.Reason != "backed up" || again.GrantedAt.IsZero() {
				t.Errorf("the policy saw %+v", again)
			}
			digest, err := policy.ActionDigest(asked.Input, "1")
			if err != nil || digest != asked.Digest || asked.Input.Command != cmd || asked.Expires != time.Minute || asked.Input.Session.ID != session {
				t.Errorf("asked %+v, %v", asked, err)
			}
			if r.Snapshot().Counters.Approved != 1 {
				t.Errorf("%+v", r.Snapshot().Counters)
			}
			notes := r.entries(record.TypeApproval)
			if len(notes) != 2 || !strings.Contains(notes[0], "requested") || !strings.Contains(notes[1], `"granted"`) || !strings.Contains(notes[1], "ann") {
				t.Errorf("recorded %q", notes)
			}
		})
	}
}

func TestApproversErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err       error
		code      string
		retryable bool
	}{
		"refused":    {approve.ErrRefused, intercept.CodeApprovalRefused, false},
		"expired":    {approve.ErrExpired, intercept.CodeApprovalExpired, true},
		"overloaded": {approve.ErrOverloaded, intercept.CodeApprovalRefused, true},
		"used up":    {errors.Join(approve.ErrRefused, approve.ErrUsedUp), intercept.CodeApprovalRefused, true},
		"canceled":   {context.Canceled, intercept.CodeApprovalCanceled, true},
		"deadline":   {context.DeadlineExceeded, intercept.CodeApprovalCanceled, true},
		"anything":   {errBroken, intercept.CodeApprovalRefused, false},
	} {
		r := connected(t, asks(policy.Decision{Outcome: policy.Allow, Revision: "1"}), approver(approve.ApproverFunc(
			func(_ context.Context, req approve.Request, _ func(approve.Pending)) (approve.Grant, error) {
				return approve.Grant{ID: "a1", Digest: req.Digest}, fmt.Errorf("ann wrote no: %w", c.err)
			})))
		v := r.Authorize(t.Context(), query("DELETE FROM t"))
		refuses(t, v, c.code)
		got := v.Refused()
		if got.Retryable != c.retryable || got.Rule != "humans" || strings.Contains(got.JSON(), "ann") {
			t.Errorf("%s: %+v", name, got)
		}
		if notes := r.entries(record.TypeApproval); len(notes) != 2 || !strings.Contains(notes[1], "not granted") {
			t.Errorf("%s: recorded %q", name, notes)
		}
		if n := r.Snapshot().Counters.Approved; n != 0 {
			t.Errorf("%s: counted %d approvals", name, n)
		}
	}
}

func TestApproverThatPanicsRefuses(t *testing.T) {
	r := connected(t, asks(policy.Decision{Outcome: policy.Allow, Revision: "1"}), approver(approve.ApproverFunc(
		func(context.Context, approve.Request, func(approve.Pending)) (approve.Grant, error) { panic("boom") })))
	refuses(t, r.Authorize(t.Context(), query("DELETE FROM t")), intercept.CodeApprovalRefused)
}

func TestGrantForAnotherActionIsRefused(t *testing.T) {
	for name, digest := range map[string]func(string) string{
		"none":    func(string) string { return "" },
		"another": func(d string) string { return strings.Repeat("0", len(d)) },
		"part":    func(d string) string { return d[:10] },
		"upper":   strings.ToUpper,
	} {
		r := connected(t, asks(policy.Decision{Outcome: policy.Allow, Revision: "1"}), approver(approve.ApproverFunc(
			func(_ context.Context, req approve.Request, _ func(approve.Pending)) (approve.Grant, error) {
				return approve.Grant{ID: "a1", Digest: digest(req.Digest)}, nil
			})))
		refuses(t, r.Authorize(t.Context(), query("DELETE FROM t")), intercept.CodeApprovalRefused)
		if notes := r.entries(record.TypeApproval); len(notes) != 2 || !strings.Contains(notes[1], "another action") {
			t.Errorf("%s: recorded %q", name, notes)
		}
	}
}

// TestGrantIsForOneAction replays the grant of one command for others.
func TestGrantIsForOneAction(t *testing.T) {
	var first approve.Grant
	r := connected(t, asks(policy.Decision{Outcome: policy.Allow, Revision: "1"}), approver(approve.ApproverFunc(
		func(_ context.Context, req approve.Request, _ func(approve.Pending)) (approve.Grant, error) {
			if first.Digest == "" {
				first = approve.Grant{ID: "a1", Digest: req.Digest}
			}
			return first, nil
		})))
	if v := r.Authorize(t.Context(), query("DELETE FROM t WHERE id = 1")); !v.Forward {
		t.Fatalf("%+v", v.Refusal)
	}
	refuses(t, r.Authorize(t.Context(), query("DELETE FROM t")), intercept.CodeApprovalRefused)
	bound := query("DELETE FROM t WHERE id = 1")
	bound.Params = []policy.Param{{Value: "1"}}
	refuses(t, r.Authorize(t.Context(), bound), intercept.CodeApprovalRefused)
}

func TestPrepareIsNotAsked(t *testing.T) {
	r := connected(t, answering(policy.Decision{Outcome: policy.Ask}))
	cmd := query("DELETE FROM t")
	cmd.Action = policy.ActionPrepare
	if v := r.Authorize(t.Context(), cmd); !v.Forward {
		t.Fatalf("%+v", v.Refusal)
	}
	cmd = query("DELETE FROM t")
	cmd.Action = policy.ActionExecute
	refuses(t, r.Authorize(t.Context(), cmd), intercept.CodeApprovalRefused)
}

func TestConnectingWaitsForAHuman(t *testing.T) {
	for _, granted := range []bool{true, false} {
		source := new(vault)
		r := identified(t, func(c *intercept.GuardConfig) {
			c.Source, c.Policy = source, always(policy.Ask)
			if granted {
				c.Approver = granting(nil)
			}
		})
		waited := 0
		v, err := r.Connect(t.Context(), func(approve.Pending) { waited++ }, dialed)
		if err != nil || v.Forward != granted || (waited == 1) != granted || (source.given.Load() == 1) != granted {
			t.Errorf("granted %v: %+v, %v, waited %d times, %d credentials", granted, v.Refusal, err, waited, source.given.Load())
		}
	}
}

// stuck is an approver whom nobody answers.
func stuck(ctx context.Context, _ approve.Request, _ func(approve.Pending)) (approve.Grant, error) {
	<-ctx.Done()
	return approve.Grant{}, ctx.Err()
}

func TestWhatEndsAWait(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(r *rig, cancel func())
		code string
	}{
		"the client gives up": {func(_ *rig, cancel func()) { cancel() }, intercept.CodeApprovalCanceled},
		"revoked":             {func(r *rig, _ func()) { r.End(intercept.ErrRevoked) }, intercept.CodeSessionEnded},
		"proof expires":       {func(*rig, func()) { time.Sleep(2 * time.Hour) }, intercept.CodeSessionEnded},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := connected(t, expiring(time.Now().Add(time.Hour)), asks(policy.Decision{Outcome: policy.Allow, Revision: "1"}), approver(approve.ApproverFunc(stuck)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			verdict := make(chan intercept.Verdict)
			go func() { verdict <- r.Authorize(ctx, query("DELETE FROM t")) }()
			synctest.Wait()
			go c.end(r, cancel)
			if v := <-verdict; v.Forward || v.Refused().Code != c.code {
				t.Errorf("%s: %+v", name, v.Refusal)
			}
			synctest.Wait()
			time.Sleep(3 * time.Hour) // for what ends it to end
		})
	}
}

// TestGrantThatComesWithTheEnd has an approver who grants although the session
// ended while he thought about it.
func TestGrantThatComesWithTheEnd(t *testing.T) {
	var r *rig
	r = connected(t, asks(policy.Decision{Outcome: policy.Allow, Revision: "1"}), approver(granting(func(approve.Request) { r.End(intercept.ErrRevoked) })))
	refuses(t, r.Authorize(t.Context(), query("DELETE FROM t")), intercept.CodeSessionEnded)
}
