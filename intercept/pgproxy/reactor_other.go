//go:build !linux

package pgproxy

import (
	"context"
	"net"
)

// reactors carry sessions on Linux only.
type reactors struct{}

func (s *session) driveOnReactor(context.Context, net.Conn, *upstream) (bool, error) {
	return false, nil
}
