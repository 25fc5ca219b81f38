package oidc_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/oidc"
)

// mapped returns a bench whose issuer has the mapping m.
func mapped(t *testing.T, m oidc.Mapping) *bench {
	t.Helper()
	return newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) { cfg.Issuers[0].Mapping = m })
}

func TestSubjectMapping(t *testing.T) {
	b := mapped(t, oidc.Mapping{Subject: "email"})
	if id := b.accept(t, b.mint(t, claims{"email": "ann@example.com"})); id.Subject != "ann@example.com" {
		t.Errorf("subject %q", id.Subject)
	}
	b.refuse(t, b.mint(t, nil), identity.ReasonClaims)
	b.refuse(t, b.mint(t, claims{"email": []string{"ann@example.com"}}), identity.ReasonClaims)
}

func TestGroupsMapping(t *testing.T) {
	for _, tc := range []struct {
		path  []string
		extra claims
		want  []string
	}{
		{nil, claims{"groups": []string{"a", "b"}}, []string{"a", "b"}},
		{nil, claims{"groups": "a"}, []string{"a"}},
		{nil, nil, nil},
		{[]string{}, claims{"groups": 7}, nil},
		{[]string{"realm_access", "roles"}, claims{"realm_access": claims{"roles": []string{"a"}}}, []string{"a"}},
		{[]string{"realm_access", "roles"}, claims{"realm_access": claims{}}, nil},
		{[]string{"realm_access", "roles"}, claims{"realm_access": "x"}, nil},
		{[]string{"https://example.com/groups"}, claims{"https://example.com/groups": []string{"a"}, "groups": "b"}, []string{"a"}},
	} {
		b := mapped(t, oidc.Mapping{Groups: tc.path})
		if id := b.accept(t, b.mint(t, tc.extra)); !reflect.DeepEqual(id.Groups, tc.want) {
			t.Errorf("%v of %v: got %q", tc.path, tc.extra, id.Groups)
		}
	}
}

// TestGroupsElsewhere uses groups that the issuer refers to but doesn't give.
func TestGroupsElsewhere(t *testing.T) {
	elsewhere := claims{"_claim_names": claims{"roles": "src"}, "_claim_sources": claims{"src": claims{"endpoint": "https://idp.example/x"}}}
	b := mapped(t, oidc.Mapping{Groups: []string{"roles"}})
	b.refuse(t, b.mint(t, elsewhere), identity.ReasonClaims)
	b = mapped(t, oidc.Mapping{})
	b.accept(t, b.mint(t, elsewhere))
}

func TestClaimsMapping(t *testing.T) {
	extra := claims{
		"azp": "app", "client_id": "app", "scope": "a b", "level": json.Number("12345678901234567890"), "admin": false, "nothing": []any{nil},
		"address": claims{"city": "Ulm"}, "groups": "eng", "jti": "1", "nonce": "n", "sid": "s", "at_hash": "h", "c_hash": "h", "s_hash": "h",
		"nbf": 1, "act": claims{"sub": "a"}, "may_act": claims{"sub": "a"}, "_claim_names": claims{}, "_claim_sources": claims{},
	}
	for _, tc := range []struct {
		mapping oidc.Mapping
		want    map[string]any
	}{
		{oidc.Mapping{}, map[string]any{
			"azp": "app", "client_id": "app", "scope": "a b", "level": json.Number("12345678901234567890"), "admin": false,
			"nothing": []any{nil}, "address": map[string]any{"city": "Ulm"},
		}},
		{oidc.Mapping{Claims: []string{"azp", "jti", "absent"}}, map[string]any{"azp": "app", "jti": "1"}},
		{oidc.Mapping{Claims: []string{}}, nil},
	} {
		b := mapped(t, tc.mapping)
		if id := b.accept(t, b.mint(t, extra)); !reflect.DeepEqual(id.Claims, tc.want) {
			t.Errorf("%v: got %v", tc.mapping.Claims, id.Claims)
		}
	}
}

func TestRequired(t *testing.T) {
	b := newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) {
		cfg.Issuers[0].Required = map[string][]string{"email_verified": {"true"}, "tenant": {"1", "2"}, "azp": nil}
	})
	good := claims{"email_verified": true, "tenant": 2, "azp": "x"}
	b.accept(t, b.mint(t, good))
	for name, edit := range map[string]claims{
		"tenant as text": {"tenant": "1"}, "tenant in a list": {"tenant": []any{"9", 2}}, "any azp": {"azp": []any{}},
	} {
		if _, err := b.verify(t, b.mint(t, merge(good, edit))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, edit := range map[string]claims{
		"not verified": {"email_verified": false}, "verified is missing": {"email_verified": nil}, "another tenant": {"tenant": 3}, "no azp": {"azp": nil},
		"tenant in an object": {"tenant": claims{"1": true}}, "tenant in a deeper list": {"tenant": []any{[]any{"1"}}},
	} {
		if _, err := b.verify(t, b.mint(t, merge(good, edit))); identity.ReasonOf(err) != identity.ReasonClaims {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func merge(a, b claims) claims {
	out := claims{}
	for _, m := range []claims{a, b} {
		maps.Copy(out, m)
	}
	return out
}
