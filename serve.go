package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// accept serves a listener until ctx is done.
func (g *Gateway) accept(ctx context.Context, d door) error {
	stop := context.AfterFunc(ctx, func() { _ = d.listener.Close() }) // unblocks Accept
	defer stop()
	defer func() { _ = d.listener.Close() }() // closed already, as a rule
	for {
		conn, err := d.listener.Accept()
		if ctx.Err() != nil || g.ctx.Err() != nil {
			if conn != nil {
				_ = conn.Close()
			}
			return nil
		}
		if isTemporary(err) {
			g.watch.logger.Warn("accept failed, trying again", "route", d.name, "error", err)
			if !pause(ctx, acceptPause) {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("gateway: route %q: %w", d.name, err)
		}
		g.serveAccepted(d, conn)
	}
}

// acceptPause is how long a listener rests after running out of descriptors.
const acceptPause = 50 * time.Millisecond

// pause waits and reports whether it was not interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isTemporary reports whether Accept may succeed later: a client that left too
// early, or no descriptor to be had.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

func (g *Gateway) serveAccepted(d door, conn net.Conn) {
	place, err := g.admit()
	if err != nil {
		_ = conn.Close() // it may be gone
		g.watch.logger.Info("connection refused", "route", d.name, "client", clientAddress(conn, nil), "error", err)
		return
	}
	client := clientAddress(conn, nil)
	go d.serve(g.ctx, conn, place, func(err error) {
		defer place.done()
		if err != nil {
			g.watch.logger.Info("connection ended", "route", d.name, "client", client, "error", err)
		}
	})
}

// serve carries one connection, which has its place, until it has ended. proof is
// set for connections from in process.
func (g *Gateway) serve(ctx context.Context, r *Route, conn net.Conn, proof *identity.Proof, place *admission) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(g.ctx, func() { cancel(context.Cause(g.ctx)) }) //nolint:contextcheck // both end it
	defer stop()
	ended := make(chan error, 1)
	g.begin(ctx, r, conn, proof, place, func(err error) { ended <- err })
	return <-ended
}

// begin has one connection carried and calls ended, once, when it has ended. ctx
// ends with the Gateway.
func (g *Gateway) begin(ctx context.Context, r *Route, conn net.Conn, proof *identity.Proof, place *admission, ended func(error)) {
	s := &session{gateway: g, admission: place}
	guard, err := intercept.NewGuard(ctx, intercept.GuardConfig{
		Session:  newSessionID(),
		Client:   clientAddress(conn, proof),
		Target:   policy.Target{Name: r.Name, Protocol: r.Interceptor.Protocol(), Labels: r.Labels},
		Identity: g.cfg.Identity, Policy: g.cfg.Policy, Recorder: g.cfg.Recorder, Approver: g.cfg.Approver,
		Source: r.Credentials, Proof: proof, DecisionTimeout: g.cfg.DecisionTimeout,
		Observer: s, Now: g.cfg.Now, Echoes: &g.echoes,
	})
	if err != nil {
		ended(errors.Join(err, conn.Close()))
		return
	}
	s.guard = guard
	s.login = time.AfterFunc(g.cfg.LoginTimeout, func() { s.expel(conn) })
	s.intercept(r.Interceptor, conn, func(err error) { //nolint:contextcheck // the Guard has it
		s.login.Stop()
		ended(errors.Join(err, s.close(ctx, err)))
	})
}

// errLogin says that a connection took too long to prove who it is.
var errLogin = errors.New("gateway: no login within LoginTimeout")

// expel ends a connection that has not proven who it is; there is a moment for a
// last word.
func (s *session) expel(conn net.Conn) {
	if s.admission.isProven() {
		return
	}
	s.guard.End(errLogin)
	_ = conn.SetReadDeadline(time.Unix(1, 0)) // it may be gone
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
}

// intercept runs the interceptor, which calls ended or has it called when it has
// ended.
func (s *session) intercept(i intercept.Interceptor, conn net.Conn, ended func(error)) {
	ctx := s.guard.Context()
	async, ok := i.(intercept.Asynchronous)
	if !ok {
		ended(s.guarded(conn, func() error { return i.Intercept(ctx, conn, s.guard) }))
		return
	}
	var once sync.Once
	end := func(err error) { once.Do(func() { ended(err) }) }
	err := s.guarded(conn, func() error {
		async.Begin(ctx, conn, s.guard, end)
		return nil
	})
	if err != nil {
		end(err)
	}
}

// guarded turns a panic into an error: one session must not take the host program
// down. What it panicked with may hold a secret and is told only if the runtime
// made it; the log gets the stack.
func (s *session) guarded(conn net.Conn, run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.guard.End(errPanic)
			what := fmt.Sprintf("%T", r)
			if fault, ok := r.(runtime.Error); ok {
				what = fault.Error()
			}
			s.gateway.watch.logger.Error("interceptor panicked", "session", s.guard.Session(), "panic", what, "stack", string(debug.Stack()))
			err = errors.Join(fmt.Errorf("%w: %s", errPanic, what), conn.Close())
		}
	}()
	return run()
}

var errPanic = errors.New("gateway: interceptor panicked")

// closeTimeout bounds giving the credential back when a session ends.
const closeTimeout = 10 * time.Second

// close seals the session.
func (s *session) close(ctx context.Context, cause error) error {
	reason := "closed"
	if ended := context.Cause(s.guard.Context()); ended != nil { //nolint:contextcheck // the session's, not the caller's
		reason = ended.Error()
	} else if cause != nil {
		reason = "failed"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := s.guard.Close(ctx, reason)
	s.gateway.forget(s)
	return err
}

func clientAddress(conn net.Conn, proof *identity.Proof) string {
	if proof != nil || conn.RemoteAddr() == nil {
		return ""
	}
	return conn.RemoteAddr().String()
}

// newSessionID returns 128 random bits, in letters and digits that are safe in
// file names of any kind.
func newSessionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// admission is a connection's place among those that are served.
type admission struct {
	gateway *Gateway
	proven  bool
}

// admit takes a place, or fails if there is none.
func (g *Gateway) admit() (*admission, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrClosed
	}
	if g.open >= g.cfg.MaxConnections || g.unproven >= g.cfg.MaxUnauthenticated {
		return nil, ErrBusy
	}
	g.open++
	g.unproven++
	g.running.Add(1)
	return &admission{gateway: g}, nil
}

// prove says that the connection knows who it is.
func (a *admission) prove() {
	a.gateway.mu.Lock()
	defer a.gateway.mu.Unlock()
	if !a.proven {
		a.proven = true
		a.gateway.unproven--
	}
}

func (a *admission) isProven() bool {
	a.gateway.mu.Lock()
	defer a.gateway.mu.Unlock()
	return a.proven
}

func (a *admission) done() {
	a.prove()
	a.gateway.mu.Lock()
	a.gateway.open--
	a.gateway.mu.Unlock()
	a.gateway.running.Done()
}
