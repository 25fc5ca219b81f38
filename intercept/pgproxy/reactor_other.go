//go:build !linux

package pgproxy

import (
	"context"
	"net"
)

// reactors carry sessions on Linux only.
type reactors struct{}

// detachable returns conn: there is nothing to take it over.
func detachable(conn net.Conn) net.Conn { return conn }

// undetachable returns what detachable was given.
func undetachable(conn net.Conn) net.Conn { return conn }

func (s *session) driveOnReactor(context.Context, net.Conn, *upstream, func(error)) bool {
	return false
}
