package pgproxy

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
)

// A reactor moves the bytes of many sessions on one thread: an epoll set and
// non-blocking reads and writes. Between two plain sockets most of what a
// gateway costs is the scheduler's hand-offs between goroutines; here there are
// none. Whatever may block is done by goroutines beside it.
//
// The thread runs while there are sessions.
type reactor struct {
	mu    sync.Mutex
	epoll int
	wake  int // an eventfd that ends the thread
	links map[int32]*link
	// joined numbers the links, so that an event of one that has gone is not taken for
	// one of the next with its descriptor.
	joined int32
}

// reactors spreads sessions over threads. The zero value is ready to use.
type reactors struct {
	mu   sync.Mutex
	each []*reactor
	next int
}

// threadBuffer is the size of the buffer that a thread reads into.
const threadBuffer = 128 << 10

const epollEdge = 1 << 31 // EPOLLET: syscall has it as a negative int

// join hands a link to a reactor.
func (r *reactors) join(l *link) error {
	r.mu.Lock()
	if r.each == nil {
		r.each = make([]*reactor, max(1, runtime.GOMAXPROCS(0)/2))
		for i := range r.each {
			r.each[i] = &reactor{}
		}
	}
	chosen := r.each[r.next%len(r.each)]
	r.next++
	r.mu.Unlock()
	return chosen.add(l)
}

// add takes a link in. The caller holds the link's io.
func (r *reactor) add(l *link) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.links) == 0 {
		if err := r.start(); err != nil {
			return err
		}
	}
	r.joined++
	l.number = r.joined
	for _, e := range []*end{&l.client, &l.server} {
		r.links[int32(e.fd)] = l
		ev := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | epollEdge, Fd: int32(e.fd), Pad: l.number}
		if err := syscall.EpollCtl(r.epoll, syscall.EPOLL_CTL_ADD, e.fd, &ev); err != nil {
			r.forget(l)
			return fmt.Errorf("pgproxy: epoll: %w", err)
		}
	}
	l.reactor = r
	return nil
}

// remove takes a link out. The thread ends with the last one.
func (r *reactor) remove(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(l)
}

func (r *reactor) forget(l *link) {
	for _, fd := range []int{l.client.fd, l.server.fd} {
		if r.links[int32(fd)] == l {
			delete(r.links, int32(fd))
			_ = syscall.EpollCtl(r.epoll, syscall.EPOLL_CTL_DEL, fd, nil) // it may not be in the set yet
		}
	}
	if len(r.links) == 0 {
		one := [8]byte{1}
		_, _ = rawWrite(r.wake, one[:])
	}
}

func (r *reactor) start() error {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("pgproxy: epoll: %w", err)
	}
	wake, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return errors.Join(fmt.Errorf("pgproxy: eventfd: %w", errno), syscall.Close(epoll))
	}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(wake)}
	if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, int(wake), &ev); err != nil {
		return errors.Join(fmt.Errorf("pgproxy: epoll: %w", err), syscall.Close(int(wake)), syscall.Close(epoll))
	}
	wait, err := newLoopWait(epoll)
	if err != nil {
		return errors.Join(err, syscall.Close(int(wake)), syscall.Close(epoll))
	}
	r.epoll, r.wake, r.links = epoll, int(wake), map[int32]*link{}
	t := &thread{reactor: r, wait: wait, wake: int(wake), buf: make([]byte, threadBuffer)}
	go t.run()
	return nil
}

// A thread is one run of a reactor, from its first link to its last.
type thread struct {
	reactor *reactor
	wait    *loopWait
	wake    int
	buf     []byte
	// again are links that had more to do when their turn was over.
	again []*link
	// gathering are links that wait for more than the next bytes.
	gathering []*link
}

func (t *thread) run() {
	events := make([]syscall.EpollEvent, 128)
	for {
		timeout := t.waitFor()
		if len(t.again) > 0 {
			timeout = 0
		}
		n := t.wait.wait(events, timeout)
		repeat := t.again
		t.again = nil
		for _, ev := range events[:n] {
			if int(ev.Fd) == t.wake {
				if t.finished() {
					return
				}
				continue
			}
			t.event(ev)
		}
		for _, l := range repeat {
			t.turn(l, false)
		}
	}
}

// finished ends the thread unless a link has joined since it was woken.
func (t *thread) finished() bool {
	r := t.reactor
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.links) > 0 && r.epoll == t.wait.epoll {
		var counter [8]byte
		_, _ = rawRead(t.wake, counter[:])
		return false
	}
	_ = syscall.Close(t.wake)
	t.wait.close()
	return true
}

func (t *thread) event(ev syscall.EpollEvent) {
	t.reactor.mu.Lock()
	l := t.reactor.links[ev.Fd]
	t.reactor.mu.Unlock()
	if l == nil || l.number != ev.Pad {
		return
	}
	l.io.Lock()
	l.noteEvent(ev)
	l.io.Unlock()
	t.turn(l, false)
}

// turn takes a turn of the link. looked says that it is because it has waited long
// enough.
func (t *thread) turn(l *link, looked bool) {
	l.io.Lock()
	more := l.turn(t.buf)
	wait := l.gathering.armed
	if !more {
		wait = l.gather(looked)
	}
	l.io.Unlock()
	if more {
		t.again = append(t.again, l)
	}
	if wait && !l.gathering.listed {
		l.gathering.listed = true
		t.gathering = append(t.gathering, l)
	}
}
