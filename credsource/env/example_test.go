package env_test

import (
	"context"
	"fmt"
	"os"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/env"
)

func ExampleNew() {
	source, err := env.New(env.Config{Username: "app", PasswordVar: "HG_EXAMPLE_PASSWORD"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = source.Credential(context.Background(), credsource.Request{})
	fmt.Println(err)

	_ = os.Setenv("HG_EXAMPLE_PASSWORD", "correct horse")
	c, err := source.Credential(context.Background(), credsource.Request{})
	fmt.Println(c, c.Password, err)
	// Output:
	// env: HG_EXAMPLE_PASSWORD is not set: credsource: no such credential
	// credential(app) [redacted] <nil>
}
