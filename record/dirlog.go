package record

import (
	"errors"
	"sync"
	"time"
)

const (
	checkpointSize = recordOverhead + signatureSize
	sealSize       = recordOverhead + sealFieldsSize + maxReason + signatureSize
	// tailSpace is what a log keeps free on the disk for its end.
	tailSpace = recordOverhead + lossSize + checkpointSize + sealSize
)

// A dirLog is a log of a Dir. Append encodes into buf; the flusher takes buf,
// writes it and reserves more space; the syncer syncs. The positions end, written,
// synced and reserved are offsets in the file:
//
//	synced <= written <= end <= reserved - tailSpace
//
// so that everything accepted has a place, and the seal too.
type dirLog struct {
	dir    *Dir
	name   string
	file   file
	opened time.Time

	mu       sync.Mutex
	enc      encoder
	buf      []byte        // accepted, not yet taken
	full     [][]byte      // as buf, and older
	bufAt    time.Duration // when the oldest entry in full and buf was accepted
	lastSize int           // of the buffer last taken: the next one starts as large
	taken    [][]byte      // taken by the flusher, not yet written
	takenAt  time.Duration // when the oldest entry in taken was accepted
	signedAt time.Duration // when the last checkpoint was written
	end      int64
	written  int64
	synced   int64
	reserved int64
	headroom int64 // how much is reserved beyond end; grows while Append has to wait
	want     int64 // what a waiting Append needs between end and reserved
	waiters  []*waiter

	invalid    error // a caller's mistake: final in every mode
	err        error // of the storage: final, but in BestEffort until it works again
	reserveErr error // of the last attempt to reserve
	loss       Loss  // what BestEffort dropped or could not sync, and has not yet recorded
	losing     bool  // BestEffort does not wait for the storage now

	active   bool // the flusher's tick looks at the log
	urgent   bool // the flusher was called
	syncDue  bool
	syncing  bool
	closing  bool // the seal is in buf
	finished bool // nothing is left to write, or it can't be written
	named    bool // the file's name has been synced
	done     bool
	closeErr error
}

var _ Log = (*dirLog)(nil)

// Append records e. See Log.
func (l *dirLog) Append(e Entry) error {
	if err := CheckEntry(e); err != nil {
		return l.reject(err)
	}
	for len(e.Payload) > MaxPayload {
		part := e
		part.Payload = e.Payload[:MaxPayload]
		if err := l.append(&part); err != nil {
			return err
		}
		e.Payload = e.Payload[MaxPayload:]
	}
	return l.append(&e)
}

func (l *dirLog) append(e *Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, err := l.admit(len(e.Payload))
	if err != nil {
		return l.refuse(err, now, len(e.Payload))
	}
	at := stampOf(e, now, l.opened)
	l.putLoss(at)
	l.put(e.Type, e.Stream, at, e.Payload)
	if l.enc.records >= uint64(l.dir.cfg.CheckpointRecords) || l.enc.bytes >= l.dir.cfg.CheckpointBytes { //nolint:gosec // not negative
		l.putCheckpoint(at)
	}
	if l.dir.cfg.Mode == Durable {
		return l.awaitSync()
	}
	if l.queued() >= l.dir.cfg.FlushBytes || l.reserved-l.end-tailSpace < l.headroom/2 {
		l.rush()
	}
	return nil
}

// reject keeps a caller's mistake: whoever ignored it must not go on.
func (l *dirLog) reject(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return ErrClosed
	}
	if l.invalid == nil {
		l.invalid = err
	}
	return l.invalid
}

// refuse returns err, or in BestEffort mode counts the entry as lost.
func (l *dirLog) refuse(err error, now time.Time, size int) error {
	if l.dir.cfg.Mode != BestEffort || l.closing || l.invalid != nil {
		return err
	}
	cause := "failed"
	if errors.Is(err, ErrStalled) {
		cause = "stalled"
	}
	l.loss.add(now, size, cause)
	return nil
}

// put encodes one record. There is room: admit made sure, or it is tailSpace.
func (l *dirLog) put(t Type, stream uint8, at stamp, payload []byte) {
	l.room(recordOverhead+len(payload), at)
	start := len(l.buf)
	l.buf = l.enc.record(l.buf, t, stream, at, payload)
	l.end += int64(len(l.buf) - start)
}

func (l *dirLog) putCheckpoint(at stamp) {
	l.room(checkpointSize, at)
	start := len(l.buf)
	l.buf = l.enc.checkpoint(l.buf, at)
	l.end += int64(len(l.buf) - start)
	l.signedAt = time.Duration(at.mono)
	l.syncDue = true
}

// putLoss records what was dropped, if anything was.
func (l *dirLog) putLoss(at stamp) {
	if l.loss.empty() {
		return
	}
	l.put(TypeLoss, 0, at, l.loss.encode())
	l.loss = Loss{}
}

// room prepares buf for n more bytes.
func (l *dirLog) room(n int, at stamp) {
	switch {
	case len(l.buf) == 0:
		l.bufAt = time.Duration(at.mono)
		l.buf = l.dir.buffers.get(max(n, l.lastSize))
	case len(l.buf)+n > chunkSize:
		l.full = append(l.full, l.buf)
		l.buf = l.dir.buffers.get(max(n, chunkSize))
	default:
		l.buf = l.dir.buffers.grow(l.buf, n)
	}
	l.activate()
}

// activate puts the log on the flusher's list.
func (l *dirLog) activate() {
	if !l.active {
		l.active = true
		l.dir.flusher.activate(l)
	}
}

// queued is how much the flusher can take at least.
func (l *dirLog) queued() int { return len(l.full)*chunkSize/2 + len(l.buf) }

// rush calls the flusher now.
func (l *dirLog) rush() {
	if !l.urgent {
		l.urgent = true
		l.dir.flusher.rush(l)
	}
}
