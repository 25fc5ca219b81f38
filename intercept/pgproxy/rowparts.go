package pgproxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
)

// errHeld says that the sessions together hold as much as they may.
var errHeld = errors.New("pgproxy: too much is held for other sessions")

// A rowMasker masks a row that comes in parts. Size returns the masked row's length,
// as soon as it is known: from then on no part changes its own.
type rowMasker interface {
	Write(dst, part []byte) ([]byte, error)
	Size() (n int, known bool)
}

// A partialRow is a row that is masked as it comes, a DataRow or one of a COPY.
type partialRow struct {
	rowMasker
	// rows is how many rows count for it: none for the names of a COPY's columns.
	rows int64
	// left is how much of it is still to come.
	left int
	// held is what has been written of it and can't be released before its length
	// is known, with room for that; nil from then on.
	held []byte
	// tail is what has been written behind that and not released yet.
	tail []byte
	// charged is what it takes of the bytes that all sessions may hold: all of it,
	// and, once its length is known, what has been held until then.
	charged int64
}

// allowance is what all sessions may hold of rows that have to be masked.
type allowance struct{ taken atomic.Int64 }

func (a *allowance) take(n, most int64) bool {
	if a.taken.Add(n) > most {
		a.taken.Add(-n)
		return false
	}
	return true
}

// beginRow begins to mask a row of n bytes of which not all is there, in a message of
// type typ. It reports false where the row must be seen whole, as the answer to a
// query of the gateway's own.
func (s *session) beginRow(typ byte, n int) (bool, error) {
	e := s.queue.front()
	if e == nil || e.hidden || e.refusal != nil || e.run == nil || e.run.plan == nil {
		return false, nil //nolint:nilerr // a refusal is an answer
	}
	if err := s.trusted(); err != nil {
		return false, err
	}
	if n > s.proxy.cfg.MaxRowBytes {
		return false, fmt.Errorf("%w: a row of %d bytes", errTooLong, n)
	}
	if !s.proxy.held.take(int64(n), int64(s.proxy.cfg.MaxHeldBytes)) {
		if n <= s.proxy.cfg.MaxMessageBytes {
			return false, nil // it is seen whole, as any message of that length
		}
		return false, fmt.Errorf("%w: a row of %d bytes, %w", errTooLong, n, errHeld)
	}
	o := &s.outgoing
	o.end = o.at + headerSize
	o.change()
	o.at = o.end
	s.row = &partialRow{rows: 1, left: n, held: make([]byte, headerSize, 4<<10), charged: int64(n)}
	if s.row.held[0] = typ; typ == msgCopyData {
		s.row.rowMasker, s.row.rows = e.copiedParts(n)
	} else {
		s.row.rowMasker = e.run.plan.Parts(n)
	}
	return true, nil
}

// continueRow masks what there is of the row that is under way.
func (s *session) continueRow() error {
	o, r := &s.outgoing, s.row
	part := o.in[o.at:min(len(o.in), o.at+r.left)]
	o.end = o.at + len(part)
	o.change()
	o.at = o.end
	r.left -= len(part)
	into, start := &r.held, len(o.out)
	if r.held == nil {
		o.out = append(o.out, r.tail...)
		into = &o.out
	}
	var err error
	if *into, err = r.Write(*into, part); err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	if n, known := r.Size(); known && r.held != nil {
		if !s.admitRows(s.queue.front(), n, r.rows) {
			s.passing, s.dropping = r.left, r.left > 0
			s.endRow()
			return nil
		}
		binary.BigEndian.PutUint32(r.held[1:], uint32(n+headerSize-1))
		o.out = appended(o.out, r.held)
		s.charge(min(r.charged, int64(len(r.held))))
		r.held = nil
	}
	if r.left == 0 {
		s.endRow()
	} else if r.held == nil {
		s.keepTail(start)
	}
	return nil
}

// keepTail keeps back what could be the beginning of a secret of the gateway's own
// in what is to be released of a row, which begins at start, and overwrites those
// that stand across that cut.
func (s *session) keepTail(start int) {
	o, echo := &s.outgoing, s.guard.Echo()
	kept := max(echo.Longest()-1, 0)
	cut := max(start, len(o.out)-kept)
	echo.Redact(o.out[max(start, cut-kept):])
	s.row.tail = append(s.row.tail[:0], o.out[cut:]...)
	o.out = o.out[:cut]
}

// appended appends b to a, or returns b if there is nothing before it.
func appended(a, b []byte) []byte {
	if len(a) == 0 {
		return b
	}
	return append(a, b...)
}

// charge reduces what the row that is under way takes.
func (s *session) charge(n int64) {
	s.proxy.held.taken.Add(n - s.row.charged)
	s.row.charged = n
}

// endRow ends the row that is under way. What it takes is owed until the client has
// been sent it: a client that reads slowly must not have the gateway hold more.
func (s *session) endRow() {
	if s.row != nil {
		s.owed += s.row.charged
		s.row = nil
	}
}

// giveBack is called by the driver when all that was released has been written. It
// is part of the server's direction.
func (s *session) giveBack() {
	if s.owed != 0 {
		s.proxy.held.taken.Add(-s.owed)
		s.owed = 0
		if cap(s.outgoing.out) > keptBuffer { // it may be a whole row
			s.outgoing = outgoing{}
		}
	}
}

// midRow reports whether the client has the beginning of a row and not its end.
func (s *session) midRow() bool {
	return s.passing > 0 && !s.dropping || s.row != nil && s.row.held == nil
}
