package approve

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/headgate/gateway/policy"
)

// keptEnded is how many ended tickets a MemoryStore remembers.
const keptEnded = 1024

// MemoryStore is a Store in the memory of one process: what waits and what stands
// is lost when it ends, which refuses. Of ended tickets it remembers the last
// 1024, without their commands. It is safe for concurrent use; the zero
// MemoryStore is empty and ready.
type MemoryStore struct {
	mu      sync.Mutex
	tickets map[string]*memoryTicket
	live    map[string][]*memoryTicket // by digest: pending and granted
	ended   []string                   // ids, the oldest first
}

type memoryTicket struct {
	Ticket
	answered chan struct{} // closed when the ticket is not pending any more
}

var _ Store = (*MemoryStore)(nil)

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore { return new(MemoryStore) }

// Open implements Store.
func (s *MemoryStore) Open(ctx context.Context, t Ticket, limits Limits) (Ticket, Opening, error) {
	if err := ctx.Err(); err != nil {
		return Ticket{}, 0, fmt.Errorf("approve: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := t.Created
	for _, m := range s.live[t.Request.Digest] {
		if m.Covers(&t.Request, now) {
			m.UsesLeft--
			s.settle(m)
			return m.Ticket, Redeemed, nil
		}
	}
	s.lapse(now)
	if !s.fits(&t, limits) {
		return Ticket{}, 0, ErrOverloaded
	}
	for _, m := range s.live[t.Request.Digest] {
		if m.Joinable(&t.Request) {
			m.Waiting++
			return m.Ticket, Joined, nil
		}
	}
	s.add(t)
	return t, Added, nil
}

func (s *MemoryStore) add(t Ticket) {
	if s.tickets == nil {
		s.tickets, s.live = map[string]*memoryTicket{}, map[string][]*memoryTicket{}
	}
	m := &memoryTicket{Ticket: t, answered: make(chan struct{})}
	s.tickets[t.ID] = m
	s.live[t.Request.Digest] = append(s.live[t.Request.Digest], m)
}

// fits counts waiting calls, not tickets: each holds a client's connection.
func (s *MemoryStore) fits(t *Ticket, limits Limits) bool {
	total, principal, session := 1, 1, 1
	for _, tickets := range s.live {
		for _, m := range tickets {
			total += m.Waiting
			if m.Principal() == t.Principal() {
				principal += m.Waiting
			}
			if m.Session() == t.Session() {
				session += m.Waiting
			}
		}
	}
	return total <= limits.Total && principal <= limits.PerPrincipal && session <= limits.PerSession
}

// Wait implements Store.
func (s *MemoryStore) Wait(ctx context.Context, id string) error {
	s.mu.Lock()
	m := s.tickets[id]
	s.mu.Unlock()
	if m == nil {
		return ErrUnknown
	}
	select {
	case <-m.answered:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("approve: %w", ctx.Err())
	}
}

// Redeem implements Store.
func (s *MemoryStore) Redeem(_ context.Context, id string, now time.Time) (Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.release(id, now)
	if err != nil {
		return Ticket{}, err
	}
	switch {
	case m.State != StateGranted:
		err = m.outcome()
	case m.UsesLeft == 0:
		err = ErrUsedUp
	default:
		m.UsesLeft--
	}
	s.settle(m)
	return m.Ticket, err
}

// Leave implements Store.
func (s *MemoryStore) Leave(_ context.Context, id string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.release(id, now)
	if err != nil {
		return err
	}
	s.settle(m)
	return nil
}

// release counts one waiting call less.
func (s *MemoryStore) release(id string, now time.Time) (*memoryTicket, error) {
	m := s.tickets[id]
	if m == nil {
		return nil, ErrUnknown
	}
	m.Waiting = max(0, m.Waiting-1)
	s.lapseOne(m, now)
	return m, nil
}

// Decide implements Store.
func (s *MemoryStore) Decide(ctx context.Context, id string, r Ruling) (Ticket, error) {
	if err := ctx.Err(); err != nil {
		return Ticket{}, fmt.Errorf("approve: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.tickets[id]
	if m == nil {
		return Ticket{}, ErrUnknown
	}
	s.lapseOne(m, r.At)
	if m.State != StatePending {
		return Ticket{}, m.undecidable()
	}
	if m.Request.Digest != r.Digest {
		return Ticket{}, ErrDigest
	}
	m.Ruling = r
	if !r.Granted {
		s.end(m, StateRefused)
		return m.Ticket, nil
	}
	m.UsesLeft = max(1, r.Scope.Uses)
	if r.Scope.For > 0 {
		m.Until = r.At.Add(r.Scope.For)
	} else {
		m.UsesLeft = min(m.UsesLeft, m.Waiting)
	}
	m.State = StateGranted
	close(m.answered)
	return m.Ticket, nil
}

// Revoke implements Store.
func (s *MemoryStore) Revoke(ctx context.Context, id string, by policy.Identity, now time.Time) (Ticket, error) {
	if err := ctx.Err(); err != nil {
		return Ticket{}, fmt.Errorf("approve: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.tickets[id]
	if m == nil {
		return Ticket{}, ErrUnknown
	}
	s.lapseOne(m, now)
	if m.State != StateGranted {
		return Ticket{}, ErrDecided
	}
	m.RevokedBy = &by
	s.end(m, StateRevoked)
	return m.Ticket, nil
}

// Get implements Store.
func (s *MemoryStore) Get(ctx context.Context, id string, now time.Time) (Ticket, error) {
	if err := ctx.Err(); err != nil {
		return Ticket{}, fmt.Errorf("approve: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.tickets[id]
	if m == nil {
		return Ticket{}, ErrUnknown
	}
	s.lapseOne(m, now)
	return m.Ticket, nil
}

// List implements Store.
func (s *MemoryStore) List(ctx context.Context, now time.Time) ([]Ticket, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("approve: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lapse(now)
	var out []Ticket
	for _, tickets := range s.live {
		for _, m := range tickets {
			if m.State == StatePending || m.Standing(now) {
				out = append(out, m.Ticket)
			}
		}
	}
	slices.SortFunc(out, func(a, b Ticket) int { return a.Created.Compare(b.Created) })
	return out, nil
}
