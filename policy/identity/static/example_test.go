package static_test

import (
	"context"
	"fmt"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/static"
	"github.com/headgate/gateway/policy/secret"
)

func ExampleNew() {
	v, err := static.New(static.Config{Tokens: []static.Token{{
		Token:    secret.New("for-my-laptop-only"),
		Identity: policy.Identity{Subject: "ann", Groups: []string{"eng"}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := v.Verify(context.Background(), identity.Proof{Token: secret.New("for-my-laptop-only")})
	fmt.Println(id.Subject, id.Groups, err)
	_, err = v.Verify(context.Background(), identity.Proof{Token: secret.New("a-guess-at-a-token"), Claimed: "ann"})
	fmt.Println(err)
	// Output:
	// ann [eng] <nil>
	// identity: unknown_token
}
