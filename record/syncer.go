package record

import (
	"fmt"
	"sync"
)

// syncWidth is how many files are synced at the same time: file systems commit
// them together.
const syncWidth = 8

// A syncer is the goroutine that syncs the logs of a Dir and closes those that are
// finished, in rounds: what asks during a round is in the next.
type syncer struct {
	dir   *Dir
	stop  chan struct{}
	ended chan struct{}
	kick  chan struct{} // of capacity 1

	mu    sync.Mutex
	queue []*dirLog
}

func (s *syncer) start(d *Dir) {
	s.dir = d
	s.stop, s.ended, s.kick = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	go s.loop()
}

func (s *syncer) add(l *dirLog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, l)
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *syncer) loop() {
	defer close(s.ended)
	for {
		select {
		case <-s.stop:
			return
		case <-s.kick:
			s.mu.Lock()
			logs := s.queue
			s.queue = nil
			s.mu.Unlock()
			syncAll(logs)
		}
	}
}

func syncAll(logs []*dirLog) {
	for len(logs) > 1 {
		n := min(len(logs), syncWidth)
		var wg sync.WaitGroup
		for _, l := range logs[:n] {
			wg.Go(l.syncRound)
		}
		wg.Wait()
		logs = logs[n:]
	}
	if len(logs) == 1 {
		logs[0].syncRound()
	}
}

// queueSync asks for a sync; l.mu is held.
func (l *dirLog) queueSync() {
	l.syncDue = true
	if !l.syncing {
		l.syncing = true
		l.dir.syncer.add(l)
	}
}

// syncRound syncs what is written, and closes the file of a finished log.
func (l *dirLog) syncRound() {
	l.mu.Lock()
	target, final := l.written, l.finished
	l.syncDue = false
	l.mu.Unlock()
	err := l.sync()
	if final {
		if e := l.file.Close(); err == nil {
			err = e
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takeSync(target, err)
	switch {
	case final:
		l.complete(err)
	case l.syncDue:
		l.dir.syncer.add(l)
	default:
		l.syncing = false
	}
	l.wake()
}

// sync makes the content and, the first time, the name of the file durable.
func (l *dirLog) sync() error {
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("record: sync %s: %w", l.name, err)
	}
	if l.named {
		return nil
	}
	if err := l.dir.folder.Sync(); err != nil {
		return fmt.Errorf("record: sync directory: %w", err)
	}
	l.named = true
	return nil
}

// takeSync takes in the result of a sync. A failed sync is never tried again: the
// kernel may have dropped the pages and would report success. A best-effort log goes
// on, and records that.
func (l *dirLog) takeSync(target int64, err error) {
	if err == nil {
		l.synced = target
		return
	}
	switch {
	case l.dir.cfg.Mode != BestEffort:
		if l.err == nil {
			l.err = err
		}
	case l.closing: // nothing comes behind the seal
		if l.closeErr == nil {
			l.closeErr = err
		}
	default:
		l.loss.addUnsynced(l.dir.cfg.Now(), target-l.synced)
		l.activate()
	}
}

// complete ends a log whose file is closed.
func (l *dirLog) complete(err error) {
	if l.closeErr == nil {
		l.closeErr = err
	}
	l.enc.chain.erase()
	l.done = true
	l.taken, l.full, l.buf = nil, nil, nil
	l.dir.forget(l)
}
