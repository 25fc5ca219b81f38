// Command embedded is a whole host program: a gateway in front of one PostgreSQL
// database. It is the program of the README.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"os/signal"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/credsource/file"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/identity/oidc"
	"github.com/headgate/gateway/policy/opa"
	"github.com/headgate/gateway/record"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	agents, err1 := oidc.New(oidc.Config{Issuers: []oidc.Issuer{{URL: "https://idp.example.com", Audiences: []string{"headgate"}}}})
	rules, err2 := opa.New(ctx, opa.Config{Dir: "policy"})
	password, err3 := file.New(file.Config{Username: "headgate", Path: "/run/secrets/orders"})
	orders, err4 := pgproxy.New(pgproxy.Config{Upstream: "db.internal:5432", Database: "orders"})
	key, err5 := record.LoadKey("signing.pem")
	listener, err6 := net.Listen("tcp", "127.0.0.1:6432")
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return err
	}
	sessions, err := record.NewDir(record.DirConfig{Path: "sessions", SigningKey: key})
	if err != nil {
		return err
	}
	gw, err := gateway.New(gateway.Config{Identity: agents, Policy: rules, Recorder: sessions, Routes: []gateway.Route{
		{Name: "orders", Interceptor: orders, Credentials: password, Listener: listener},
	}})
	if err != nil {
		return err
	}
	err = gw.Serve(ctx) // until the interrupt
	return errors.Join(err, gw.Shutdown(context.WithoutCancel(ctx)), sessions.Close())
}
