package opa

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/headgate/gateway/policy"
)

func TestOutputs(t *testing.T) {
	for rules, want := range map[string]policy.Decision{
		`deny contains "no writes"`: {Reasons: []policy.Reason{{Rule: "deny", Message: "no writes"}}},
		`deny contains {"rule": "r", "message": "m", "hint": "h"}` + "\n" + `deny contains {"message": "a"}`: {
			Reasons: []policy.Reason{{Rule: "deny", Message: "a"}, {Rule: "r", Message: "m", Hint: "h"}},
		},
		`ask contains {"rule": "r", "message": "m", "approvers": ["dba", "lead"], "expires": "1h30m"}`: {
			Outcome: policy.Ask,
			Reasons: []policy.Reason{{Rule: "r", Message: "m", Approvers: []string{"dba", "lead"}, Expires: 90 * time.Minute}},
		},
		`ask contains {"message": "m", "approvers": {"b", "a"}}`: {
			Outcome: policy.Ask,
			Reasons: []policy.Reason{{Rule: "ask", Message: "m", Approvers: []string{"a", "b"}}},
		},
		"allow := true\n" + `mask contains {"table": "public.users", "column": "email", "method": "partial", "keep": 4}` + "\n" +
			`mask contains {"table": "*.*", "column": "ssn", "method": "null"}` + "\n" + `mask contains {"table": "*.*", "column": "*", "detect": ["email", "card"], "method": "redact"}`: {
			Outcome: policy.Allow,
			Masks:   []policy.Mask{{Table: "*.*", Column: "*", Method: "redact", Detect: []string{"email", "card"}}, {Table: "*.*", Column: "ssn", Method: "null"}, {Table: "public.users", Column: "email", Method: "partial", Keep: 4}},
		},
		"allow := true\n" + `mask contains {"table": "a.b", "column": "c", "method": "null", "filter": "refuse", "untraced": "refuse"}` + "\n" +
			`mask contains {"table": "a.b", "column": "d", "method": "null", "filter": "allow", "untraced": "mask"}`: {
			Outcome: policy.Allow,
			Masks:   []policy.Mask{{Table: "a.b", Column: "c", Method: "null", Filter: "refuse", Untraced: "refuse"}, {Table: "a.b", Column: "d", Method: "null", Filter: "allow", Untraced: "mask"}},
		},
		"allow := true\n" + `limit contains {"rows": 100, "seconds": 2.5}` + "\n" + `limit contains {"rows": 50, "bytes": 9, "commands_per_minute": 6}`: {
			Outcome: policy.Allow,
			Limit:   &policy.Limit{Rows: 50, Bytes: 9, Timeout: 2500 * time.Millisecond, CommandsPerMinute: 6},
		},
		"allow := true\n" + `label contains {"key": "k", "value": "v"}` + "\n" + `label contains {"key": "l", "value": "w"}`: {
			Outcome: policy.Allow, Labels: map[string]string{"k": "v", "l": "w"},
		},
		"deny contains \"x\"\n" + `label contains {"key": "k", "value": "v"}` + "\n" + `mask contains {"table": "a.b", "column": "*", "method": "hash"}`: {
			Reasons: []policy.Reason{{Rule: "deny", Message: "x"}}, Labels: map[string]string{"k": "v"},
		},
	} {
		e := load(t, rules)
		want.Revision = e.Revision()
		if got := decide(t, e, query("")); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", rules, got, want)
		}
	}
}

// TestMalformedOutputsDeny: what doesn't follow the contract is an error, never
// left out.
func TestMalformedOutputsDeny(t *testing.T) {
	for _, rule := range []string{
		`allow := "yes"`,
		`deny contains 1`,
		`deny contains ""`,
		`deny contains {"rule": "x"}`,
		`deny contains {"message": ""}`,
		`deny contains {"message": 1}`,
		`deny contains {"message": "x", "rule": 7}`,
		`deny contains {"message": "x", "hnit": "y"}`,
		`deny contains {"message": "x", "approvers": ["a"]}`,
		`ask contains {"message": "x", "approvers": "dba"}`,
		`ask contains {"message": "x", "approvers": []}`,
		`ask contains {"message": "x", "approvers": [1]}`,
		`ask contains {"message": "x", "expires": 60}`,
		`ask contains {"message": "x", "expires": "soon"}`,
		`ask contains {"message": "x", "expires": "-1m"}`,
		`mask contains "public.users.email"`,
		`mask contains {"table": "users", "column": "email", "method": "redact"}`,
		`mask contains {"table": ".users", "column": "email", "method": "redact"}`,
		`mask contains {"table": "public.", "column": "email", "method": "redact"}`,
		`mask contains {"table": "public.users", "method": "redact"}`,
		`mask contains {"table": "public.users", "column": "email", "method": "rot13"}`,
		`mask contains {"table": "public.users", "column": "email", "method": "partial", "keep": -1}`,
		`mask contains {"table": "public.users", "column": "email", "method": "partial", "keep": 1.5}`,
		`mask contains {"table": "public.users", "column": "email", "method": "partial", "keep": "4"}`,
		`mask contains {"table": "public.users", "column": "email", "method": "hash", "keep": 4}`,
		`mask contains {"table": "public.users", "column": "email", "method": "hash", "filter": "mask"}`,
		`mask contains {"table": "public.users", "column": "email", "method": "hash", "filter": true}`,
		`mask contains {"table": "public.users", "column": "email", "method": "redact", "detect": ["email"], "filter": "refuse"}`,
		`mask contains {"table": "public.users", "column": "email", "method": "hash", "untraced": "allow"}`,
		`mask contains {"table": "public.users", "columns": "email", "method": "hash"}`,
		`mask contains {"table": "*.*", "column": "*", "method": "redact", "detect": "email"}`,
		`mask contains {"table": "*.*", "column": "*", "method": "redact", "detect": []}`,
		`mask contains {"table": "*.*", "column": "*", "method": "redact", "detect": [""]}`,
		`mask contains {"table": "*.*", "column": "*", "method": "redact", "detect": [1]}`,
		`mask contains {"table": "*.*", "column": "*", "detect": ["email"]}`,
		`limit contains {}`,
		`limit contains {"rows": 0}`,
		`limit contains {"rows": -5}`,
		`limit contains {"rows": "5"}`,
		`limit contains {"rows": 99999999999999999999}`,
		`limit contains {"seconds": 0}`,
		`limit contains {"seconds": 1e300}`,
		`limit contains {"seconds": "5"}`,
		`limit contains {"row": 5}`,
		`limit contains 5`,
		`label contains "x"`,
		`label contains {"key": "x"}`,
		`label contains {"key": "x", "value": 1}`,
		"label contains {\"key\": \"x\", \"value\": \"1\"}\nlabel contains {\"key\": \"x\", \"value\": \"2\"}",
	} {
		e := load(t, rule+"\nask contains \"anyhow\"")
		d, err := e.Evaluate(t.Context(), query(""))
		if !errors.Is(err, ErrOutput) || !reflect.DeepEqual(d, policy.Decision{}) {
			t.Errorf("%s: %+v, %v", rule, d, err)
		}
	}
}

// TestFilesCompose: files of several teams add up, and none weakens another.
func TestFilesCompose(t *testing.T) {
	e := load(t, `allow if input.command.action == "query"
deny contains "a" if input.command.text == "a"
deny contains "b" if input.command.text in {"a", "b"}
allow if input.command.text == "b"`)
	for text, want := range map[string]int{"a": 2, "b": 1, "c": 0} {
		d := decide(t, e, query(text))
		if len(d.Reasons) != want || (d.Outcome == policy.Allow) != (want == 0) {
			t.Errorf("%s: %+v", text, d)
		}
	}
}

// FuzzDecode feeds values of any shape to the decoder.
func FuzzDecode(f *testing.F) {
	f.Add("deny", `{"message": "x"}`)
	f.Add("ask", `{"message": "x", "approvers": ["a"], "expires": "5m"}`)
	f.Add("mask", `{"table": "a.b", "column": "c", "method": "partial", "keep": 2}`)
	f.Add("limit", `{"rows": 5, "seconds": 0.1}`)
	f.Add("label", `{"key": "a", "value": "b"}`)
	f.Add("allow", `true`)
	f.Fuzz(func(t *testing.T, name, doc string) {
		v, err := ast.ValueFromReader(strings.NewReader(doc))
		if err != nil {
			return
		}
		if name != "allow" {
			v = ast.NewSet(ast.NewTerm(v))
		}
		d, err := decode([]string{"allow", name}, ast.NewArray(
			ast.ArrayTerm(ast.InternedTerm(true)), ast.ArrayTerm(ast.NewTerm(v))))
		if err != nil && !reflect.DeepEqual(d, policy.Decision{}) {
			t.Fatalf("an error and %+v", d)
		}
		if name == "deny" && err == nil && d.Outcome != policy.Deny {
			t.Fatalf("%s doesn't deny: %+v", doc, d)
		}
		for _, m := range d.Masks {
			if !knownMethod(m.Method) || m.Column == "" || m.Keep < 0 {
				t.Fatalf("%s gives %+v", doc, m)
			}
		}
		if d.Limit != nil && (*d.Limit == policy.Limit{} || d.Limit.Rows < 0 || d.Limit.Timeout < 0) {
			t.Fatalf("%s gives %+v", doc, d.Limit)
		}
	})
}
