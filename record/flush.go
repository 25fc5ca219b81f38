package record

import (
	"fmt"
	"slices"
	"time"
)

// A job is what the flusher does for one log outside of the log's lock.
type job struct {
	data      [][]byte
	at        int64
	from, to  int64 // space to reserve, none if equal
	size      int64 // the final size of a closing log, 0 before that
	wrote     int
	writeErr  error
	reserved  bool
	reservErr error
}

// take hands what is queued to the flusher. due asks for a checkpoint.
func (l *dirLog) take(due bool) *job {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.urgent = false
	if l.finished {
		return &job{}
	}
	l.putOwn(due)
	if len(l.taken) == 0 {
		l.takeQueue()
	}
	j := &job{at: l.written, data: l.taken}
	if l.closing {
		j.size = l.end
		return j
	}
	j.from, j.to = l.reserved, max(l.reserved, l.reservation())
	return j
}

func (l *dirLog) takeQueue() {
	l.taken, l.full = l.full, l.taken[:0]
	l.takenAt = l.bufAt
	if len(l.buf) > 0 {
		l.lastSize = min(len(l.buf), chunkSize)
		l.taken = append(l.taken, l.buf)
		l.buf = nil
	}
}

// putOwn writes the log's own records: a loss once it can, a checkpoint when its
// time has come.
func (l *dirLog) putOwn(due bool) {
	if l.closing || l.losing || l.err != nil || !l.fits(0) {
		return
	}
	now := l.dir.cfg.Now()
	at := stamp{wall: now.UnixNano(), mono: int64(now.Sub(l.opened))}
	l.putLoss(at)
	if l.enc.records > 0 && (due || time.Duration(at.mono)-l.signedAt >= l.dir.cfg.CheckpointInterval) {
		l.putCheckpoint(at)
	}
}

// reservation is up to where space should be reserved: headroom beyond the end,
// once half of it is used up. It doubles whenever an Append had to wait for it.
func (l *dirLog) reservation() int64 {
	free := l.reserved - l.end - tailSpace
	if l.want > free {
		l.headroom = min(2*l.headroom, int64(l.dir.cfg.QueueBytes))
	} else if free >= l.headroom/2 {
		return l.reserved
	}
	return l.end + max(l.headroom, l.want) + tailSpace
}

func (j *job) run(f file) {
	if j.size > 0 {
		if err := f.Truncate(j.size); err != nil { // before the seal: a sealed log has nothing behind it
			j.writeErr = err
			return
		}
	}
	j.write(f)
	if j.to > j.from && j.writeErr == nil {
		j.reservErr = f.Reserve(j.from, j.to)
		j.reserved = j.reservErr == nil
	}
}

func (j *job) write(f file) {
	for _, b := range j.data {
		n, err := f.WriteAt(b, j.at+int64(j.wrote))
		j.wrote += n
		if err != nil {
			j.writeErr = err
			return
		}
	}
}

// stored takes in what a job did and reports whether there is more to do at once.
func (l *dirLog) stored(j *job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.finished {
		return false
	}
	l.advance(j)
	l.settleErrors(j)
	more := l.closing && j.writeErr == nil && l.written < l.end
	if l.closing && !more {
		l.finished = true
		if l.closeErr == nil {
			l.closeErr = j.writeErr
		}
	}
	if l.finished || l.synced < l.written && (l.syncDue || l.dir.cfg.Mode == Durable) {
		l.queueSync()
	}
	l.wake()
	return more
}

func (l *dirLog) advance(j *job) {
	l.written += int64(j.wrote)
	whole, left := 0, j.wrote
	for ; whole < len(l.taken) && left >= len(l.taken[whole]); whole++ {
		left -= len(l.taken[whole])
		l.dir.buffers.put(l.taken[whole])
	}
	l.taken = slices.Delete(l.taken, 0, whole)
	if left > 0 {
		l.taken[0] = l.taken[0][left:]
	}
	if j.reserved {
		l.reserved, l.want = j.to, 0
	}
}

func (l *dirLog) settleErrors(j *job) {
	l.reserveErr = nil
	if j.reservErr != nil {
		l.reserveErr = fmt.Errorf("record: no space for %s: %w", l.name, j.reservErr)
	}
	switch {
	case j.writeErr != nil:
		j.writeErr = fmt.Errorf("record: write %s: %w", l.name, j.writeErr)
		if l.err == nil {
			l.err = j.writeErr
		}
	case l.dir.cfg.Mode == BestEffort && j.reservErr == nil:
		l.err, l.losing = nil, false
	}
}

type restState uint8

const (
	restNot      restState = iota // there is something to write
	restUnsigned                  // a checkpoint is due some time
	restDone                      // nothing
)

// rest says what a log needs of the tick, and takes it off the list if nothing.
func (l *dirLog) rest() restState {
	l.mu.Lock()
	defer l.mu.Unlock()
	again := len(l.buf) > 0 || len(l.full) > 0 || len(l.taken) > 0 || l.losing || !l.loss.empty()
	if again && !l.finished && (l.err == nil || l.dir.cfg.Mode == BestEffort) {
		return restNot
	}
	l.active = false
	if l.enc.records > 0 && !l.closing && l.err == nil {
		return restUnsigned
	}
	return restDone
}
