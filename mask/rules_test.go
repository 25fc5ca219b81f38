package mask_test

import (
	"errors"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

func compileRules(t testing.TB, masks ...policy.Mask) *mask.Rules {
	t.Helper()
	own := map[string]mask.Method{"own": mask.MethodFunc(mask.Redact), "other": mask.MethodFunc(mask.Redact)}
	r, err := newSet(t, own).Rules(masks)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		table, column string
		src           mask.Source
		want          bool
	}{
		{"public.users", "email", mask.Source{Schema: "public", Table: "users", Column: "email"}, true},
		{"public.users", "email", mask.Source{Schema: "public", Table: "users", Column: "name"}, false},
		{"public.users", "email", mask.Source{Schema: "audit", Table: "users", Column: "email"}, false},
		{"public.users", "email", mask.Source{Schema: "public", Table: "user", Column: "email"}, false},
		{"public.users", "email", mask.Source{Schema: "public", Table: "Users", Column: "email"}, false},
		{"public.users", "email", mask.Source{Schema: "public", Table: "users", Column: "Email"}, false},
		{"public.users", "*", mask.Source{Schema: "public", Table: "users", Column: "anything"}, true},
		{"public.*", "email", mask.Source{Schema: "public", Table: "any", Column: "email"}, true},
		{"public.*", "email", mask.Source{Schema: "audit", Table: "any", Column: "email"}, false},
		{"*.users", "email", mask.Source{Schema: "any", Table: "users", Column: "email"}, true},
		{"*.*", "*", mask.Source{Schema: "any", Table: "any", Column: "any"}, true},
		{"*", "email", mask.Source{Schema: "any", Table: "any", Column: "email"}, true},
		{"users", "email", mask.Source{Schema: "any", Table: "users", Column: "email"}, true},
		{"my.schema.users", "email", mask.Source{Schema: "my.schema", Table: "users", Column: "email"}, true},
		{"my.schema.users", "email", mask.Source{Schema: "my", Table: "schema.users", Column: "email"}, true},
		{"my.schema.*", "email", mask.Source{Schema: "my.schema", Table: "users", Column: "email"}, true},
		{"public.u*", "email", mask.Source{Schema: "public", Table: "users", Column: "email"}, false},
		// What is not known matches.
		{"public.users", "email", mask.Source{Table: "users", Column: "email"}, true},
		{"public.users", "email", mask.Source{Schema: "public", Column: "email"}, true},
		{"public.users", "email", mask.Source{Schema: "public", Table: "users"}, true},
		{"public.users", "email", mask.Source{}, true},
		{"public.users", "email", mask.Source{Table: "orders", Column: "email"}, false},
	} {
		r := compileRules(t, policy.Mask{Table: c.table, Column: c.column, Method: mask.MethodHash})
		if got := r.Match(c.src) == mask.MethodHash; got != c.want {
			t.Errorf("%s, %s matches %+v: %v, want %v", c.table, c.column, c.src, got, c.want)
		}
	}
}

func TestStrictestWins(t *testing.T) {
	src := mask.Source{Schema: "s", Table: "t", Column: "c"}
	for _, c := range []struct{ a, b, want string }{
		{"null", "redact", "null"}, {"redact", "hash", "redact"}, {"hash", "fake", "hash"},
		{"fake", "partial", "fake"}, {"partial", "email", "partial"}, {"email", "null", "null"},
		{"email", "email", "email"}, {"own", "null", "null"}, {"own", "redact", "redact"},
		{"own", "email", "redact"}, {"own", "hash", "redact"}, {"own", "other", "redact"}, {"own", "own", "own"},
	} {
		for _, m := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			r := compileRules(t, policy.Mask{Table: "s.t", Column: "c", Method: m[0]},
				policy.Mask{Table: "s.*", Column: "*", Method: m[1]})
			if got := r.Match(src); got != c.want {
				t.Errorf("%s and %s: %s, want %s", m[0], m[1], got, c.want)
			}
		}
	}
}

func TestSmallerKeepWins(t *testing.T) {
	for _, keeps := range [][2]int{{4, 2}, {2, 4}} {
		r := compileRules(t, policy.Mask{Table: "s.t", Column: "c", Method: "partial", Keep: keeps[0]},
			policy.Mask{Table: "s.t", Column: "c", Method: "partial", Keep: keeps[1]})
		got, _ := compile(t, r, column(text(0), "c")).Value(nil, 0, []byte("123456"))
		if string(got) != "****56" {
			t.Errorf("keeps %v: %q", keeps, got)
		}
	}
	r := compileRules(t, policy.Mask{Table: "s.t", Column: "c", Method: "own", Keep: 1},
		policy.Mask{Table: "s.t", Column: "c", Method: "own", Keep: 2})
	if got := r.Match(mask.Source{Schema: "s", Table: "t", Column: "c"}); got != mask.MethodRedact {
		t.Errorf("a host's method with two parameters: %s, want redact", got)
	}
}

func TestRulesRefuse(t *testing.T) {
	s, err := mask.NewSet(mask.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		mask policy.Mask
		want error
	}{
		"zero mask":         {policy.Mask{}, mask.ErrUnknownMethod},
		"unknown method":    {policy.Mask{Table: "s.t", Column: "c", Method: "Redact"}, mask.ErrUnknownMethod},
		"no key":            {policy.Mask{Table: "s.t", Column: "c", Method: "fake"}, mask.ErrNoKey},
		"no table":          {policy.Mask{Column: "c", Method: "null"}, mask.ErrInvalidRule},
		"no column":         {policy.Mask{Table: "s.t", Method: "null"}, mask.ErrInvalidRule},
		"unknown filter":    {policy.Mask{Table: "s.t", Column: "c", Method: "null", Filter: "Refuse"}, mask.ErrInvalidRule},
		"detect and filter": {policy.Mask{Table: "s.t", Column: "c", Method: "null", Detect: []string{"email"}, Filter: "refuse"}, mask.ErrInvalidRule},
		"unknown choice":    {policy.Mask{Table: "s.t", Column: "c", Method: "null", Untraced: "allow"}, mask.ErrInvalidRule},
		"negative keep":     {policy.Mask{Table: "s.t", Column: "c", Method: "partial", Keep: -1}, mask.ErrInvalidRule},
	} {
		if r, err := s.Rules([]policy.Mask{c.mask}); r != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// What one rule refuses, no other allows again.
func TestChoicesAddUp(t *testing.T) {
	s := newSet(t, nil)
	r, err := s.Rules([]policy.Mask{
		{Table: "s.t", Column: "c", Method: "null", Filter: policy.MaskRefuse, Untraced: policy.MaskWhole},
		{Table: "s.*", Column: "*", Method: "redact", Filter: policy.MaskAllow},
		{Table: "*.u", Column: "c", Method: "redact", Untraced: policy.MaskRefuse},
	})
	if err != nil {
		t.Fatal(err)
	}
	for src, want := range map[mask.Source]mask.Choices{
		{Schema: "s", Table: "t", Column: "c"}: {RefuseFilter: true},
		{Schema: "s", Table: "t", Column: "d"}: {},
		{Schema: "s", Table: "u", Column: "c"}: {RefuseUntraced: true},
		{Schema: "s", Table: "t"}:              {RefuseFilter: true},
	} {
		if got := r.Choices(src); got != want {
			t.Errorf("%v: %+v, want %+v", src, got, want)
		}
	}
	if got := (*mask.Rules)(nil).Choices(mask.Source{}); !got.RefuseFilter || !got.RefuseUntraced {
		t.Errorf("nil rules allow: %+v", got)
	}
}

func TestNilRulesMask(t *testing.T) {
	var r *mask.Rules
	if got := r.Match(mask.Source{Schema: "s", Table: "t", Column: "c"}); got != mask.MethodNull {
		t.Errorf("nil rules say %q", got)
	}
	if p, err := mask.Compile(nil, nil); p != nil || !errors.Is(err, mask.ErrNoRules) {
		t.Errorf("nil rules compile: %v", err)
	}
}
