package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/headgate/gateway/intercept"
)

// An Entrance is a listener that leads to several routes.
type Entrance struct {
	// Listener is where Serve accepts clients; the Gateway closes it. Required.
	Listener net.Listener
	// Chooser tells where a client wants to go. Required; its routes must be the
	// Gateway's.
	Chooser intercept.Chooser
}

// A door is a place where clients come in.
type door struct {
	name     string
	listener net.Listener
	serve    func(ctx context.Context, conn net.Conn, place *admission, ended func(error))
}

// doors returns all places where clients come in.
func (g *Gateway) doors() []door {
	var doors []door
	for _, r := range g.routes {
		if r.Listener != nil {
			doors = append(doors, door{r.Name, r.Listener, func(ctx context.Context, conn net.Conn, place *admission, ended func(error)) {
				g.begin(ctx, r, conn, nil, place, ended)
			}})
		}
	}
	for i, e := range g.cfg.Entrances {
		doors = append(doors, door{fmt.Sprintf("entrance %d", i), e.Listener, func(ctx context.Context, conn net.Conn, place *admission, ended func(error)) {
			g.enter(ctx, e.Chooser, conn, place, ended)
		}})
	}
	return doors
}

// enter has a connection carried on the route that c chooses.
func (g *Gateway) enter(ctx context.Context, c intercept.Chooser, client net.Conn, place *admission, ended func(error)) {
	route, conn, err := choose(ctx, c, client)
	if err != nil || conn == nil {
		_ = client.Close() // err is what counts
		ended(err)
		return
	}
	r, ok := g.routes[route]
	if !ok {
		ended(errors.Join(fmt.Errorf("%w: %q", ErrNoRoute, route), conn.Close()))
		return
	}
	g.begin(ctx, r, conn, nil, place, ended)
}

// choose asks c. What it panics with may hold what the client sent, so only its
// type is told.
func choose(ctx context.Context, c intercept.Chooser, client net.Conn) (route string, conn net.Conn, err error) {
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	defer func() {
		if r := recover(); r != nil {
			conn, err = nil, fmt.Errorf("gateway: chooser panicked: %T", r)
		}
	}()
	return c.Choose(ctx, client)
}

// checkEntrances returns what is wrong with the entrances.
func (c *Config) checkEntrances() []error {
	var problems []error
	isRoute := func(name string) bool {
		return slices.ContainsFunc(c.Routes, func(r Route) bool { return r.Name == name })
	}
	for i, e := range c.Entrances {
		if e.Listener == nil || e.Chooser == nil {
			problems = append(problems, fmt.Errorf("Config.Entrances[%d] lacks its Listener or its Chooser", i))
			continue
		}
		for _, name := range e.Chooser.Routes() {
			if !isRoute(name) {
				problems = append(problems, fmt.Errorf("Config.Entrances[%d] leads to %q, which is no route", i, name))
			}
		}
	}
	return problems
}
