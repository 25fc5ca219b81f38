package mask

import "encoding/binary"

// maxDimensions is the server's MAXDIM.
const maxDimensions = 6

// The binary form of an array: number of dimensions, whether there are NULLs, OID
// of the elements, then size and lower bound of each dimension, all in 32 bits,
// then the elements as in a row (array_recv).
const (
	arrayHeader    = 12
	arrayDimension = 8
	arrayHasNulls  = 4 // offset
)

// appendArrayBinary masks every element and keeps the dimensions.
func (o *op) appendArrayBinary(dst, b []byte) ([]byte, error) {
	header, count, err := arrayShape(b)
	if err != nil {
		return dst, err
	}
	out := append(dst, b[:header]...)
	pos := header
	for range count {
		end, null, ok := fieldEnd(b, pos)
		if !ok {
			return dst, ErrMalformed
		}
		start := len(out)
		if null {
			out = append(out, b[pos:end]...)
		} else {
			out = o.appendElement(out, b[pos+lengthSize:end])
		}
		if isNull(out[start:]) {
			out[len(dst)+arrayHasNulls+3] = 1
		}
		pos = end
	}
	if pos != len(b) {
		return dst, ErrMalformed
	}
	return out, nil
}

// appendElement appends a masked element with its length.
func (o *op) appendElement(dst, value []byte) []byte {
	start := len(dst)
	out, err := o.element(append(dst, 0, 0, 0, 0), value)
	return endField(dst, out, start, err)
}

// isNull reports whether a field is NULL.
func isNull(field []byte) bool { return field[0] == 0xff }

// arrayShape returns the size of the header and the number of elements.
func arrayShape(b []byte) (header, count int, err error) {
	if len(b) < arrayHeader {
		return 0, 0, ErrMalformed
	}
	dimensions := binary.BigEndian.Uint32(b)
	if dimensions > maxDimensions {
		return 0, 0, ErrMalformed
	}
	header = arrayHeader + arrayDimension*int(dimensions)
	if len(b) < header {
		return 0, 0, ErrMalformed
	}
	if dimensions > 0 {
		count = 1
	}
	for pos := arrayHeader; pos < header; pos += arrayDimension {
		count *= int(binary.BigEndian.Uint32(b[pos:]))
		if count > (len(b)-header)/lengthSize { // each element has a length
			return 0, 0, ErrMalformed
		}
	}
	return header, count, nil
}
