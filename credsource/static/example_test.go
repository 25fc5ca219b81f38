package static_test

import (
	"context"
	"fmt"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/static"
	"github.com/headgate/gateway/policy/secret"
)

func ExampleNew() {
	source, err := static.New(static.Config{Username: "app", Password: secret.New("correct horse")})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := source.Credential(context.Background(), credsource.Request{})
	fmt.Println(c, err)
	fmt.Println(c.Password, len(c.Password.Reveal()))
	// Output:
	// credential(app) <nil>
	// [redacted] 13
}
