package record

import (
	"slices"
	"time"
)

// admit returns the time at which an entry with a payload of size bytes may be
// put, or why it may not. It waits for the storage for StallTimeout at most.
func (l *dirLog) admit(size int) (time.Time, error) {
	now := l.dir.cfg.Now()
	if l.err == nil && l.invalid == nil && !l.closing && l.fits(size) && !l.overdue(now) {
		return now, nil
	}
	return l.admitSlowly(now, size)
}

// needs is how many bytes an entry takes, with the loss that may go before it and
// the checkpoint that may follow.
func (l *dirLog) needs(size int) int64 {
	n := recordOverhead + size + checkpointSize
	if !l.loss.empty() {
		n += recordOverhead + lossSize
	}
	return int64(n)
}

// fits reports whether there is room in the queue and on the disk.
func (l *dirLog) fits(size int) bool {
	n := l.needs(size)
	return l.end+n+tailSpace <= l.reserved && l.end-l.written+n <= int64(l.dir.cfg.QueueBytes)
}

// overdue reports whether an accepted entry has waited too long to be written.
func (l *dirLog) overdue(now time.Time) bool {
	if l.end == l.written {
		return false
	}
	oldest := l.bufAt
	if len(l.taken) > 0 {
		oldest = l.takenAt
	}
	return now.Sub(l.opened)-oldest > l.dir.cfg.StallTimeout
}

func (l *dirLog) admitSlowly(now time.Time, size int) (time.Time, error) {
	w := l.dir.waiter(l.dir.cfg.StallTimeout)
	defer l.dir.free(w)
	for tried := false; ; tried = true {
		switch {
		case l.closing:
			return now, ErrClosed
		case l.invalid != nil:
			return now, l.invalid
		case l.err != nil:
			return now, l.err
		case l.losing:
			return now, ErrStalled
		case l.overdue(now):
			return now, l.fail(ErrStalled)
		case l.fits(size):
			return now, nil
		case tried && l.reserveErr != nil:
			return now, l.fail(l.reserveErr)
		}
		l.want = max(l.want, l.needs(size)+tailSpace)
		l.rush()
		if !l.wait(w) {
			return now, l.fail(ErrStalled)
		}
		now = l.dir.cfg.Now()
	}
}

// fail makes err final. In BestEffort mode entries are dropped from now on until
// the flusher gets on again.
func (l *dirLog) fail(err error) error {
	if l.dir.cfg.Mode == BestEffort {
		l.losing = true
		l.activate()
		return err
	}
	if l.err == nil {
		l.err = err
		l.wake()
	}
	return l.err
}

// awaitSync waits until everything put so far is on stable storage.
func (l *dirLog) awaitSync() error {
	target := l.end
	w := l.dir.waiter(l.dir.cfg.StallTimeout)
	defer l.dir.free(w)
	l.rush()
	for l.synced < target {
		if l.err != nil {
			return l.err
		}
		if l.done {
			return ErrClosed
		}
		if !l.wait(w) && l.synced < target {
			return l.fail(ErrStalled)
		}
	}
	return nil
}

// A waiter is one goroutine that waits for a log to get on.
type waiter struct {
	ready chan struct{} // of capacity 1
	timer *time.Timer
}

func (d *Dir) waiter(limit time.Duration) *waiter {
	if w, ok := d.waiters.Get().(*waiter); ok {
		w.timer.Reset(limit)
		return w
	}
	return &waiter{ready: make(chan struct{}, 1), timer: time.NewTimer(limit)}
}

// free takes back a waiter that no log knows any more.
func (d *Dir) free(w *waiter) {
	w.timer.Stop()
	d.waiters.Put(w)
}

// wait gives up the lock until wake is called, and reports false if the waiter's
// time ran out before.
func (l *dirLog) wait(w *waiter) bool {
	l.waiters = append(l.waiters, w)
	l.mu.Unlock()
	woken := false
	select {
	case <-w.ready:
		woken = true
	case <-w.timer.C:
	}
	l.mu.Lock()
	if woken {
		return true
	}
	if i := slices.Index(l.waiters, w); i >= 0 {
		l.waiters = slices.Delete(l.waiters, i, i+1)
		return false
	}
	<-w.ready // woken at the same time: the next wait ends at once
	w.timer.Reset(0)
	return true
}

func (l *dirLog) wake() {
	for _, w := range l.waiters {
		w.ready <- struct{}{} // never blocks: each waiter is in one list once
	}
	clear(l.waiters)
	l.waiters = l.waiters[:0]
}
