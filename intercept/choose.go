package intercept

import (
	"context"
	"net"
)

// A Chooser tells which of several routes a new connection is for, where they
// share a listener.
type Chooser interface {
	// Routes names the routes that Choose chooses from.
	Routes() []string
	// Choose reads no more than it must to know where the client wants to go, and
	// returns one of Routes and the connection to serve it on, in place of client.
	// The client has proven nothing yet: an answer to it must not tell which routes
	// there are. A nil connection without an error says that nothing is left to be
	// served. Choose bounds the time that it takes and ends when ctx is done; the
	// caller closes client.
	Choose(ctx context.Context, client net.Conn) (route string, conn net.Conn, err error)
}
