// Package gateway is Headgate: a gateway between AI agent loops and the databases,
// hosts and APIs that they work on, to be embedded into a host program.
//
// A Gateway verifies who an agent is, holds the upstream credential so that the
// agent never sees it, asks a policy about every command before it is sent, masks
// sensitive values in every answer before they are released, makes risky commands
// wait for a human, and records each session so that it can be replayed and
// proven.
//
// The host builds one Gateway with New and serves it with Serve, on listeners of
// its own with ServeConn, or without any port with DialContext. The parts are
// small interfaces: identity.Verifier, policy.Evaluator, record.Recorder,
// approve.Approver, credsource.Source and intercept.Interceptor.
//
// The package starts no goroutine that outlives its Gateway, installs no signal
// handler, and writes to no logger but the one that it is given.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

// Config is what a Gateway is made of. Identity, Policy, Recorder and Routes are
// required.
type Config struct {
	// Identity verifies who clients are.
	Identity identity.Verifier
	// Policy decides every command.
	Policy policy.Evaluator
	// Recorder keeps sessions.
	Recorder record.Recorder
	// Approver lets humans agree to what the policy asks about. Nil means that
	// whatever needs a human is refused.
	Approver approve.Approver
	// Routes are where clients come in and what they get to.
	Routes []Route
	// Entrances are listeners that several routes share.
	Entrances []Entrance

	// Logger is told of sessions, refusals and faults. Nil means no logging.
	Logger *slog.Logger
	// TracerProvider and MeterProvider take traces and metrics; nil means none.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider

	// MaxConnections bounds the connections served at a time, over all routes.
	// Zero means 10 000; connections beyond it are closed at once.
	MaxConnections int
	// MaxUnauthenticated bounds the connections that have not proven who they are.
	// Zero means 256.
	MaxUnauthenticated int
	// LoginTimeout bounds how long a connection may take to prove who it is. Zero
	// means 1 min. Waiting for an approval of the connection does not count.
	LoginTimeout time.Duration
	// DecisionTimeout bounds one evaluation of the policy. Zero means 1 s.
	DecisionTimeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Route leads from a listener to one target.
type Route struct {
	// Name is the target's name, unique in a Gateway. Policies see it.
	Name string
	// Labels are seen by policies, as "env": "production".
	Labels map[string]string
	// Interceptor speaks the target's protocol.
	Interceptor intercept.Interceptor
	// Credentials hold what the target is logged in to with.
	Credentials credsource.Source
	// Listener is where Serve accepts clients; the Gateway closes it. Nil means
	// that the route is reached by ServeConn and DialContext only.
	Listener net.Listener
}

// A Gateway serves routes. Its methods are safe for concurrent use. The zero
// Gateway is not usable.
type Gateway struct {
	cfg    Config
	routes map[string]*Route
	watch  *watch
	echoes intercept.Echoes

	ctx    context.Context //nolint:containedctx // the Gateway's life
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	sessions map[string]*session
	open     int
	unproven int
	closed   bool
	running  sync.WaitGroup // of connections and listeners; grows under mu while not closed
}

// Errors that callers can test for.
var (
	// ErrClosed is returned by whatever would begin something after Shutdown.
	ErrClosed = errors.New("gateway: closed")
	// ErrNoRoute says that there is no route of that name.
	ErrNoRoute = errors.New("gateway: no such route")
	// ErrBusy says that a bound on connections has been reached.
	ErrBusy = errors.New("gateway: too many connections")
)

// New returns a Gateway. It checks all of cfg, reports every problem at once, and
// does no I/O. The configuration is copied.
func New(cfg Config) (*Gateway, error) {
	if err := check(&cfg); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	watch, err := newWatch(&cfg)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g := &Gateway{cfg: cfg, routes: map[string]*Route{}, watch: watch, sessions: map[string]*session{}}
	for i := range cfg.Routes {
		g.routes[cfg.Routes[i].Name] = &cfg.Routes[i]
	}
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	return g, nil
}

// Serve accepts clients on the listeners of all routes and entrances until ctx is done or a
// listener fails, and then closes the listeners. Sessions go on: Shutdown ends
// them. It returns nil after ctx is done or Shutdown, and ErrClosed if Shutdown
// came first. It is called once.
func (g *Gateway) Serve(ctx context.Context) error {
	if !g.run() {
		return ErrClosed
	}
	defer g.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(g.ctx, cancel) //nolint:contextcheck // both end it
	defer stop()
	var failures []error
	var mu sync.Mutex
	var accepting sync.WaitGroup
	for _, d := range g.doors() {
		accepting.Go(func() {
			if err := g.accept(ctx, d); err != nil {
				mu.Lock()
				failures = append(failures, err)
				mu.Unlock()
				cancel()
			}
		})
	}
	<-ctx.Done()
	accepting.Wait()
	return errors.Join(failures...)
}

// ServeConn serves one connection that the host has accepted, and returns when
// it has ended. It closes conn. The error is the host's to log; the client has
// been told what it may know.
func (g *Gateway) ServeConn(ctx context.Context, route string, conn net.Conn) error {
	r, ok := g.routes[route]
	if !ok {
		return errors.Join(fmt.Errorf("%w: %q", ErrNoRoute, route), conn.Close())
	}
	place, err := g.admit()
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer place.done()
	return g.serve(ctx, r, conn, nil, place)
}

// DialContext returns a connection to a route, in process: no port is opened and
// no token crosses a wire, for proof counts in place of what the client would
// present. Use it as the dial function of a driver, with any password.
//
// ctx bounds the call only. The session ends when the connection is closed or its
// rights end; its errors go to the Logger.
func (g *Gateway) DialContext(ctx context.Context, route string, proof identity.Proof) (net.Conn, error) {
	r, ok := g.routes[route]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNoRoute, route)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	place, err := g.admit()
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	go func() {
		defer place.done()
		if err := g.serve(context.WithoutCancel(ctx), r, far, &proof, place); err != nil {
			g.watch.logger.Info("session failed", "route", route, "error", err)
		}
	}()
	return near, nil
}

// run says that a method runs that Shutdown has to wait for.
func (g *Gateway) run() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.running.Add(1)
	}
	return !g.closed
}

// Shutdown ends all sessions, after telling their clients, closes the listeners
// and waits until every goroutine of the Gateway has ended or ctx is done. It may
// be called again, to go on waiting.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel(intercept.ErrShutdown)
	for _, d := range g.doors() {
		_ = d.listener.Close() // it may be closed already
	}
	done := make(chan struct{})
	go func() {
		g.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gateway: shutdown: %w", ctx.Err())
	}
}

func check(c *Config) error {
	var problems []error
	need := func(ok bool, what string) {
		if !ok {
			problems = append(problems, errors.New("Config."+what))
		}
	}
	need(c.Identity != nil, "Identity is nil")
	need(c.Policy != nil, "Policy is nil")
	need(c.Recorder != nil, "Recorder is nil")
	need(len(c.Routes) > 0, "Routes is empty")
	need(c.MaxConnections >= 0, "MaxConnections is negative")
	need(c.MaxUnauthenticated >= 0, "MaxUnauthenticated is negative")
	need(c.LoginTimeout >= 0, "LoginTimeout is negative")
	need(c.DecisionTimeout >= 0, "DecisionTimeout is negative")
	routes := make([]Route, len(c.Routes))
	seen := map[string]bool{}
	for i, r := range c.Routes {
		need(r.Name != "" && !seen[r.Name], fmt.Sprintf("Routes[%d].Name %q is empty or not unique", i, r.Name))
		need(r.Interceptor != nil, fmt.Sprintf("Routes[%d].Interceptor is nil", i))
		need(r.Credentials != nil, fmt.Sprintf("Routes[%d].Credentials is nil", i))
		seen[r.Name] = true
		r.Labels = maps.Clone(r.Labels)
		routes[i] = r
	}
	c.Routes, c.Entrances = routes, slices.Clone(c.Entrances)
	problems = append(problems, c.checkEntrances()...)
	if c.MaxConnections == 0 {
		c.MaxConnections = 10_000
	}
	if c.MaxUnauthenticated == 0 {
		c.MaxUnauthenticated = 256
	}
	if c.LoginTimeout == 0 {
		c.LoginTimeout = time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return errors.Join(problems...)
}
