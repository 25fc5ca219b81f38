package opa_test

import (
	"context"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/opa"
)

const library = "../../examples/policies"

// TestLibrary runs the policy library's own tests.
func TestLibrary(t *testing.T) {
	modules, store, err := tester.Load([]string{library}, nil)
	if err != nil {
		t.Fatal(err)
	}
	txn, err := store.NewTransaction(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(t.Context(), txn)
	results, err := tester.NewRunner().SetStore(store).SetModules(modules).RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for r := range results {
		n++
		if !r.Pass() {
			t.Errorf("%s: failed: %v", r.Name, r.Error)
		}
	}
	if n < 15 {
		t.Errorf("only %d tests ran", n)
	}
}

// TestLibraryDecides: the library loads under the contract and decides.
func TestLibraryDecides(t *testing.T) {
	e, err := opa.New(t.Context(), opa.Config{Dir: library})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		groups []string
		facts  *policy.Facts
		want   policy.Outcome
		rules  []string
	}{
		"read":           {nil, &policy.Facts{Effects: []policy.Effect{{Verb: "read", Kind: "table", Name: "public.t"}}}, policy.Allow, nil},
		"expression":     {nil, &policy.Facts{}, policy.Allow, nil},
		"write":          {nil, &policy.Facts{Effects: []policy.Effect{{Verb: "create", Kind: "table", Name: "public.t"}}}, policy.Deny, []string{"read-only"}},
		"writer writes":  {[]string{"writers"}, &policy.Facts{Effects: []policy.Effect{{Verb: "create", Kind: "table", Name: "public.t"}}}, policy.Allow, nil},
		"writer deletes": {[]string{"writers"}, &policy.Facts{Effects: []policy.Effect{{Verb: "delete", Kind: "table", Name: "public.t"}}}, policy.Ask, []string{"all-rows"}},
		"definition":     {[]string{"writers"}, &policy.Facts{Effects: []policy.Effect{{Verb: "define", Kind: "table", Name: "public.t"}}}, policy.Deny, []string{"no-definitions"}},
		"opaque":         {[]string{"writers"}, &policy.Facts{Opaque: []string{"x"}}, policy.Deny, []string{"opaque"}},
		"no facts":       {[]string{"writers"}, nil, policy.Deny, []string{"unanalysed"}},
	} {
		d, err := e.Evaluate(context.Background(), &policy.Input{
			Identity: &policy.Identity{Subject: "a", Groups: c.groups},
			Target:   &policy.Target{Name: "db"},
			Session:  &policy.Session{ID: "s"},
			Command:  &policy.Command{Action: policy.ActionQuery, Facts: c.facts},
		})
		var rules []string
		for _, r := range d.Reasons {
			rules = append(rules, r.Rule)
		}
		if err != nil || d.Outcome != c.want || !slices.Equal(rules, c.rules) {
			t.Errorf("%s: %v by %v, %v; want %v by %v", name, d.Outcome, rules, err, c.want, c.rules)
		}
		if d.Outcome == policy.Allow && len(d.Masks) == 0 {
			t.Errorf("%s: no masks", name)
		}
	}
}
