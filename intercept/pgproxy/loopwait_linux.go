package pgproxy

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// A loopWait is how a thread waits for its links. In epoll_wait(2) a thread keeps a
// processor of the scheduler's, which watches it (sysmon) every 20 us until it has
// been there for milliseconds: that is cheap for waits of a few microseconds, between
// statements under load, and costs a quarter of the time that passes in longer ones.
// There the thread's goroutine waits as others do, in the scheduler's own poller.
//
// The scheduler's poller watches gate, an epoll set of which the thread's own is
// the only member, and that only while it waits there: otherwise each of the thread's
// events would wake the scheduler too.
type loopWait struct {
	epoll int
	gate  int
	file  *os.File // the gate in the scheduler's poller
	conn  syscall.RawConn
	// long says that the last wait took as long as longWait.
	long bool
}

// longWait is how long a wait has to be so that the next is the scheduler's.
const longWait = 400 * time.Microsecond

const epollOneShot = 1 << 30 // EPOLLONESHOT

// newLoopWait returns a loopWait for the set. It owns the set unless it fails.
func newLoopWait(epoll int) (*loopWait, error) {
	gate, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("pgproxy: epoll: %w", err)
	}
	if err := syscall.SetNonblock(gate, true); err != nil { // makes NewFile use the poller
		return nil, errors.Join(fmt.Errorf("pgproxy: epoll: %w", err), syscall.Close(gate))
	}
	w := &loopWait{epoll: epoll, gate: gate, file: os.NewFile(uintptr(gate), "epoll")}
	if w.conn, err = w.file.SyscallConn(); err == nil {
		ev := syscall.EpollEvent{Fd: int32(epoll)}
		err = syscall.EpollCtl(gate, syscall.EPOLL_CTL_ADD, epoll, &ev)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pgproxy: epoll: %w", err), w.file.Close())
	}
	return w, nil
}

// wait is epoll_wait(2) on the set. A negative timeout is none.
func (w *loopWait) wait(events []syscall.EpollEvent, timeout time.Duration) int {
	if timeout >= 0 {
		return ready(epollWait(w.epoll, events, timeout))
	}
	since := time.Now()
	defer func() { w.long = time.Since(since) >= longWait }()
	if w.long {
		return w.park(events)
	}
	return ready(epollWait(w.epoll, events, -1))
}

// park waits in the scheduler's poller.
func (w *loopWait) park(events []syscall.EpollEvent) int {
	n, open := 0, false
	err := w.conn.Read(func(uintptr) bool {
		for {
			if open && w.passed() {
				open = false
			}
			if n = ready(epollWait(w.epoll, events, 0)); n > 0 {
				break
			}
			if open {
				return false
			}
			if open = w.set(syscall.EPOLLIN | epollOneShot); !open {
				break
			}
		}
		if open {
			w.set(0)
		}
		return true
	})
	if err != nil || n == 0 {
		return ready(epollWait(w.epoll, events, -1))
	}
	return n
}

// passed reports whether an event has come through the gate and closed it.
func (w *loopWait) passed() bool {
	var ev [1]syscall.EpollEvent
	return ready(syscall.EpollWait(w.gate, ev[:], 0)) > 0
}

// set sets which events go through the gate.
func (w *loopWait) set(which uint32) bool {
	ev := syscall.EpollEvent{Events: which, Fd: int32(w.epoll)}
	return syscall.EpollCtl(w.gate, syscall.EPOLL_CTL_MOD, w.epoll, &ev) == nil
}

// ready is how many events there are; after an error none.
func ready(n int, err error) int {
	if err != nil {
		return 0
	}
	return n
}

// close closes the set and what watches it.
func (w *loopWait) close() {
	_ = w.file.Close()
	_ = syscall.Close(w.epoll)
}
