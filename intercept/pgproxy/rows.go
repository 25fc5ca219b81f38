package pgproxy

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errUnmaskable says that a row arrived that must be masked and can't be. Nothing
// of it is released and the session ends.
var errUnmaskable = errors.New("pgproxy: a row could not be masked")

// rowsPass reports whether rows of the head of the queue go through unchanged.
func (s *session) rowsPass() bool {
	e := s.queue.front()
	return e != nil && e.run != nil && !e.hidden && e.refusal == nil && e.run.passes() && !e.run.isHollow()
}

// isHollow reports whether rows must be looked at although there is no column to mask:
// they must have none.
func (x *execution) isHollow() bool { return x.masks() && x.plan.Columns() == 0 }

// passRows takes the whole rows that come next, where nothing but their number and
// length matters. What it leaves is looked at one by one.
func (s *session) passRows() {
	o, e := &s.outgoing, s.queue.front()
	if len(o.in)-o.at < headerSize || o.in[o.at] != msgDataRow || e == nil || e.withheld || !s.rowsPass() || e.run.limit != nil || s.trusted() != nil {
		return
	}
	rest, rows, size := o.in[o.at:], 0, 0
	for len(rest) >= headerSize && rest[0] == msgDataRow {
		n := int64(binary.BigEndian.Uint32(rest[1:])) + 1
		if n < headerSize || n > int64(len(rest)) {
			break
		}
		rest = rest[n:]
		size += int(n) - headerSize
		rows++
	}
	o.at = len(o.in) - len(rest)
	e.rows += int64(rows)
	e.bytes += int64(size)
}

// trusted refuses the first row of an answer whose masks were chosen by a
// catalogue that the server may no longer have.
func (s *session) trusted() error {
	e := s.queue.front()
	if e == nil || e.run == nil || e.rows > 0 || e.run.rules == nil || e.run.distrust {
		return nil
	}
	if s.shelf.moved(e.run.query.catalogue) {
		return errUnmaskable
	}
	return nil
}

// dataRow releases a row, masked where its plan says so.
func (s *session) dataRow(body []byte) error {
	if err := s.trusted(); err != nil {
		return err
	}
	e := s.queue.front()
	if e != nil && e.withheld {
		s.outgoing.change()
		return nil
	}
	if s.rowsPass() {
		if !s.admit(e, len(body)) {
			s.outgoing.change()
		}
		return nil
	}
	if e == nil || e.refusal != nil {
		return unexpected(msgDataRow)
	}
	if e.hidden {
		return s.hiddenAnswer(e, msgDataRow, body)
	}
	if e.run == nil {
		return unexpected(msgDataRow)
	}
	if e.run.plan == nil {
		return fmt.Errorf("%w: its layout is not known", errUnmaskable)
	}
	if !e.run.plan.Masks() {
		return s.searchRow(e, body)
	}
	s.outgoing.change()
	start := len(s.outgoing.out)
	out := append(s.outgoing.out, msgDataRow, 0, 0, 0, 0)
	out, err := e.run.plan.Row(out, body)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	binary.BigEndian.PutUint32(out[start+1:], uint32(len(out)-start-1))
	if s.admit(e, len(out)-start-headerSize) {
		s.outgoing.out = out
	}
	return nil
}

// searchRow releases a row of which nothing is masked but what is found in it: most
// rows go through unchanged, without a copy.
func (s *session) searchRow(e *entry, body []byte) error {
	if s.outgoing.from == s.outgoing.at {
		return s.searchInPlace(e, body)
	}
	row, changed, err := e.run.plan.Rewrite(s.rewritten[:0], body)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	if !changed {
		if !s.admit(e, len(body)) {
			s.outgoing.change()
		}
		return nil
	}
	s.rewritten = row
	s.outgoing.change()
	if s.admit(e, len(row)) {
		s.outgoing.out = appendMessage(s.outgoing.out, msgDataRow, func(b []byte) []byte { return append(b, row...) })
	}
	if cap(s.rewritten) > minPartial {
		s.rewritten = nil
	}
	return nil
}

// searchInPlace is searchRow where no row before this one waits to go through
// unchanged: what it becomes is written where it is released from.
func (s *session) searchInPlace(e *entry, body []byte) error {
	o := &s.outgoing
	start := len(o.out)
	out, changed, err := e.run.plan.Rewrite(append(o.out, msgDataRow, 0, 0, 0, 0), body)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	o.out = out[:start] // with the room that it has got
	size := len(body)
	if changed {
		size = len(out) - start - headerSize
	}
	admitted := s.admit(e, size)
	if changed || !admitted {
		o.change()
	}
	if changed && admitted {
		binary.BigEndian.PutUint32(out[start+1:], uint32(len(out)-start-1))
		o.out = out
	}
	return nil
}

// rowDescription fixes the layout of the rows that follow, or of a statement or
// portal that was described.
func (s *session) rowDescription(e *entry, body []byte) error {
	switch {
	case e.kind == msgQuery && e.run != nil && !e.run.isAnyCopy():
		return s.planRows(e.run, body, nil)
	case e.kind == msgDescribe && e.statement != nil:
		e.statement.layout = append([]byte(nil), body...)
		s.done()
		return nil
	case e.kind == msgDescribe && e.portal != nil:
		err := s.planRows(e.portal.run, body, nil)
		s.done()
		return err
	case e.kind == msgDescribe:
		s.done()
		return nil
	default:
		return unexpected(msgRowDescription)
	}
}

// describedNothing notes that a statement or portal returns no rows.
func (s *session) describedNothing(e *entry) {
	if e.statement != nil {
		e.statement.layout = nil
	}
}
