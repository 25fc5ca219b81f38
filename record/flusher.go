package record

import (
	"sync"
	"time"
)

// A flusher is the one goroutine that writes the logs of a Dir. It visits every
// log that has something to write once per FlushInterval, and at once those that
// call it. While there is nothing to write it sleeps until a checkpoint is due.
type flusher struct {
	dir   *Dir
	stop  chan struct{}
	ended chan struct{}
	kick  chan struct{} // of capacity 1
	timer *time.Timer
	// resting holds the logs that only wait for a checkpoint, and until when.
	resting map[*dirLog]time.Time

	mu     sync.Mutex
	active []*dirLog
	urgent []*dirLog
	parked bool // no tick is set
}

func (f *flusher) start(d *Dir) {
	f.dir = d
	f.stop, f.ended, f.kick = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	f.resting = map[*dirLog]time.Time{}
	f.parked = true
	f.timer = time.NewTimer(time.Hour)
	f.timer.Stop()
	go f.loop()
}

// activate puts l on the list for the next tick.
func (f *flusher) activate(l *dirLog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = append(f.active, l)
	if f.parked {
		f.call()
	}
}

// rush makes the flusher visit l now.
func (f *flusher) rush(l *dirLog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.urgent = append(f.urgent, l)
	f.call()
}

func (f *flusher) call() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

func (f *flusher) loop() {
	defer close(f.ended)
	defer f.timer.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-f.kick:
			f.visitUrgent()
			f.unpark()
		case <-f.timer.C:
			f.visitAll()
			f.park()
		}
	}
}

func (f *flusher) visitUrgent() {
	f.mu.Lock()
	logs := f.urgent
	f.urgent = nil
	f.mu.Unlock()
	for _, l := range logs {
		f.flush(l, false)
	}
}

// unpark starts the tick if it does not run and a log needs it.
func (f *flusher) unpark() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.parked && len(f.active) > 0 {
		f.parked = false
		f.timer.Reset(f.dir.cfg.FlushInterval)
	}
}

// visitAll flushes the active logs, and those whose checkpoint is due.
func (f *flusher) visitAll() {
	f.mu.Lock()
	logs := f.active
	f.active = nil
	f.mu.Unlock()
	now := time.Now()
	for _, l := range logs {
		f.flush(l, false)
		f.settle(l, now)
	}
	for l, due := range f.resting {
		if !now.Before(due) {
			delete(f.resting, l)
			f.flush(l, true)
		}
	}
}

// settle decides whether the tick has to look at l again.
func (f *flusher) settle(l *dirLog, now time.Time) {
	switch l.rest() {
	case restNot:
		f.mu.Lock()
		f.active = append(f.active, l)
		f.mu.Unlock()
	case restUnsigned:
		if _, ok := f.resting[l]; !ok {
			f.resting[l] = now.Add(f.dir.cfg.CheckpointInterval)
		}
	case restDone:
		delete(f.resting, l)
	}
}

// park sets the timer for what comes next.
func (f *flusher) park() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.active) > 0 {
		f.parked = false
		f.timer.Reset(f.dir.cfg.FlushInterval)
		return
	}
	f.parked = true
	var next time.Time
	for _, due := range f.resting {
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	if !next.IsZero() {
		f.timer.Reset(max(time.Until(next), time.Millisecond))
	}
}

// flush writes what l has queued. A closing log is written to its end.
func (f *flusher) flush(l *dirLog, due bool) {
	for {
		j := l.take(due)
		j.run(l.file)
		if !l.stored(j) {
			return
		}
		due = false
	}
}
