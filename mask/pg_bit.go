package mask

import (
	"bytes"
	"encoding/binary"
)

// redactBit makes a bit string of zeros. A bit(n) has exactly n bits; where the
// type does not say how many, it has as many as the value.
func redactBit(dst []byte, v Value) ([]byte, error) {
	n := v.Type.Limit
	if n == 0 {
		var err error
		if n, err = bitLength(v.Bytes, v.Format); err != nil {
			return dst, err
		}
	}
	if v.Format == Text {
		return appendRepeat(dst, '0', n), nil
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n)) //nolint:gosec // bounded by the type or the value
	return appendRepeat(dst, 0, (n+7)/8), nil
}

// bitLength counts bits. The binary form is their number in 32 bits, then the
// bits, padded to whole bytes (bit_recv).
func bitLength(b []byte, f Format) (int, error) {
	if f == Text {
		return len(b), nil
	}
	if len(b) < 4 {
		return 0, ErrMalformed
	}
	n := int64(binary.BigEndian.Uint32(b))
	if int64(len(b)-4) != (n+7)/8 {
		return 0, ErrMalformed
	}
	return int(n), nil
}

// appendRepeat appends c n times.
func appendRepeat(dst []byte, c byte, n int) []byte {
	for range n {
		dst = append(dst, c)
	}
	return dst
}

// checkBits reports whether v is a bit string that its type can hold.
func checkBits(v Value) error {
	n, err := bitLength(v.Bytes, v.Format)
	limit := v.Type.Limit
	switch {
	case err != nil:
		return err
	case v.Format == Text && len(bytes.Trim(v.Bytes, "01")) > 0:
		return ErrMalformed
	case limit > 0 && (n > limit || n < limit && v.Type.Kind == KindBit):
		return ErrMalformed
	default:
		return nil
	}
}
