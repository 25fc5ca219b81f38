package pgproxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/headgate/gateway/intercept"
)

// A limiter stops what the server is at when a limit is exceeded. At most one
// message under a limit is on its way at a time, and nothing behind it, so that
// what is stopped is never something else.
type limiter struct {
	// serial numbers the messages under a limit.
	serial uint64
	timer  *time.Timer
	// running counts the timer and what it started, which ends with what life
	// returns.
	running sync.WaitGroup
	// over says that the session has ended; cancel, if set, ends what life returned.
	over   bool
	cancel context.CancelFunc
	ctx    context.Context
}

// errUnstoppable says that the server could not be told to stop.
var errUnstoppable = errors.New("pgproxy: the server could not be told to stop at a limit")

// again is how long to wait for a cancel request to show effect before the next
// one: the server ignores one that comes before it has begun.
const again = time.Second

// underLimit notes that a message whose command has a limit has been sent.
func (s *session) underLimit(e *entry) {
	s.limiter.serial++
	e.limited, e.serial = true, s.limiter.serial
	s.limited++
	s.startClock()
}

// startClock starts the clock of the head of the queue, if its time is limited and
// the clock does not run yet.
func (s *session) startClock() {
	e := s.queue.front()
	if e == nil || e.run == nil || e.run.limit == nil || e.run.limit.Timeout == 0 || !e.limited || s.limiter.timer != nil {
		return
	}
	l, serial, d := &s.limiter, e.serial, e.run.limit.Timeout
	l.running.Add(1)
	l.timer = time.AfterFunc(d, func() {
		defer l.running.Done()
		if s.timedOut(serial, d) {
			s.wake() // a COPY FROM may have to be failed
			s.stop(serial)
		}
	})
}

// leaves notes that an entry leaves the queue.
func (s *session) leaves(e *entry) {
	s.named(e)
	s.unseenPending -= e.unseen
	s.weight -= e.weight
	s.path.left(e)
	if !e.limited {
		return
	}
	s.limited--
	s.stopClock()
}

func (s *session) stopClock() {
	if t := s.limiter.timer; t != nil && t.Stop() {
		s.limiter.running.Done()
	}
	s.limiter.timer = nil
}

// timedOut notes that time is up, and reports whether the statement is still at
// work.
func (s *session) timedOut(serial uint64, d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.atLimit(serial)
	if e == nil || e.over != nil {
		return false
	}
	e.over = tookTooLong(d)
	s.failCopyIn()
	return true
}

// atLimit returns the message of that number if it is what the server is at.
func (s *session) atLimit(serial uint64) *entry {
	if e := s.queue.front(); e != nil && e.limited && e.serial == serial && s.ended == nil {
		return e
	}
	return nil
}

// overrun withholds the rest of an answer and has the server stopped.
func (s *session) overrun(e *entry, r *intercept.Refusal) {
	stopping := e.over != nil // by its timeout
	e.over, e.withheld = r, true
	if serial := e.serial; !stopping {
		s.limiter.running.Go(func() { s.stop(serial) })
	}
}

// life returns a context that ends with the session. It is made when it is needed:
// most sessions exceed no limit.
func (s *session) life() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := &s.limiter; l.ctx == nil {
		l.ctx, l.cancel = context.WithCancel(s.guard.Context())
		if l.over {
			l.cancel()
		}
	}
	return s.limiter.ctx
}

// stop asks the server to cancel the message of that number until it has.
func (s *session) stop(serial uint64) {
	life := s.life()
	for s.beginStop(serial) {
		ctx, cancel := context.WithTimeout(life, s.proxy.cfg.ConnectTimeout)
		err := s.cancelUpstream(ctx)
		cancel()
		s.mu.Lock()
		s.cancelling = false
		ended := s.ended != nil
		s.moved.Broadcast()
		s.mu.Unlock()
		s.wake()
		if err != nil && !ended {
			s.guard.End(fmt.Errorf("%w: %w", errUnstoppable, err))
			return
		}
		select {
		case <-time.After(again):
		case <-life.Done():
		}
	}
}

// beginStop reports whether there is still something to stop.
func (s *session) beginStop(serial uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.cancelling && s.ended == nil { // the client has had the same idea
		s.moved.Wait()
	}
	if s.atLimit(serial) == nil || s.cancelUpstream == nil {
		return false
	}
	s.cancelling = true
	return true
}

// stopLimiter ends the limiter with the session.
func (s *session) stopLimiter() {
	s.mu.Lock()
	s.stopClock()
	s.moved.Broadcast()
	s.limiter.over = true
	cancel := s.limiter.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	s.limiter.running.Wait()
}
