package identity_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/identitytest"
	"github.com/headgate/gateway/policy/secret"
)

var _ identity.Verifier = identity.VerifierFunc(nil)

func TestNilVerifierFuncRefuses(t *testing.T) {
	var f identity.VerifierFunc
	id, err := f.Verify(t.Context(), identity.Proof{Token: secret.New("anything-at-all"), Claimed: "root"})
	if err == nil || id.Subject != "" {
		t.Fatalf("got %+v, %v", id, err)
	}
	if got := identity.ReasonOf(err); got != identity.ReasonUnsupported {
		t.Errorf("reason %q", got)
	}
}

func TestVerifierFunc(t *testing.T) {
	token := secret.New("token-of-the-function")
	f := identity.VerifierFunc(func(ctx context.Context, p identity.Proof) (policy.Identity, error) {
		switch {
		case ctx.Err() != nil:
			return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnavailable, Err: ctx.Err()}
		case p.Token.IsEmpty():
			return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnsupported}
		case !p.Token.Equal(token):
			return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
		}
		return policy.Identity{Subject: "ann", Method: "test"}, nil
	})
	identitytest.Run(t, identitytest.Harness{New: func(*testing.T) identitytest.Fixture {
		return identitytest.Fixture{
			Verifier: f,
			Proof:    identity.Proof{Token: token},
			Want:     policy.Identity{Subject: "ann", Method: "test"},
		}
	}})
}

func TestError(t *testing.T) {
	cause := errors.New("the clock is wrong")
	for _, tc := range []struct {
		err  *identity.Error
		text string
	}{
		{&identity.Error{Reason: identity.ReasonExpired}, "identity: expired"},
		{&identity.Error{Reason: identity.ReasonExpired, Err: cause}, "identity: expired: the clock is wrong"},
	} {
		if got := tc.err.Error(); got != tc.text {
			t.Errorf("got %q, want %q", got, tc.text)
		}
		if errors.Is(tc.err, cause) != (tc.err.Err != nil) {
			t.Errorf("%v does not unwrap to its cause", tc.err)
		}
	}
}

func TestReasonOf(t *testing.T) {
	refused := &identity.Error{Reason: identity.ReasonAudience}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{refused, identity.ReasonAudience},
		{fmt.Errorf("route db: %w", refused), identity.ReasonAudience},
		{errors.Join(context.Canceled, refused), identity.ReasonAudience},
		{context.DeadlineExceeded, identity.ReasonUnavailable},
	} {
		if got := identity.ReasonOf(tc.err); got != tc.want {
			t.Errorf("ReasonOf(%v) = %q, want %q", tc.err, got, tc.want)
		}
	}
}

func TestProofHidesItsToken(t *testing.T) {
	const canary = "canary-token-0123456789"
	p := identity.Proof{Token: secret.New(canary), Claimed: "ann"}
	for _, text := range []string{fmt.Sprint(p), fmt.Sprintf("%+v", p), fmt.Sprintf("%#v", p)} {
		if strings.Contains(text, canary) {
			t.Errorf("a formatted proof shows its token: %s", text)
		}
	}
}
