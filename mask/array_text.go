package mask

import "bytes"

// appendArrayText masks every element of an array in text and keeps the
// dimensions (PostgreSQL manual, "Array Input and Output Syntax"). Elements are
// quoted whether or not they need to be.
func (o *op) appendArrayText(dst, b []byte) ([]byte, error) {
	bounds, body, err := cutBounds(b)
	if err != nil {
		return dst, err
	}
	out := append(dst, bounds...)
	depth, delimiter := 0, o.typ.Kind.delimiter()
	for pos := 0; pos < len(body); {
		switch c := body[pos]; {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case depth == 0:
			return dst, ErrMalformed
		case c != delimiter:
			var n int
			if out, n, err = o.appendQuotedElement(out, body[pos:]); err != nil {
				return dst, err
			}
			pos += n
			continue
		}
		out = append(out, body[pos])
		pos++
		if depth > maxDimensions || depth <= 0 && pos < len(body) {
			return dst, ErrMalformed
		}
	}
	if depth != 0 || len(body) == 0 {
		return dst, ErrMalformed
	}
	return out, nil
}

// cutBounds takes the explicit bounds, as [0:1][2:3]=, off an array.
func cutBounds(b []byte) (bounds, body []byte, err error) {
	if len(b) == 0 || b[0] != '[' {
		return nil, b, nil
	}
	i := bytes.IndexByte(b, '=')
	if i < 0 || i > 24*maxDimensions {
		return nil, nil, ErrMalformed
	}
	for _, c := range b[:i] {
		if (c < '0' || c > '9') && c != '[' && c != ']' && c != ':' && c != '-' {
			return nil, nil, ErrMalformed
		}
	}
	return b[:i+1], b[i+1:], nil
}

// appendQuotedElement masks the element that b begins with and returns how many
// bytes of b it took.
func (o *op) appendQuotedElement(dst, b []byte) (out []byte, n int, err error) {
	if b[0] != '"' {
		n = bareLength(b, o.typ.Kind.delimiter())
		if n < 0 {
			return dst, 0, ErrMalformed
		}
		if bytes.EqualFold(b[:n], []byte("NULL")) {
			return append(dst, b[:n]...), n, nil
		}
		return o.appendMaskedQuoted(dst, b[:n]), n, nil
	}
	n, escaped := quotedLength(b)
	if n < 0 {
		return dst, 0, ErrMalformed
	}
	if !escaped {
		return o.appendMaskedQuoted(dst, b[1:n-1]), n, nil
	}
	start := len(dst)
	dst = appendUnquoted(dst, b[1:n-1])
	mid := len(dst)
	dst = o.appendMaskedQuoted(dst, dst[start:mid])
	return append(dst[:start], dst[mid:]...), n, nil
}

// bareLength returns the length of an element without quotes, -1 if it holds what
// must be quoted.
func bareLength(b []byte, delimiter byte) int {
	for i, c := range b {
		switch c {
		case delimiter, '}':
			return i
		case '"', '\\', '{':
			return -1
		}
	}
	return -1
}

// quotedLength returns the length of an element with its quotes, -1 if it has no
// end, and whether it has escapes.
func quotedLength(b []byte) (n int, escaped bool) {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			i++
		}
	}
	return -1, escaped
}

func appendUnquoted(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' {
			i++
		}
		dst = append(dst, b[i])
	}
	return dst
}

// appendMaskedQuoted appends the masked form of an element, quoted, or NULL. The
// form is written after where it belongs and then moved there.
func (o *op) appendMaskedQuoted(dst, element []byte) []byte {
	start := len(dst)
	out, err := o.element(dst, element)
	if err != nil {
		return append(dst, "NULL"...)
	}
	mid := len(out)
	out = append(out, '"')
	for _, c := range out[start:mid] {
		if c == '"' || c == '\\' {
			out = append(out, '\\')
		}
		out = append(out, c)
	}
	out = append(out, '"')
	return append(out[:start], out[mid:]...)
}
