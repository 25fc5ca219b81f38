package pgproxy_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/credsource/static"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

// An agent in the same process gets to PostgreSQL by its driver's dial function.
// The policy here lets nobody connect, so that the example needs no server.
func ExampleNew() {
	postgres, err := pgproxy.New(pgproxy.Config{Upstream: "db.example:5432", Database: "orders"})
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := static.New(static.Config{Username: "app", Password: secret.New("the agent never sees it")})
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := gateway.New(gateway.Config{
		Identity: identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
			return policy.Identity{Subject: "agent-7", Issuer: "example", Method: "static"}, nil
		}),
		Policy: policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
			fmt.Println(in.Identity.Subject, "wants to", in.Command.Action, "to", in.Target.Name)
			return policy.Decision{Reasons: []policy.Reason{{Rule: "weekend", Message: "not on weekends"}}}, nil
		}),
		Recorder: new(record.Memory),
		Routes:   []gateway.Route{{Name: "orders-db", Interceptor: postgres, Credentials: source}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer g.Shutdown(ctx)
	cfg, err := pgconn.ParseConfig("postgres://agent@127.0.0.1/orders?sslmode=disable")
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return g.DialContext(ctx, "orders-db", identity.Proof{Token: secret.New("a token")})
	}
	_, err = pgconn.ConnectConfig(ctx, cfg)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		fmt.Println(refused.Code, refused.Message)
		fmt.Println(refused.Detail)
	}
	_, err = pgproxy.New(pgproxy.Config{Upstream: "db.example"})
	fmt.Println(err)
	// Output:
	// agent-7 wants to connect to orders-db
	// 42501 headgate: not on weekends
	// {"code":"policy_denied","rule":"weekend","reason":"not on weekends","retryable":false}
	// pgproxy: Config.Database is empty
	// Config.Upstream "db.example" is not host:port, or several with commas between them
}

// One listener leads to two databases, by the name that clients ask for.
func ExampleNewSwitch() {
	orders, err1 := pgproxy.New(pgproxy.Config{Upstream: "db.example:5432", Database: "orders"})
	depot, err2 := pgproxy.New(pgproxy.Config{Upstream: "db.example:5432", Database: "depot"})
	if err := errors.Join(err1, err2); err != nil {
		fmt.Println(err)
		return
	}
	chooser, err := pgproxy.NewSwitch(pgproxy.SwitchConfig{Routes: []pgproxy.SwitchRoute{
		{Route: "orders-db", Interceptor: orders, Databases: []string{"orders", ""}},
		{Route: "depot-db", Interceptor: depot, Databases: []string{"depot", "warehouse"}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// It belongs into gateway.Config.Entrances, with a listener.
	fmt.Println(chooser.Routes())
	_, err = pgproxy.NewSwitch(pgproxy.SwitchConfig{Routes: []pgproxy.SwitchRoute{
		{Route: "orders-db", Interceptor: orders, Databases: []string{"orders"}},
		{Route: "depot-db", Interceptor: depot, Databases: []string{"orders"}},
	}})
	fmt.Println(err)
	// Output:
	// [orders-db depot-db]
	// pgproxy: SwitchConfig.Routes[1]: database "orders" is there twice
}
