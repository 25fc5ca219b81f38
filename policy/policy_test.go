package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/policy"
)

func TestZeroDenies(t *testing.T) {
	var d policy.Decision
	if d.Outcome != policy.Deny {
		t.Errorf("the zero Decision is %v", d.Outcome)
	}
	if d, err := policy.EvaluatorFunc(nil).Evaluate(t.Context(), &policy.Input{}); !errors.Is(err, policy.ErrNoEvaluator) || d.Outcome != policy.Deny {
		t.Errorf("nil EvaluatorFunc: %v, %v", d, err)
	}
	var s policy.Static
	if d, err := s.Evaluate(t.Context(), &policy.Input{}); err != nil || d.Outcome != policy.Deny {
		t.Errorf("zero Static: %v, %v", d, err)
	}
}

func TestOutcomeText(t *testing.T) {
	for o, want := range map[policy.Outcome]string{policy.Deny: "deny", policy.Ask: "ask", policy.Allow: "allow", 3: "deny", 255: "deny"} {
		text, err := o.MarshalText()
		if err != nil || string(text) != want || o.String() != want {
			t.Errorf("%d: %q, %v", uint8(o), text, err)
		}
	}
	for _, o := range []policy.Outcome{policy.Deny, policy.Ask, policy.Allow} {
		doc, err := json.Marshal(policy.Decision{Outcome: o})
		if err != nil {
			t.Fatal(err)
		}
		var back policy.Decision
		if err := json.Unmarshal(doc, &back); err != nil || back.Outcome != o {
			t.Errorf("%s: %v, %v", doc, back.Outcome, err)
		}
	}
	for _, text := range []string{"", "Allow", "allow ", "ALLOW", "2", "true"} {
		o := policy.Ask
		if err := o.UnmarshalText([]byte(text)); err == nil || o != policy.Ask {
			t.Errorf("%q: %v, %v", text, o, err)
		}
	}
}

func FuzzOutcomeText(f *testing.F) {
	f.Add([]byte("allow"))
	f.Add([]byte("deny\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var o policy.Outcome
		if err := o.UnmarshalText(text); err == nil && o.String() != string(text) {
			t.Errorf("%q reads as %v", text, o)
		}
	})
}

func action() *policy.Input {
	return &policy.Input{
		Identity: &policy.Identity{Subject: "ann", Issuer: "i", Actors: []policy.Actor{{Subject: "agent"}}},
		Target:   &policy.Target{Name: "orders", Protocol: "postgres", Labels: map[string]string{"env": "prod"}},
		Session:  &policy.Session{ID: "s1"},
		Command:  &policy.Command{Action: "query", Text: "delete from t", Params: []policy.Param{{Value: "1"}}, Facts: facts()},
	}
}

func facts() *policy.Facts {
	return &policy.Facts{
		Effects: []policy.Effect{
			{Verb: policy.VerbDelete, Kind: "table", Name: "t", Columns: []string{"a", "b"}, Filtered: []string{"c"}},
			{Verb: policy.VerbExecute, Kind: "function", Name: "f"},
		},
		Opaque: []string{"why", "not"},
		SQL:    &policy.SQL{Statements: []policy.SQLStatement{{Tag: "DELETE", Where: true, Functions: []string{"f"}}}},
	}
}

func digest(t *testing.T, in *policy.Input, revision string) string {
	t.Helper()
	d, err := policy.ActionDigest(in, revision)
	if err != nil || len(d) != 64 {
		t.Fatalf("%q, %v", d, err)
	}
	return d
}

// TestActionDigestBinds: each part of an action changes its digest.
func TestActionDigestBinds(t *testing.T) {
	seen := map[string]string{digest(t, action(), "r1"): "the action", digest(t, action(), "r2"): "revision"}
	for name, change := range map[string]func(*policy.Input){
		"subject":        func(in *policy.Input) { in.Identity.Subject = "bob" },
		"issuer":         func(in *policy.Input) { in.Identity.Issuer = "j" },
		"actor":          func(in *policy.Input) { in.Identity.Actors[0].Subject = "other" },
		"actor's issuer": func(in *policy.Input) { in.Identity.Actors[0].Issuer = "j" },
		"no actor":       func(in *policy.Input) { in.Identity.Actors = nil },
		"actors' order": func(in *policy.Input) {
			in.Identity.Subject, in.Identity.Actors[0].Subject = in.Identity.Actors[0].Subject, in.Identity.Subject
		},
		"target":      func(in *policy.Input) { in.Target.Name = "other" },
		"protocol":    func(in *policy.Input) { in.Target.Protocol = "ssh" },
		"label":       func(in *policy.Input) { in.Target.Labels["env"] = "test" },
		"action":      func(in *policy.Input) { in.Command.Action = "execute" },
		"text":        func(in *policy.Input) { in.Command.Text += ";" },
		"bad bytes":   func(in *policy.Input) { in.Command.Text += "\xff" },
		"other bytes": func(in *policy.Input) { in.Command.Text += "\xfe" },
		"replacement": func(in *policy.Input) { in.Command.Text += "\ufffd" },
		"parameter":   func(in *policy.Input) { in.Command.Params[0].Value = "2" },
		"empty":       func(in *policy.Input) { in.Command.Params[0].Value = "" },
		"null":        func(in *policy.Input) { in.Command.Params[0] = policy.Param{Null: true} },
		"binary":      func(in *policy.Input) { in.Command.Params[0].Binary = true },
		"parameters":  func(in *policy.Input) { in.Command.Params = append(in.Command.Params, policy.Param{}) },
		"joined":      func(in *policy.Input) { in.Command.Action, in.Command.Text = "querydelete", " from t" },
	} {
		in := action()
		change(in)
		d := digest(t, in, "r1")
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[d] = name
	}
}

// TestActionDigestBindsFacts: one text can stand for several actions.
func TestActionDigestBindsFacts(t *testing.T) {
	empty, none := action(), action()
	empty.Command.Facts, none.Command.Facts = &policy.Facts{}, nil
	seen := map[string]string{digest(t, action(), "r1"): "the action", digest(t, empty, "r1"): "empty", digest(t, none, "r1"): "none"}
	for name, change := range map[string]func(*policy.Facts){
		"verb":               func(f *policy.Facts) { f.Effects[0].Verb = policy.VerbRead },
		"kind":               func(f *policy.Facts) { f.Effects[0].Kind = "view" },
		"name":               func(f *policy.Facts) { f.Effects[0].Name = "u" },
		"column":             func(f *policy.Facts) { f.Effects[0].Columns = []string{"a", "c"} },
		"columns' order":     func(f *policy.Facts) { slices.Reverse(f.Effects[0].Columns) },
		"joined columns":     func(f *policy.Facts) { f.Effects[0].Columns = []string{"ab"} },
		"filtered moved":     func(f *policy.Facts) { f.Effects[0].Columns, f.Effects[0].Filtered = []string{"a", "b", "c"}, nil },
		"not filtered":       func(f *policy.Facts) { f.Effects[0].Filtered = nil },
		"filtered":           func(f *policy.Facts) { f.Effects[0].Filtered = []string{"d"} },
		"effect more":        func(f *policy.Facts) { f.Effects = append(f.Effects, policy.Effect{}) },
		"effect less":        func(f *policy.Facts) { f.Effects = f.Effects[:1] },
		"effects' order":     func(f *policy.Facts) { slices.Reverse(f.Effects) },
		"opaque":             func(f *policy.Facts) { f.Opaque[0] = "how" },
		"opaque's order":     func(f *policy.Facts) { slices.Reverse(f.Opaque) },
		"nothing opaque":     func(f *policy.Facts) { f.Opaque = nil },
		"no SQL":             func(f *policy.Facts) { f.SQL = nil },
		"empty SQL":          func(f *policy.Facts) { f.SQL = &policy.SQL{} },
		"search path":        func(f *policy.Facts) { f.SQL.SearchPath = "s" },
		"tag":                func(f *policy.Facts) { f.SQL.Statements[0].Tag = "UPDATE" },
		"where":              func(f *policy.Facts) { f.SQL.Statements[0].Where = false },
		"function":           func(f *policy.Facts) { f.SQL.Statements[0].Functions = []string{"g"} },
		"one statement more": func(f *policy.Facts) { f.SQL.Statements = append(f.SQL.Statements, policy.SQLStatement{}) },
	} {
		in := action()
		change(in.Command.Facts)
		d := digest(t, in, "r1")
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[d] = name
	}
}

// TestActionDigestOfJSON: who gets the input as JSON finds the same digest.
func TestActionDigestOfJSON(t *testing.T) {
	for name, f := range map[string]*policy.Facts{"facts": facts(), "empty": {}, "none": nil} {
		in, back := action(), new(policy.Input)
		in.Command.Facts = f
		doc, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(doc, back); err != nil || digest(t, back, "r1") != digest(t, in, "r1") {
			t.Errorf("%s: %v, %s", name, err, doc)
		}
	}
}

// TestActionDigestIgnores: what isn't part of the action leaves it alone.
func TestActionDigestIgnores(t *testing.T) {
	in := action()
	in.Session = &policy.Session{ID: "s2"}
	in.Identity.Groups, in.Identity.Expires = []string{"x"}, time.Unix(1, 0)
	in.Identity.Actors[0].Issuer = "i" // the identity's own, spelled out
	in.Approval = &policy.Approval{ID: "1"}
	if digest(t, in, "r1") != digest(t, action(), "r1") {
		t.Error("the digest is bound to the session")
	}
}

func TestActionDigestIncomplete(t *testing.T) {
	for name, change := range map[string]func(*policy.Input){
		"identity": func(in *policy.Input) { in.Identity = nil },
		"target":   func(in *policy.Input) { in.Target = nil },
		"command":  func(in *policy.Input) { in.Command = nil },
	} {
		in := action()
		change(in)
		if d, err := policy.ActionDigest(in, "r"); err == nil {
			t.Errorf("no %s: %q", name, d)
		}
	}
	if d, err := policy.ActionDigest(nil, "r"); err == nil {
		t.Errorf("nil: %q", d)
	}
}

func TestPrincipals(t *testing.T) {
	var none *policy.Identity
	if got := none.Principals(); got != nil {
		t.Errorf("nil identity: %v", got)
	}
	id := policy.Identity{Subject: "ann", Issuer: "i", Actors: []policy.Actor{{Subject: "a"}, {Subject: "b", Issuer: "j"}}}
	want := []policy.Actor{{Subject: "ann", Issuer: "i"}, {Subject: "a", Issuer: "i"}, {Subject: "b", Issuer: "j"}}
	if got := id.Principals(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if id.Actors[0].Issuer != "" {
		t.Error("Principals changed the identity")
	}
}

func TestStricter(t *testing.T) {
	a := policy.Limit{Rows: 5, Timeout: time.Second}
	b := policy.Limit{Rows: 3, Bytes: 7, CommandsPerMinute: 1, Timeout: time.Minute}
	want := policy.Limit{Rows: 3, Bytes: 7, Timeout: time.Second, CommandsPerMinute: 1}
	if a.Stricter(b) != want || b.Stricter(a) != want || a.Stricter(policy.Limit{}) != a {
		t.Errorf("%+v", a.Stricter(b))
	}
}

func TestStaticRefusesBadRules(t *testing.T) {
	match := func(*policy.Input) bool { return true }
	for name, cfg := range map[string]policy.StaticConfig{
		"no match":     {Allow: []policy.StaticRule{{}}},
		"also":         {Also: []policy.StaticRule{{}}},
		"no name":      {Deny: []policy.StaticRule{{Match: match, Reason: policy.Reason{Message: "m"}}}},
		"no message":   {Ask: []policy.StaticRule{{Match: match, Reason: policy.Reason{Rule: "r"}}}},
		"deny, no one": {Deny: []policy.StaticRule{{Reason: policy.Reason{Rule: "r", Message: "m"}}}},
	} {
		if _, err := policy.NewStatic(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStaticErrorsDeny(t *testing.T) {
	allow := []policy.StaticRule{{Match: func(*policy.Input) bool { return true }, Labels: map[string]string{"a": "1"}}}
	for name, rule := range map[string]policy.StaticRule{
		"panic":    {Match: func(*policy.Input) bool { panic("x") }},
		"conflict": {Match: func(*policy.Input) bool { return true }, Labels: map[string]string{"a": "2"}},
	} {
		s, err := policy.NewStatic(policy.StaticConfig{Allow: allow, Also: []policy.StaticRule{rule}})
		if err != nil {
			t.Fatal(err)
		}
		if d, err := s.Evaluate(t.Context(), &policy.Input{}); err == nil || !reflect.DeepEqual(d, policy.Decision{}) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func TestDecisionJSON(t *testing.T) {
	doc, err := json.Marshal(policy.Decision{})
	if err != nil || string(doc) != `{"outcome":"deny"}` {
		t.Errorf("%s, %v", doc, err)
	}
	text := fmt.Sprintf("%v", policy.Ask)
	if !strings.EqualFold(text, "ask") {
		t.Error(text)
	}
}

func ExampleNewStatic() {
	static, err := policy.NewStatic(policy.StaticConfig{
		Allow: []policy.StaticRule{{Match: func(in *policy.Input) bool { return in.Command.Action == policy.ActionConnect }}},
		Deny: []policy.StaticRule{{
			Match:  func(in *policy.Input) bool { return in.Target.Labels["env"] == "prod" },
			Reason: policy.Reason{Rule: "no-prod", Message: "not in production"},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, env := range []string{"test", "prod"} {
		decision, err := static.Evaluate(context.Background(), &policy.Input{
			Target:  &policy.Target{Labels: map[string]string{"env": env}},
			Command: &policy.Command{Action: policy.ActionConnect},
		})
		fmt.Println(env, decision.Outcome, decision.Reasons, err)
	}
	// Output:
	// test allow [] <nil>
	// prod deny [{no-prod not in production  [] 0s}] <nil>
}
