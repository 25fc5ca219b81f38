package opa

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/headgate/gateway/policy"
)

var update = flag.Bool("update", false, "write the published schema anew")

func wholePlan() *plan { return newPlan(reflect.TypeFor[policy.Input](), &readSet{all: true}) }

// withoutNulls is what JSON gives with nulls left out, and those of slices empty.
func withoutNulls(v any, name string) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, x := range m {
		switch {
		case name == "claims":
			out[k] = x
		case x == nil && (k == "effects" || k == "opaque" || k == "statements"):
			out[k] = []any{}
		case x != nil:
			out[k] = withoutNulls(x, k)
		}
	}
	return out
}

func fullInput() *policy.Input {
	in := query("select '\xff\xfe<&>\u2028'", policy.Effect{Verb: "read", Kind: "table", Name: "a.b", Columns: []string{"*"}, Filtered: []string{"id"}})
	in.Identity.Actors = []policy.Actor{{Subject: "agent", Issuer: "i"}, {Subject: "tool"}}
	in.Identity.Expires = time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600))
	in.Identity.Claims = map[string]any{"n": nil, "f": 1.5, "big": 1e21, "s": "t\xff", "b": true, "l": []any{1, "x", nil}, "o": map[string]any{"k": int64(math.MaxInt64)}}
	in.Session.Counters = policy.Counters{Commands: 1, Denied: -2, Rows: math.MaxInt64}
	in.Session.Labels = map[string]string{"b": "c", "a": ""}
	in.Command.Params = []policy.Param{{Value: "x"}, {Null: true}, {Value: "00", Binary: true}}
	in.Command.Opaque = []string{"dynamic"}
	in.Command.SQL = &policy.SQL{Statements: []policy.SQLStatement{{Tag: "SELECT", Where: true, Functions: []string{"now"}}, {}}}
	in.Approval = &policy.Approval{ID: "1", Approver: "eve", Groups: []string{"dba"}, Reason: "ok", GrantedAt: time.Unix(5, 0).UTC()}
	return in
}

// TestDocumentIsJSON: the input document is the Input's JSON form, without nulls.
func TestDocumentIsJSON(t *testing.T) {
	for name, in := range map[string]*policy.Input{
		"full": fullInput(), "zero": {}, "empty": {Identity: &policy.Identity{}, Target: &policy.Target{}, Session: &policy.Session{}, Command: &policy.Command{}},
		"no effects": {Command: &policy.Command{Facts: &policy.Facts{SQL: &policy.SQL{}}}},
	} {
		doc, err := wholePlan().document(reflect.ValueOf(in))
		must(t, err)
		text, err := json.Marshal(in)
		must(t, err)
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var generic any
		must(t, d.Decode(&generic))
		want, err := ast.InterfaceToValue(withoutNulls(generic, ""))
		must(t, err)
		if doc.Value.Compare(want) != 0 {
			t.Errorf("%s: document\n%v\nwant\n%v", name, doc, want)
		}
	}
}

func TestDocumentOfUnwritableClaim(t *testing.T) {
	in := query("")
	in.Identity.Claims = map[string]any{"c": make(chan int), "nan": math.NaN()}
	for _, rules := range []string{`allow if input.identity.claims.c == 1`, `allow if input.identity.claims.nan == 1`} {
		if _, err := load(t, rules).Evaluate(t.Context(), in); err == nil {
			t.Errorf("%s: no error", rules)
		}
	}
}

func TestPruned(t *testing.T) {
	e := load(t, `allow if input.identity.claims.dept == input.target.labels.env`+"\n"+`deny contains "x" if input.command.sql.statements[0].where`)
	in := fullInput()
	doc, err := e.current.Load().documentOf(in)
	must(t, err)
	want := `{"identity":{"claims":{}},"target":{"labels":{"env":"prod"}},"command":{"sql":{"statements":[{"tag":"SELECT","where":true,"functions":["now"]},{"tag":"","where":false}]}}}`
	if doc.Value.Compare(ast.MustParseTerm(want).Value) != 0 {
		t.Errorf("%v", doc)
	}
}

// TestSchemaIsPublished holds docs/rego-input.schema.json and docs/rego.md to the
// Go types. Run with -update to write the schema anew.
func TestSchemaIsPublished(t *testing.T) {
	const file = "../../docs/rego-input.schema.json"
	got, err := Schema()
	must(t, err)
	if *update {
		must(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not Schema(): run the test with -update and describe what is new in docs/rego.md", file)
	}
	contract, err := os.ReadFile("../../docs/rego.md")
	must(t, err)
	for _, path := range paths("input", mustSchema(t)) {
		if !strings.Contains(string(contract), "`"+path+"`") {
			t.Errorf("docs/rego.md says nothing about `%s`", path)
		}
	}
}

func mustSchema(t *testing.T) map[string]any {
	t.Helper()
	s, err := inputSchema()
	must(t, err)
	return s
}

// paths lists the leaves and open objects of a schema as the contract writes them.
func paths(prefix string, schema map[string]any) []string {
	if items, ok := schema["items"].(map[string]any); ok {
		return paths(prefix+"[_]", items)
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return []string{strings.TrimSuffix(prefix, "[_]")}
	}
	var out []string
	for _, name := range sortedKeys(properties) {
		out = append(out, paths(prefix+"."+name, properties[name].(map[string]any))...)
	}
	return out
}

func TestSchemaRefusesWhatItCannotHold(t *testing.T) {
	type odd struct{ A []*int }
	for _, v := range []any{odd{}, []byte{}, map[int]string{}, make(chan int), struct{ O policy.Outcome }{}, struct{ F func() }{}, map[string]*int{}} {
		if s, err := schemaOf(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T: %v", v, s)
		}
	}
}

// FuzzCanonical: equal keys mean equal documents, for the whole input and for
// parts of it.
func FuzzCanonical(f *testing.F) {
	full, err := json.Marshal(fullInput())
	must(f, err)
	f.Add(full, []byte(`{}`))
	f.Add([]byte(`{"command":{"text":"ab","action":""}}`), []byte(`{"command":{"text":"b","action":"a"}}`))
	f.Add([]byte(`{"identity":{"claims":{"a":"1"}}}`), []byte(`{"identity":{"claims":{"a":1}}}`))
	f.Add([]byte(`{"command":{"effects":null}}`), []byte(`{"command":{"effects":[]}}`))
	reads := new(readSet)
	reads.add([]string{"command"})
	reads.add([]string{"identity", "claims", "a"})
	plans := []*plan{wholePlan(), newPlan(reflect.TypeFor[policy.Input](), reads)}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var x, y policy.Input
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			return
		}
		for _, p := range plans {
			same(t, p, &x, &y)
		}
	})
}

func same(t *testing.T, p *plan, x, y *policy.Input) {
	t.Helper()
	kx, errX := p.canonical(nil, reflect.ValueOf(x).Elem())
	ky, errY := p.canonical(nil, reflect.ValueOf(y).Elem())
	if errX != nil || errY != nil {
		return
	}
	dx, err := p.document(reflect.ValueOf(x).Elem())
	must(t, err)
	dy, err := p.document(reflect.ValueOf(y).Elem())
	must(t, err)
	if bytes.Equal(kx, ky) && dx.Value.Compare(dy.Value) != 0 {
		t.Fatalf("one key for two documents:\n%v\n%v", dx, dy)
	}
}
