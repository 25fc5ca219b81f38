package mask

import (
	"encoding/binary"
)

// The binary form of a composite value: number of fields in 32 bits, then for each
// the OID of its type and, as in a row, its length and bytes (record_send). Dropped
// columns are left out.
const oidSize = 4

// appendCompositeBinary masks each field.
func (o *op) appendCompositeBinary(dst, b []byte) ([]byte, error) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) != uint64(len(o.fields)) {
		return dst, ErrMalformed
	}
	out := append(dst, b[:4]...)
	pos := 4
	for i := range o.fields {
		if len(b)-pos < oidSize {
			return dst, ErrMalformed
		}
		out = append(out, b[pos:pos+oidSize]...)
		pos += oidSize
		end, null, ok := fieldEnd(b, pos)
		if !ok {
			return dst, ErrMalformed
		}
		if null {
			out = append(out, b[pos:end]...)
		} else {
			out = o.fields[i].appendField(out, b[pos+lengthSize:end])
		}
		pos = end
	}
	if pos != len(b) {
		return dst, ErrMalformed
	}
	return out, nil
}

// appendCompositeText masks each field of a composite in text (PostgreSQL manual,
// "Composite Type Input and Output Syntax"). NULL is nothing between the commas;
// all else is quoted, whether or not it needs to be.
func (o *op) appendCompositeText(dst, b []byte) ([]byte, error) {
	if len(b) < 2 || b[0] != '(' {
		return dst, ErrMalformed
	}
	out := append(dst, '(')
	pos := 1
	for i := range o.fields {
		if i > 0 {
			if pos >= len(b) || b[pos] != ',' {
				return dst, ErrMalformed
			}
			out = append(out, ',')
			pos++
		}
		n, plain := compositeFieldLength(b[pos:])
		if n < 0 {
			return dst, ErrMalformed
		}
		if n > 0 {
			out = o.fields[i].appendCompositeField(out, b[pos:pos+n], plain)
		}
		pos += n
	}
	if pos != len(b)-1 || b[pos] != ')' {
		return dst, ErrMalformed
	}
	return append(out, ')'), nil
}

// compositeFieldLength returns the length of the field that b begins with, -1 if it
// has no end, and whether it is written as it is.
func compositeFieldLength(b []byte) (n int, plain bool) {
	quoted := false
	plain = true
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\':
			plain = false
			i++
		case c == '"':
			quoted, plain = !quoted, false
		case !quoted && (c == ',' || c == ')'):
			return i, plain
		case !quoted && c == '(':
			return -1, false
		}
	}
	return -1, false
}

// appendCompositeField appends a masked field. Its own text, where it is quoted,
// is written behind where the result belongs, and so is the masked one, which is
// then moved there in quotes.
func (o *op) appendCompositeField(dst, b []byte, plain bool) []byte {
	start, value := len(dst), b
	out := dst
	if !plain {
		out = appendCompositeUnquoted(out, b)
		value = out[start:]
	}
	mid := len(out)
	out, err := o.mask(out, value)
	if err != nil {
		return dst
	}
	end := len(out)
	out = append(out, '"')
	for _, c := range out[mid:end] {
		if c == '"' || c == '\\' {
			out = append(out, c)
		}
		out = append(out, c)
	}
	out = append(out, '"')
	return append(out[:start], out[end:]...)
}

// appendCompositeUnquoted reads a field that has quotes or backslashes.
func appendCompositeUnquoted(dst, b []byte) []byte {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && i+1 < len(b):
			i++
			dst = append(dst, b[i])
		case c == '"' && quoted && i+1 < len(b) && b[i+1] == '"':
			i++
			dst = append(dst, c)
		case c == '"':
			quoted = !quoted
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
