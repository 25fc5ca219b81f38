package pgproxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

// token is what the test's agent presents.
const token = "agent-token-for-tests"

// rig is a gateway in front of a real server.
type rig struct {
	t        testing.TB
	pg       *testserver.PG
	gateway  *gateway.Gateway
	addr     *net.TCPAddr
	recorder *record.Memory
	logs     *syncBuffer
	driver   driver
	ca       *testserver.CA
	caFile   string
	clientCA *testserver.CA
	targets  map[string]*testserver.PG
}

// rigConfig is what a test chooses; its zero allows everything and masks nothing.
type rigConfig struct {
	policy   policy.Evaluator
	approver approve.Approver
	recorder record.Recorder
	source   credsource.Source
	proxy    pgproxy.Config
	pg       []testserver.Option
	verifier identity.Verifier
	driver   driver
	// adjust changes the proxy's configuration when the rest of it is settled.
	adjust func(*rig, *pgproxy.Config)
	// setup is SQL that runs before there is a gateway.
	setup string
}

func newRig(t testing.TB, c rigConfig) *rig {
	t.Helper()
	pg := testserver.Postgres(t, c.pg...)
	if c.setup != "" {
		pg.Exec(c.setup)
	}
	r := &rig{t: t, pg: pg, recorder: new(record.Memory), logs: new(syncBuffer), driver: c.driver}
	if c.policy == nil {
		c.policy = allowAll()
	}
	if c.recorder == nil {
		c.recorder = r.recorder
	}
	r.choose(&c)
	if c.verifier == nil {
		c.verifier = identity.VerifierFunc(verifyToken)
	}
	if c.source == nil {
		c.source = credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
			return &credsource.Credential{Username: pg.User, Password: secret.New(pg.Password)}, nil
		})
	}
	if c.proxy.Upstream == "" {
		c.proxy.Upstream = net.JoinHostPort(pg.Host, strconv.Itoa(pg.Port))
	}
	c.proxy.Database = pg.Database
	c.proxy.UpstreamPlaintext = c.proxy.UpstreamTLS == nil
	if c.adjust != nil {
		c.adjust(r, &c.proxy)
	}
	proxy, err := pgproxy.New(c.proxy)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = listener.Addr().(*net.TCPAddr)
	r.gateway, err = gateway.New(gateway.Config{
		Identity: c.verifier, Policy: c.policy, Recorder: c.recorder, Approver: c.approver,
		Routes: []gateway.Route{{Name: "orders-db", Interceptor: proxy, Credentials: c.source, Listener: listener}},
		Logger: slog.New(slog.NewTextHandler(r.logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.gateway.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := r.gateway.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if strings.Contains(r.logs.String(), pg.Password) {
			t.Error("the upstream password is in the log")
		}
	})
	return r
}

func verifyToken(_ context.Context, p identity.Proof) (policy.Identity, error) {
	if p.Token.Reveal() != token {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
	}
	return policy.Identity{Subject: "agent-7", Issuer: "test", Method: "static"}, nil
}

func (r *rig) url() string {
	mode := "sslmode=disable"
	if r.ca != nil {
		mode = "sslmode=verify-full&sslrootcert=" + r.caFile
	}
	return fmt.Sprintf("postgres://agent:%s@%s/%s?%s", token, r.addr, r.pg.Database, mode)
}

// env is what libpq's programs need to get to the gateway.
func (r *rig) env() []string {
	mode := "disable"
	if r.ca != nil {
		mode = "verify-full"
	}
	return []string{"PGHOST=127.0.0.1", "PGPORT=" + strconv.Itoa(r.addr.Port), "PGUSER=agent", "PGPASSWORD=" + token,
		"PGDATABASE=" + r.pg.Database, "PGSSLMODE=" + mode, "PGSSLROOTCERT=" + r.caFile, "PGGSSENCMODE=disable"}
}

func (r *rig) connect(t testing.TB) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.url())
	if err != nil {
		t.Fatalf("connect: %v\nlog:\n%s", err, r.logs)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func allowAll() policy.Evaluator {
	return policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	})
}

// masking allows everything and masks columns, given as "schema.table.column:method".
func masking(rules ...string) policy.Evaluator {
	var masks []policy.Mask
	for _, rule := range rules {
		name, method, _ := strings.Cut(rule, ":")
		dot := strings.LastIndexByte(name, '.')
		masks = append(masks, policy.Mask{Table: name[:dot], Column: name[dot+1:], Method: method})
	}
	return policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: masks}, nil
	})
}

// denying allows what has none of the verbs.
func denying(verbs ...string) policy.Evaluator {
	return deciding(policy.Deny, verbs...)
}

func deciding(outcome policy.Outcome, verbs ...string) policy.Evaluator {
	return policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		for _, e := range in.Command.Effects {
			for _, verb := range verbs {
				if e.Verb == verb {
					return policy.Decision{Outcome: outcome, Revision: "1", Reasons: []policy.Reason{{Rule: "no-" + verb, Message: verb + " is not for agents"}}}, nil
				}
			}
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	})
}

// sqlState returns the SQLSTATE of an error, "" if it has none.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// refusalOf returns the refusal's object that an error carries.
func refusalOf(t testing.TB, err error) string {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) || !strings.HasPrefix(e.Detail, `{"code":`) {
		t.Fatalf("not a refusal: %v", err)
	}
	return e.Detail
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var _ intercept.Interceptor = (*pgproxy.Interceptor)(nil)
