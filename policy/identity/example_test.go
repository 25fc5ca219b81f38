package identity_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
)

// A verifier for clients that a service mesh has authenticated already: the
// host's own code knows who stands behind an address.
func ExampleVerifierFunc() {
	mesh := map[string]string{"10.0.0.7:41000": "agent-7"}
	v := identity.VerifierFunc(func(_ context.Context, p identity.Proof) (policy.Identity, error) {
		name, ok := mesh[p.RemoteAddr]
		if !ok {
			return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
		}
		return policy.Identity{Subject: name, Method: "mesh"}, nil
	})
	id, err := v.Verify(context.Background(), identity.Proof{RemoteAddr: "10.0.0.7:41000", Claimed: "root"})
	fmt.Println(id.Subject, err)
	id, err = v.Verify(context.Background(), identity.Proof{RemoteAddr: "10.0.0.8:41000", Claimed: "agent-7"})
	fmt.Printf("%q %v\n", id.Subject, err)
	// Output:
	// agent-7 <nil>
	// "" identity: unknown_token
}

func ExampleReasonOf() {
	err := fmt.Errorf("route db: %w", &identity.Error{Reason: identity.ReasonExpired})
	fmt.Println(identity.ReasonOf(err))
	fmt.Println(identity.ReasonOf(errors.New("connection refused")))
	// Output:
	// expired
	// verifier_unavailable
}

// A client that has both a token and a certificate must be right with both.
func ExampleByEvidence() {
	byToken := identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
		return policy.Identity{Subject: "agent-7", Method: "token"}, nil
	})
	byCertificate := identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonExpired}
	})
	both := identity.ByEvidence{Token: byToken, Certificate: byCertificate}
	id, err := both.Verify(context.Background(), identity.Proof{Token: secret.New("a token")})
	fmt.Println(id.Subject, err)
	_, err = both.Verify(context.Background(), identity.Proof{Token: secret.New("a token"), Certificates: []*x509.Certificate{{}}})
	fmt.Println(identity.ReasonOf(err) == identity.ReasonExpired)
	// Output:
	// agent-7 <nil>
	// true
}
