package pgproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/headgate/gateway/intercept"
)

// SwitchConfig is what a Switch works with. Routes is required.
type SwitchConfig struct {
	// Routes are where clients get to. The first also authenticates those who ask
	// for what there is not; they are refused afterwards.
	Routes []SwitchRoute
	// TLS configures TLS to clients, of all routes, as Config.TLS does for one.
	TLS *tls.Config
	// StartupTimeout bounds the time until the route is known; zero means 30 s.
	StartupTimeout time.Duration
}

// A SwitchRoute says which clients a route is for.
type SwitchRoute struct {
	// Route is the name of the gateway's route, Interceptor that route's.
	Route       string
	Interceptor *Interceptor
	// ServerNames are names that clients may ask for by TLS (SNI), in lower case.
	// A client that asks for one gets to this route whatever database it names, so
	// that the database must be the route's.
	ServerNames []string
	// Databases are names of databases that clients may ask for. They need not be
	// the name that the server knows. "" stands for none: clients commonly name
	// their user then, as the server would.
	Databases []string
}

// A Switch chooses one of several routes for a client, by the server name that it
// gives in its TLS handshake or else by the database that it asks for. It is safe
// for concurrent use.
type Switch struct {
	cfg         SwitchConfig
	serverNames map[string]*SwitchRoute
	databases   map[string]*SwitchRoute
}

var _ intercept.Chooser = (*Switch)(nil)

// NewSwitch returns a Switch. It checks cfg, copies it and does no I/O.
func NewSwitch(cfg SwitchConfig) (*Switch, error) {
	if len(cfg.Routes) == 0 {
		return nil, errors.New("pgproxy: SwitchConfig.Routes is empty")
	}
	if cfg.StartupTimeout <= 0 {
		cfg.StartupTimeout = 30 * time.Second
	}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.NextProtos = []string{alpn}
	}
	cfg.Routes = slices.Clone(cfg.Routes)
	s := &Switch{cfg: cfg, serverNames: map[string]*SwitchRoute{}, databases: map[string]*SwitchRoute{}}
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		if r.Route == "" || r.Interceptor == nil {
			return nil, fmt.Errorf("pgproxy: SwitchConfig.Routes[%d] lacks its Route or its Interceptor", i)
		}
		for _, name := range r.ServerNames {
			if name == "" || name != strings.ToLower(name) || s.serverNames[name] != nil || cfg.TLS == nil {
				return nil, fmt.Errorf("pgproxy: SwitchConfig.Routes[%d]: server name %q is not in lower case, or there twice, or without TLS", i, name)
			}
			s.serverNames[name] = r
		}
		for _, name := range r.Databases {
			if s.databases[name] != nil {
				return nil, fmt.Errorf("pgproxy: SwitchConfig.Routes[%d]: database %q is there twice", i, name)
			}
			s.databases[name] = r
		}
	}
	return s, nil
}

// Routes returns the names of the routes.
func (s *Switch) Routes() []string {
	names := make([]string, len(s.cfg.Routes))
	for i := range s.cfg.Routes {
		names[i] = s.cfg.Routes[i].Route
	}
	return names
}

// Choose reads the client's startup packet, inside TLS where the client wants it.
// A cancel request is dealt with.
func (s *Switch) Choose(ctx context.Context, client net.Conn) (string, net.Conn, error) {
	if err := client.SetDeadline(time.Now().Add(s.cfg.StartupTimeout)); err != nil {
		return "", nil, err
	}
	conn, startup, err := greet(ctx, client, s.cfg.TLS)
	if err != nil {
		_ = conn.Close() // err is what counts
		return "", nil, err
	}
	if startup.cancel != nil {
		for i := range s.cfg.Routes {
			s.cfg.Routes[i].Interceptor.cancels.request(ctx, startup.cancel)
		}
		return "", nil, conn.Close()
	}
	g := &greeted{Conn: conn, startup: startup}
	route := s.route(g)
	return route.Route, g, nil
}

// route finds the route of a client and notes how the client got to it.
func (s *Switch) route(g *greeted) *SwitchRoute {
	if secured, ok := g.Conn.(*tls.Conn); ok {
		name := strings.ToLower(secured.ConnectionState().ServerName)
		if r := s.serverNames[name]; r != nil && name != "" {
			return r
		}
	}
	database, user := g.startup.parameters["database"], g.startup.parameters["user"]
	r := s.databases[database]
	if r == nil && database == user {
		r = s.databases[""]
	}
	if r == nil {
		g.nowhere = true
		return &s.cfg.Routes[0]
	}
	g.named = true
	return r
}

// greeted is a client whose startup packet a Switch has read.
type greeted struct {
	net.Conn
	startup *startup
	// named says that the database that the client asked for led to the route,
	// nowhere that it is none.
	named, nowhere bool
}

// greet is negotiate, with an answer to clients of another major version.
func greet(ctx context.Context, client net.Conn, config *tls.Config) (net.Conn, *startup, error) {
	conn, s, err := negotiate(ctx, client, config)
	if errors.Is(err, errVersion) {
		_, _ = conn.Write(appendProblem(nil, msgError, problem{
			severity: severityFatal, code: "0A000", message: "headgate: unsupported frontend protocol: 3.0 to 3.2 are carried",
		})) // the peer may not speak any version of the protocol
	}
	return conn, s, err
}
