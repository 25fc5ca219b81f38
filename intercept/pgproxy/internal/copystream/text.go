package copystream

import (
	"bytes"
	"fmt"
)

// textState is where a Stream of text is.
type textState struct {
	// escaped says that the byte before was a backslash that escapes the next.
	escaped bool
}

// writeText works through data of the text format (manual, "COPY", "Text
// Format"): one line for each row, in which delimiters, line ends and backslashes
// of values are behind a backslash.
func (s *Stream) writeText(dst, data []byte) ([]byte, error) {
	passed := 0 // what is before it has been written, or is not to be
	l := line{data: data, delimiter: s.Delimiter, end: -1}
	for at := 0; at < len(data); {
		end := l.fieldEnd(at, s.text.escaped)
		s.text.escaped = l.escaped
		s.inRow = s.inRow || end > at
		if s.rewrites() {
			dst = append(dst, data[passed:at]...)
			passed = end
			if end == len(data) {
				s.hold(data[at:])
				break
			}
			var err error
			if dst, err = s.textField(dst, data[at:end]); err != nil {
				return nil, err
			}
		}
		if end == len(data) {
			break
		}
		if err := s.endField(data[end] == '\n'); err != nil {
			return nil, err
		}
		at = end + 1
	}
	return append(dst, data[passed:]...), nil
}

// A line finds the fields in data of the text format.
type line struct {
	data      []byte
	delimiter byte
	// end is the latest line's end that has been found, or the data's.
	end int
	// escaped says that the data ends in a backslash that escapes what comes next.
	escaped bool
}

// fieldEnd returns where the field ends that begins at from, or goes on there, if
// escaped behind a backslash: at a delimiter or a line's end, or with the data.
func (l *line) fieldEnd(from int, escaped bool) int {
	l.escaped = false
	if escaped {
		from++
	}
	for at := from; ; {
		if at > l.end {
			l.end = next(l.data, at, '\n')
		}
		end := l.end
		if n := bytes.IndexByte(l.data[at:end], l.delimiter); n >= 0 {
			end = at + n
		}
		escaped := backslashes(l.data[from:end])%2 == 1
		if end == len(l.data) {
			l.escaped = escaped
			return end
		}
		if !escaped {
			return end
		}
		at = end + 1
	}
}

// next returns where b is next in data, its length if it is not.
func next(data []byte, from int, b byte) int {
	if n := bytes.IndexByte(data[from:], b); n >= 0 {
		return from + n
	}
	return len(data)
}

// backslashes counts those at the end of b.
func backslashes(b []byte) int {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n
}

// textField appends what stands in place of a value, of which rest is the end.
func (s *Stream) textField(dst, rest []byte) ([]byte, error) {
	raw := rest
	if len(s.held) > 0 || s.over || s.isConstant() {
		s.hold(rest)
		raw = s.held
	}
	defer s.release()
	null := !s.over && string(raw) == s.NullText && !s.Ambiguous()
	switch {
	case !null && s.isConstant():
		if c := s.constantOf(s.escape); !c.null {
			return append(dst, c.text...), nil
		}
		return append(dst, s.NullText...), nil
	case null:
		raw = nil
	case !s.over && bytes.IndexByte(raw, '\\') >= 0:
		if len(s.held) == 0 {
			s.held = append(s.held, raw...)
		}
		var err error
		if raw, err = unescape(s.held); err != nil {
			return nil, err
		}
	case raw == nil:
		raw = []byte{} // nil is NULL
	}
	var isNull bool
	if s.made, isNull = s.value(s.made[:0], raw); isNull {
		return append(dst, s.NullText...), nil
	}
	return s.escape(dst, s.made), nil
}

// unescape takes the backslashes out, in place.
func unescape(b []byte) ([]byte, error) {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		if i++; i == len(b) {
			return nil, fmt.Errorf("%w: nothing behind a backslash", ErrMalformed)
		}
		c, n := escaped(b[i:])
		out = append(out, c)
		i += n - 1
	}
	return out, nil
}

// escaped returns the byte that an escape stands for, and the escape's length
// without the backslash.
func escaped(b []byte) (byte, int) {
	switch c := b[0]; c {
	case 'b':
		return '\b', 1
	case 'f':
		return '\f', 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'v':
		return '\v', 1
	case 'x':
		if v, n := number(b[1:], 16, 2); n > 0 {
			return v, n + 1
		}
		return c, 1
	default:
		if v, n := number(b, 8, 3); n > 0 {
			return v, n
		}
		return c, 1
	}
}

// number reads up to most digits.
func number(b []byte, base, most int) (v byte, n int) {
	for n < len(b) && n < most {
		d := digit(b[n])
		if d >= base {
			break
		}
		v = v*byte(base) + byte(d)
		n++
	}
	return v, n
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return 16
	}
}

// escape appends a value as the server writes it.
func (s *Stream) escape(dst, value []byte) []byte {
	plain := 0
	for i, c := range value {
		if c > '\r' && c != '\\' && c != s.Delimiter {
			continue
		}
		letter := letterOf(c)
		if letter == 0 && c != '\\' && c != s.Delimiter {
			continue
		}
		letter = max(letter, c)
		dst = append(append(dst, value[plain:i]...), '\\', letter)
		plain = i + 1
	}
	return append(dst, value[plain:]...)
}

// letterOf returns the letter that stands for a control character behind a
// backslash, 0 for any other.
func letterOf(c byte) byte {
	switch c {
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	case '\v':
		return 'v'
	default:
		return 0
	}
}
