package record

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Memory is a Recorder that keeps logs in memory, without bound and without
// proof: it is the reference for the behaviour of a Recorder, and for tests. The
// zero Memory is ready for use, also concurrently.
type Memory struct {
	mu   sync.Mutex
	logs map[string]*memoryLog
	err  error
}

var _ Recorder = (*Memory)(nil)

// Open makes a log. See Recorder.
func (m *Memory) Open(ctx context.Context, h Header) (Log, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := CheckSession(h.Session); err != nil {
		return nil, err
	}
	if h.Started.IsZero() {
		h.Started = time.Now()
	}
	payload, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("record: header: %w", err)
	}
	if len(payload) > MaxPayload {
		return nil, fmt.Errorf("%w: header", ErrTooLarge)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	name := FileName(h.Session)
	if m.logs[name] != nil {
		return nil, fmt.Errorf("%w: %s", ErrExists, h.Session)
	}
	l := &memoryLog{m: m, entries: []Entry{{Type: TypeHeader, Time: h.Started, Payload: payload}}}
	if m.logs == nil {
		m.logs = map[string]*memoryLog{}
	}
	m.logs[name] = l
	return l, nil
}

// Fail makes every later Open and Append fail with err, as a broken storage does;
// nil makes Open work again, while a log that has failed stays so.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// Sessions returns the ids of all logs, sorted.
func (m *Memory) Sessions() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for _, l := range m.logs {
		var h Header
		if json.Unmarshal(l.entries[0].Payload, &h) == nil {
			ids = append(ids, h.Session)
		}
	}
	slices.Sort(ids)
	return ids
}

// Entries returns a copy of the entries of a session's log, the header first and
// without a seal; nil if there is no such log.
func (m *Memory) Entries(session string) []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.logs[FileName(session)]
	if l == nil {
		return nil
	}
	out := slices.Clone(l.entries)
	for i := range out {
		out[i].Payload = bytes.Clone(out[i].Payload)
	}
	return out
}

// Sealed returns why a session's log was closed, and false while it is not.
func (m *Memory) Sealed(session string) (reason string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.logs[FileName(session)]
	if l == nil {
		return "", false
	}
	return l.reason, l.closed
}

type memoryLog struct {
	m       *Memory
	entries []Entry
	err     error
	reason  string
	closed  bool
}

func (l *memoryLog) Append(e Entry) error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	if l.err == nil {
		l.err = l.m.err
	}
	if l.err == nil {
		l.err = CheckEntry(e)
	}
	if l.err != nil {
		return l.err
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	for len(e.Payload) > MaxPayload {
		l.keep(e, e.Payload[:MaxPayload])
		e.Payload = e.Payload[MaxPayload:]
	}
	l.keep(e, e.Payload)
	return nil
}

func (l *memoryLog) keep(e Entry, payload []byte) {
	e.Payload = bytes.Clone(payload)
	l.entries = append(l.entries, e)
}

func (l *memoryLog) Close(reason string) error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if !l.closed {
		l.closed, l.reason = true, cutReason(reason)
	}
	return nil
}
