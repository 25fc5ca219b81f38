package copystream

import (
	"bytes"
	"fmt"
)

// writePlainLine works through a whole line, which data begins with, if it has no
// escapes or quotes, as most have: then its fields are what stands between
// delimiters. It returns how much of data that was, 0 if it must be looked at byte by
// byte.
func (s *Stream) writePlainLine(dst, data []byte) (out []byte, n int, err error) {
	if s.inRow || s.naming || s.text.escaped || s.column > 0 {
		return dst, 0, nil
	}
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		return dst, 0, nil
	}
	line := data[:end]
	special := byte('\\')
	if s.Format == CSV {
		special = s.Quote
	}
	if bytes.IndexByte(line, special) >= 0 || s.Format == CSV && bytes.IndexByte(line, '\r') >= 0 {
		return dst, 0, nil
	}
	if dst, err = s.plainFields(dst, line); err != nil {
		return nil, 0, err
	}
	s.column = 0
	s.rows++
	return append(dst, '\n'), end + 1, nil
}

// plainFields rewrites the fields of a plain line, up to the last that is to be.
func (s *Stream) plainFields(dst, line []byte) ([]byte, error) {
	at, passed := 0, 0
	for s.column = 0; s.column <= s.last; s.column++ {
		if at > len(line) {
			return nil, s.miscounted()
		}
		end := len(line)
		if n := bytes.IndexByte(line[at:], s.Delimiter); n >= 0 {
			end = at + n
		}
		if s.Columns[s.column] {
			dst = append(dst, line[passed:at]...)
			dst = s.plainField(dst, line[at:end])
			passed = end
		}
		at = end + 1
	}
	left := len(s.Columns) - s.column
	if at > len(line) && left > 0 || at <= len(line) && bytes.Count(line[at:], []byte{s.Delimiter}) != left-1 {
		return nil, s.miscounted()
	}
	return append(dst, line[passed:]...), nil
}

func (s *Stream) miscounted() error {
	return fmt.Errorf("%w: a row has not %d fields", ErrMalformed, len(s.Columns))
}

// plainField appends what stands in place of a value without escapes and quotes.
func (s *Stream) plainField(dst, value []byte) []byte {
	written := s.escape
	if s.Format == CSV {
		written = s.quote
	}
	start := len(dst)
	var null bool
	switch {
	case string(value) == s.NullText && !s.Ambiguous():
		dst, null = s.value(dst, nil)
	case s.isConstant():
		c := s.constantOf(written)
		if !c.null {
			return append(dst, c.text...)
		}
		null = true
	case len(value) > s.MaxValue:
		dst, null = s.value(dst, nil)
	default:
		dst, null = s.Value(dst, s.column, value)
	}
	if null {
		return append(dst[:start], s.NullText...)
	}
	if s.isPlain(dst[start:]) {
		return dst
	}
	s.made = append(s.made[:0], dst[start:]...)
	dst = written(dst[:start], s.made)
	s.release()
	return dst
}

// isPlain reports whether a value is written as it is.
func (s *Stream) isPlain(value []byte) bool {
	if s.Format == CSV {
		return !s.needsQuotes(value)
	}
	for _, c := range value {
		if c <= '\r' || c == '\\' || c == s.Delimiter {
			return false
		}
	}
	return true
}
