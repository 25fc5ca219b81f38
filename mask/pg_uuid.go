package mask

import "encoding/hex"

const uuidText = 36

// canonicalUUID returns the 16 bytes.
func canonicalUUID(dst, b []byte, bin bool) ([]byte, error) {
	if bin {
		if len(b) != 16 {
			return nil, ErrMalformed
		}
		return append(dst, b...), nil
	}
	if len(b) != uuidText {
		return nil, ErrMalformed
	}
	var digits [32]byte
	n := 0
	for i, c := range b {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return nil, ErrMalformed
			}
			continue
		}
		digits[n] = c
		n++
	}
	return appendUnhex(dst, digits[:])
}

// appendUUID makes a UUID of version 8 (RFC 9562 §5.8) from 16 bytes.
func appendUUID(dst []byte, f Format, seed *seed) []byte {
	var u [16]byte
	copy(u[:], seed[:])
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	if f == Binary {
		return append(dst, u[:]...)
	}
	dst = append(hex.AppendEncode(dst, u[:4]), '-')
	dst = append(hex.AppendEncode(dst, u[4:6]), '-')
	dst = append(hex.AppendEncode(dst, u[6:8]), '-')
	dst = append(hex.AppendEncode(dst, u[8:10]), '-')
	return hex.AppendEncode(dst, u[10:])
}
