package opa

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/headgate/gateway/policy"
)

func remembers(e *Evaluator, in *policy.Input) bool {
	_, ok := e.Remembered(in)
	return ok
}

func TestVaryingPoliciesAreNotRemembered(t *testing.T) {
	for _, rules := range []string{
		`allow if time.now_ns() > 0`,
		"allow if f(1) > 0\nf(_) := time.now_ns()",
		"allow if later with f as io.jwt.decode_verify\nlater if f(\"x\", {})[0]\nf(_, _) := [false]",
		`allow if io.jwt.decode_verify(input.command.text, {"secret": "s"})[0]`,
		`allow if crypto.x509.parse_and_verify_certificates(input.command.text)[0]`,
		"allow := true\ndeny contains \"x\" if {\n\tinput.command.text == \"never\"\n\ttime.now_ns() > 0\n}",
	} {
		if e := load(t, rules); e.current.Load().memory != nil {
			t.Errorf("remembered: %s", rules)
		}
	}
	e := load(t, `label contains {"key": "now", "value": sprintf("%d", [time.now_ns()])}`)
	in := query("")
	if a, b := decide(t, e, in), decide(t, e, in); a.Labels["now"] == b.Labels["now"] {
		t.Errorf("time stands still: %v", a)
	}
}

// TestOnlyReadsCount: a decision is remembered across everything that the policy
// can't read, and across nothing else.
func TestOnlyReadsCount(t *testing.T) {
	change := map[string]func(in *policy.Input){
		"text":     func(in *policy.Input) { in.Command.Text = "other" },
		"action":   func(in *policy.Input) { in.Command.Action = policy.ActionConnect },
		"params":   func(in *policy.Input) { in.Command.Params = []policy.Param{{Value: "1"}} },
		"null":     func(in *policy.Input) { in.Command.Params = []policy.Param{{Null: true}} },
		"id":       func(in *policy.Input) { in.Session.ID = "s2" },
		"counters": func(in *policy.Input) { in.Session.Counters.Rows++ },
		"labels":   func(in *policy.Input) { in.Session.Labels = map[string]string{"a": "b"} },
		"subject":  func(in *policy.Input) { id := *in.Identity; id.Subject = "bob"; in.Identity = &id },
		"claims": func(in *policy.Input) {
			id := *in.Identity
			id.Claims = map[string]any{"dept": "y", "level": 3.0}
			in.Identity = &id
		},
		"target":  func(in *policy.Input) { tg := *in.Target; tg.Labels = nil; in.Target = &tg },
		"effects": func(in *policy.Input) { in.Command.Facts = &policy.Facts{Effects: []policy.Effect{read("x")}} },
		"opaque":  func(in *policy.Input) { in.Command.Facts = &policy.Facts{Opaque: []string{"x"}} },
	}
	for rules, reads := range map[string][]string{
		`allow if input.command.text == "x"`:                              {"text"},
		`allow if input.command.action == "query"`:                        {"action"},
		`allow if input.command.params == []`:                             {"params", "null"},
		`allow if input.session.id == "s1"`:                               {"id"},
		`allow if input.session.counters.rows == 0`:                       {"counters"},
		`allow if input.session.counters.commands == 0`:                   {},
		`allow if input.session.labels.a`:                                 {"labels"},
		`allow if input.identity.subject == "ann"`:                        {"subject"},
		`allow if input.identity.claims.dept == "x"`:                      {"claims"},
		`allow if input.identity.claims.level == 3`:                       {},
		`allow if input.target.labels.env == "prod"`:                      {"target"},
		`allow if count(input.command.effects) == 0`:                      {"effects"},
		`allow if count(input.command.opaque) == 0`:                       {"opaque"},
		"import input.command as c\nallow if c.text == \"x\"":             {"text"},
		"allow if object.get(input, [\"command\", \"text\"], \"\")==\"\"": sortedKeys(change),
		"allow if input[x]\nx := \"command\"":                             sortedKeys(change),
		"allow if input.command[data.which] == \"x\"":                     {"text", "action", "params", "null", "effects", "opaque"},
	} {
		e := load(t, rules)
		for name, f := range change {
			first := query("x")
			decide(t, e, first)
			second := query("x")
			f(second)
			want := !slices.Contains(reads, name)
			if got := remembers(e, second); got != want {
				t.Errorf("%s: remembered across a change of %s: %v", rules, name, got)
			}
			e.current.Load().memory = newMemory(e.current.Load().input, 100)
		}
	}
}

func TestTextTellsEqualFactsApart(t *testing.T) {
	e := load(t, "allow := true\ndeny contains \"no\" if contains(input.command.text, \"secret\")")
	in := query("select 1")
	other := *in
	other.Command = &policy.Command{Action: in.Command.Action, Text: "select secret", Facts: in.Command.Facts}
	for range 3 {
		if decide(t, e, in).Outcome != policy.Allow || decide(t, e, &other).Outcome != policy.Deny {
			t.Fatal("two texts share a decision")
		}
	}
	long := *in
	long.Command = &policy.Command{Action: in.Command.Action, Text: strings.Repeat("x", maxKeyText) + "secret", Facts: in.Command.Facts}
	if decide(t, e, &long).Outcome != policy.Deny || !remembers(e, &long) {
		t.Error("a long text is decided wrongly or forgotten")
	}
}

// TestRecycledSession: a guard hands in the same Input and Session values again
// with other content.
func TestRecycledSession(t *testing.T) {
	e := load(t, "allow if input.session.counters.commands < 2")
	in := query("x")
	for want := range int64(4) {
		in.Session.Counters.Commands = want
		if got := decide(t, e, in).Outcome == policy.Allow; got != (want < 2) {
			t.Errorf("%d commands: allowed %v", want, got)
		}
	}
}

func TestApprovalsAreNotRemembered(t *testing.T) {
	e := load(t, "allow if input.approval.approver == \"eve\"\nask contains \"x\" if not input.approval")
	in := query("x")
	if decide(t, e, in).Outcome != policy.Ask {
		t.Fatal("not asked")
	}
	in.Approval = &policy.Approval{ID: "1", Approver: "eve"}
	if d := decide(t, e, in); d.Outcome != policy.Allow || remembers(e, in) {
		t.Errorf("redeemed: %v", d.Outcome)
	}
	in.Approval = &policy.Approval{ID: "1", Approver: "mallory"}
	if d := decide(t, e, in); d.Outcome != policy.Deny {
		t.Errorf("another approver: %v", d.Outcome)
	}
	in.Approval = nil
	if decide(t, e, in).Outcome != policy.Ask {
		t.Error("an approval outlives its use")
	}
}

func TestErrorsAreNotRemembered(t *testing.T) {
	e := load(t, `allow if to_number(input.command.text) > 0`)
	for range 2 {
		if _, err := e.Evaluate(t.Context(), query("x")); err == nil {
			t.Fatal("no error")
		}
	}
	in := query("1")
	if in.Command = nil; remembers(e, in) {
		t.Error("an incomplete input is remembered")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	e := load(t, `label contains {"key": "n", "value": input.command.text}`, func(c *Config) { c.Remember = 320 })
	m := e.current.Load().memory
	for i := range 5000 {
		text := fmt.Sprint("n", i)
		if d := decide(t, e, query(text)); d.Labels["n"] != text {
			t.Fatalf("%q decided as %v", text, d.Labels)
		}
	}
	if q, s := m.quick.len(), m.shared.len(); q > 320 || s > 320 || q == 0 || s == 0 {
		t.Errorf("%d and %d entries", q, s)
	}
	big := query(strings.Repeat("y", maxDecisionSize+1))
	if decide(t, e, big); remembers(e, big) {
		t.Error("a huge decision is remembered")
	}
}

// TestHugeFactsAreNotPinned: an agent can send statements with as many effects as
// fit into a message, and the memory must not keep them all.
func TestHugeFactsAreNotPinned(t *testing.T) {
	e := load(t, "allow if count(input.command.effects) > 5")
	m := e.current.Load().memory
	in := query("x", make([]policy.Effect, 10_000)...)
	decide(t, e, in)
	if m.quick.len() != 0 || !remembers(e, in) {
		t.Errorf("%d quick entries, remembered %v", m.quick.len(), remembers(e, in))
	}
	in.Command.Facts = &policy.Facts{SQL: &policy.SQL{Statements: make([]policy.SQLStatement, 10_000)}, Opaque: []string{"x"}}
	if decide(t, e, in); m.quick.len() != 0 {
		t.Error("facts of many statements are pinned")
	}
	decide(t, e, query("x", read("t")))
	if m.quick.len() != 1 {
		t.Error("small facts are not kept")
	}
}

func TestRememberNothing(t *testing.T) {
	e := load(t, "allow := true", func(c *Config) { c.Remember = -1 })
	if decide(t, e, query("")); remembers(e, query("")) {
		t.Error("remembered")
	}
}

// randomPolicies read different parts in different ways.
func randomPolicies() []string {
	return []string{
		`allow if input.command.action == "query"`,
		"allow if input.identity.groups[_] == \"g1\"\ndeny contains input.command.text if count(input.command.effects) > 1",
		"ask contains {\"message\": concat(\"\", [e.verb, e.name])} if some e in input.command.effects",
		"allow := true\nlabel contains {\"key\": k, \"value\": v} if some k, v in input.session.labels",
		"deny contains sprintf(\"%v\", [input])",
		"allow if {\n\tevery p in input.command.params { p.value != \"1\" }\n}\ndeny contains \"many\" if input.session.counters.commands > 1",
		"deny contains sprintf(\"%v %v\", [input.identity.claims.a, input.target.labels.env])",
		"limit contains {\"rows\": count(input.command.text) + 1}\nallow if not input.command.opaque[0]",
		"deny contains sprintf(\"%v\", [object.get(input.identity, \"actors\", \"none\")])",
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// randomInputs draws inputs from few values, with identities, targets and facts
// shared by pointer as a gateway does.
func randomInputs(r *rand.Rand, n int) []*policy.Input {
	identities := []*policy.Identity{nil, {}, {Subject: "a", Groups: []string{"g1"}}, {Subject: "a", Groups: []string{"g1"}, Claims: map[string]any{"a": 1}},
		{Subject: "a", Claims: map[string]any{"a": "1"}}, {Subject: "a", Actors: []policy.Actor{{Subject: "x"}}}}
	targets := []*policy.Target{nil, {Name: "t"}, {Name: "t", Labels: map[string]string{"env": "prod"}}}
	facts := []*policy.Facts{nil, {}, {Effects: []policy.Effect{read("t")}}, {Effects: []policy.Effect{read("t"), read("u")}}, {Effects: []policy.Effect{read("t")}, Opaque: []string{"x"}}}
	out := make([]*policy.Input, n)
	for i := range out {
		in := &policy.Input{Identity: pick(r, identities...), Target: pick(r, targets...)}
		if r.IntN(8) > 0 {
			in.Command = &policy.Command{Action: pick(r, "query", "connect"), Text: pick(r, "", "1", "22"), Facts: pick(r, facts...),
				Params: pick(r, nil, []policy.Param{{Value: "1"}}, []policy.Param{{Null: true}})}
		}
		if r.IntN(8) > 0 {
			in.Session = &policy.Session{ID: pick(r, "s1", "s2"), Labels: pick(r, nil, map[string]string{"k": "v"}, map[string]string{"k": "w"})}
			in.Session.Counters.Commands = r.Int64N(3)
		}
		if r.IntN(8) == 0 {
			in.Approval = &policy.Approval{ID: "1"}
		}
		out[i] = in
	}
	return out
}

// TestMemoryAgreesWithOPA is the differential test: a remembered decision equals
// the one that OPA reaches on the whole input.
func TestMemoryAgreesWithOPA(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, rules := range randomPolicies() {
		with := load(t, rules, func(c *Config) { c.Remember = 64 })
		without := load(t, rules, func(c *Config) { c.Remember = -1 })
		whole := *without.current.Load()
		whole.input = newPlan(reflect.TypeFor[policy.Input](), &readSet{all: true})
		without.current.Store(&whole)
		for i, in := range randomInputs(r, 600) {
			want, wantErr := without.Evaluate(t.Context(), in)
			got, gotErr := with.Evaluate(t.Context(), in)
			if (wantErr == nil) != (gotErr == nil) || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s\ninput %d: %+v, %v; want %+v, %v", rules, i, got, gotErr, want, wantErr)
			}
		}
	}
}

// TestConcurrent runs evaluations against reloads.
func TestConcurrent(t *testing.T) {
	e := load(t, randomPolicies()[1], func(c *Config) { c.Remember = 64 })
	in := randomInputs(rand.New(rand.NewPCG(3, 4)), 64)
	want := make([]policy.Decision, len(in))
	for i := range in {
		want[i], _ = e.Evaluate(t.Context(), in[i])
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range 500 {
				i := n % len(in)
				if d, _ := e.Evaluate(context.Background(), in[i]); !reflect.DeepEqual(d, want[i]) {
					t.Errorf("input %d: %+v", i, d)
					return
				}
			}
		})
	}
	for range 5 {
		if err := e.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}
