package pgproxy

import (
	"context"
	"io"
	"os"
	"syscall"
	"time"
)

// clientLeft ends the session unless the client has said goodbye: then what it
// sent before is done first, except for what a human is still asked about.
func (l *link) clientLeft() {
	l.mu.Lock()
	goodbye := l.leaving || saysGoodbye(l.client.carry)
	l.mu.Unlock()
	l.client.readable, l.gone = false, true
	if !goodbye || l.asking {
		l.finish(io.EOF)
	}
}

// limitGoodbye bounds how long a client that has said goodbye may go without reading
// what there is for it. The caller holds io.
func (l *link) limitGoodbye() {
	if l.goodbye != nil {
		return
	}
	timeout, taken := l.proxy.cfg.GoodbyeTimeout, l.client.taken
	l.goodbye = time.AfterFunc(timeout, func() {
		l.io.Lock()
		defer l.io.Unlock()
		switch {
		case l.closed:
		case len(l.client.out) > 0 && l.client.taken == taken:
			l.finish(errUnread)
		default:
			taken = l.client.taken
			l.goodbye.Reset(timeout)
		}
	})
}

// abandonServer has the server stop. The link has left its reactor: it waits on a
// descriptor of its own.
func (l *link) abandonServer() {
	_ = syscall.Shutdown(l.server.fd, syscall.SHUT_WR) // it may be gone
	fd, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(l.server.fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return
	}
	server := os.NewFile(fd, "")
	l.abandon(context.WithoutCancel(l.ctx), server)
	_ = server.Close() // it was only read from
}
