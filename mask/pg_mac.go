package mask

// canonicalMAC returns the bytes of a macaddr or macaddr8.
func canonicalMAC(dst, b []byte, bin bool, size int) ([]byte, error) {
	if bin {
		if len(b) != size {
			return nil, ErrMalformed
		}
		return append(dst, b...), nil
	}
	if len(b) != 3*size-1 {
		return nil, ErrMalformed
	}
	for i := range size {
		if i > 0 && b[3*i-1] != ':' {
			return nil, ErrMalformed
		}
		var err error
		if dst, err = appendUnhex(dst, b[3*i:3*i+2]); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// appendMAC makes a locally administered unicast address.
func appendMAC(dst []byte, f Format, seed *seed, size int) []byte {
	const digits = "0123456789abcdef"
	for i, c := range seed[:size] {
		if i == 0 {
			c = c&^1 | 2
		}
		if f == Binary {
			dst = append(dst, c)
			continue
		}
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}
