// Package policytest holds the conformance suite of policy.Evaluator, which every
// policy engine should pass. An engine is tested with the reference policy,
// written in its own language:
//
//   - deny, rule "no-ddl": some effect's verb is define or grant.
//   - deny, rule "no-opaque": command.opaque has entries.
//   - deny, rule "no-secret": command.text contains "secret".
//   - deny, rule "too-many": session.counters.commands is 1000 or more.
//   - ask, rule "confirm-delete": some effect's verb is delete. The approvers are
//     of "dba", the wait is 10 minutes.
//   - allow: there are effects, and each one's verb is read.
//   - mask column "email" of table "public.users" by "redact", always.
//   - limit to 100 rows, always, and to 10 rows where target.labels.env is "prod".
//   - label "touched" = "users" if some effect's name is "public.users".
//
// Reference is that policy in Go. The package imports the standard library only.
package policytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/policy"
)

// Run tests the evaluator that open returns, which must implement the reference
// policy. Each check is a subtest with an evaluator of its own.
func Run(t *testing.T, open func(t *testing.T) policy.Evaluator) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t.Context(), open(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check runs the whole suite on e, outside of a test, and returns what failed.
func Check(ctx context.Context, e policy.Evaluator) error {
	var errs []error
	for _, c := range checks() {
		if err := c.run(ctx, e); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// Reference returns the reference policy as Go functions.
func Reference() (*policy.Static, error) {
	return policy.NewStatic(policy.StaticConfig{
		Revision: "reference",
		Deny: []policy.StaticRule{
			{Match: hasVerb(policy.VerbDefine, policy.VerbGrant), Reason: policy.Reason{Rule: "no-ddl", Message: "the schema is fixed"}},
			{Match: isOpaque, Reason: policy.Reason{Rule: "no-opaque", Message: "can't be analysed"}},
			{Match: mentionsSecret, Reason: policy.Reason{Rule: "no-secret", Message: "not the secret"}},
			{Match: sentTooMany, Reason: policy.Reason{Rule: "too-many", Message: "enough for one session"}},
		},
		Ask: []policy.StaticRule{{Match: hasVerb(policy.VerbDelete), Reason: policy.Reason{
			Rule: "confirm-delete", Message: "deletes rows", Approvers: []string{"dba"}, Expires: 10 * time.Minute,
		}}},
		Allow: []policy.StaticRule{{Match: readsOnly}},
		Also: []policy.StaticRule{
			{Match: always, Masks: []policy.Mask{{Table: "public.users", Column: "email", Method: "redact"}}, Limit: policy.Limit{Rows: 100}},
			{Match: inProduction, Limit: policy.Limit{Rows: 10}},
			{Match: touchesUsers, Labels: map[string]string{"touched": "users"}},
		},
	})
}

func always(*policy.Input) bool { return true }

func effects(in *policy.Input) []policy.Effect {
	if in.Command == nil || in.Command.Facts == nil {
		return nil
	}
	return in.Command.Effects
}

func hasVerb(verbs ...string) func(*policy.Input) bool {
	return func(in *policy.Input) bool {
		return slices.ContainsFunc(effects(in), func(e policy.Effect) bool { return slices.Contains(verbs, e.Verb) })
	}
}

func readsOnly(in *policy.Input) bool {
	other := func(e policy.Effect) bool { return e.Verb != policy.VerbRead }
	return len(effects(in)) > 0 && !slices.ContainsFunc(effects(in), other)
}

func touchesUsers(in *policy.Input) bool {
	return slices.ContainsFunc(effects(in), func(e policy.Effect) bool { return e.Name == "public.users" })
}

func isOpaque(in *policy.Input) bool {
	return in.Command != nil && in.Command.Facts != nil && len(in.Command.Opaque) > 0
}

func mentionsSecret(in *policy.Input) bool {
	return in.Command != nil && strings.Contains(in.Command.Text, "secret")
}

func sentTooMany(in *policy.Input) bool {
	return in.Session != nil && in.Session.Counters.Commands >= 1000
}

func inProduction(in *policy.Input) bool {
	return in.Target != nil && in.Target.Labels["env"] == "prod"
}
