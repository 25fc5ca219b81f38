package intercept_test

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

func exampleConfig(recorder record.Recorder) intercept.GuardConfig {
	return intercept.GuardConfig{
		Session: "s1", Target: policy.Target{Name: "things", Protocol: "lines"}, Recorder: recorder,
		Identity: identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
			return policy.Identity{Subject: "agent-7", Issuer: "example", Method: "static"}, nil
		}),
		Policy: policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
			if in.Command.Text == "drop things" {
				return policy.Decision{Reasons: []policy.Reason{{Rule: "no-drop", Message: "agents don't drop things"}}}, nil
			}
			return policy.Decision{Outcome: policy.Allow}, nil
		}),
		Source: credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
			return &credsource.Credential{Username: "app", Password: secret.New("the agent never sees it")}, nil
		}),
	}
}

// NewGuard is for hosts that bring their own accept loop; a Gateway makes the
// Guards of its sessions by itself.
func ExampleNewGuard() {
	ctx := context.Background()
	recorder := new(record.Memory)
	guard, err := intercept.NewGuard(ctx, exampleConfig(recorder))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := guard.Identify(ctx, identity.Proof{Token: secret.New("a token")}); err != nil {
		fmt.Println(err)
		return
	}
	v, err := guard.Connect(ctx, nil, func(_ context.Context, c *credsource.Credential) error {
		fmt.Println("dial with", c)
		return nil
	})
	fmt.Println(v.Forward, err)
	for _, text := range []string{"read things", "drop things"} {
		v := guard.Authorize(ctx, &policy.Command{Action: "line", Text: text})
		if !v.Forward {
			fmt.Println(v.Refused().JSON())
			continue
		}
		// Here the command is sent, its answer recorded with Output, and released.
		fmt.Println(text, guard.Result(v, intercept.Outcome{Status: "ok", Rows: 1}))
	}
	fmt.Println(guard.Close(ctx, "client left"))
	for _, e := range recorder.Entries("s1") {
		fmt.Print(e.Type, " ")
	}
	// Output:
	// dial with credential(app)
	// true <nil>
	// read things <nil>
	// {"code":"policy_denied","rule":"no-drop","reason":"agents don't drop things","retryable":false}
	// <nil>
	// header identity facts command facts command result facts command
}

// An Interceptor for a protocol of your own: one token, one command, one answer.
// Lines in package intercepttest is a whole one.
func ExampleNew() {
	once := intercept.New("once", func(ctx context.Context, client net.Conn, g *intercept.Guard) error {
		defer client.Close()
		in := bufio.NewScanner(client)
		in.Scan()
		if err := g.Identify(ctx, identity.Proof{Token: secret.New(in.Text())}); err != nil {
			return err
		}
		v, err := g.Connect(ctx, nil, func(context.Context, *credsource.Credential) error { return nil })
		if err != nil || !v.Forward {
			return err
		}
		in.Scan()
		v = g.Authorize(ctx, &policy.Command{Action: "line", Text: in.Text()})
		if !v.Forward {
			_, err := fmt.Fprintln(client, v.Refused().JSON())
			return err
		}
		if err := g.Output(0, []byte("done\n")); err != nil {
			return err
		}
		if err := g.Result(v, intercept.Outcome{Status: "ok", Bytes: 5}); err != nil {
			return err
		}
		_, err = fmt.Fprintln(client, "done")
		return err
	})
	guard, err := intercept.NewGuard(context.Background(), exampleConfig(new(record.Memory)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer guard.Close(context.Background(), "client left")
	near, far := net.Pipe()
	go once.Intercept(context.Background(), far, guard)
	fmt.Fprintln(near, "a token")
	fmt.Fprintln(near, "read things")
	answers := bufio.NewScanner(near)
	for answers.Scan() {
		fmt.Println(once.Protocol(), answers.Text())
	}
	// Output: once done
}
