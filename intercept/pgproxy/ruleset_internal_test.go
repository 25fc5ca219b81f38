package pgproxy

import (
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

func TestRulesetsAreRememberedByWhatIsInThem(t *testing.T) {
	set, err := mask.NewSet(mask.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rulesets{set: set}
	compile := func(masks []policy.Mask) *ruleset {
		rules, err := r.compile(masks)
		if err != nil {
			t.Fatal(err)
		}
		return rules
	}
	masks := []policy.Mask{{Table: "public.people", Column: "card", Method: mask.MethodRedact}, {Table: "public.people", Column: "email", Method: mask.MethodRedact}}
	email := mask.Source{Schema: "public", Table: "people", Column: "email"}
	name := mask.Source{Schema: "public", Table: "people", Column: "name"}
	if compile(masks[:1]).rules.Match(email) != "" {
		t.Error("the first mask is about another column")
	}
	both := compile(masks)
	if both.rules.Match(email) == "" {
		t.Error("a list of the same array with more masks was taken for the shorter one")
	}
	if compile(masks) != both {
		t.Error("the same list was compiled again")
	}
	masks[0].Column = "name"
	if compile(masks).rules.Match(name) == "" {
		t.Error("a changed list was taken for what it was before")
	}
}
