package opa

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/headgate/gateway/policy"
)

func files(src string) fstest.MapFS {
	return fstest.MapFS{"gateway.rego": {Data: []byte(src)}}
}

// load returns an evaluator of package gateway with the given rules.
func load(tb testing.TB, rules string, change ...func(*Config)) *Evaluator {
	tb.Helper()
	cfg := Config{FS: files("package gateway\n\n" + rules), Timeout: 10 * time.Second}
	for _, f := range change {
		f(&cfg)
	}
	e, err := New(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func loadError(tb testing.TB, rules string) error {
	tb.Helper()
	_, err := New(tb.Context(), Config{FS: files("package gateway\n\n" + rules)})
	if err == nil {
		tb.Fatalf("loaded:\n%s", rules)
	}
	return err
}

func query(text string, effects ...policy.Effect) *policy.Input {
	return &policy.Input{
		Identity: &policy.Identity{Subject: "ann", Issuer: "https://idp.example", Method: "oidc", Groups: []string{"eng"}, Claims: map[string]any{"dept": "x", "level": 3.0}},
		Target:   &policy.Target{Name: "orders", Protocol: "postgres", Labels: map[string]string{"env": "prod"}},
		Session:  &policy.Session{ID: "s1", Started: time.Unix(1700000000, 0).UTC(), Client: "127.0.0.1:5"},
		Command:  &policy.Command{Action: policy.ActionQuery, Text: text, Facts: &policy.Facts{Effects: effects}},
	}
}

func read(table string) policy.Effect {
	return policy.Effect{Verb: policy.VerbRead, Kind: "table", Name: table}
}

func decide(tb testing.TB, e *Evaluator, in *policy.Input) policy.Decision {
	tb.Helper()
	d, err := e.Evaluate(context.Background(), in)
	if err != nil {
		tb.Fatal(err)
	}
	if d.Revision == "" || d.Revision != e.Revision() {
		tb.Fatalf("revision %q of a decision by %q", d.Revision, e.Revision())
	}
	return d
}

func TestPrecedence(t *testing.T) {
	const deny, ask, allow = `deny contains "no"` + "\n", `ask contains "sure?"` + "\n", `allow := true` + "\n"
	for rules, want := range map[string]policy.Outcome{
		deny + ask + allow:                       policy.Deny,
		deny + allow:                             policy.Deny,
		ask + allow:                              policy.Ask,
		ask:                                      policy.Ask,
		allow:                                    policy.Allow,
		"allow := false\n":                       policy.Deny,
		"allow if 1 == 2\n":                      policy.Deny,
		"default allow := true\n":                policy.Allow,
		`label contains {"key":"a","value":"b"}`: policy.Deny,
	} {
		if d := decide(t, load(t, rules), query("")); d.Outcome != want {
			t.Errorf("%q: %v, want %v", rules, d.Outcome, want)
		}
	}
}

func TestNothingDenies(t *testing.T) {
	var zero Evaluator
	if d, err := zero.Evaluate(t.Context(), query("")); !errors.Is(err, policy.ErrNoEvaluator) || d.Outcome != policy.Deny {
		t.Errorf("zero evaluator: %v, %v", d, err)
	}
	if _, ok := zero.Remembered(query("")); ok || zero.Revision() != "" {
		t.Error("the zero evaluator remembers or has a revision")
	}
	e := load(t, "allow := true")
	if _, err := e.Evaluate(t.Context(), nil); !errors.Is(err, policy.ErrNoInput) {
		t.Errorf("nil input: %v", err)
	}
	if _, ok := e.Remembered(nil); ok {
		t.Error("a nil input is remembered")
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Evaluate(done, query("")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if d := decide(t, load(t, "allow if count(input.command.opaque) == 0"), &policy.Input{Command: &policy.Command{}}); d.Outcome != policy.Deny {
		t.Error("a command without facts is allowed by a rule that needs them")
	}
}

func TestEvaluationErrorsDeny(t *testing.T) {
	for name, rules := range map[string]string{
		"division by zero":    `allow if 1 / count(input.command.opaque) > 0`,
		"conversion":          `allow if to_number(input.command.text) > 0`,
		"conflict":            "allow := true if input.command.text == \"x\"\nallow := false if input.command.action == \"query\"",
		"function conflict":   "f(x) := 1 if x == x\nf(x) := 2 if x != \"\"\nallow if f(input.command.text) == 1",
		"builtin in deny":     "allow := true\ndeny contains \"no\" if to_number(input.command.text) > 3",
		"expensive but wrong": "allow := true\ndeny contains sprintf(\"%d\", [x]) if x := to_number(input.session.client)",
	} {
		d, err := load(t, rules).Evaluate(t.Context(), query("x"))
		if !errors.Is(err, ErrEvaluation) || d.Outcome != policy.Deny {
			t.Errorf("%s: %v, %v", name, d.Outcome, err)
		}
	}
}

func TestTimeout(t *testing.T) {
	e := load(t, `allow if {
		some a in numbers.range(1, 100000)
		some b in numbers.range(1, 100000)
		some c in numbers.range(1, 100000)
		a + b + c == -1
	}`, func(c *Config) { c.Timeout = 20 * time.Millisecond })
	d, err := e.Evaluate(t.Context(), query(""))
	if !errors.Is(err, ErrTimeout) || d.Outcome != policy.Deny {
		t.Fatalf("%v, %v", d, err)
	}
	e = load(t, `allow if {
		some a in numbers.range(1, 100000)
		some b in numbers.range(1, 100000)
		a + b == -1
	}`, func(c *Config) { c.Timeout = time.Hour })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := e.Evaluate(ctx, query("")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("caller's deadline: %v", err)
	}
}

func TestPanicDenies(t *testing.T) {
	e := load(t, "allow if input.session.client")
	p := *e.current.Load()
	p.compiler = nil
	p.memory = nil
	e.current.Store(&p)
	d, err := e.Evaluate(t.Context(), query(""))
	if !errors.Is(err, ErrEvaluation) || !strings.Contains(err.Error(), "panic") || d.Outcome != policy.Deny {
		t.Fatalf("%v, %v", d, err)
	}
}

func TestConfig(t *testing.T) {
	ok := files("package gateway\nallow := true")
	for name, cfg := range map[string]Config{
		"no source":          {},
		"two sources":        {Dir: t.TempDir(), FS: ok},
		"empty directory":    {Dir: t.TempDir()},
		"missing directory":  {Dir: "/does/not/exist"},
		"negative timeout":   {FS: ok, Timeout: -1},
		"unknown built-in":   {FS: ok, AllowBuiltins: []string{"no.such"}},
		"harmless built-in":  {FS: ok, AllowBuiltins: []string{"count"}},
		"keys, no bundle":    {FS: ok, Verification: testKeys("k")},
		"no package gateway": {FS: files("package other\nallow := true")},
	} {
		if _, err := New(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
