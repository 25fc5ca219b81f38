package pgproxy_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

// switched is a rig with two targets, which tell their name, behind one listener.
func switched(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, logs: new(syncBuffer), recorder: new(record.Memory), ca: testserver.NewCA(t), targets: map[string]*testserver.PG{}}
	routes := map[string]pgproxy.SwitchRoute{
		"red":  {ServerNames: []string{"red.example"}, Databases: []string{"red", "rot"}},
		"blue": {ServerNames: []string{"blue.example"}, Databases: []string{"blue", ""}},
	}
	cfg := gateway.Config{Identity: identity.VerifierFunc(verifyToken), Policy: allowAll(), Recorder: r.recorder}
	sw := pgproxy.SwitchConfig{TLS: &tls.Config{
		Certificates: []tls.Certificate{r.ca.Server(t, "red.example", "blue.example", "green.example", "localhost").TLS(t)}, MinVersion: tls.VersionTLS13,
	}}
	for _, name := range []string{"red", "blue"} {
		pg := testserver.Postgres(t)
		pg.Exec(fmt.Sprintf("CREATE TABLE colour AS SELECT '%s' AS name", name))
		proxy, err := pgproxy.New(pgproxy.Config{Upstream: fmt.Sprintf("%s:%d", pg.Host, pg.Port), Database: pg.Database, UpstreamPlaintext: true})
		if err != nil {
			t.Fatal(err)
		}
		r.pg, r.targets[name] = pg, pg
		source := credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
			return &credsource.Credential{Username: pg.User, Password: secret.New(pg.Password)}, nil
		})
		cfg.Routes = append(cfg.Routes, gateway.Route{Name: name, Interceptor: proxy, Credentials: source})
		route := routes[name]
		route.Route, route.Interceptor = name, proxy
		sw.Routes = append(sw.Routes, route)
	}
	chooser, err := pgproxy.NewSwitch(sw)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = listener.Addr().(*net.TCPAddr)
	cfg.Entrances = []gateway.Entrance{{Listener: listener, Chooser: chooser}}
	if r.gateway, err = gateway.New(cfg); err != nil {
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
	})
	return r
}

// enter starts a session by the Switch; serverName is "" for one without TLS.
func (r *rig) enter(t *testing.T, serverName, password string, parameters ...string) *rawClient {
	t.Helper()
	c := r.plain(t)
	if serverName != "" {
		c.bytes(startupCode(codeSSL))
		c.answer(1)
		c.conn = tls.Client(c.conn, &tls.Config{RootCAs: r.ca.Pool(), ServerName: serverName, MinVersion: tls.VersionTLS13})
		c.Frontend = pgproto3.NewFrontend(c.conn, c.conn)
	}
	c.bytes(startupPacket(3<<16, append([]string{"user", "agent"}, parameters...)...))
	if _, ok := c.next().(*pgproto3.AuthenticationCleartextPassword); !ok {
		t.Fatal("no request for a password")
	}
	c.send(&pgproto3.PasswordMessage{Password: password})
	return c
}

func TestSwitch(t *testing.T) {
	r := switched(t)
	own := r.pg.Database // blue's
	for name, test := range map[string]struct {
		serverName string
		parameters []string
		want       string
	}{
		"by database":              {"", []string{"database", "red"}, "red"},
		"by another name":          {"", []string{"database", "rot"}, "red"},
		"by database, TLS":         {"localhost", []string{"database", "blue"}, "blue"},
		"no database":              {"", nil, "blue"},
		"user as database":         {"", []string{"database", "agent"}, "blue"},
		"by server name":           {"red.example", nil, "red"},
		"by server name, user":     {"red.example", []string{"database", "agent"}, "red"},
		"other server name":        {"blue.example", nil, "blue"},
		"server name and its own":  {"blue.example", []string{"database", own}, "blue"},
		"server name, other's":     {"blue.example", []string{"database", "red"}, ""},
		"unknown name, a database": {"green.example", []string{"database", "red"}, "red"},
		"unknown database":         {"", []string{"database", "green"}, ""},
		"database of the server":   {"", []string{"database", own}, ""},
		"in capitals":              {"", []string{"database", "RED"}, ""},
		"name in capitals":         {"RED.example", nil, "red"},
		"name with a dot behind":   {"red.example.", nil, "red"}, // TLS libraries leave it out
		"database and a space":     {"", []string{"database", "red "}, ""},
		"database and a path":      {"", []string{"database", "red/../blue"}, ""},
		"connection string":        {"", []string{"database", "dbname=red"}, ""},
		"other's by server name":   {"red.example", []string{"database", "blue"}, ""},
		"unknown both":             {"green.example", []string{"database", "green"}, ""},
	} {
		c := r.enter(t, test.serverName, token, test.parameters...)
		if test.want == "" {
			if got := strings.Join(c.end(), " "); got != "FATAL 0A000" {
				t.Errorf("%s: got %q", name, got)
			}
			continue
		}
		c.until(1)
		c.query("SELECT name FROM colour", "RowDescription", "row "+test.want, "SELECT 1", "ZI")
	}
	// Strangers get the same answer whatever they ask for.
	for _, database := range []string{"red", "blue", "green", own} {
		if got := strings.Join(r.enter(t, "", "wrong", "database", database).end(), " "); got != "FATAL 28P01" {
			t.Errorf("a stranger at %s: %q", database, got)
		}
	}
}

// A cancel request names no route; it finds its session.
func TestSwitchCancels(t *testing.T) {
	r := switched(t)
	for _, database := range []string{"red", "blue"} {
		c := r.enter(t, "", token, "database", database)
		for ready := false; !ready; {
			switch m := c.next().(type) {
			case *pgproto3.BackendKeyData:
				c.key = &pgproto3.BackendKeyData{ProcessID: m.ProcessID, SecretKey: append([]byte(nil), m.SecretKey...)}
			case *pgproto3.ReadyForQuery:
				ready = true
			}
		}
		c.send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
		r.pg = r.targets[database]
		r.eventually(t, sleepers, "1")
		r.cancel(t, c)
		c.expect("RowDescription", "ERROR 57014", "ZI")
	}
}

func TestSwitchOfStrangers(t *testing.T) {
	r := switched(t)
	for name, packet := range map[string][]byte{
		"padded SSLRequest": {0, 0, 0, 12, 0x04, 0xd2, 0x16, 0x2f, 0, 0, 0, 0},
		"two databases":     startupPacket(3<<16, "user", "agent", "database", "blue", "database", "red"),
		"HTTP":              []byte("GET / HTTP/1.1\r\n\r\n"),
		"unknown cancel":    append(startupCode(codeCancel)[:3], 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 1),
	} {
		c := r.plain(t)
		c.bytes(packet)
		t.Log(name)
		c.closed()
	}
	c := r.plain(t)
	c.bytes(startupPacket(2<<16, "user", "agent"))
	if got := strings.Join(c.end(), " "); got != "FATAL 0A000" {
		t.Errorf("got %q", got)
	}
}

func TestSwitchConfig(t *testing.T) {
	proxy, err := pgproxy.New(pgproxy.Config{Upstream: "127.0.0.1:1", Database: "x"})
	if err != nil {
		t.Fatal(err)
	}
	route := func(name string, serverNames, databases []string) pgproxy.SwitchRoute {
		return pgproxy.SwitchRoute{Route: name, Interceptor: proxy, ServerNames: serverNames, Databases: databases}
	}
	secured := new(tls.Config)
	for i, cfg := range []pgproxy.SwitchConfig{
		{}, {Routes: []pgproxy.SwitchRoute{{Route: "a"}}}, {Routes: []pgproxy.SwitchRoute{{Interceptor: proxy}}},
		{Routes: []pgproxy.SwitchRoute{route("a", []string{"a"}, nil)}},
		{Routes: []pgproxy.SwitchRoute{route("a", []string{"A"}, nil)}, TLS: secured},
		{Routes: []pgproxy.SwitchRoute{route("a", []string{"a"}, nil), route("b", []string{"a"}, nil)}, TLS: secured},
		{Routes: []pgproxy.SwitchRoute{route("a", nil, []string{"x"}), route("b", nil, []string{"x"})}},
	} {
		if _, err := pgproxy.NewSwitch(cfg); err == nil {
			t.Errorf("%d is accepted", i)
		}
	}
	sw, err := pgproxy.NewSwitch(pgproxy.SwitchConfig{Routes: []pgproxy.SwitchRoute{route("nowhere", nil, nil)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = gateway.New(gateway.Config{
		Identity: identity.VerifierFunc(verifyToken), Policy: allowAll(), Recorder: new(record.Memory),
		Routes:    []gateway.Route{{Name: "a", Interceptor: proxy, Credentials: fixedCredential("u", "p")}},
		Entrances: []gateway.Entrance{{Listener: new(net.TCPListener), Chooser: sw}, {}},
	})
	if err == nil || !strings.Contains(err.Error(), `leads to "nowhere"`) || !strings.Contains(err.Error(), "Entrances[1] lacks") {
		t.Errorf("got %v", err)
	}
}
