package policytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/headgate/gateway/policy"
)

type check struct {
	name string
	run  func(context.Context, policy.Evaluator) error
}

// checks lists the suite in the order in which it runs.
func checks() []check {
	return []check{
		{"outcomes and precedence", checkOutcomes},
		{"nothing known denies", checkUnknown},
		{"nil input", checkNil},
		{"cancelled context", checkCancelled},
		{"what an ask says", checkAsk},
		{"masks, limits and labels", checkObligations},
		{"shared facts", checkSharedFacts},
		{"session counters", checkCounters},
		{"repeats", checkRepeats},
		{"input untouched", checkUntouched},
		{"revision", checkRevision},
		{"concurrent use", checkConcurrent},
	}
}

// input returns a complete input whose command has the given verbs on one table.
func input(table string, verbs ...string) *policy.Input {
	facts := new(policy.Facts)
	for _, v := range verbs {
		facts.Effects = append(facts.Effects, policy.Effect{Verb: v, Kind: "table", Name: table, Columns: []string{"*"}})
	}
	return &policy.Input{
		Identity: &policy.Identity{Subject: "ann", Issuer: "https://idp.example", Method: "static", Groups: []string{"eng"}},
		Target:   &policy.Target{Name: "orders", Protocol: "postgres", Labels: map[string]string{"env": "test"}},
		Session:  &policy.Session{ID: "s1", Started: time.Unix(1700000000, 0).UTC()},
		Command:  &policy.Command{Action: policy.ActionQuery, Text: "…", Facts: facts},
	}
}

func opaque(in *policy.Input) *policy.Input {
	in.Command.Opaque = []string{"dynamic SQL"}
	return in
}

func texted(in *policy.Input, text string) *policy.Input {
	in.Command.Text = text
	return in
}

// expect compares outcome and first rule.
func expect(ctx context.Context, e policy.Evaluator, in *policy.Input, want policy.Outcome, rule string) error {
	d, err := e.Evaluate(ctx, in)
	if err != nil {
		return fmt.Errorf("%s: %w", describe(in), err)
	}
	if d.Outcome != want {
		return fmt.Errorf("%s: outcome %v, want %v", describe(in), d.Outcome, want)
	}
	if rule == "" {
		return nil
	}
	for _, r := range d.Reasons {
		if r.Rule == rule && r.Message != "" {
			return nil
		}
	}
	return fmt.Errorf("%s: reasons %+v lack %q with a message", describe(in), d.Reasons, rule)
}

func describe(in *policy.Input) string {
	text, err := json.Marshal(in.Command)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func checkOutcomes(ctx context.Context, e policy.Evaluator) error {
	return errors.Join(
		expect(ctx, e, input("t", policy.VerbRead), policy.Allow, ""),
		expect(ctx, e, input("t", policy.VerbRead, policy.VerbRead), policy.Allow, ""),
		expect(ctx, e, input("t", policy.VerbDelete), policy.Ask, "confirm-delete"),
		expect(ctx, e, input("t", policy.VerbRead, policy.VerbDelete), policy.Ask, "confirm-delete"),
		expect(ctx, e, input("t", policy.VerbDefine), policy.Deny, "no-ddl"),
		expect(ctx, e, input("t", policy.VerbDelete, policy.VerbGrant), policy.Deny, "no-ddl"),
		expect(ctx, e, opaque(input("t", policy.VerbRead)), policy.Deny, "no-opaque"),
		expect(ctx, e, opaque(input("t", policy.VerbDelete)), policy.Deny, "no-opaque"),
		expect(ctx, e, texted(input("t", policy.VerbRead), "a secret"), policy.Deny, "no-secret"),
		expect(ctx, e, input("t", policy.VerbUpdate), policy.Deny, ""),
		expect(ctx, e, input("t", policy.VerbRead, policy.VerbUpdate), policy.Deny, ""),
	)
}

// checkUnknown: incomplete inputs are denied, or are an error, which denies too.
func checkUnknown(ctx context.Context, e policy.Evaluator) error {
	noFacts := input("t")
	noFacts.Command.Facts = nil
	noCommand := input("t", policy.VerbRead)
	noCommand.Command = nil
	for name, in := range map[string]*policy.Input{
		"zero input": {}, "no command": noCommand, "no facts": noFacts, "no effects": input("t"), "unknown verb": input("t", "frobnicate"),
		"empty command": {Command: &policy.Command{}},
	} {
		if d, err := e.Evaluate(ctx, in); err == nil && d.Outcome != policy.Deny {
			return fmt.Errorf("%s: %v", name, d.Outcome)
		}
	}
	return nil
}

func checkNil(ctx context.Context, e policy.Evaluator) error {
	if d, err := e.Evaluate(ctx, nil); err == nil && d.Outcome != policy.Deny {
		return fmt.Errorf("outcome %v", d.Outcome)
	}
	return nil
}

// checkCancelled: an engine may answer all the same, but only rightly.
func checkCancelled(ctx context.Context, e policy.Evaluator) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	d, err := e.Evaluate(ctx, input("t", policy.VerbDefine))
	if err == nil && d.Outcome != policy.Deny {
		return fmt.Errorf("outcome %v", d.Outcome)
	}
	if d, err = e.Evaluate(ctx, input("t", policy.VerbRead)); err != nil && !reflect.DeepEqual(d, policy.Decision{}) {
		return fmt.Errorf("an error comes with %+v", d)
	}
	return nil
}

func checkAsk(ctx context.Context, e policy.Evaluator) error {
	d, err := e.Evaluate(ctx, input("t", policy.VerbDelete))
	if err != nil {
		return err
	}
	if len(d.Reasons) != 1 {
		return fmt.Errorf("%d reasons, want 1", len(d.Reasons))
	}
	r := d.Reasons[0]
	if !reflect.DeepEqual(r.Approvers, []string{"dba"}) || r.Expires != 10*time.Minute {
		return fmt.Errorf("reason %+v: want approvers of dba and 10 minutes", r)
	}
	return nil
}

func checkObligations(ctx context.Context, e policy.Evaluator) error {
	in := input("public.users", policy.VerbRead)
	d, err := e.Evaluate(ctx, in)
	if err != nil {
		return err
	}
	want := []policy.Mask{{Table: "public.users", Column: "email", Method: "redact"}}
	if !reflect.DeepEqual(d.Masks, want) {
		return fmt.Errorf("masks %+v, want %+v", d.Masks, want)
	}
	if d.Limit == nil || *d.Limit != (policy.Limit{Rows: 100}) {
		return fmt.Errorf("limit %+v, want 100 rows", d.Limit)
	}
	if !reflect.DeepEqual(d.Labels, map[string]string{"touched": "users"}) {
		return fmt.Errorf("labels %v", d.Labels)
	}
	in.Target = &policy.Target{Name: "orders", Labels: map[string]string{"env": "prod"}}
	if d, err = e.Evaluate(ctx, in); err != nil {
		return err
	}
	if d.Limit == nil || *d.Limit != (policy.Limit{Rows: 10}) {
		return fmt.Errorf("in production: limit %+v, want 10 rows, the stricter of two", d.Limit)
	}
	if d, err = e.Evaluate(ctx, input("t", policy.VerbDelete)); err != nil {
		return err
	}
	if len(d.Masks) != 1 {
		return fmt.Errorf("an ask has masks %+v", d.Masks)
	}
	return nil
}

// checkSharedFacts: commands that share their facts by pointer still differ.
func checkSharedFacts(ctx context.Context, e policy.Evaluator) error {
	good := input("t", policy.VerbRead)
	bad := *good
	bad.Command = &policy.Command{Action: good.Command.Action, Text: "secret", Facts: good.Command.Facts}
	for range 3 {
		if err := errors.Join(expect(ctx, e, good, policy.Allow, ""), expect(ctx, e, &bad, policy.Deny, "no-secret")); err != nil {
			return err
		}
	}
	return nil
}

// checkCounters: one session's snapshots follow each other in the same memory.
func checkCounters(ctx context.Context, e policy.Evaluator) error {
	in := input("t", policy.VerbRead)
	for _, n := range []int64{0, 999, 1000, 1001, 0} {
		in.Session.Counters.Commands = n
		want, rule := policy.Allow, ""
		if n >= 1000 {
			want, rule = policy.Deny, "too-many"
		}
		if err := expect(ctx, e, in, want, rule); err != nil {
			return fmt.Errorf("after %d commands: %w", n, err)
		}
	}
	return nil
}

// checkRepeats: equal inputs are decided equally, whoever owns their memory.
func checkRepeats(ctx context.Context, e policy.Evaluator) error {
	for _, verb := range []string{policy.VerbRead, policy.VerbDelete, policy.VerbDefine} {
		in := input("public.users", verb)
		first, err := e.Evaluate(ctx, in)
		if err != nil {
			return err
		}
		for _, again := range []*policy.Input{in, in, input("public.users", verb)} {
			d, err := e.Evaluate(ctx, again)
			if err != nil {
				return err
			}
			if !reflect.DeepEqual(d, first) {
				return fmt.Errorf("%s again: %+v; first %+v", verb, d, first)
			}
		}
	}
	return nil
}

func checkUntouched(ctx context.Context, e policy.Evaluator) error {
	in, same := opaque(input("public.users", policy.VerbRead, policy.VerbDelete)), opaque(input("public.users", policy.VerbRead, policy.VerbDelete))
	if _, err := e.Evaluate(ctx, in); err != nil {
		return err
	}
	if !reflect.DeepEqual(in, same) {
		return fmt.Errorf("the input was changed: %+v", in)
	}
	return nil
}

// checkRevision: decisions carry the revision that a Revisioner reports.
func checkRevision(ctx context.Context, e policy.Evaluator) error {
	d, err := e.Evaluate(ctx, input("t", policy.VerbRead))
	if err != nil {
		return err
	}
	if r, ok := e.(policy.Revisioner); ok && (r.Revision() == "" || r.Revision() != d.Revision) {
		return fmt.Errorf("revision %q, its decision's %q", r.Revision(), d.Revision)
	}
	return nil
}

func checkConcurrent(ctx context.Context, e policy.Evaluator) error {
	shared := input("t", policy.VerbRead)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for range 50 {
				errs[i] = errors.Join(errs[i],
					expect(ctx, e, shared, policy.Allow, ""),
					expect(ctx, e, input(fmt.Sprint("t", i), policy.VerbDefine), policy.Deny, "no-ddl"),
					expect(ctx, e, texted(input("t", policy.VerbRead), fmt.Sprint("secret ", i)), policy.Deny, "no-secret"))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
