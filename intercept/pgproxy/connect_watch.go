package pgproxy

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// maxEarly bounds what a client may send while a human decides whether it may
// connect.
const maxEarly = 64 << 10

// A connectWatch reads from a client while a human decides whether it may connect:
// one that leaves cancels the wait. What it sends is kept.
type connectWatch struct {
	conn   net.Conn
	cancel context.CancelFunc
	early  []byte
	done   chan error
}

func (w *connectWatch) begin() {
	if w.done == nil {
		w.done = make(chan error, 1)
		go func() { w.done <- w.read() }()
	}
}

func (w *connectWatch) read() error {
	buf := make([]byte, 4<<10)
	for len(w.early) < maxEarly { // beyond it, it may send more when its turn comes
		n, err := w.conn.Read(buf)
		w.early = append(w.early, buf[:n]...)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			w.cancel()
			return err
		}
	}
	return nil
}

// end stops watching and returns the connection, which still has what came early.
func (w *connectWatch) end() net.Conn {
	if w.done == nil {
		return w.conn
	}
	_ = w.conn.SetReadDeadline(time.Unix(1, 0)) // a connection that is gone is noticed by its next reader
	if err := <-w.done; err != nil {
		return w.conn // it has cancelled: the client has left
	}
	_ = w.conn.SetReadDeadline(time.Time{})
	if len(w.early) == 0 {
		return w.conn
	}
	return &earlyConn{Conn: w.conn, early: w.early}
}

// An earlyConn is a connection of which some bytes have been read already.
type earlyConn struct {
	net.Conn

	early []byte
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
