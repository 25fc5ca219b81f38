package copystream

import (
	"bytes"
	"fmt"
)

// csvState is where a Stream of csv is within a field.
type csvState uint8

const (
	csvStart  csvState = iota // at its first byte
	csvBare                   // in one without quotes
	csvQuoted                 // behind the opening quote
	csvEscape                 // behind an escape
	csvQuote                  // behind a quote, which may be the closing one
)

// writeCSV works through data of the csv format (manual, "COPY", "CSV Format").
// A quoted value may hold anything; within it quotes and escapes are behind an
// escape.
func (s *Stream) writeCSV(dst, data []byte) ([]byte, error) {
	passed := 0 // what is before it has been written, or is not to be
	for i, c := range data {
		ends, plain, err := s.csvByte(c)
		if err != nil {
			return nil, err
		}
		rewrites := s.rewrites()
		if !ends {
			s.inRow = true
			if rewrites {
				dst = append(dst, data[passed:i]...)
				passed = i + 1
			}
			if rewrites && plain {
				s.holdByte(c)
			}
			continue
		}
		if rewrites {
			dst = append(dst, data[passed:i]...)
			passed = i
			dst = s.csvValue(dst)
		}
		s.csv = csvStart
		if err := s.endField(c == '\n'); err != nil {
			return nil, err
		}
	}
	return append(dst, data[passed:]...), nil
}

func (s *Stream) holdByte(c byte) { s.hold([]byte{c}) }

// csvByte takes one byte. It reports whether the field ends before it, and
// whether it is part of the value.
func (s *Stream) csvByte(c byte) (ends, plain bool, err error) {
	switch s.csv {
	case csvQuoted:
		switch {
		case c == s.Escape && s.Escape != s.Quote:
			s.csv = csvEscape
		case c == s.Quote:
			s.csv = csvQuote
		default:
			return false, true, nil
		}
		return false, false, nil
	case csvEscape:
		if c != s.Quote && c != s.Escape {
			return false, false, fmt.Errorf("%w: escape", ErrMalformed)
		}
		s.csv = csvQuoted
		return false, true, nil
	case csvQuote:
		switch {
		case c == s.Quote && s.Escape == s.Quote:
			s.csv = csvQuoted
			return false, true, nil
		case c == s.Delimiter || c == '\n':
			return true, false, nil
		}
		return false, false, fmt.Errorf("%w: behind a closing quote", ErrMalformed)
	default:
		return s.csvBareByte(c)
	}
}

// csvBareByte takes one byte outside of quotes.
func (s *Stream) csvBareByte(c byte) (ends, plain bool, err error) {
	switch {
	case c == s.Delimiter || c == '\n':
		return true, false, nil
	case c == s.Quote && s.csv == csvStart:
		s.csv = csvQuoted
		return false, false, nil
	case c == s.Quote || c == '\r':
		return false, false, fmt.Errorf("%w: a value without its quotes", ErrMalformed)
	}
	s.csv = csvBare
	return false, true, nil
}

// csvValue appends what stands in place of the value that is held. Whether that
// had quotes says something of it, so only what is not changed keeps them.
func (s *Stream) csvValue(dst []byte) []byte {
	defer s.release()
	quoted := s.csv == csvQuote
	held := s.held
	if held == nil {
		held = []byte{}
	}
	switch null := !quoted && !s.over && string(held) == s.NullText; {
	case null:
		held = nil
	case s.isConstant():
		if c := s.constantOf(s.quote); !c.null {
			return append(dst, c.text...)
		}
		return append(dst, s.NullText...)
	}
	out, null := s.value(s.made[:0], held)
	if s.made = out; null {
		return append(dst, s.NullText...)
	}
	if quoted && bytes.Equal(out, s.held) {
		return s.inQuotes(dst, out)
	}
	return s.quote(dst, out)
}

// quote appends a value as the server writes it.
func (s *Stream) quote(dst, value []byte) []byte {
	if !s.needsQuotes(value) {
		return append(dst, value...)
	}
	return s.inQuotes(dst, value)
}

func (s *Stream) inQuotes(dst, value []byte) []byte {
	dst = append(dst, s.Quote)
	for _, c := range value {
		if c == s.Quote || c == s.Escape {
			dst = append(dst, s.Escape)
		}
		dst = append(dst, c)
	}
	return append(dst, s.Quote)
}

// needsQuotes reports whether the server quotes a value. What an older psql takes for
// the end of the data is only so on a line of its own.
func (s *Stream) needsQuotes(value []byte) bool {
	return string(value) == s.NullText || len(s.Columns) == 1 && string(value) == `\.` || bytes.IndexByte(value, s.Delimiter) >= 0 ||
		bytes.IndexByte(value, s.Quote) >= 0 || bytes.ContainsAny(value, "\r\n")
}
