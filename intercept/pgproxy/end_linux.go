package pgproxy

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"syscall"
	"unsafe"
)

// An end is one of the two sockets of a link.
type end struct {
	fd int
	// readable says that a read may bring something; hungUp that the peer has
	// closed its side, so that reads go on to the end.
	readable, hungUp bool
	// carry is what has been read and not been consumed, out what is to be written,
	// of which the first sent bytes have been.
	carry, out []byte
	sent       int
	// taken counts what the socket has taken.
	taken uint64
	// tls is set where TLS ends in the gateway. plain is the connection until the
	// reactor has taken it over.
	tls   *secured
	plain net.Conn
}

// maxMoved is the length up to which what is carried is moved to where the next read
// goes, so that the read is as long as it can be. What is longer is read on in place:
// a message that comes in many parts is not moved with each of them.
const maxMoved = 8 << 10

// read reads once, behind what is carried. It returns all that there is, in buf or
// in carry, nil if there is nothing new. buf is longer than maxMoved.
func (e *end) read(buf []byte) ([]byte, error) {
	have := len(e.carry)
	into := buf
	if have <= maxMoved {
		copy(buf, e.carry)
	} else {
		if cap(e.carry) == have {
			e.carry = append(e.carry, make([]byte, have)...)[:have]
		}
		into = e.carry[:cap(e.carry)]
	}
	n, err := e.recv(into[have:])
	switch {
	case errors.Is(err, errWouldBlock):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return into[:have+n], nil
}

// roomFactor is how many times what there is of a long message room is made for: not
// for all that it is said to be, which may never come, and often enough to be moved
// few times.
const roomFactor = 4

// keep carries what was not consumed, with room for more of the message if it is long.
func (e *end) keep(rest []byte, needed int) {
	if len(rest) <= maxMoved {
		if cap(e.carry) > readBuffer/2 {
			e.carry = nil
		}
		e.carry = append(e.carry[:0], rest...)
		return
	}
	inPlace := cap(e.carry) > 0 && &rest[0] == &e.carry[:1][0]
	if inPlace && (len(rest) < cap(e.carry) || needed <= len(rest)) {
		e.carry = e.carry[:len(rest)] // it is not moved with each part that comes
		return
	}
	if room := min(needed, roomFactor*len(rest)); cap(e.carry) < room {
		grown := make([]byte, len(rest), max(room, len(rest)))
		copy(grown, rest)
		e.carry = grown
		return
	}
	e.carry = append(e.carry[:0], rest...)
}

// write writes what it can and keeps the rest. Errors show at the next read.
func (e *end) write(b []byte) {
	if e.tls == nil {
		e.writePlain(b)
		return
	}
	for len(b) > 0 { // in parts, so that what is sealed at a time is bounded
		part := b[:min(readBuffer, len(b))]
		e.seal(func(c *tls.Conn) error {
			_, err := c.Write(part)
			return err
		})
		b = b[len(part):]
		if len(e.out) > 0 && len(b) > readBuffer {
			e.out = slices.Grow(e.out, len(b)+len(b)/64)
		}
	}
}

// writePlain is write for what goes over the wire as it is.
func (e *end) writePlain(b []byte) {
	if len(e.out) == 0 {
		b = b[e.send(b):]
	}
	if len(b) > 0 {
		e.out = append(e.out, b...)
	}
}

// send writes what the socket takes and returns how much is dealt with: all of it
// if the peer is gone.
func (e *end) send(b []byte) int {
	done := 0
	for done < len(b) {
		n, errno := rawWrite(e.fd, b[done:])
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return done
		case errno != 0:
			e.broken()
			return len(b)
		default:
			done += n
			e.taken += uint64(n)
		}
	}
	return done
}

// flush writes what was kept and reports whether all of it is gone. What is left
// is not moved: it may be long, and go in many parts.
func (e *end) flush() bool {
	if len(e.out) == 0 {
		return true
	}
	e.sent += e.send(e.out[e.sent:])
	if e.sent < len(e.out) {
		return false
	}
	e.out, e.sent = nil, 0
	return true
}

// broken notes that a write failed: the next read tells.
func (e *end) broken() { e.hungUp, e.readable = true, true }

// duplicate returns a non-blocking descriptor of a plain socket.
func duplicate(conn net.Conn) (int, bool) {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return 0, false
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	fd, failed := 0, true
	err = raw.Control(func(p uintptr) {
		n, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, p, syscall.F_DUPFD_CLOEXEC, 0)
		fd, failed = int(n), errno != 0
	})
	if err != nil || failed {
		return 0, false
	}
	if syscall.SetNonblock(fd, true) != nil {
		_ = syscall.Close(fd)
		return 0, false
	}
	return fd, true
}

// rawRead and rawWrite are non-blocking, so the scheduler need not hear of them.
func rawRead(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func rawWrite(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}
