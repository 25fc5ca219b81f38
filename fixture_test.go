package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept/intercepttest"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

// patience bounds what must happen soon.
const patience = 20 * time.Second

// rig is a Gateway with one route "lines" and one "more", in memory.
type rig struct {
	*gateway.Gateway
	t        *testing.T
	lines    *intercepttest.Lines
	recorder *record.Memory
	logs     *buffer
}

// verify knows tokens of the form "token-of-SUBJECT" and "token-of-SUBJECT@ISSUER".
func verify(_ context.Context, p identity.Proof) (policy.Identity, error) {
	who, ok := strings.CutPrefix(p.Token.Reveal(), "token-of-")
	if !ok {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
	}
	subject, issuer, _ := strings.Cut(who, "@")
	id := policy.Identity{Subject: subject, Issuer: "test", Method: "static"}
	if issuer != "" {
		id.Issuer = issuer
	}
	if subject == "delegate" {
		id.Actors = []policy.Actor{{Subject: "tool", Issuer: "tools"}}
	}
	return id, nil
}

// decide denies what begins with "drop".
func decide(_ context.Context, in *policy.Input) (policy.Decision, error) {
	if strings.HasPrefix(in.Command.Text, "drop") {
		return policy.Decision{Revision: "1", Reasons: []policy.Reason{{Rule: "no-drop", Message: "not here"}}}, nil
	}
	return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
}

func vault(context.Context, credsource.Request) (*credsource.Credential, error) {
	return &credsource.Credential{Username: "app", Password: secret.New("canary-of-the-vault")}, nil
}

func newRig(t *testing.T, changes ...func(*gateway.Config)) *rig {
	t.Helper()
	r := &rig{t: t, lines: new(intercepttest.Lines), recorder: new(record.Memory), logs: new(buffer)}
	cfg := gateway.Config{
		Identity: identity.VerifierFunc(verify), Policy: policy.EvaluatorFunc(decide), Recorder: r.recorder,
		Routes: []gateway.Route{
			{Name: "lines", Interceptor: r.lines, Credentials: credsource.SourceFunc(vault), Labels: map[string]string{"env": "test"}},
			{Name: "more", Interceptor: r.lines, Credentials: credsource.SourceFunc(vault)},
		},
		Logger: slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range changes {
		c(&cfg)
	}
	var err error
	if r.Gateway, err = gateway.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.shutdown)
	return r
}

func (r *rig) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		r.t.Error(err)
	}
}

// a client speaks the protocol of intercepttest.Lines.
type client struct {
	net.Conn
	in *bufio.Reader
}

func newClient(conn net.Conn) *client { return &client{conn, bufio.NewReader(conn)} }

// say sends a line and returns the answer, "" once the connection has ended.
func (c *client) say(line string) string {
	_ = c.SetDeadline(time.Now().Add(patience)) // of what can't be sent the answer is none
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		return ""
	}
	return c.hear()
}

func (c *client) hear() string {
	answer, err := c.in.ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(answer, "\n")
}

// pipe returns a connection whose near end is closed after the test.
func pipe(t *testing.T) (near, far net.Conn) {
	t.Helper()
	near, far = net.Pipe()
	t.Cleanup(func() { _ = near.Close() })
	return near, far
}

// enter returns a client who is let in to a route by ServeConn, and the error
// with which ServeConn returns.
func (r *rig) enter(route, token string) (*client, <-chan error) {
	r.t.Helper()
	near, far := pipe(r.t)
	ended := make(chan error, 1)
	go func() { ended <- r.ServeConn(context.Background(), route, far) }()
	c := newClient(near)
	if got := c.say(token); got != "ok welcome" {
		r.t.Fatalf("let in with %q", got)
	}
	return c, ended
}

// wait returns what ServeConn returned.
func wait(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
		t.Fatal("it goes on")
		return nil
	}
}

// buffer is a bytes.Buffer for concurrent use.
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
