package pgproxy

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"sync"
)

// cancelKeys maps the keys that the gateway hands out to live sessions. The
// upstream's own keys stay with the gateway. The map holds live sessions only,
// so it is bounded by the number of connections.
type cancelKeys struct {
	mu   sync.Mutex
	live map[uint32]*cancelTarget
}

// cancelTarget is one session that can be cancelled.
type cancelTarget struct {
	key    []byte
	cancel func(context.Context)
}

// issue makes a new key for a session. The process id is the server's, which
// notifications and pg_stat_activity tell clients as well, unless a session of
// another server has it. Version 3.0 has keys of 4 bytes, 3.2 of up to 256.
func (c *cancelKeys) issue(version, pid uint32, cancel func(context.Context)) (uint32, []byte) {
	key := make([]byte, 4)
	if version >= protocol32 {
		key = make([]byte, 32)
	}
	_, _ = rand.Read(key) // never fails: crypto/rand
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == nil {
		c.live = make(map[uint32]*cancelTarget)
	}
	var random [4]byte
	for {
		if _, taken := c.live[pid]; !taken && pid != 0 {
			c.live[pid] = &cancelTarget{key: key, cancel: cancel}
			return pid, key
		}
		_, _ = rand.Read(random[:])
		pid = binary.BigEndian.Uint32(random[:]) &^ (1 << 31)
	}
}

// forget ends the validity of a key.
func (c *cancelKeys) forget(pid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, pid)
}

// request cancels what the session of that key is doing. A wrong key does
// nothing; like the server it gives no answer either way.
func (c *cancelKeys) request(ctx context.Context, r *cancelRequest) {
	c.mu.Lock()
	t := c.live[r.pid]
	c.mu.Unlock()
	if t == nil || subtle.ConstantTimeCompare(t.key, r.key) != 1 {
		return
	}
	t.cancel(ctx)
}

// cancel does what a cancel request of the client asks for: it ends the wait for
// an approval, or passes the request on if the server is at work. Until the
// server has taken it nothing else is sent, so that it hits no later statement.
func (s *session) cancel(ctx context.Context) {
	if !s.beginCancel() {
		return
	}
	ctx, stop := context.WithTimeout(ctx, s.proxy.cfg.ConnectTimeout)
	defer stop()
	err := s.cancelUpstream(ctx)
	s.mu.Lock()
	s.cancelling = false
	s.moved.Broadcast()
	s.mu.Unlock()
	s.wake()
	if err != nil {
		_ = s.guard.Note("cancel_failed", nil) // a failing record ends the session by itself
	}
}

// beginCancel reports whether the server has to be asked.
func (s *session) beginCancel() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil || s.guard.Note("cancel", nil) != nil {
		return false
	}
	if s.cancelWait != nil {
		s.waitCancelled = true
		s.cancelWait() // and what the server is at, before it in the pipeline
	}
	if s.queue.size == 0 || s.cancelUpstream == nil || s.cancelling {
		return false
	}
	s.cancelling = true
	return true
}
