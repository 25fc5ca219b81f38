package gateway_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy/identity"
)

func listenOn(l net.Listener) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Routes[0].Listener = l }
}

// A script is a listener that answers Accept as a test says.
type script struct {
	answers chan answer
	closed  chan struct{}
}

type answer struct {
	conn net.Conn
	err  error
}

func newScript() *script { return &script{make(chan answer, 10), make(chan struct{})} }

func (s *script) Accept() (net.Conn, error) {
	select {
	case a := <-s.answers:
		return a.conn, a.err
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *script) Close() error {
	select {
	case <-s.closed:
		return net.ErrClosed
	default:
		close(s.closed)
		return nil
	}
}

func (s *script) Addr() net.Addr { return &net.TCPAddr{} }

func (s *script) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// descriptorsError is an error of Accept that passes.
type descriptorsError struct{}

func (descriptorsError) Error() string   { return "too many open files" }
func (descriptorsError) Temporary() bool { return true }

func TestServeGoesOnAfterAnErrorThatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newScript()
		r := newRig(t, listenOn(l))
		served := make(chan error, 1)
		go func() { served <- r.Serve(context.Background()) }()
		start := time.Now()
		for range 3 {
			l.answers <- answer{err: &net.OpError{Op: "accept", Err: descriptorsError{}}}
		}
		near, far := net.Pipe()
		l.answers <- answer{conn: far}
		c := newClient(near)
		if got := c.say("token-of-ann"); got != "ok welcome" {
			t.Errorf("%q", got)
		}
		if rested := time.Since(start); rested < 3*time.Millisecond || rested > time.Second {
			t.Errorf("it rested for %v", rested)
		}
		if n := strings.Count(r.logs.String(), "trying again"); n != 3 {
			t.Errorf("logged %d times", n)
		}
		l.answers <- answer{err: descriptorsError{}}
		synctest.Wait()
		r.shutdown() // while it rests
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestServeEndsWithAListener(t *testing.T) {
	broken, other := newScript(), newScript()
	r := newRig(t, func(c *gateway.Config) { c.Routes[0].Listener, c.Routes[1].Listener = broken, other })
	c, _ := r.enter("lines", "token-of-ann")
	failure := errors.New("gone")
	broken.answers <- answer{err: failure}
	if err := r.Serve(t.Context()); !errors.Is(err, failure) || !strings.Contains(err.Error(), `"lines"`) {
		t.Error(err)
	}
	if !broken.isClosed() || !other.isClosed() {
		t.Error("a listener is open")
	}
	if got := c.say("read"); got != "ok read" {
		t.Errorf("the session has ended: %q", got)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l := newScript()
	r := newRig(t, listenOn(l))
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx) }()
	near, far := net.Pipe()
	l.answers <- answer{conn: far}
	c := newClient(near)
	if got := c.say("token-of-ann"); got != "ok welcome" {
		t.Fatalf("%q", got)
	}
	cancel()
	if err := wait(t, served); err != nil || !l.isClosed() {
		t.Errorf("%v, closed %v", err, l.isClosed())
	}
	if got := c.say("read"); got != "ok read" {
		t.Errorf("the session has ended: %q", got)
	}
}

func TestServeWithoutListenersWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		served := make(chan error, 1)
		go func() { served <- r.Serve(context.Background()) }()
		synctest.Wait()
		if len(served) != 0 {
			t.Fatal("it has returned")
		}
		r.shutdown()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestMaxConnections(t *testing.T) {
	l := newScript()
	r := newRig(t, listenOn(l), func(c *gateway.Config) { c.MaxConnections = 2 })
	first, ended := r.enter("lines", "token-of-ann")
	r.enter("more", "token-of-bob")
	r.full(t, l)
	if err := errors.Join(first.Close(), wait(t, ended)); err != nil {
		t.Fatal(err)
	}
	r.enter("lines", "token-of-cat")
}

func TestMaxUnauthenticated(t *testing.T) {
	l := newScript()
	r := newRig(t, listenOn(l), func(c *gateway.Config) { c.MaxUnauthenticated = 2 })
	r.enter("lines", "token-of-ann") // has proven who it is
	var silent []net.Conn
	var ends []chan error
	for range 2 {
		near, far := net.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- r.ServeConn(context.Background(), "lines", far) }()
		if _, err := near.Write([]byte("t")); err != nil { // it is being served
			t.Fatal(err)
		}
		silent, ends = append(silent, near), append(ends, ended)
	}
	r.full(t, l)
	_ = silent[0].Close()
	_ = wait(t, ends[0]) // it said nothing
	c, _ := r.enter("lines", "token-of-bob")
	if got := c.say("read"); got != "ok read" {
		t.Errorf("%q", got)
	}
	if got := newClient(silent[1]).say("oken-of-cat"); got != "ok welcome" {
		t.Errorf("%q", got)
	}
	r.enter("lines", "token-of-dan")
}

// full checks that there is no place on any way in.
func (r *rig) full(t *testing.T, l *script) {
	t.Helper()
	near, far := net.Pipe()
	if err := r.ServeConn(t.Context(), "lines", far); !errors.Is(err, gateway.ErrBusy) {
		t.Errorf("ServeConn: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
	if _, err := r.DialContext(t.Context(), "lines", identity.Proof{}); !errors.Is(err, gateway.ErrBusy) {
		t.Errorf("DialContext: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx) }()
	near, far = net.Pipe()
	l.answers <- answer{conn: far}
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the accepted connection is open")
	}
	cancel()
	if err := wait(t, served); err != nil {
		t.Error(err)
	}
}

func TestInterceptorThatPanics(t *testing.T) {
	for name, c := range map[string]struct {
		panics func()
		says   string
	}{
		"a fault of the runtime": {func() { _ = []int{}[len("x")] }, "index out of range"},
		"a secret":               {func() { panic("canary-of-the-vault") }, "string"},
		"an error":               {func() { panic(errors.New("canary-of-the-vault")) }, "*errors.errorString"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(cfg *gateway.Config) {
				cfg.Routes[0].Interceptor = intercept.New("lines", func(ctx context.Context, _ net.Conn, g *intercept.Guard) error {
					if err := g.Identify(ctx, identity.Proof{}); err != nil {
						return err
					}
					c.panics()
					return nil
				})
			}, func(cfg *gateway.Config) { cfg.Identity = anyone })
			near, far := net.Pipe()
			err := r.ServeConn(t.Context(), "lines", far)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error()+r.logs.String(), "canary") {
				t.Errorf("%v\n%s", err, r.logs)
			}
			if _, err := near.Read(make([]byte, 1)); err == nil {
				t.Error("the connection is open")
			}
			if len(r.Sessions()) != 0 || !strings.Contains(r.logs.String(), "serve_test.go") {
				t.Errorf("%d sessions, or no stack in the log: %s", len(r.Sessions()), r.logs)
			}
			id := r.recorder.Sessions()[0]
			if reason, ok := r.recorder.Sealed(id); !ok || !strings.Contains(reason, "panicked") {
				t.Errorf("sealed %v: %q", ok, reason)
			}
		})
	}
}

// nameless is a connection without addresses.
type nameless struct{ net.Conn }

func (nameless) RemoteAddr() net.Addr { return nil }

func TestConnectionWithoutAddress(t *testing.T) {
	l := newScript()
	r := newRig(t, listenOn(l))
	served := make(chan error, 1)
	go func() { served <- r.Serve(context.Background()) }()
	for _, token := range []string{"token-of-ann", "wrong"} {
		near, far := net.Pipe()
		l.answers <- answer{conn: nameless{far}}
		c := newClient(near)
		if got := c.say(token); (got == "ok welcome") != (token == "token-of-ann") || got == "" {
			t.Errorf("%q", got)
		}
		_ = c.Close()
	}
	r.shutdown()
	if err := wait(t, served); err != nil {
		t.Error(err)
	}
}

// A connection that does not prove who it is ends, whatever its interceptor does,
// and makes room for others; one that has is left alone.
func TestLoginTimeout(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.LoginTimeout, c.MaxUnauthenticated = 300*time.Millisecond, 1 })
	proven, ended := r.enter("lines", "token-of-ann")
	near, far := net.Pipe()
	silent := newClient(near)
	served := make(chan error, 1)
	go func() { served <- r.ServeConn(context.Background(), "lines", far) }()
	_ = wait(t, served)
	if got := silent.hear(); strings.HasPrefix(got, "ok") {
		t.Errorf("%q", got)
	}
	if got := proven.say("get 1"); got == "" {
		t.Error("a proven session ended")
	}
	_ = proven.Close()
	_ = wait(t, ended)
}
