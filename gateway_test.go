package gateway_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := gateway.New(gateway.Config{
		MaxConnections: -1, MaxUnauthenticated: -1, DecisionTimeout: -1,
		Routes: []gateway.Route{{Name: "a"}, {Name: "a"}, {}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"Config.Identity", "Config.Policy", "Config.Recorder", "MaxConnections", "MaxUnauthenticated", "DecisionTimeout",
		"Routes[0].Interceptor", "Routes[0].Credentials", `Routes[1].Name "a"`, `Routes[2].Name ""`, "Routes[2].Interceptor",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "Routes[0].Name") {
		t.Errorf("a good name is reported:\n%v", err)
	}
	if _, err := gateway.New(gateway.Config{}); err == nil || !strings.Contains(err.Error(), "Routes is empty") {
		t.Error(err)
	}
}

// untouchable fails the test when it is used.
type untouchable struct{ t *testing.T }

func (u untouchable) Verify(context.Context, identity.Proof) (policy.Identity, error) {
	u.t.Error("verified")
	return policy.Identity{}, errors.ErrUnsupported
}

func (u untouchable) Evaluate(context.Context, *policy.Input) (policy.Decision, error) {
	u.t.Error("evaluated")
	return policy.Decision{}, errors.ErrUnsupported
}

func (u untouchable) Open(context.Context, record.Header) (record.Log, error) {
	u.t.Error("opened")
	return nil, errors.ErrUnsupported
}

func (u untouchable) Credential(context.Context, credsource.Request) (*credsource.Credential, error) {
	u.t.Error("fetched")
	return nil, errors.ErrUnsupported
}

func (u untouchable) Accept() (net.Conn, error) { u.t.Error("accepted"); return nil, net.ErrClosed }
func (u untouchable) Close() error              { u.t.Error("closed"); return nil }
func (u untouchable) Addr() net.Addr            { return nil }

func TestNewDoesNothingYet(t *testing.T) {
	u := untouchable{t}
	before := runtime.NumGoroutine()
	_, err := gateway.New(gateway.Config{Identity: u, Policy: u, Recorder: u, Routes: []gateway.Route{
		{Name: "lines", Interceptor: intercept.New("lines", nil), Credentials: u, Listener: u},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines more", now-before)
	}
}

func TestNewCopiesItsConfig(t *testing.T) {
	var cfg gateway.Config
	r := newRig(t, func(c *gateway.Config) { cfg = *c })
	cfg.Routes[0].Name = "changed"
	cfg.Routes[0].Interceptor = nil
	cfg.Routes[0].Credentials = nil
	cfg.Routes[0].Labels["env"] = "changed"
	c, _ := r.enter("lines", "token-of-ann")
	if got := c.say("read"); got != "ok read" {
		t.Errorf("%q", got)
	}
	if labels := r.Sessions()[0].Target.Labels; labels["env"] != "test" {
		t.Errorf("%v", labels)
	}
}

func TestServeConn(t *testing.T) {
	r := newRig(t)
	c, ended := r.enter("lines", "token-of-ann")
	for say, want := range map[string]string{"read things": "ok read things", "drop things": "refused policy_denied", "read more": "ok read more"} {
		if got := c.say(say); got != want {
			t.Errorf("%q: %q", say, got)
		}
	}
	if len(r.lines.Received()) != 2 {
		t.Errorf("received %q", r.lines.Received())
	}
	s := r.Sessions()[0]
	if s.Identity.Subject != "ann" || s.Target.Name != "lines" || s.Target.Protocol != "lines" || s.Client != "pipe" || s.Counters.Denied != 1 {
		t.Errorf("%+v", s)
	}
	if err := errors.Join(c.Close(), wait(t, ended)); err != nil {
		t.Fatal(err)
	}
	if len(r.Sessions()) != 0 {
		t.Error("the session is still there")
	}
	if reason, ok := r.recorder.Sealed(s.ID); !ok || reason != "closed" {
		t.Errorf("sealed %v: %q", ok, reason)
	}
}

func TestUnknownRoute(t *testing.T) {
	r := newRig(t)
	near, far := net.Pipe()
	if err := r.ServeConn(t.Context(), "none", far); !errors.Is(err, gateway.ErrNoRoute) {
		t.Error(err)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
	if _, err := r.DialContext(t.Context(), "none", identity.Proof{}); !errors.Is(err, gateway.ErrNoRoute) {
		t.Error(err)
	}
}

func TestWrongToken(t *testing.T) {
	r := newRig(t)
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- r.ServeConn(context.Background(), "lines", far) }()
	if got := newClient(near).say("canary-of-a-token"); got != "refused unauthenticated" {
		t.Errorf("%q", got)
	}
	err := wait(t, ended)
	if identity.ReasonOf(err) != identity.ReasonUnknown {
		t.Error(err)
	}
	if logs := r.logs.String(); strings.Contains(logs+err.Error(), "canary") || !strings.Contains(logs, "reason=unknown_token") {
		t.Errorf("logged %s", logs)
	}
	if len(r.Sessions()) != 0 || r.recorder.Sessions() != nil {
		t.Error("there is a session")
	}
}

func TestDialContext(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := r.DialContext(ctx, "lines", identity.Proof{Token: secret.New("token-of-ann")})
	if err != nil {
		t.Fatal(err)
	}
	cancel() // bounds the call only
	c := newClient(conn)
	if got := c.say("any token will do, for the host's counts"); got != "ok welcome" {
		t.Fatalf("%q", got)
	}
	if got := c.say("read"); got != "ok read" {
		t.Errorf("%q", got)
	}
	if s := r.Sessions()[0]; s.Client != "" || s.Identity.Subject != "ann" {
		t.Errorf("%+v", s)
	}
	if _, err := r.DialContext(ctx, "lines", identity.Proof{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
}

func TestDialContextWithABadProof(t *testing.T) {
	r := newRig(t)
	conn, err := r.DialContext(t.Context(), "lines", identity.Proof{Token: secret.New("canary")})
	if err != nil {
		t.Fatal(err)
	}
	if got := newClient(conn).say("token-of-ann"); got != "refused unauthenticated" {
		t.Errorf("%q", got)
	}
	r.shutdown()
	if logs := r.logs.String(); strings.Contains(logs, "canary") || !strings.Contains(logs, "session failed") {
		t.Error(logs)
	}
}

func TestShutdown(t *testing.T) {
	before := runtime.NumGoroutine()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *gateway.Config) { c.Routes[0].Listener = listener })
	served := make(chan error, 1)
	go func() { served <- r.Serve(context.Background()) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	over := newClient(conn)
	if got := over.say("token-of-ann"); got != "ok welcome" {
		t.Fatalf("%q", got)
	}
	piped, ended := r.enter("more", "token-of-bob")
	dialed, err := r.DialContext(t.Context(), "lines", identity.Proof{Token: secret.New("token-of-cat")})
	if err != nil {
		t.Fatal(err)
	}
	inside := newClient(dialed)
	if got := inside.say(""); got != "ok welcome" || len(r.Sessions()) != 3 {
		t.Fatalf("%q, %d sessions", got, len(r.Sessions()))
	}
	unproven, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	sessions := r.recorder.Sessions()
	for range 2 {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := wait(t, served); err != nil {
		t.Error(err)
	}
	_ = wait(t, ended) // ended in the middle of a read
	for _, c := range []*client{over, piped, inside, newClient(unproven)} {
		if got := c.hear(); got != "" {
			t.Errorf("%q", got)
		}
		_ = c.Close()
	}
	for _, id := range sessions {
		if reason, ok := r.recorder.Sealed(id); !ok || reason != intercept.ErrShutdown.Error() {
			t.Errorf("sealed %v: %q", ok, reason)
		}
	}
	if len(r.Sessions()) != 0 {
		t.Error("there are sessions")
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the listener is open")
	}
	r.closed(t)
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

// closed checks that nothing begins any more.
func (r *rig) closed(t *testing.T) {
	t.Helper()
	near, far := net.Pipe()
	if err := r.ServeConn(t.Context(), "lines", far); !errors.Is(err, gateway.ErrClosed) {
		t.Errorf("ServeConn: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
	if _, err := r.DialContext(t.Context(), "lines", identity.Proof{}); !errors.Is(err, gateway.ErrClosed) {
		t.Errorf("DialContext: %v", err)
	}
	if err := r.Serve(t.Context()); !errors.Is(err, gateway.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

func TestShutdownWithoutServeClosesListeners(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *gateway.Config) { c.Routes[0].Listener = listener })
	r.shutdown()
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the listener is open")
	}
}

func TestShutdownIsBounded(t *testing.T) {
	stuck, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(c *gateway.Config) {
		c.Routes[0].Interceptor = intercept.New("stuck", func(_ context.Context, conn net.Conn, _ *intercept.Guard) error {
			close(stuck)
			<-release
			return conn.Close()
		})
	})
	_, far := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- r.ServeConn(context.Background(), "lines", far) }()
	<-stuck
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := r.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	close(release)
	if err := errors.Join(r.Shutdown(t.Context()), wait(t, ended)); err != nil {
		t.Error(err)
	}
}
