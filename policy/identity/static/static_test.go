package static_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/identitytest"
	"github.com/headgate/gateway/policy/identity/static"
	"github.com/headgate/gateway/policy/secret"
)

const token = "development-token-0123456789"

func TestConformance(t *testing.T) {
	identitytest.Run(t, identitytest.Harness{New: func(t *testing.T) identitytest.Fixture {
		t.Helper()
		now := time.Unix(1_800_000_000, 0)
		want := policy.Identity{
			Subject: "ann", Issuer: "dev", Groups: []string{"eng"}, Expires: now.Add(time.Hour),
			Claims: map[string]any{"team": "db"}, Actors: []policy.Actor{{Subject: "agent-7"}},
		}
		v, err := static.New(static.Config{
			Now: func() time.Time { return now },
			Tokens: []static.Token{
				{Token: secret.New("another-token-987654321"), Identity: policy.Identity{Subject: "bob"}},
				{Token: secret.New(token), Identity: want},
				{Token: secret.New("expired-token-987654321"), Identity: policy.Identity{Subject: "eve", Expires: now}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		want.Method = static.Method
		return identitytest.Fixture{
			Verifier: v,
			Proof:    identity.Proof{Token: secret.New(token)},
			Want:     want,
			Refused: map[string]identity.Proof{
				"unknown":  {Token: secret.New("unknown-token-987654321")},
				"expired":  {Token: secret.New("expired-token-987654321")},
				"overlong": {Token: secret.New(strings.Repeat("x", static.MaxTokenBytes+1))},
			},
			Expire: func(*testing.T) { now = now.Add(time.Hour) },
		}
	}})
}

func TestReasons(t *testing.T) {
	v, err := static.New(static.Config{Tokens: []static.Token{{Token: secret.New(token), Identity: policy.Identity{Subject: "ann"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ token, want string }{
		{"", identity.ReasonUnsupported},
		{"unknown-token-0123456789", identity.ReasonUnknown},
		{strings.Repeat("x", static.MaxTokenBytes+1), identity.ReasonUnknown},
	} {
		_, err := v.Verify(t.Context(), identity.Proof{Token: secret.New(tc.token)})
		if got := identity.ReasonOf(err); got != tc.want {
			t.Errorf("%.10q: refused for %q, want %q", tc.token, got, tc.want)
		}
	}
}

func TestZeroVerifierRefuses(t *testing.T) {
	var v static.Verifier
	if id, err := v.Verify(t.Context(), identity.Proof{Token: secret.New(token)}); err == nil {
		t.Errorf("accepted as %+v", id)
	}
	none, err := static.New(static.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := none.Verify(t.Context(), identity.Proof{Token: secret.New(token)}); err == nil {
		t.Errorf("accepted as %+v", id)
	}
}

func TestNewRefuses(t *testing.T) {
	ann := policy.Identity{Subject: "ann"}
	good := static.Token{Token: secret.New(token), Identity: ann}
	for name, bad := range map[string]static.Token{
		"zero":       {},
		"empty":      {Identity: ann},
		"short":      {Token: secret.New("fifteen-bytes-x"), Identity: ann},
		"overlong":   {Token: secret.New(strings.Repeat("x", static.MaxTokenBytes+1)), Identity: ann},
		"newline":    {Token: secret.New("another-token-987654321\n"), Identity: ann},
		"duplicate":  {Token: secret.New(token), Identity: policy.Identity{Subject: "bob"}},
		"no subject": {Token: secret.New("another-token-987654321")},
	} {
		_, err := static.New(static.Config{Tokens: []static.Token{good, bad}})
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if !strings.Contains(err.Error(), "token 1") {
			t.Errorf("%s: the error doesn't say which token: %v", name, err)
		}
		if found := identitytest.Leak(bad.Token.Reveal(), err.Error()); found != "" {
			t.Errorf("%s: the error shows %q", name, found)
		}
	}
}

func TestShortestToken(t *testing.T) {
	short := strings.Repeat("x", static.MinTokenBytes)
	v, err := static.New(static.Config{Tokens: []static.Token{{Token: secret.New(short), Identity: policy.Identity{Subject: "ann", Method: "other"}}}})
	if err != nil {
		t.Fatal(err)
	}
	id, err := v.Verify(t.Context(), identity.Proof{Token: secret.New(short)})
	if err != nil || id.Method != static.Method {
		t.Errorf("got %+v, %v", id, err)
	}
}

func TestConfigIsCopied(t *testing.T) {
	make1 := func() policy.Identity {
		return policy.Identity{
			Subject: "ann", Method: static.Method, Groups: []string{"eng"}, Actors: []policy.Actor{{Subject: "agent-7"}},
			Claims: map[string]any{"list": []any{"a", map[string]any{"k": "v"}}, "names": []string{"x"}, "map": map[string]any{"k": "v"}},
		}
	}
	id := make1()
	tokens := []static.Token{{Token: secret.New(token), Identity: id}}
	v, err := static.New(static.Config{Tokens: tokens})
	if err != nil {
		t.Fatal(err)
	}
	id.Groups[0], id.Actors[0].Subject = "root", "root"
	id.Claims["list"].([]any)[1].(map[string]any)["k"] = "root"
	id.Claims["list"].([]any)[0] = "root"
	id.Claims["names"].([]string)[0] = "root"
	id.Claims["map"].(map[string]any)["k"] = "root"
	id.Claims["new"] = "root"
	tokens[0].Identity.Subject = "root"
	tokens[0].Token.Zero()
	got, err := v.Verify(t.Context(), identity.Proof{Token: secret.New(token)})
	if err != nil || !reflect.DeepEqual(got, make1()) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestVerifierShowsNoToken(t *testing.T) {
	v, err := static.New(static.Config{Tokens: []static.Token{{Token: secret.New(token), Identity: policy.Identity{Subject: "ann"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", v, v, v); strings.Contains(text, token) {
		t.Errorf("a formatted verifier shows a token: %s", text)
	}
}

func BenchmarkVerify(b *testing.B) {
	v, err := static.New(static.Config{Tokens: []static.Token{{Token: secret.New(token), Identity: policy.Identity{Subject: "ann"}}}})
	if err != nil {
		b.Fatal(err)
	}
	p := identity.Proof{Token: secret.New(token)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}
