package record

import "time"

// Close seals the log with reason, which is cut to 256 bytes, and waits until the
// file is complete, synced and closed, for StallTimeout at most. The seal has its
// own space on the disk, so a full disk does not keep a log from being sealed. It
// returns nil only for a log that is sealed; each call returns the same error.
func (l *dirLog) Close(reason string) error {
	l.seal(reason)
	return l.awaitDone(l.dir.cfg.StallTimeout)
}

// seal puts the last record and calls the flusher. It acts once.
func (l *dirLog) seal(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return
	}
	now := l.dir.cfg.Now()
	at := stamp{wall: now.UnixNano(), mono: int64(now.Sub(l.opened))}
	l.putLoss(at)
	l.room(sealSize, at)
	start := len(l.buf)
	l.buf = l.enc.seal(l.buf, at, reason)
	l.end += int64(len(l.buf) - start)
	l.closing = true
	l.rush()
	l.wake()
}

func (l *dirLog) awaitDone(patience time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.dir.waiter(max(patience, 0))
	defer l.dir.free(w)
	for !l.done {
		if !l.wait(w) && !l.done {
			return ErrStalled
		}
	}
	return l.closeErr
}
