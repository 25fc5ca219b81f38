package approve

import (
	"slices"
	"time"

	"github.com/headgate/gateway/policy"
)

// settle ends a ticket that has nothing left to wait for or to give.
func (s *MemoryStore) settle(m *memoryTicket) {
	switch {
	case m.State == StatePending && m.Waiting == 0:
		s.end(m, StateWithdrawn)
	case m.State == StateGranted && m.Waiting == 0 && (m.UsesLeft == 0 || m.Until.IsZero()):
		s.end(m, StateUsed)
	}
}

// lapse ends every ticket whose time has come.
func (s *MemoryStore) lapse(now time.Time) {
	for _, tickets := range s.live {
		for _, m := range slices.Clone(tickets) {
			s.lapseOne(m, now)
		}
	}
}

func (s *MemoryStore) lapseOne(m *memoryTicket, now time.Time) {
	switch {
	case m.State == StatePending && !now.Before(m.Expires):
		s.end(m, StateExpired)
	case m.State == StateGranted && !m.Until.IsZero() && !now.Before(m.Until):
		s.end(m, StateUsed)
	}
}

// end moves m to a final state: it leaves the index, its waiting calls are woken,
// and its command, which may be large, is forgotten.
func (s *MemoryStore) end(m *memoryTicket, state State) {
	if m.State == StatePending {
		close(m.answered)
	}
	m.State, m.UsesLeft = state, 0
	digest := m.Request.Digest
	s.live[digest] = slices.DeleteFunc(s.live[digest], func(other *memoryTicket) bool { return other == m })
	if len(s.live[digest]) == 0 {
		delete(s.live, digest)
	}
	if in := m.Request.Input; in != nil {
		m.Request.Input = &policy.Input{Identity: in.Identity, Target: in.Target, Session: in.Session}
	}
	s.ended = append(s.ended, m.ID)
	if len(s.ended) > keptEnded {
		delete(s.tickets, s.ended[0])
		s.ended = slices.Delete(s.ended, 0, 1)
	}
}

// outcome says what a call that waited for an ended or pending ticket gets.
func (t *Ticket) outcome() error {
	switch t.State {
	case StateRefused:
		return ErrRefused
	case StateRevoked:
		return ErrRevoked
	case StateWithdrawn:
		return ErrWithdrawn
	case StateUsed:
		return ErrUsedUp
	case StatePending, StateExpired, StateGranted:
	}
	return ErrExpired
}

// undecidable says why a ticket can't be decided.
func (t *Ticket) undecidable() error {
	switch t.State {
	case StateExpired:
		return ErrExpired
	case StateWithdrawn:
		return ErrWithdrawn
	case StatePending, StateGranted, StateUsed, StateRefused, StateRevoked:
	}
	return ErrDecided
}
