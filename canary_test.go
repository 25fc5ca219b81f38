//go:build unix

package gateway_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

// turncoat is a source whose credential is refused at first.
type turncoat struct {
	user, stale, good string
	refreshes         atomic.Int32
	refreshable       atomic.Bool
}

func (s *turncoat) Credential(context.Context, credsource.Request) (*credsource.Credential, error) {
	if s.refreshes.Load() > 0 {
		return &credsource.Credential{Username: s.user, Password: secret.New(s.good)}, nil
	}
	return &credsource.Credential{Username: s.user, Password: secret.New(s.stale)}, nil
}

func (s *turncoat) Refresh(context.Context, credsource.Request, *credsource.Credential) (*credsource.Credential, error) {
	if !s.refreshable.Load() {
		return nil, credsource.ErrUnavailable
	}
	s.refreshes.Add(1)
	return &credsource.Credential{Username: s.user, Password: secret.New(s.good)}, nil
}

// breakable is a recorder that can be made to fail.
type breakable struct {
	record.Recorder

	broken atomic.Bool
}

func (b *breakable) Open(ctx context.Context, h record.Header) (record.Log, error) {
	log, err := b.Recorder.Open(ctx, h)
	return breakableLog{log, &b.broken}, err
}

type breakableLog struct {
	record.Log

	broken *atomic.Bool
}

func (l breakableLog) Prompt() bool { return true }

func (l breakableLog) Append(e record.Entry) error {
	if l.broken.Load() {
		return errors.New("no space left on device")
	}
	return l.Log.Append(e)
}

// aviary is a gateway in front of a real server, and all that comes out of it.
type aviary struct {
	t        *testing.T
	pg       *testserver.PG
	gateway  *gateway.Gateway
	config   gateway.Config
	parts    []any
	source   *turncoat
	recorder *breakable
	seen     *telemetry
	text     *buffer // logs
	json     *buffer
	errors   *buffer // what the client's driver says
	received *buffer // by clients, raw
	dir      string
	addr     string
}

const (
	goodToken  = "agent-canary/9f1c+'&%\"token"
	wrongToken = "wrong-canary/77aa+'&%\"token"
)

func newAviary(t *testing.T) *aviary {
	t.Helper()
	pg := testserver.Postgres(t)
	pg.Exec("CREATE TABLE people (id int PRIMARY KEY, email text, note text); INSERT INTO people VALUES (1, 'ann@example.com', 'plain')")
	a := &aviary{
		t: t, pg: pg, seen: new(telemetry), text: new(buffer), json: new(buffer), errors: new(buffer), received: new(buffer),
		dir:    filepath.Join(t.TempDir(), "logs"),
		source: &turncoat{user: pg.User, stale: "stale-canary/4b2d+'&%\"password", good: pg.Password},
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := record.NewDir(record.DirConfig{Path: a.dir, SigningKey: key})
	if err != nil {
		t.Fatal(err)
	}
	a.recorder = &breakable{Recorder: dir}
	proxyConfig := pgproxy.Config{Upstream: net.JoinHostPort(pg.Host, strconv.Itoa(pg.Port)), Database: pg.Database, UpstreamPlaintext: true}
	proxy, err := pgproxy.New(proxyConfig)
	if err != nil {
		t.Fatal(err)
	}
	dead := proxyConfig
	dead.Upstream = "127.0.0.1:1"
	nowhere, err := pgproxy.New(dead)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a.addr = listener.Addr().String()
	a.config = gateway.Config{
		Identity: identity.VerifierFunc(verifyCanary), Policy: policy.EvaluatorFunc(decideCanary), Recorder: a.recorder,
		Approver: approve.ApproverFunc(approveCanary), Logger: slog.New(slog.NewMultiHandler(
			slog.NewTextHandler(a.text, &slog.HandlerOptions{Level: slog.LevelDebug}),
			slog.NewJSONHandler(a.json, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		Routes: []gateway.Route{
			{Name: "people", Interceptor: proxy, Credentials: a.source, Listener: listener},
			{Name: "nowhere", Interceptor: nowhere, Credentials: a.source},
		},
	}
	a.seen.watch(&a.config)
	if a.gateway, err = gateway.New(a.config); err != nil {
		t.Fatal(err)
	}
	credential, _ := a.source.Credential(t.Context(), credsource.Request{}) // never fails
	a.parts = []any{a.gateway, a.config, &a.config, proxy, proxyConfig, credential, identity.Proof{Token: secret.New(goodToken)}, secret.New(pg.Password)}
	served := make(chan error, 1)
	go func() { served <- a.gateway.Serve(context.Background()) }()
	t.Cleanup(func() {
		if err := errors.Join(a.gateway.Shutdown(context.Background()), <-served, dir.Close()); err != nil {
			t.Error(err)
		}
	})
	return a
}

func verifyCanary(_ context.Context, p identity.Proof) (policy.Identity, error) {
	if p.Token.Reveal() != goodToken {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
	}
	return policy.Identity{Subject: "agent-7", Issuer: "test", Method: "static"}, nil
}

// decideCanary masks addresses, denies DROP and asks about DELETE.
func decideCanary(_ context.Context, in *policy.Input) (policy.Decision, error) {
	d := policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: []policy.Mask{{Table: "public.people", Column: "email", Method: "redact"}}}
	switch {
	case strings.HasPrefix(in.Command.Text, "DROP"):
		return policy.Decision{Revision: "1", Reasons: []policy.Reason{{Rule: "no-ddl", Message: "not here"}}}, nil
	case strings.HasPrefix(in.Command.Text, "DELETE"):
		d.Outcome, d.Reasons = policy.Ask, []policy.Reason{{Rule: "humans", Message: "a human has to agree"}}
	case strings.HasPrefix(in.Command.Text, "TABLE"):
		return policy.Decision{}, errors.New("the policy is broken")
	}
	return d, nil
}

// approveCanary grants what has a WHERE clause.
func approveCanary(_ context.Context, req approve.Request, pending func(approve.Pending)) (approve.Grant, error) {
	if pending != nil {
		pending(approve.Pending{ID: "a1", URL: "https://approve.example/a1"})
	}
	if !strings.Contains(req.Input.Command.Text, "WHERE") {
		return approve.Grant{}, approve.ErrRefused
	}
	return approve.Grant{ID: "a1", Digest: req.Digest, Approver: policy.Identity{Subject: "human", Issuer: "test"}}, nil
}

// tap is a client's connection that writes down what it receives.
type tap struct {
	net.Conn

	to io.Writer
}

func (c tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	_, _ = c.to.Write(p[:n]) // a buffer takes all
	return n, err
}

// connect logs in with a token, by the listener or, for a route, in process.
func (a *aviary) connect(token, route string) (*pgconn.PgConn, error) {
	a.t.Helper()
	cfg, err := pgconn.ParseConfig("host=127.0.0.1 port=5432 user=agent sslmode=disable database=" + a.pg.Database)
	if err != nil {
		a.t.Fatal(err)
	}
	cfg.Password = token
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var conn net.Conn
		var err error
		if route == "" {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp", a.addr)
		} else {
			conn, err = a.gateway.DialContext(ctx, route, identity.Proof{Token: secret.New(token)})
		}
		return tap{conn, a.received}, err
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { a.say(n) }
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		a.say(err)
		return nil, err
	}
	a.t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the gateway may have closed it
	return conn, nil
}

// say writes down an error or a notice in all its forms.
func (a *aviary) say(v any) { fmt.Fprintf(a.errors, "%v\n%+v\n%#v\n", v, v, v) }

// run sends SQL and returns the first value of the answer, or the SQLSTATE.
func (a *aviary) run(conn *pgconn.PgConn, sql string) string {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		a.say(err)
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
			return refused.Code
		}
		return "gone"
	}
	if len(results) == 0 || len(results[0].Rows) == 0 {
		return ""
	}
	return string(results[0].Rows[0][0])
}

// act does everything that could bring a secret back.
func (a *aviary) act() {
	t := a.t
	if _, err := a.connect(wrongToken, ""); err == nil {
		t.Error("let in with a wrong token")
	}
	if _, err := a.connect(goodToken, ""); err == nil { // the stale password, and no other to be had
		t.Error("the server took a stale password")
	}
	a.source.refreshable.Store(true)
	conn, err := a.connect(goodToken, "") // refused, refreshed, accepted
	if err != nil || a.source.refreshes.Load() != 1 {
		t.Fatalf("%v, refreshed %d times", err, a.source.refreshes.Load())
	}
	guess := "'" + strings.ReplaceAll(a.pg.Password, "'", "''") + "'"
	for _, c := range []struct{ sql, want string }{
		{"SELECT note FROM people", "plain"},
		{"SELECT email FROM people", "[redacted]"},
		{"DROP TABLE people", "42501"},
		{"TABLE people", "XX000"},
		{"SELECT 1/0", "22012"},
		{"SELECT nothing FROM nowhere", "42P01"},
		{"SELEC", "42601"},
		{"SELECT note::int FROM people", "22P02"},
		{"DELETE FROM people", "42501"},
		{"DELETE FROM people WHERE id = 2", ""},
		{"SELECT current_user", a.pg.User},
		{"SHOW password_encryption", "scram-sha-256"},
		{"SELECT " + guess, strings.Repeat("*", len(a.pg.Password))},
		{"SELECT encode(" + guess + ", 'hex')", strings.Repeat("*", 2*len(a.pg.Password))},
		{"SELECT encode(('x' || " + guess + ")::bytea, 'base64') IS NULL", "f"},
		{"SELECT encode(('xy' || " + guess + ")::bytea, 'base64')::int", "22P02"},
		{"SELECT " + guess + "::int", "22P02"},
		{"SELECT \"" + strings.ReplaceAll(a.pg.Password, `"`, `""`) + "\" FROM people", "42703"},
		{"SET application_name TO " + guess, ""},
		{"SELECT upper(md5(" + guess + " || current_user))", strings.Repeat("*", 32)},
	} {
		if got := a.run(conn, c.sql); got != c.want {
			t.Errorf("%s: %q, want %q", c.sql, got, c.want)
		}
	}
	inside, err := a.connect(goodToken, "people")
	if err != nil {
		t.Fatal(err)
	}
	if got := a.run(inside, "SELECT note FROM people"); got != "plain" {
		t.Errorf("in process: %q", got)
	}
	if _, err := a.connect(goodToken, "nowhere"); err == nil {
		t.Error("connected to nowhere")
	}
	for _, s := range a.gateway.Sessions() {
		a.say(s)
	}
	a.recorder.broken.Store(true)
	if got := a.run(conn, "SELECT 'unrecorded'"); got == "unrecorded" {
		t.Errorf("released without a record: %q", got)
	}
}

// recordings returns the logs as they are, and what they say.
func (a *aviary) recordings() (raw, decoded string) {
	files, err := filepath.Glob(filepath.Join(a.dir, "*"+record.Extension))
	if err != nil || len(files) < 3 {
		a.t.Fatalf("%d logs, %v", len(files), err)
	}
	var r, d strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			a.t.Fatal(err)
		}
		r.Write(content)
		reader, err := record.NewReader(bytes.NewReader(content))
		if err != nil {
			a.t.Fatal(err)
		}
		for {
			entry, err := reader.Next()
			if err != nil {
				break // its end, sealed or broken off
			}
			d.Write(entry.Payload)
			d.WriteByte('\n')
		}
	}
	return r.String(), d.String()
}

func TestSecretsDoNotComeBack(t *testing.T) {
	a := newAviary(t)
	a.act()
	if err := a.gateway.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, part := range a.parts {
		a.say(part)
		if b, err := json.Marshal(part); err == nil {
			a.say(string(b))
		}
	}
	raw, decoded := a.recordings()
	sinks := map[string]struct{ text, mark string }{
		"client bytes":        {a.received.String(), "[redacted]"},
		"errors":              {a.errors.String(), "not here"},
		"text logs":           {a.text.String(), "msg=\"session started\""},
		"JSON logs":           {a.json.String(), `"msg":"session started"`},
		"raw recordings":      {raw, "SELECT email FROM people"},
		"decoded recordings":  {decoded, `"text":"SELECT email FROM people"`},
		"traces and metrics":  {a.seen.String(), "headgate.session"},
		"the server's errors": {a.text.String(), "28P01"},
	}
	canaries := map[string]string{
		"upstream password": a.pg.Password, "stale password": a.source.stale, "agent's token": goodToken, "wrong token": wrongToken,
	}
	for name, sink := range sinks {
		if !strings.Contains(sink.text, sink.mark) {
			t.Errorf("%s: %q isn't in %d bytes, so that they prove nothing", name, sink.mark, len(sink.text))
		}
		for which, canary := range canaries {
			if found := leaks(sink.text, canary); len(found) > 0 {
				t.Errorf("%s: the %s is in there as %q", name, which, found)
			}
		}
	}
}
