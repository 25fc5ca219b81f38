package copystream

import "fmt"

// textState is where a Stream of text is.
type textState struct {
	// escaped says that the byte before was a backslash that escapes the next.
	escaped bool
}

// writeText works through data of the text format (manual, "COPY", "Text
// Format"): one line for each row, in which delimiters, line ends and backslashes
// of values are behind a backslash.
func (s *Stream) writeText(dst, data []byte) ([]byte, error) {
	for len(data) > 0 {
		n := s.textRun(data)
		s.inRow = s.inRow || n > 0
		if s.rewrites() {
			s.hold(data[:n])
		} else {
			dst = append(dst, data[:n]...)
		}
		if n == len(data) {
			break
		}
		if s.rewrites() {
			var err error
			if dst, err = s.textValue(dst); err != nil {
				return nil, err
			}
		}
		dst = append(dst, data[n])
		if err := s.endField(data[n] == '\n'); err != nil {
			return nil, err
		}
		data = data[n+1:]
	}
	return dst, nil
}

// textRun returns how much of data belongs to the field at hand.
func (s *Stream) textRun(data []byte) int {
	escaped := s.text.escaped
	n := 0
	for ; n < len(data); n++ {
		c := data[n]
		if escaped {
			escaped = false
			continue
		}
		if c == s.Delimiter || c == '\n' {
			break
		}
		escaped = c == '\\'
	}
	s.text.escaped = escaped
	return n
}

// textValue appends what stands in place of the value that is held.
func (s *Stream) textValue(dst []byte) ([]byte, error) {
	defer s.release()
	var value []byte
	if !s.over && string(s.held) != s.NullText {
		var err error
		if value, err = unescape(s.held); err != nil {
			return nil, err
		}
		if value == nil {
			value = []byte{} // nil is NULL
		}
	}
	if s.value(value) {
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
	for _, c := range value {
		switch c {
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\v':
			dst = append(dst, '\\', 'v')
		case '\\', s.Delimiter:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
