package pgproxy

import (
	"syscall"
	"time"
	"unsafe"
)

// The server's socket wakes the reactor with every few KiB of a long answer, and to
// be woken costs more than to carry them. So while a long answer comes, the socket
// wakes it for gatherBytes at a time, or when what is there has waited for a share of
// the time that the answer has taken so far.
const (
	// gatherFrom is how much of one answer has to be there before: short ones are
	// never held up.
	gatherFrom  = 64 << 10
	gatherBytes = 96 << 10
	// gatherShare is the part of an answer's time by which its end may be late, at
	// most gatherMost. Less than gatherLeast is not worth it.
	gatherShare = 8
	gatherMost  = time.Millisecond
	gatherLeast = 50 * time.Microsecond
)

// gathering is how a link waits for the server's bytes.
type gathering struct {
	// answer is the number of the answer that is coming, from the bytes of it after
	// which it counts as long, since when it does.
	answer uint64
	from   int64
	since  time.Time
	// armed says that the socket wakes for gatherBytes only. The thread looks at the
	// link at until: whoever arms must see to that.
	armed bool
	until time.Time
	// listed says that the thread has it in its list; it is the thread's own.
	listed bool
	// read says that something has come since until was set.
	read bool
}

// coming returns the number of the answer that the server is sending, and how much
// of it has been released.
func (s *session) coming() (answer uint64, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.queue.front(); e != nil {
		bytes = e.bytes
	}
	return s.queue.popped, bytes
}

// gather decides at the end of a turn how to wait for the server. looked says that
// the turn was taken because the link had waited long enough. It reports whether the
// thread has to look at the link at l.gathering.until. The caller holds io.
func (l *link) gather(looked bool) bool {
	g := &l.gathering
	answer, bytes := l.coming()
	if answer != g.answer {
		g.answer, g.from, g.since = answer, 0, time.Time{}
	}
	if looked && !g.read { // it comes too slowly to be gathered
		g.from, g.since = bytes, time.Time{}
	}
	if l.closed || bytes-g.from < gatherFrom {
		l.disarm()
		return false
	}
	if g.armed && !g.read {
		return true
	}
	now := time.Now()
	if g.since.IsZero() {
		g.since = now
	}
	delay := min(now.Sub(g.since)/gatherShare, gatherMost)
	if delay < gatherLeast || !l.arm() {
		l.disarm()
		return false
	}
	g.until, g.read = now.Add(delay), false
	return true
}

func (l *link) arm() bool {
	if !l.gathering.armed {
		l.gathering.armed = l.server.wakeAt(gatherBytes)
	}
	return l.gathering.armed
}

func (l *link) disarm() {
	if l.gathering.armed && !l.closed {
		l.server.wakeAt(1)
	}
	l.gathering.armed = false
}

// wakeAt sets how many bytes there must be before the socket reports that it can be
// read. Its end and its errors are reported in any case.
func (e *end) wakeAt(n int) bool {
	return syscall.SetsockoptInt(e.fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) == nil
}

// waits reports whether the link waits, and for how long yet.
func (l *link) waits(now time.Time) (time.Duration, bool) {
	l.io.Lock()
	defer l.io.Unlock()
	g := &l.gathering
	left := g.until.Sub(now)
	if left <= 0 {
		l.server.readable = true
	}
	return left, g.armed && !l.closed
}

// waitFor takes the turns of the links that have waited long enough, and returns how
// long the others may wait yet; negative for as long as they like.
func (t *thread) waitFor() time.Duration {
	if len(t.gathering) == 0 {
		return -1
	}
	now, next := time.Now(), gatherMost
	links := t.gathering
	t.gathering = t.gathering[:0]
	for _, l := range links {
		left, waits := l.waits(now)
		if waits && left <= 0 {
			t.turn(l, true) // it is listed yet
			left, waits = l.waits(now)
		}
		if l.gathering.listed = waits; waits {
			t.gathering = append(t.gathering, l)
			next = min(next, max(left, 0))
		}
	}
	clear(links[len(t.gathering):])
	if len(t.gathering) == 0 {
		return -1
	}
	return next
}

// sysEpollPwait2 is the number of epoll_pwait2(2), since Linux 5.11, where it has
// the usual one.
const sysEpollPwait2 = 441

// epollWait is epoll_wait(2) with a finer clock, if the system has one.
func epollWait(epoll int, events []syscall.EpollEvent, timeout time.Duration) (int, error) {
	if timeout <= 0 {
		return syscall.EpollWait(epoll, events, int(max(timeout, -1)))
	}
	limit := struct{ seconds, nanoseconds int64 }{int64(timeout / time.Second), int64(timeout % time.Second)}
	n, _, errno := syscall.Syscall6(sysEpollPwait2, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), //nolint:gosec // alive while the call runs
		uintptr(unsafe.Pointer(&limit)), 0, 0) //nolint:gosec // as above
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EINTR:
		return 0, errno
	default:
		return syscall.EpollWait(epoll, events, int(timeout/time.Millisecond)+1)
	}
}
