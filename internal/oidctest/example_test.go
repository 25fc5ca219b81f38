package oidctest_test

import (
	"fmt"
	"strings"

	"github.com/headgate/gateway/internal/oidctest"
)

func ExampleStart() {
	idp, err := oidctest.Start(oidctest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer idp.Close()
	token, err := idp.Mint(map[string]any{"sub": "agent-7", "aud": "headgate"})
	fmt.Println(strings.HasPrefix(idp.Issuer(), "http://127.0.0.1:"), strings.Count(token, "."), err)
	// Output: true 2 <nil>
}

func ExampleNew() {
	idp, err := oidctest.New(oidctest.Config{})
	fmt.Println(idp.Issuer(), idp.KeyID("ES256"), err)
	// Output: https://idp.example key-1 <nil>
}
