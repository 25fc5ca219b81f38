// Package copystream rewrites values in the data that COPY TO sends: in the
// formats text, csv and binary, as the bytes come, wherever they are cut.
//
// What is not to be rewritten goes through byte by byte as the server wrote it.
// What is rewritten comes out as the server would write it, so that COPY FROM
// with the same options reads it again.
package copystream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrMalformed says that the data is not what COPY would send. Nothing of what
// was not returned yet may be released.
var ErrMalformed = errors.New("copystream: malformed COPY data")

// ErrOptions says that values can't be told apart under the options.
var ErrOptions = errors.New("copystream: options that can't be masked under")

// Format is a format of COPY.
type Format uint8

// The formats.
const (
	Text Format = iota + 1
	CSV
	Binary
)

// Config says what the data looks like and what becomes of it.
type Config struct {
	Format Format
	// Delimiter separates fields of text and csv. Quote and Escape are those of csv.
	Delimiter, Quote, Escape byte
	// NullText is what stands for NULL in text and csv.
	NullText string
	// Header says that the first line holds names, which are not rewritten.
	Header bool
	// Columns says for each column whether Value is asked. Constant, if not nil, says
	// for which of these Value returns the same whatever the value is: it is asked
	// once, for nil, and values are not held.
	Columns, Constant []bool
	// Value appends what is to stand in place of a value that is not NULL, in the
	// type's text form or, for Binary, its binary form; null makes it NULL. dst and
	// value don't overlap; value is not the caller's to keep.
	Value func(dst []byte, column int, value []byte) (out []byte, null bool)
	// Null does the same for a NULL, and for a value that was too long to be held.
	// Nil means that it stays NULL.
	Null func(dst []byte, column int) (out []byte, null bool)
	// MaxValue bounds the values that are held to be rewritten, in bytes; longer
	// ones become NULL.
	MaxValue int
}

// A Stream rewrites one COPY's data.
type Stream struct {
	Config
	// column is the one that the next byte belongs to; naming says that the line is
	// the header.
	column int
	naming bool
	rows   int64
	// inRow says that a row has begun.
	inRow bool
	// last is the last column that is rewritten, -1 for none.
	last int
	// held is what has come of a value that is to be rewritten: in text as it was
	// sent, in csv and binary the value itself; of a constant's only what tells
	// whether it is NULL. over says that it was too long.
	held, made []byte
	over       bool
	// expected is how much is still to come of what is being written.
	expected int
	// constants are what stands for the values of columns, nil until it is known.
	constants []*constant
	text      textState
	csv       csvState
	binary    binaryState
}

// A constant is what stands in the place of all values of a column, as it is
// written.
type constant struct {
	text []byte
	null bool
}

// New returns a Stream.
func New(c Config) (*Stream, error) {
	if c.Value == nil || c.MaxValue <= 0 || len(c.Columns) == 0 {
		return nil, fmt.Errorf("%w: incomplete", ErrOptions)
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Stream{
		Config: c, naming: c.Header && c.Format != Binary, last: -1,
		binary: binaryState{left: signatureSize}, constants: make([]*constant, len(c.Columns)),
	}
	for i, rewrites := range c.Columns {
		if rewrites {
			s.last = i
		}
	}
	return s, nil
}

// Ambiguous reports whether a value that is not rewritten can be written like NULL,
// so that whoever chose what stands for NULL could be told whether a value is equal
// to it. In columns that are rewritten both are then given to Value, which must tell
// nothing of them by what it returns.
func (c *Config) Ambiguous() bool {
	return c.Format == Text && c.NullText != `\N` && c.NullText != ""
}

// Check reports whether values can be told apart under the options.
func (c *Config) Check() error {
	special := func(b byte) bool { return b == 0 || b == '\n' || b == '\r' || b >= 0x80 }
	switch c.Format {
	case Binary:
		return nil
	case Text:
		if special(c.Delimiter) || c.Delimiter == '\\' {
			return fmt.Errorf("%w: delimiter", ErrOptions)
		}
		if c.NullText != `\N` && strings.Contains(c.NullText, `\`) || c.Delimiter == 'N' {
			return fmt.Errorf("%w: in text, values can't be told from NULL", ErrOptions)
		}
		return nil
	case CSV:
		if special(c.Delimiter) || special(c.Quote) || special(c.Escape) || c.Delimiter == c.Quote || c.Delimiter == c.Escape {
			return fmt.Errorf("%w: delimiter, quote or escape", ErrOptions)
		}
		return nil
	default:
		return fmt.Errorf("%w: format", ErrOptions)
	}
}

// Write appends to dst what may be released of the data so far. After an error
// the Stream must not be used, and dst is not to be released.
func (s *Stream) Write(dst, data []byte) ([]byte, error) {
	if s.Format == Binary {
		return s.writeBinary(dst, data)
	}
	for len(data) > 0 {
		out, n, err := s.writePlainLine(dst, data)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			n = 1 + next(data, 0, '\n')
			n = min(n, len(data))
			if out, err = s.writeLine(dst, data[:n]); err != nil {
				return nil, err
			}
		}
		dst, data = out, data[n:]
	}
	return dst, nil
}

// writeLine works through a line, or a part of one that may have any value in it.
func (s *Stream) writeLine(dst, line []byte) ([]byte, error) {
	if s.Format == Text {
		return s.writeText(dst, line)
	}
	return s.writeCSV(dst, line)
}

// End says that the data has ended: it must not do so within a row.
func (s *Stream) End() error {
	if s.inRow || s.Format == Binary && !s.binary.ended {
		return fmt.Errorf("%w: ends within a row", ErrMalformed)
	}
	return nil
}

// Rows returns the number of whole rows so far, the header left out.
func (s *Stream) Rows() int64 { return s.rows }

// rewrites reports whether the value at hand is to be rewritten.
func (s *Stream) rewrites() bool {
	return !s.naming && s.column < len(s.Columns) && s.Columns[s.column]
}

// Settled reports whether the rest of the row at hand goes through unchanged.
func (s *Stream) Settled() bool { return s.column > s.last }

// Naming reports whether the line of names has not ended.
func (s *Stream) Naming() bool { return s.naming }

// Held returns how many bytes of a value wait for its end.
func (s *Stream) Held() int { return len(s.held) }

// Expect says how long a row is of which the next Write has a part, from there on.
// It spares copies of a value that is held.
func (s *Stream) Expect(n int) { s.expected = n }

// isConstant reports whether what stands for the value at hand does not depend on it.
func (s *Stream) isConstant() bool {
	return s.column < len(s.Constant) && s.Constant[s.column]
}

// hold keeps bytes of a value that is to be rewritten.
func (s *Stream) hold(b []byte) {
	if s.isConstant() {
		b = b[:min(len(b), max(0, len(s.NullText)+1-len(s.held)))]
	}
	if s.over = s.over || len(s.held)+len(b) > s.MaxValue; s.over {
		return
	}
	if len(s.held)+len(b) > cap(s.held) && s.expected > cap(s.held) && !s.isConstant() {
		s.held = slices.Grow(s.held, min(max(len(b), s.expected), s.MaxValue-len(s.held)))
	}
	s.held = append(s.held, b...)
}

// value appends what stands in place of the value at hand, nil for a NULL, and
// reports whether that is NULL.
func (s *Stream) value(dst, held []byte) (out []byte, null bool) {
	switch {
	case held != nil && !s.over:
		return s.Value(dst, s.column, held)
	case s.Null != nil:
		return s.Null(dst, s.column)
	default:
		return dst, true
	}
}

// constantOf returns what stands for the value at hand, which is not NULL.
// written puts it into the form in which it is sent.
func (s *Stream) constantOf(written func(dst, value []byte) []byte) *constant {
	c := s.constants[s.column]
	if c == nil {
		c = new(constant)
		c.text, c.null = s.Value(nil, s.column, nil)
		if !c.null {
			c.text = written(nil, c.text)
		}
		s.constants[s.column] = c
	}
	return c
}

// release forgets the value at hand, and its buffers if they have grown large.
func (s *Stream) release() {
	const keep = 64 << 10
	s.held, s.made, s.over = s.held[:0], s.made[:0], false
	if cap(s.held) > keep {
		s.held = nil
	}
	if cap(s.made) > keep {
		s.made = nil
	}
}

// endField goes on to the next column, or the next row.
func (s *Stream) endField(row bool) error {
	s.column++
	if s.column > len(s.Columns) || row && s.column != len(s.Columns) {
		return fmt.Errorf("%w: a row has not %d fields", ErrMalformed, len(s.Columns))
	}
	s.inRow = !row
	if row {
		s.column = 0
		if !s.naming {
			s.rows++
		}
		s.naming = false
	}
	return nil
}
