package oidc_test

import (
	"context"
	"fmt"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/oidc"
	"github.com/headgate/gateway/policy/secret"
)

func ExampleNew() {
	idp, err := oidctest.Start(oidctest.Config{}) // stands for your provider
	if err != nil {
		fmt.Println(err)
		return
	}
	defer idp.Close()

	v, err := oidc.New(oidc.Config{Issuers: []oidc.Issuer{{
		URL:       idp.Issuer(),
		Audiences: []string{"headgate"},
		Mapping:   oidc.Mapping{Groups: []string{"realm_access", "roles"}, Claims: []string{"azp"}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()

	token, err := idp.Mint(map[string]any{
		"sub": "ann", "aud": "headgate", "azp": "agent-app",
		"realm_access": map[string]any{"roles": []string{"dba"}},
		"act":          map[string]any{"sub": "agent-7"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := v.Verify(context.Background(), identity.Proof{Token: secret.New(token)})
	fmt.Println(id.Subject, id.Groups, id.Claims, id.Actors, err)

	_, err = v.Verify(context.Background(), identity.Proof{Token: secret.New(token + "A")})
	fmt.Println(identity.ReasonOf(err))
	// Output:
	// ann [dba] map[azp:agent-app] [{agent-7 }] <nil>
	// bad_signature
}
