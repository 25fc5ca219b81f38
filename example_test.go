package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/credsource/static"
	"github.com/headgate/gateway/intercept/intercepttest"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

// A gateway in front of a toy protocol of lines, reached in process. A host would
// take pgproxy for PostgreSQL, package opa for its policy and record.Dir to keep
// sessions.
func ExampleNew() {
	rules, err := policy.NewStatic(policy.StaticConfig{
		Deny: []policy.StaticRule{{
			Match:  func(in *policy.Input) bool { return strings.HasPrefix(in.Command.Text, "drop ") },
			Reason: policy.Reason{Rule: "no-drop", Message: "agents don't drop things"},
		}},
		Allow: []policy.StaticRule{{Match: func(in *policy.Input) bool { return in.Identity.Subject == "agent-7" }}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := static.New(static.Config{Username: "app", Password: secret.New("the agent never sees it")})
	if err != nil {
		fmt.Println(err)
		return
	}
	recorder := new(record.Memory)
	g, err := gateway.New(gateway.Config{
		Identity: identity.VerifierFunc(func(_ context.Context, p identity.Proof) (policy.Identity, error) {
			if p.Token.Reveal() != "token of agent 7" {
				return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
			}
			return policy.Identity{Subject: "agent-7", Issuer: "example", Method: "static"}, nil
		}),
		Policy:   rules,
		Recorder: recorder,
		Routes:   []gateway.Route{{Name: "things", Interceptor: new(intercepttest.Lines), Credentials: source}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	conn, err := g.DialContext(ctx, "things", identity.Proof{Token: secret.New("token of agent 7")})
	if err != nil {
		fmt.Println(err)
		return
	}
	answers := bufio.NewScanner(conn)
	for _, line := range []string{"", "read things", "drop things"} {
		fmt.Fprintln(conn, line)
		answers.Scan()
		fmt.Println(answers.Text())
	}
	fmt.Println(len(g.Sessions()), "session of", g.Sessions()[0].Identity.Subject)
	fmt.Println(g.Shutdown(ctx))
	fmt.Println(recorder.Sealed(recorder.Sessions()[0]))
	// Output:
	// ok welcome
	// ok read things
	// refused policy_denied
	// 1 session of agent-7
	// <nil>
	// intercept: gateway is shutting down true
}
