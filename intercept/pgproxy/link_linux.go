package pgproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/headgate/gateway/approve"
)

// A link is a session on a reactor.
type link struct {
	*session
	ctx     context.Context
	reactor *reactor // nil before it has joined one
	number  int32    // the reactor's, for the link

	// io guards all that follows and the session's turns. It is taken before mu.
	io             sync.Mutex
	client, server end
	waiting        *wait
	resumed        bool // a wait is over, and what was read during it not yet judged
	leaves         bool // the client has said goodbye and is sent what is left
	gone, asking   bool // the client has closed its side; a human is asked
	closed         bool
	gathering      gathering
	// goodbye looks, once the client has said it, whether it still reads.
	goodbye *time.Timer
	beside  sync.WaitGroup // goroutines that wait for verdicts
	// release stops the watch over the session's contexts. Set before the link joins
	// its reactor.
	release func()
	ended   func(error)
}

// driveOnReactor has a reactor run the session, if both sides are sockets, with or
// without TLS, and the record takes entries without waiting for its storage. It
// reports whether it has; then both connections are the reactor's, and ended is
// called on a goroutine of its own when the session has ended.
func (s *session) driveOnReactor(ctx context.Context, client net.Conn, up *upstream, ended func(error)) bool {
	if !s.guard.Prompt() {
		return false
	}
	l := &link{session: s, ctx: ctx, ended: ended}
	if !l.client.take(client) {
		return false
	}
	if !l.server.take(up.conn) {
		_ = syscall.Close(l.client.fd)
		return false
	}
	l.client.readable, l.server.readable = true, true
	l.client.detach()
	l.server.detach()
	s.attach(l.resume, up)
	l.io.Lock() // an interrupt that comes at once waits until all is set
	defer l.io.Unlock()
	l.watch()
	if err := s.proxy.reactors.join(l); err != nil {
		l.finish(err)
	}
	return true
}

// watch has the session end with its contexts. The caller holds io.
func (l *link) watch() {
	stop := context.AfterFunc(l.guard.Context(), l.interrupt)
	if l.release = func() { stop() }; l.ctx == l.guard.Context() {
		return
	}
	stopHost := context.AfterFunc(l.ctx, l.interrupt)
	l.release = func() { stop(); stopHost() }
}

// conclude ends what is left of a session that has ended for the reason err.
func (l *link) conclude(err error) {
	l.ended(guarded(func() error {
		defer l.settleAccounts()
		return l.dissolve(err)
	}))
}

func (l *link) dissolve(err error) error {
	l.release()
	l.mu.Lock()
	busy, cancel := l.queue.size > 0, l.cancelWait
	l.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	l.beside.Wait()
	if busy {
		l.abandonServer()
	}
	l.io.Lock()
	defer l.io.Unlock()
	_ = syscall.Close(l.client.fd)
	_ = syscall.Close(l.server.fd)
	l.client.fd, l.server.fd = -1, -1 // a late interrupt must not meet another's
	return orderly(err)
}

// finish ends the session, with a last word to the client unless something waits
// to be written to it. The caller holds io.
func (l *link) finish(err error) {
	if l.closed {
		return
	}
	if l.leaves = errors.Is(err, errEnded) && !l.client.flush(); l.leaves {
		l.limitGoodbye()
		return
	}
	l.closed = true
	if l.reactor != nil {
		l.reactor.remove(l)
	}
	if l.goodbye != nil {
		l.goodbye.Stop()
	}
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
	_ = syscall.Shutdown(l.client.fd, syscall.SHUT_RDWR) // closed by conclude, which may take a moment
	go l.conclude(err)
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
		if !l.closed {
			l.sendUrgent()
		}
		more = l.turn(buf)
		l.io.Unlock()
	}
}

// pending tells the client that a human is asked.
func (l *link) pending(p approve.Pending) {
	l.io.Lock()
	defer l.io.Unlock()
	if l.asking = true; l.gone || l.client.hungUp {
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
		l.gathering.read = true
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
	switch l.waiting = w; {
	case w == nil:
	case w.until == nil:
		l.besides(w)
	default:
		l.mu.Lock()
		leaving := l.leaving
		l.mu.Unlock()
		if leaving {
			l.limitGoodbye()
		}
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
	if l.takeUrgent() {
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
	if l.asking && l.client.hungUp { // whatever lies before its end
		l.clientLeft()
	}
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
