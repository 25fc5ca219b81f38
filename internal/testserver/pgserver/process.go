//go:build unix

package pgserver

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A process is a running child. Its exit is noticed at once.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has been reaped
	err  error         // how it ended; read after done
}

// launch starts cmd and reaps it. The kernel sends a parent death signal when
// the thread that forked ends, so the forking goroutine keeps its thread until
// the child is gone.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			runtime.UnlockOSThread()
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("pgserver: start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// exited reports whether the child is gone.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// A demand is a signal and how long it is given to work.
type demand struct {
	signal syscall.Signal
	wait   time.Duration
}

// stop sends each demand in turn until the child is gone.
func (p *process) stop(demands ...demand) error {
	for _, d := range demands {
		if p.exited() {
			return nil
		}
		if err := p.cmd.Process.Signal(d.signal); err != nil && !p.exited() {
			return fmt.Errorf("pgserver: signal: %w", err)
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(d.wait):
		}
	}
	return errors.New("pgserver: the server doesn't stop")
}
