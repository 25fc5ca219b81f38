package intercept_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

func TestZeroVerdictRefuses(t *testing.T) {
	var v intercept.Verdict
	refuses(t, v, intercept.CodeInternal)
	if v.Refused().Reason == "" {
		t.Error("the client is told nothing")
	}
}

func TestZeroDecisionDenies(t *testing.T) {
	r := connected(t, answering(policy.Decision{}))
	v := r.Authorize(t.Context(), query("SELECT 1"))
	refuses(t, v, intercept.CodeDenied)
}

func TestUnknownOutcomeDenies(t *testing.T) {
	for _, o := range []policy.Outcome{policy.Allow + 1, 77, 255} {
		r := connected(t, answering(policy.Decision{Outcome: o, Masks: []policy.Mask{{Table: "*"}}}))
		refuses(t, r.Authorize(t.Context(), query("SELECT 1")), intercept.CodeDenied)
	}
}

func TestNewGuardNeedsItsParts(t *testing.T) {
	whole := intercept.GuardConfig{Session: "s", Policy: always(policy.Allow), Recorder: new(record.Memory)}
	if _, err := intercept.NewGuard(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]change{
		"session":  func(c *intercept.GuardConfig) { c.Session = "" },
		"policy":   func(c *intercept.GuardConfig) { c.Policy = nil },
		"recorder": func(c *intercept.GuardConfig) { c.Recorder = nil },
	} {
		cfg := whole
		c(&cfg)
		if _, err := intercept.NewGuard(t.Context(), cfg); err == nil {
			t.Errorf("no %s: made all the same", name)
		}
	}
}

func TestNilPartsRefuse(t *testing.T) {
	t.Run("identity", func(t *testing.T) {
		r := newRig(t, func(c *intercept.GuardConfig) { c.Identity = nil })
		if err := r.Identify(t.Context(), identity.Proof{}); identity.ReasonOf(err) != identity.ReasonUnsupported {
			t.Fatal(err)
		}
	})
	t.Run("source", func(t *testing.T) {
		r := identified(t, func(c *intercept.GuardConfig) { c.Source = nil })
		if v, err := r.Connect(t.Context(), nil, dialed); !errors.Is(err, credsource.ErrNoSource) || v.Forward {
			t.Fatalf("%+v, %v", v, err)
		}
	})
	t.Run("credential", func(t *testing.T) {
		r := identified(t, func(c *intercept.GuardConfig) {
			c.Source = credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) { return nil, nil })
		})
		if v, err := r.Connect(t.Context(), nil, dialed); err == nil || v.Forward {
			t.Fatalf("%+v, %v", v, err)
		}
	})
	t.Run("approver", func(t *testing.T) {
		r := connected(t, answering(policy.Decision{Outcome: policy.Ask}))
		refuses(t, r.Authorize(t.Context(), query("DROP TABLE t")), intercept.CodeApprovalRefused)
	})
	t.Run("log", func(t *testing.T) {
		r := newRig(t, func(c *intercept.GuardConfig) {
			c.Recorder = record.RecorderFunc(func(context.Context, record.Header) (record.Log, error) { return nil, nil })
		})
		if err := r.Identify(t.Context(), identity.Proof{}); !errors.Is(err, intercept.ErrRecorder) {
			t.Fatal(err)
		}
	})
	t.Run("funcs", func(t *testing.T) {
		r := connected(t, func(c *intercept.GuardConfig) { c.Approver = approve.ApproverFunc(nil) }, answering(policy.Decision{Outcome: policy.Ask}))
		refuses(t, r.Authorize(t.Context(), query("DROP TABLE t")), intercept.CodeApprovalRefused)
	})
	t.Run("command", func(t *testing.T) {
		r := connected(t)
		refuses(t, r.Authorize(t.Context(), nil), intercept.CodeInternal)
		refuses(t, r.Refuse(nil, nil), intercept.CodeInternal)
	})
	t.Run("refusals", func(t *testing.T) {
		r := connected(t)
		refuses(t, r.Refuse(query("x"), nil), intercept.CodeInternal)
		refuses(t, r.Withhold(r.Authorize(t.Context(), query("x")), nil), intercept.CodeInternal)
	})
	t.Run("facts", func(t *testing.T) {
		r := connected(t)
		if v := r.Authorize(t.Context(), &policy.Command{Action: "line"}); !v.Forward {
			t.Fatal("what is known is the policy's to judge")
		}
	})
}

func TestNilFunctionClosesTheConnection(t *testing.T) {
	i := intercept.New("lines", nil)
	near, far := net.Pipe()
	if err := i.Intercept(t.Context(), far, nil); err == nil {
		t.Fatal("no error")
	}
	if _, err := near.Write([]byte("x")); err == nil {
		t.Fatal("still open")
	}
}

func TestRefusalAsJSON(t *testing.T) {
	r := &intercept.Refusal{Code: intercept.CodeDenied, Rule: "no-ddl", Reason: "\"no\"\n", Hint: "ask", ApprovalURL: "https://a.example/?a=b&c"}
	var back intercept.Refusal
	if err := json.Unmarshal([]byte(r.JSON()), &back); err != nil || back.Error() != r.Error() || back.ApprovalURL != r.ApprovalURL {
		t.Fatalf("%s, %v", r.JSON(), err)
	}
	if r.Unwrap() != nil {
		t.Error("a cause out of nothing")
	}
}
