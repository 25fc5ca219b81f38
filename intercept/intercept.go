// Package intercept holds the one pipeline through which every command of every
// protocol passes, in one order: identify, connect, then authorize and result,
// again and again.
//
// An Interceptor speaks a protocol; a Guard is one live session's identity,
// policy, approvals, credential and record. An interceptor sees two-valued
// Verdicts and can't mishandle a decision. Package intercepttest holds the suite
// that interceptors of third parties can run. This package imports the standard
// library only.
package intercept

import (
	"context"
	"errors"
	"net"
)

// An Interceptor speaks one protocol between a client and an upstream.
//
// Intercept serves one client connection until either side ends or ctx is done,
// and returns after every goroutine it started has ended. It owns client and
// closes it. It must not forward a byte for which g has not given a verdict, nor
// release a byte that g has not recorded. Intercept is called concurrently.
type Interceptor interface {
	// Protocol is the protocol's short name, as in policy.Target.Protocol.
	Protocol() string
	Intercept(ctx context.Context, client net.Conn, g *Guard) error
}

// An Asynchronous Interceptor can carry a session without a goroutine that waits
// for it, whose stack would be most of what an idle session costs.
type Asynchronous interface {
	Interceptor
	// Begin is as Intercept, but may return while the session goes on. It calls
	// ended exactly once, from any goroutine and perhaps before it returns, with
	// what Intercept would have returned and after everything of the session has
	// ended. ended may block. If Begin panics, it has not called ended and will not.
	Begin(ctx context.Context, client net.Conn, g *Guard, ended func(error))
}

// New makes an Interceptor of a function, for protocols that need no state of
// their own. A nil function refuses every connection.
func New(protocol string, f func(ctx context.Context, client net.Conn, g *Guard) error) Interceptor {
	return function{protocol, f}
}

type function struct {
	protocol  string
	intercept func(context.Context, net.Conn, *Guard) error
}

func (f function) Protocol() string { return f.protocol }

func (f function) Intercept(ctx context.Context, client net.Conn, g *Guard) error {
	if f.intercept == nil {
		return errors.Join(errors.New("intercept: no function"), client.Close())
	}
	return f.intercept(ctx, client, g)
}
