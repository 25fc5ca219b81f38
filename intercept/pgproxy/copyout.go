package pgproxy

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/headgate/gateway/intercept/pgproxy/internal/copystream"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/mask"
)

// copyOut is a COPY TO STDOUT whose values are masked. The server says of what it
// sends only how many columns there are, so the gateway asks it to describe a
// query of the same columns: the one in the parentheses, or one of the table.
type copyOut struct {
	config copystream.Config
	query  string
	// generated asks which columns of the query COPY leaves out, those that are
	// generated, "" where it sends all; leftOut are their numbers. The catalogue does
	// not know temporary tables, nor those that an open transaction has made.
	generated string
	leftOut   []int16
	// rows is what the query is made of.
	rows   *sqlfacts.Statement
	fields []field
	plan   *mask.Plan
	stream *copystream.Stream
}

// isCopy reports whether the statement that runs now is of a kind of COPY.
func (x *execution) isCopy(kind sqlfacts.CopyKind) bool {
	return x.current < len(x.query.traced) && x.query.traced[x.current].statement.Copy == kind
}

// isAnyCopy reports whether the statement that runs now is a COPY, of which the server
// describes no rows.
func (x *execution) isAnyCopy() bool {
	return x.current < len(x.query.traced) && x.query.traced[x.current].statement.Copy != sqlfacts.CopyNone
}

// copy returns what masks the COPY that runs now, nil if there is none or its rows
// pass.
func (x *execution) copy() *copyOut {
	if x.current >= len(x.copies) {
		return nil
	}
	return x.copies[x.current]
}

// copyOutBegins fixes how the rows that follow are masked.
func (s *session) copyOutBegins(e *entry, body []byte) error {
	format, n, err := parseCopyResponse(body)
	if err != nil {
		return err
	}
	if e.copying || !e.run.isCopy(sqlfacts.CopyToStdout) {
		return unexpected(msgCopyOutResponse)
	}
	e.copying = true
	e.heading = e.run.query.traced[e.run.current].statement.CopyOptions.Header && format == 0
	if err := s.trusted(); err != nil {
		return err
	}
	x := e.run
	if c := x.copy(); c != nil {
		x.plan = c.plan
	}
	if x.passes() {
		return nil
	}
	c := x.copy()
	if c == nil || x.plan == nil || (format == 1) != (c.config.Format == copystream.Binary) {
		return fmt.Errorf("%w: what COPY sends is not known", errUnmaskable)
	}
	places := c.places()
	if len(places) != n {
		return fmt.Errorf("%w: COPY sends %d columns, not %d", errUnmaskable, n, len(places))
	}
	plan, config := x.plan, c.config
	for _, place := range places {
		config.Columns = append(config.Columns, plan.Method(place) != "")
		config.Constant = append(config.Constant, plan.Constant(place))
	}
	config.Value = func(dst []byte, column int, value []byte) ([]byte, bool) {
		return plan.Value(dst, places[column], value)
	}
	config.Null = func(dst []byte, column int) ([]byte, bool) { return plan.Null(dst, places[column]) }
	c.stream, err = copystream.New(config)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	return nil
}

// places are the columns that COPY sends, as places in the query's layout.
func (c *copyOut) places() []int {
	var places []int
	for i, f := range c.fields {
		if !slices.Contains(c.leftOut, f.number) {
			places = append(places, i)
		}
	}
	return places
}

// copyOutData releases what the server sends of a COPY, masked where its plan says
// so. data need not be whole rows.
func (s *session) copyOutData(e *entry, data []byte) error {
	if !e.copying {
		return unexpected(msgCopyData)
	}
	if err := s.trusted(); err != nil {
		return err
	}
	if e.run.passes() {
		if !s.admitRows(e, len(data), e.copiedRows(data)) {
			s.outgoing.change()
		}
		return nil
	}
	return s.maskCopied(e, data)
}

func (s *session) maskCopied(e *entry, data []byte) error {
	o := &s.outgoing
	o.change()
	start, stream := len(o.out), e.run.copy().stream
	before := stream.Rows()
	out, err := stream.Write(append(o.out, msgCopyData, 0, 0, 0, 0), data)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	if stream.Held() > s.proxy.cfg.MaxMessageBytes {
		return fmt.Errorf("%w: a value that goes over messages", errTooLong)
	}
	if len(out) == start+headerSize {
		out = out[:start] // all of it is held
	} else {
		binary.BigEndian.PutUint32(out[start+1:], uint32(len(out)-start-1))
	}
	if s.admitRows(e, len(out)-start, stream.Rows()-before) {
		o.out = out
	}
	return nil
}

// copying reports whether a message of the server's is a part of a COPY.
func (s *session) copying(typ byte) bool {
	e := s.queue.front()
	return typ == msgCopyData && e != nil && e.copying
}

// copyOutEnds notes that the server has sent all rows.
func (s *session) copyOutEnds(e *entry) error {
	if !e.copying {
		return unexpected(msgCopyDone)
	}
	e.copying = false
	if e.run.passes() {
		return nil
	}
	if err := e.run.copy().stream.End(); err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	return nil
}
