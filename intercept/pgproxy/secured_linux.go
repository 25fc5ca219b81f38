package pgproxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// A socket lets a reactor take over a plain connection from beneath TLS: crypto/tls
// goes on reading and writing through it, and no longer waits.
type socket struct {
	net.Conn

	end *end // of the link that has taken the connection over, nil before
}

// detachable prepares conn, before anything is laid over it, for being taken over.
func detachable(conn net.Conn) net.Conn {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return &socket{Conn: conn}
	default:
		return conn
	}
}

// undetachable returns what detachable was given.
func undetachable(conn net.Conn) net.Conn {
	if s, ok := conn.(*socket); ok {
		return s.Conn
	}
	return conn
}

// Read reads for crypto/tls. Once the connection is taken over, it returns
// errWouldBlock where there is nothing to read, which crypto/tls passes on without
// losing what it has read of a record.
func (s *socket) Read(b []byte) (int, error) {
	if s.end == nil {
		return s.Conn.Read(b)
	}
	return s.end.readSealed(b)
}

// Write writes for crypto/tls. Once the connection is taken over, it takes all.
func (s *socket) Write(b []byte) (int, error) {
	if s.end == nil {
		return s.Conn.Write(b)
	}
	s.end.writeSealed(b)
	return len(b), nil
}

// errWouldBlock says that there is nothing to read now. It is a temporary
// net.Error: those do not end a TLS connection.
var errWouldBlock net.Error = wouldBlockError{}

type wouldBlockError struct{}

func (wouldBlockError) Error() string   { return "pgproxy: nothing to read" }
func (wouldBlockError) Timeout() bool   { return true }
func (wouldBlockError) Temporary() bool { return true }

// secured is what an end has beyond a plain one: TLS.
type secured struct {
	conn   *tls.Conn
	socket *socket
	// in is what has been read from the descriptor and not been taken by conn: in a
	// buffer of sealedBuffers during open, in one of its own between calls.
	in []byte
	// buffer is the one of sealedBuffers that open or seal uses, nil outside of them.
	buffer  *[]byte
	writing bool
	// drained says that the descriptor has nothing more for this call of open, which
	// has read from it so many times.
	drained bool
	reads   int
	// answered counts what TLS itself has written since the peer took all there was
	// for it.
	answered int
}

// maxReads bounds the reads of one call of open: a peer that sends little but what TLS
// is about must not hold up the other sessions. maxAnswered bounds what TLS answers a
// peer that does not read.
const (
	maxReads    = 2
	maxAnswered = 64 << 10
)

// errFlooded says that a peer keeps TLS busy rather than the session.
var errFlooded = errors.New("pgproxy: the peer floods TLS")

// sealedBuffers holds buffers for what goes through a socket at one time.
var sealedBuffers = sync.Pool{New: func() any { b := make([]byte, 0, readBuffer); return &b }}

// maxSealed bounds the buffers that are kept.
const maxSealed = 2 * readBuffer

// take prepares the end for conn, a plain connection or TLS over one. It reports
// whether a reactor can carry it.
func (e *end) take(conn net.Conn) bool {
	if over, ok := conn.(*tls.Conn); ok {
		below := over.NetConn()
		if r, ok := below.(*resumed); ok && len(r.head) == 0 {
			below = r.Conn
		}
		s, ok := below.(*socket)
		if !ok {
			return false
		}
		e.tls, conn = &secured{conn: over, socket: s}, s
	}
	if s, ok := conn.(*socket); ok {
		conn = s.Conn
	}
	var ok bool
	if e.fd, ok = duplicate(conn); ok {
		e.plain = conn
	}
	return ok
}

// detach makes TLS use the descriptor, and closes the connection: the descriptor
// has been duplicated, and stays open.
func (e *end) detach() {
	if e.tls != nil {
		e.tls.socket.end = e
	}
	_ = e.plain.Close() // of no more use
	e.plain = nil
}

// recv reads what there is. It returns 0 and errWouldBlock if that is nothing, and
// notes whether reading again may bring something.
func (e *end) recv(b []byte) (int, error) {
	if e.tls != nil {
		return e.open(b)
	}
	n, err := e.readPlain(b)
	if err == nil && n == len(b) || e.hungUp && n > 0 {
		return n, err
	}
	e.readable = false // the next edge will tell
	return n, err
}

// open reads what there is and decrypts it.
func (e *end) open(b []byte) (int, error) {
	s := e.tls
	s.buffer, _ = sealedBuffers.Get().(*[]byte)
	s.drained, s.reads = false, 0
	n, err := 0, error(nil)
	for n < len(b) && err == nil {
		var m int
		m, err = s.conn.Read(b[n:])
		n += m
	}
	if len(s.in) > 0 { // it may lie in the buffer
		s.in = append([]byte(nil), s.in...)
	}
	sealedBuffers.Put(s.buffer)
	s.buffer = nil
	switch {
	case !errors.Is(err, errWouldBlock):
	case s.drained:
		e.readable = false // the next edge will tell
	case n == 0:
		err = errFlooded
	}
	if n > 0 {
		err = nil // any other comes again
	}
	return n, err
}

// readSealed reads for TLS, from the descriptor in as large pieces as it gives.
func (e *end) readSealed(b []byte) (int, error) {
	s := e.tls
	if s.buffer == nil || s.writing { // not in open
		return e.readPlain(b)
	}
	if len(s.in) == 0 {
		if s.answered > maxAnswered {
			return 0, errFlooded
		}
		if s.drained || s.reads == maxReads {
			return 0, errWouldBlock
		}
		s.reads++
		into := (*s.buffer)[:cap(*s.buffer)]
		n, err := e.readPlain(into)
		if err != nil {
			s.drained = errors.Is(err, errWouldBlock)
			return 0, err
		}
		s.in, s.drained = into[:n], n < len(into) && !e.hungUp
	}
	n := copy(b, s.in)
	s.in = s.in[n:]
	return n, nil
}

// readPlain reads from the descriptor.
func (e *end) readPlain(b []byte) (int, error) {
	for {
		n, errno := rawRead(e.fd, b)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return 0, errWouldBlock
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// seal writes what TLS makes of write, in one piece if the descriptor takes it.
func (e *end) seal(write func(*tls.Conn) error) {
	s := e.tls
	s.buffer, _ = sealedBuffers.Get().(*[]byte)
	s.writing = true
	err := write(s.conn)
	s.writing = false
	e.writePlain(*s.buffer)
	if *s.buffer = (*s.buffer)[:0]; cap(*s.buffer) <= maxSealed {
		sealedBuffers.Put(s.buffer)
	}
	s.buffer = nil
	if err != nil {
		e.broken()
	}
}

// writeSealed takes what TLS writes: while something is sealed it is gathered, an
// answer to the peer's TLS is written at once.
func (e *end) writeSealed(b []byte) {
	s := e.tls
	if s.writing {
		*s.buffer = append(*s.buffer, b...)
		return
	}
	if s.answered += len(b); len(e.out) == 0 {
		s.answered = 0
	}
	e.writePlain(b)
}

// farewell tells the peer's TLS that this was all.
func (e *end) farewell() {
	if e.tls != nil {
		e.seal((*tls.Conn).CloseWrite)
	}
}
