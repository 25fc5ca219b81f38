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
	// Columns says for each column whether Value is asked.
	Columns []bool
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
	// held is what has come of a value that is to be rewritten: in text as it was
	// sent, in csv and binary the value itself. over says that it was too long.
	held, made []byte
	over       bool
	text       textState
	csv        csvState
	binary     binaryState
}

// New returns a Stream.
func New(c Config) (*Stream, error) {
	if c.Value == nil || c.MaxValue <= 0 || len(c.Columns) == 0 {
		return nil, fmt.Errorf("%w: incomplete", ErrOptions)
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return &Stream{Config: c, naming: c.Header && c.Format != Binary, binary: binaryState{left: signatureSize}}, nil
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
		// A value that is written like NULL can't be told from it: whoever chooses
		// what stands for NULL would be told whether a value is equal to it.
		if c.NullText != `\N` && c.NullText != "" || c.Delimiter == 'N' {
			return fmt.Errorf("%w: in text, NULL must be written as \\N or as nothing", ErrOptions)
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
	switch s.Format {
	case Text:
		return s.writeText(dst, data)
	case CSV:
		return s.writeCSV(dst, data)
	default:
		return s.writeBinary(dst, data)
	}
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

// hold keeps bytes of a value that is to be rewritten.
func (s *Stream) hold(b []byte) {
	if s.over = s.over || len(s.held)+len(b) > s.MaxValue; s.over {
		return
	}
	s.held = append(s.held, b...)
}

func (s *Stream) holdByte(c byte) {
	if s.over = s.over || len(s.held) >= s.MaxValue; s.over {
		return
	}
	s.held = append(s.held, c)
}

// value puts into made what stands in place of the value at hand, nil for a NULL,
// and reports whether that is NULL.
func (s *Stream) value(held []byte) (null bool) {
	switch {
	case held != nil && !s.over:
		s.made, null = s.Value(s.made[:0], s.column, held)
	case s.Null != nil:
		s.made, null = s.Null(s.made[:0], s.column)
	default:
		null = true
	}
	return null
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
