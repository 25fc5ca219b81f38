package pgproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"github.com/headgate/gateway/approve"
)

// A link is a session on a reactor.
type link struct {
	*session
	ctx     context.Context
	reactor *reactor

	// io guards all that follows and the session's turns. It is taken before mu.
	io             sync.Mutex
	client, server end
	waiting        *wait
	resumed        bool // a wait is over, and what was read during it not yet judged
	leaves         bool // the client has said goodbye and is sent what is left
	gone, asking   bool // the client has closed its side; a human is asked
	closed         bool
	err            error
	done           chan struct{}
	beside         sync.WaitGroup // goroutines that wait for verdicts
}

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
	// tls is set where TLS ends in the gateway. plain is the connection until the
	// reactor has taken it over.
	tls   *secured
	plain net.Conn
}

// driveOnReactor runs the session on a reactor, if both sides are sockets, with or
// without TLS, and the record takes entries without waiting for its storage. It
// reports whether it did.
func (s *session) driveOnReactor(ctx context.Context, client net.Conn, up *upstream) (bool, error) {
	if !s.guard.Prompt() {
		return false, nil
	}
	l := &link{session: s, ctx: ctx, done: make(chan struct{})}
	if !l.client.take(client) {
		return false, nil
	}
	if !l.server.take(up.conn) {
		_ = syscall.Close(l.client.fd)
		return false, nil
	}
	l.client.readable, l.server.readable = true, true
	l.client.detach()
	l.server.detach()
	s.attach(l.resume, up)
	if err := s.proxy.reactors.join(l); err != nil {
		return true, errors.Join(err, syscall.Close(l.client.fd), syscall.Close(l.server.fd))
	}
	return true, l.wait()
}

// wait returns when the session has ended and nothing of it is left.
func (l *link) wait() error {
	stop := context.AfterFunc(l.guard.Context(), l.interrupt)
	stopHost := context.AfterFunc(l.ctx, l.interrupt)
	<-l.done
	stop()
	stopHost()
	l.mu.Lock()
	busy, cancel := l.queue.size > 0, l.cancelWait
	l.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	l.beside.Wait()
	if busy {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), farewell)
		_ = l.cancelUpstream(ctx) // the connection is closed next in any case
		cancel()
	}
	l.io.Lock()
	defer l.io.Unlock()
	_ = syscall.Close(l.client.fd)
	_ = syscall.Close(l.server.fd)
	l.client.fd, l.server.fd = -1, -1 // TLS may be closed by its owner yet
	return orderly(l.err)
}

// finish ends the session, with a last word to the client unless something waits
// to be written to it. The caller holds io.
func (l *link) finish(err error) {
	if l.closed {
		return
	}
	if l.leaves = errors.Is(err, errEnded) && !l.client.flush(); l.leaves {
		return
	}
	l.closed, l.err = true, err
	l.reactor.remove(l)
	l.mu.Lock()
	_ = l.end(errors.Join(io.EOF, err))
	word := l.lastWord()
	l.mu.Unlock()
	if len(l.client.out) == 0 { // the client may be gone
		if len(word) > 0 {
			l.client.write(word)
		}
		l.client.farewell()
	}
	if len(l.server.out) == 0 {
		l.server.farewell()
	}
	_ = syscall.Shutdown(l.client.fd, syscall.SHUT_RDWR) // closed by wait, which may take a moment
	close(l.done)
}

// interrupt ends the session from outside.
func (l *link) interrupt() {
	cause := context.Cause(l.guard.Context())
	if cause == nil {
		cause = context.Cause(l.ctx)
	}
	l.io.Lock()
	defer l.io.Unlock()
	l.mu.Lock()
	_ = l.fail(cause)
	l.mu.Unlock()
	l.finish(cause)
}

// resume takes a turn on behalf of whatever the session was waiting for.
func (l *link) resume() {
	buf := make([]byte, readBuffer)
	for more := true; more; {
		l.io.Lock()
		more = l.turn(buf)
		l.io.Unlock()
	}
}

// pending tells the client that a human is asked.
func (l *link) pending(p approve.Pending) {
	l.io.Lock()
	defer l.io.Unlock()
	if l.asking = true; l.gone {
		l.finish(io.EOF)
	}
	if l.closed {
		return
	}
	l.client.write(l.noticeNow(p))
}

func (l *link) noteEvent(ev syscall.EpollEvent) {
	e := &l.client
	if int(ev.Fd) == l.server.fd {
		e = &l.server
	}
	if ev.Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		e.hungUp, e.readable = true, true
	}
	if ev.Events&syscall.EPOLLIN != 0 {
		e.readable = true
	}
}

// turnBudget bounds the reads of one turn, so that a session that streams leaves
// room for the others.
const turnBudget = 16

// turn moves what can be moved. It reports whether there may be more. The caller
// holds io.
func (l *link) turn(buf []byte) bool {
	for range turnBudget {
		if l.closed {
			return false
		}
		if l.leaves {
			l.finish(errEnded)
			return false
		}
		moved := l.moveServer(buf)
		if !l.closed && l.moveClient(buf) {
			moved = true
		}
		if !moved {
			return false
		}
	}
	return true
}

// moveServer reads once from the server and releases what it may. It reports
// whether something was read.
func (l *link) moveServer(buf []byte) bool {
	if !l.client.flush() {
		return false
	}
	if l.giveBack(); !l.server.readable {
		return false
	}
	in, err := l.server.read(buf)
	if in != nil {
		used, release, stepErr := l.stepServer(in)
		if stepErr != nil {
			l.finish(stepErr)
			return false
		}
		l.client.write(release)
		l.sendUrgent()
		l.server.keep(in[used:], l.awaited(in[used:]))
	}
	if err != nil {
		l.client.flush()
		l.finish(err)
	}
	return in != nil
}

// moveClient sends what has been judged, then reads once from the client and
// judges. It reports whether it got anywhere.
func (l *link) moveClient(buf []byte) bool {
	flushed := l.server.flush()
	if l.waiting != nil && !l.waitOver() {
		l.watchClient(buf)
		return false
	}
	l.resumed = l.resumed || l.waiting != nil
	l.waiting = nil
	l.sendJudged()
	if !flushed || !l.server.flush() {
		return false
	}
	var in []byte
	var err error
	resumed := l.resumed
	l.resumed = false
	switch {
	case resumed:
		in = l.client.carry
	case l.client.readable:
		in, err = l.client.read(buf)
	}
	if in == nil && err == nil {
		return resumed
	}
	l.judgeBytes(in)
	if err != nil && !l.closed {
		l.finish(err)
	}
	return true
}

// judgeBytes works through bytes of the client.
func (l *link) judgeBytes(in []byte) {
	used, w, err := l.stepClient(in)
	l.sendJudged()
	l.client.keep(in[used:], l.needed(in[used:]))
	if err != nil {
		l.finish(err)
		return
	}
	if l.waiting = w; w != nil && w.until == nil {
		l.besides(w)
	}
}

// besides has a goroutine do what may block.
func (l *link) besides(w *wait) {
	ctx, cancel := context.WithCancel(l.ctx)
	l.mu.Lock()
	l.cancelWait = cancel
	l.mu.Unlock()
	l.beside.Go(func() {
		defer cancel()
		l.perform(ctx, w, l.pending)
		l.io.Lock()
		w.over, l.asking = true, false
		l.io.Unlock()
		l.resume()
	})
}

// waitOver reports whether the client's direction can go on.
func (l *link) waitOver() bool {
	if l.waiting.until == nil {
		return l.waiting.over
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting.until()
}

// sendUrgent sends what the server's own direction has to say.
func (l *link) sendUrgent() {
	l.mu.Lock()
	urgent := l.urgent
	l.urgent = false
	l.mu.Unlock()
	if urgent {
		l.sendJudged()
	}
}

// sendJudged writes what the session has judged.
func (l *link) sendJudged() {
	l.mu.Lock()
	out := l.takeJudged()
	l.mu.Unlock()
	if len(out) > 0 {
		l.server.write(out)
	}
}

// watchClient keeps reading while the session waits, within bounds, so that a
// client that leaves is noticed.
func (l *link) watchClient(buf []byte) {
	for l.client.readable && len(l.client.carry) < max(readBuffer, l.needed(l.client.carry)) {
		n, err := l.client.recv(buf)
		switch {
		case errors.Is(err, errWouldBlock):
		case err != nil:
			l.clientLeft()
			return
		default:
			l.client.carry = append(l.client.carry, buf[:n]...)
		}
	}
}

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

// saysGoodbye reports whether a Terminate is among the messages of b.
func saysGoodbye(b []byte) bool {
	for len(b) >= headerSize {
		n, err := bodyLength(b)
		if err != nil || b[0] == msgTerminate {
			return err == nil
		}
		b = b[min(headerSize+n, len(b)):]
	}
	return false
}

// awaited is needed for what the server sends: in the middle of a row no message
// begins, and more of the row comes.
func (l *link) awaited(b []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.passing > 0 {
		return readBuffer
	}
	return l.needed(b)
}

// needed is the length of the message that b starts with, 0 if it can't be told.
func (l *link) needed(b []byte) int {
	if len(b) < headerSize {
		return 0
	}
	n, err := bodyLength(b)
	if err != nil || n > l.proxy.cfg.MaxMessageBytes {
		return 0
	}
	return headerSize + n
}

// read reads once, behind what is carried. It returns all that there is, nil if
// there is nothing new.
func (e *end) read(buf []byte) ([]byte, error) {
	into, have := buf, 0
	if len(e.carry) > 0 {
		have = len(e.carry)
		if cap(e.carry) == have {
			e.carry = append(e.carry, make([]byte, max(have, 4096))...)[:have]
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

// keep carries what was not consumed, with room for the whole message.
func (e *end) keep(rest []byte, needed int) {
	if len(rest) == 0 {
		if cap(e.carry) > readBuffer/2 {
			e.carry = nil
		}
		e.carry = e.carry[:0]
		return
	}
	if cap(e.carry) >= max(needed, 1) && &rest[0] == &e.carry[:1][0] {
		e.carry = e.carry[:len(rest)] // it is in place: it is not moved with each part that comes
		return
	}
	if cap(e.carry) < needed {
		grown := make([]byte, len(rest), max(needed, len(rest)))
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
