package pgproxy

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// patienceAtEnd is how long a server is first given to end what it was cancelled at.
const patienceAtEnd = 20 * time.Millisecond

// serverSide is what abandon needs of the connection to a server: beneath TLS, where
// there is TLS.
type serverSide interface {
	io.Reader
	SetReadDeadline(t time.Time) error
}

// abandon has the server stop what it was at when the session ended. A server ignores
// a cancel request that comes before it has begun, so it is asked until it has hung up,
// as it does when it is done and finds that nothing more comes. What it sends is
// dropped: one that waits to send does not look at requests. The caller has closed the
// sending side of server, and closes the rest.
func (s *session) abandon(ctx context.Context, server serverSide) {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	end, _ := ctx.Deadline()
	buf := make([]byte, 16<<10)
	for wait := patienceAtEnd; ctx.Err() == nil; wait *= 2 {
		if s.cancelUpstream(ctx) != nil { // it is closed next in any case
			return
		}
		next := time.Now().Add(wait)
		if next.After(end) {
			next = end
		}
		if server.SetReadDeadline(next) != nil || hangsUp(server, buf) {
			return
		}
	}
}

// hangsUp reads until the deadline, and reports whether the end has come before.
func hangsUp(r io.Reader, buf []byte) bool {
	for {
		if _, err := r.Read(buf); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}
