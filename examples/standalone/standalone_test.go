package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/examples/internal/embeddedpg"
	"github.com/headgate/gateway/record"
)

const (
	agentToken = "a-token-for-the-agent-in-tests"
	dbPassword = "the-upstream-password-canary"
)

// buffer is a bytes.Buffer that two goroutines may use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// site is a directory with everything that a configuration names.
type site struct {
	dir, config string
	logs        buffer
	out         buffer
	signals     chan os.Signal
}

const allowReads = `package gateway
allow if {
	count(input.command.opaque) == 0
	every effect in input.command.effects { effect.verb in {"connect", "read"} }
}
mask contains {"table": "public.customers", "column": "email", "method": "email"}
`

func newSite(t *testing.T) *site {
	t.Helper()
	pg, err := embeddedpg.Start(embeddedpg.Config{User: "app", Password: dbPassword, Database: "shop", Script: `
		CREATE TABLE customers (id integer PRIMARY KEY, email text); INSERT INTO customers VALUES (1, 'ada@example.com')`})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Close() })
	s := &site{dir: t.TempDir(), signals: make(chan os.Signal, 1)}
	s.config = s.write(t, "gateway.yaml", fmt.Sprintf(`
identity: {static: [{token_env: AGENT_TOKEN, subject: agent-7}]}
policy: {dir: %[1]s/policy}
record: {dir: %[1]s/sessions, signing_key: %[1]s/signing.pem, create_signing_key: true}
routes:
  - name: shop
    listen: 127.0.0.1:0
    upstream: %[2]s
    upstream_tls: {mode: disable}
    database: shop
    credential: {source: file, path: %[1]s/db.password, username: app}
`, s.dir, pg.Addr()))
	s.write(t, "db.password", dbPassword+"\n")
	s.write(t, "policy/gateway.rego", allowReads)
	return s
}

func (s *site) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *site) command(args ...string) command {
	return command{
		args: append([]string{"-config", s.config}, args...), stdout: &s.out, stderr: &s.logs, signals: s.signals,
		lookup: func(name string) (string, bool) { return agentToken, name == "AGENT_TOKEN" },
	}
}

// start runs the program until the test ends, and returns where it listens and a
// function that ends it by a signal.
func (s *site) start(t *testing.T) (net.Addr, func()) {
	t.Helper()
	ready, ended := make(chan *server, 1), make(chan int, 1)
	c := s.command()
	c.ready = func(s *server) { ready <- s }
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- c.run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			s.signals <- syscall.SIGTERM
			if code := <-ended; code != exitGood {
				t.Errorf("exit status %d\n%s", code, s.logs.String())
			}
			cancel()
		})
	}
	select {
	case server := <-ready:
		t.Cleanup(stop)
		return server.routes[0].Addr(), stop
	case code := <-ended:
		cancel()
		t.Fatalf("exit status %d\n%s", code, s.logs.String())
		return nil, nil
	}
}

func TestServe(t *testing.T) {
	s := newSite(t)
	addr, stop := s.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, "postgres://whoever:"+agentToken+"@"+addr.String()+"/shop?sslmode=disable")
	if err != nil {
		t.Fatalf("%v\n%s", err, s.logs.String())
	}
	var contact string
	if err := conn.QueryRow(ctx, "SELECT email AS contact FROM customers").Scan(&contact); err != nil || !strings.HasSuffix(contact, "@example.com") || strings.HasPrefix(contact, "ada") {
		t.Errorf("%q, %v", contact, err)
	}
	_, err = conn.Exec(ctx, "DELETE FROM customers")
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "42501" || !strings.Contains(e.Detail, `"code":"policy_denied"`) {
		t.Errorf("%v", err)
	}
	s.reload(t, "package gateway\nallow if true\n", "policy reloaded")
	if _, err := conn.Exec(ctx, "DELETE FROM customers"); err != nil {
		t.Error(err)
	}
	s.reload(t, "package gateway\nallow if\n", "the old one stays")
	stop()
	if _, err := conn.Exec(ctx, "SELECT 1"); err == nil {
		t.Error("the session outlived the program")
	}
	s.verify(t)
	if strings.Contains(s.logs.String(), dbPassword) || strings.Contains(s.logs.String(), agentToken) {
		t.Error("a secret is in the log")
	}
}

// reload writes a policy, sends SIGHUP and waits for what the log says.
func (s *site) reload(t *testing.T, policy, want string) {
	t.Helper()
	s.write(t, "policy/gateway.rego", policy)
	s.signals <- syscall.SIGHUP
	deadline := time.After(20 * time.Second)
	for !strings.Contains(s.logs.String(), want) {
		select {
		case <-deadline:
			t.Fatalf("no %q in the log:\n%s", want, s.logs.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// verify checks the recordings.
func (s *site) verify(t *testing.T) {
	t.Helper()
	key, err := record.LoadKey(filepath.Join(s.dir, "signing.pem"))
	if err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(s.dir, "sessions", "*"+record.Extension))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	for _, path := range logs {
		if report := record.VerifyFile(path, record.Keys{Public: publicKeys(key)}); report.Err() != nil {
			t.Error(report)
		}
	}
}

func TestCheck(t *testing.T) {
	s := newSite(t)
	if code := s.command("-check").run(t.Context()); code != exitGood || !strings.Contains(s.out.String(), "token_env: AGENT_TOKEN") {
		t.Errorf("exit status %d\n%s%s", code, s.out.String(), s.logs.String())
	}
	if _, err := os.Stat(filepath.Join(s.dir, "sessions")); !os.IsNotExist(err) {
		t.Error("-check wrote something:", err)
	}
}

func TestCheckReportsEverything(t *testing.T) {
	s := newSite(t)
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "gateway.yaml", strings.ReplaceAll(string(text), "AGENT_TOKEN", "MISSING")+"surprise: true\nmask: {key_file: /nowhere}\n")
	s.write(t, "policy/gateway.rego", "package gateway\nallow if input.comand\n")
	if err := os.Chmod(filepath.Join(s.dir, "db.password"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := s.command("-check").run(t.Context()); code != exitBad {
		t.Error("exit status", code)
	}
	for _, want := range []string{
		"line 2: identity.static[0].token: the environment variable MISSING is not set", "line 3: policy: ", "comand",
		"line 12: surprise: unknown key", "line 13: mask.key: ",
	} {
		if !strings.Contains(s.logs.String(), want) {
			t.Errorf("missing %q in\n%s", want, s.logs.String())
		}
	}
}

func TestBadInvocations(t *testing.T) {
	s := newSite(t)
	for code, args := range map[int][]string{exitUsage: {"-nonsense"}, exitBad: {"-config", "/nowhere"}} {
		if got := s.command(args...).run(t.Context()); got != code {
			t.Errorf("%v: exit status %d", args, got)
		}
	}
	if got := s.command("surplus").run(t.Context()); got != exitUsage {
		t.Error("exit status", got)
	}
}

func publicKeys(key ed25519.PrivateKey) []ed25519.PublicKey {
	public, _ := key.Public().(ed25519.PublicKey) // by its type
	return []ed25519.PublicKey{public}
}
