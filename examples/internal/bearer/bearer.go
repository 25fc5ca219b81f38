// Package bearer lets people use the approvals API with bearer tokens.
package bearer

import (
	"net/http"
	"strings"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
)

// Auth returns a function that tells who calls by the token in the Authorization
// header (RFC 6750 §2.1), for approve.Engine's Handler.
func Auth(v identity.Verifier) func(*http.Request) (policy.Identity, error) {
	return func(r *http.Request) (policy.Identity, error) {
		scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			return policy.Identity{}, &identity.Error{Reason: identity.ReasonMalformed}
		}
		return v.Verify(r.Context(), identity.Proof{Token: secret.New(strings.TrimSpace(token)), RemoteAddr: r.RemoteAddr})
	}
}
