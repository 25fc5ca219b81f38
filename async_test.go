package gateway_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy/identity"
)

// lodging is an Asynchronous interceptor whose sessions go on after Begin.
type lodging struct {
	began chan func(error)
	panic bool
	conn  chan net.Conn
}

func (l *lodging) Protocol() string { return "lodging" }

func (l *lodging) Intercept(context.Context, net.Conn, *intercept.Guard) error {
	return errors.New("Intercept was called")
}

func (l *lodging) Begin(ctx context.Context, client net.Conn, g *intercept.Guard, ended func(error)) {
	if ctx != g.Context() {
		ended(errors.New("the context is not the Guard's"))
		return
	}
	if err := g.Identify(ctx, identity.Proof{}); err != nil {
		ended(err)
		return
	}
	if l.panic {
		panic("canary")
	}
	l.conn <- client
	l.began <- ended
}

// A session goes on after Begin has returned, ends with what ended is told, and a
// second call of it does nothing.
func TestAsynchronousInterceptor(t *testing.T) {
	l := &lodging{began: make(chan func(error), 1), conn: make(chan net.Conn, 1)}
	r, near, served := l.enter(t)
	ended := <-l.began
	if len(r.Sessions()) != 1 {
		t.Fatalf("%d sessions while it goes on", len(r.Sessions()))
	}
	id := r.recorder.Sessions()[0]
	if _, sealed := r.recorder.Sealed(id); sealed {
		t.Error("sealed while it goes on")
	}
	_ = (<-l.conn).Close()
	go ended(errors.New("its end"))
	if err := wait(t, served); err == nil || !strings.Contains(err.Error(), "its end") {
		t.Error(err)
	}
	ended(errors.New("again"))
	if reason, ok := r.recorder.Sealed(id); !ok || reason != "failed" || len(r.Sessions()) != 0 {
		t.Errorf("sealed %v: %q, %d sessions", ok, reason, len(r.Sessions()))
	}
	_ = near.Close()
}

func TestAsynchronousInterceptorThatPanics(t *testing.T) {
	l := &lodging{panic: true}
	r, near, served := l.enter(t)
	if err := wait(t, served); err == nil || !strings.Contains(err.Error(), "panicked") || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
	if reason, ok := r.recorder.Sealed(r.recorder.Sessions()[0]); !ok || !strings.Contains(reason, "panicked") {
		t.Errorf("sealed %v: %q", ok, reason)
	}
}

func (l *lodging) enter(t *testing.T) (*rig, net.Conn, chan error) {
	t.Helper()
	r := newRig(t, func(c *gateway.Config) {
		c.Routes[0].Interceptor, c.Identity = l, anyone
	})
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- r.ServeConn(context.Background(), "lines", far) }()
	return r, near, served
}
