package identity_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
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
