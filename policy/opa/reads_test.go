package opa

import (
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// lines lists the paths of a readSet.
func (r *readSet) lines(prefix string) []string {
	if r.all {
		return []string{prefix}
	}
	var out []string
	for _, name := range sortedKeys(r.below) {
		out = append(out, r.below[name].lines(strings.TrimPrefix(prefix+"."+name, "."))...)
	}
	return out
}

func TestReads(t *testing.T) {
	for rules, want := range map[string][]string{
		`allow := true`:                                                                     nil,
		`allow if input`:                                                                    {""},
		`allow if input.command.text == "x"`:                                                {"command.text"},
		`allow if input["command"]["text"] == "x"`:                                          {"command.text"},
		`allow if not input.command.text`:                                                   {"command.text"},
		`allow if input.command.effects[_].verb == "x"`:                                     {"command.effects"},
		`allow if input.command[_] == "x"`:                                                  {"command"},
		"allow if input[k]\nk := \"command\"":                                               {""},
		"allow if c.text == \"x\"\nc := input.command":                                      {"command"},
		"import input.command as c\nallow if c.text == \"x\"":                               {"command.text"},
		"import input as i\nallow if i.command.text == \"x\"":                               {"command.text"},
		"allow if f(input.session)\nf(s) if s.id == \"x\"":                                  {"session"},
		`allow if walk(input.identity, [["subject"], "x"])`:                                 {"identity"},
		`allow if data.x[input.target.name][input.session.id]`:                              {"session.id", "target.name"},
		`allow if count([x | x := input.command.params[_]]) > 1`:                            {"command.params"},
		"allow if {\n\tevery e in input.command.effects { e.name == input.target.name }\n}": {"command.effects", "target.name"},
		"allow if other with input.command.text as \"x\"\nother if input.session.id == \"x\"": {
			"command.text", "session.id"},
		"allow if other with input as {\"a\": input.identity.subject}\nother if input.session.id == \"x\"": {""},
		"default allow := false\nallow := false if input.session.id == \"x\" else := true if input.session.client == \"y\"": {
			"session.client", "session.id"},
		`deny contains input.command.text if input.session.id`:                {"command.text", "session.id"},
		`deny contains {"message": sprintf("%v", [input.target])}`:            {"target"},
		"deny contains $\"no {input.command.text}\" if input.session.id":      {"command.text", "session.id"},
		"allow if input.command.text == \"a\"\nallow if input.command.action": {"command.action", "command.text"},
		"allow if input.command.text == \"a\"\nallow if input.command":        {"command"},
	} {
		e := load(t, rules)
		p := e.current.Load()
		a := analyse(p.compiler.Modules, p.compiler.Capabilities().Builtins)
		got := a.reads.lines("")
		if rules == `allow := true` {
			got = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\n got %q\nwant %q", rules, got, want)
		}
	}
}

// TestReadsUncompiled: the analysis does not rely on the compiler's having moved
// every reference into an expression of its own.
func TestReadsUncompiled(t *testing.T) {
	for rules, want := range map[string][]string{
		`allow if f(input)`: {""},
		`allow if data.x[input.target.name][input.session.id]`: {"session.id", "target.name"},
		`allow if data.x[input]`:                               {""},
	} {
		m, err := ast.ParseModuleWithOpts("m.rego", "package gateway\n"+rules, ast.ParserOptions{RegoVersion: ast.RegoV1})
		must(t, err)
		if got := analyse(map[string]*ast.Module{"m.rego": m}, nil).reads.lines(""); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", rules, got, want)
		}
	}
}

// TestReadsBareVariable: the root document counts in whichever form it stands in
// the tree.
func TestReadsBareVariable(t *testing.T) {
	m := ast.MustParseModule("package gateway\nallow := true")
	m.Rules[0].Body = ast.NewBody(ast.NewExpr(ast.VarTerm("input")))
	if a := analyse(map[string]*ast.Module{"m.rego": m}, nil); !a.reads.all {
		t.Error("a bare input is not read")
	}
}
