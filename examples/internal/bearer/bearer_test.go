package bearer_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/headgate/gateway/examples/internal/bearer"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

func TestAuth(t *testing.T) {
	auth := bearer.Auth(identity.VerifierFunc(func(_ context.Context, p identity.Proof) (policy.Identity, error) {
		if p.Token.Reveal() != "right" {
			return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
		}
		return policy.Identity{Subject: "ann"}, nil
	}))
	for header, want := range map[string]string{"Bearer right": "ann", "bearer  right": "ann", "Bearer wrong": "", "Basic right": "", "right": "", "": ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", header)
		if id, err := auth(r); id.Subject != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", header, id.Subject, err)
		}
	}
}
