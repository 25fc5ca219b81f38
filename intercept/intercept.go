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
