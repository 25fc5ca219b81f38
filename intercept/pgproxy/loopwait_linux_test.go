package pgproxy

import (
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waitOn returns a loopWait for the reading end of a pipe, and the pipe.
func waitOn(t *testing.T) (w *loopWait, read, write int) {
	t.Helper()
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = syscall.Close(p[0]), syscall.Close(p[1]) })
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | epollEdge, Fd: int32(p[0])}
	if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, p[0], &ev); err != nil {
		t.Fatal(err)
	}
	if w, err = newLoopWait(epoll); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w, p[0], p[1]
}

// TestLoopWaitLosesNoEvent has one byte after the other come while the loop waits in
// the scheduler's poller, before it does, and between its looks.
func TestLoopWaitLosesNoEvent(t *testing.T) {
	w, read, write := waitOn(t)
	taken := make(chan struct{})
	go func() {
		for range taken {
			_, _ = syscall.Write(write, []byte{1})
		}
	}()
	defer close(taken)
	events, buf := make([]syscall.EpollEvent, 4), make([]byte, 4)
	for i := range 20_000 {
		taken <- struct{}{}
		if i%3 == 0 {
			runtime.Gosched()
		}
		w.long = i%5 > 0
		n := w.wait(events, -1)
		if n != 1 || events[0].Fd != int32(read) {
			t.Fatalf("wait %d: %d events, %+v", i, n, events[0])
		}
		if n, err := syscall.Read(read, buf); n != 1 || err != nil {
			t.Fatalf("wait %d: %d bytes were there: %v", i, n, err)
		}
	}
}

// TestLongLoopWaitIsTheSchedulers looks for the waiting goroutine in the scheduler's
// poller once a wait has been long.
func TestLongLoopWaitIsTheSchedulers(t *testing.T) {
	w, _, write := waitOn(t)
	w.long = true
	got := make(chan int)
	go func() { got <- w.wait(make([]syscall.EpollEvent, 4), -1) }()
	deadline := time.Now().Add(10 * time.Second)
	for !parked() {
		if time.Now().After(deadline) {
			t.Fatal("the loop does not wait in the scheduler's poller")
		}
		runtime.Gosched()
	}
	if _, err := syscall.Write(write, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != 1 {
		t.Fatalf("%d events", n)
	}
}

// parked reports whether a goroutine is in park and waits for its descriptor.
func parked() bool {
	buf := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "[IO wait]") && strings.Contains(stack, "(*loopWait).park") {
			return true
		}
	}
	return false
}
