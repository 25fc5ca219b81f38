package mask

import (
	"bytes"
	"encoding/hex"
)

// canonicalBytea returns the bytes. In text they are in hexadecimal or, with
// bytea_output set to escape, mostly as they are.
func canonicalBytea(dst, b []byte, bin bool) ([]byte, error) {
	if bin {
		return b, nil
	}
	if digits, ok := bytes.CutPrefix(b, []byte(`\x`)); ok {
		return appendUnhex(dst, digits)
	}
	if bytes.IndexByte(b, '\\') < 0 {
		return b, nil
	}
	return appendUnescaped(dst, b)
}

func appendUnhex(dst, digits []byte) ([]byte, error) {
	dst, err := hex.AppendDecode(dst, digits)
	if err != nil {
		return nil, ErrMalformed
	}
	return dst, nil
}

// appendUnescaped reads bytea's escape format: \\ for a backslash and three octal
// digits for a byte.
func appendUnescaped(dst, b []byte) ([]byte, error) {
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] != '\\':
			dst = append(dst, b[i])
		case i+1 < len(b) && b[i+1] == '\\':
			dst = append(dst, '\\')
			i++
		case i+3 < len(b) && isOctal(b[i+1:i+4]):
			dst = append(dst, (b[i+1]-'0')<<6|(b[i+2]-'0')<<3|(b[i+3]-'0'))
			i += 3
		default:
			return nil, ErrMalformed
		}
	}
	return dst, nil
}

func isOctal(b []byte) bool {
	return b[0] >= '0' && b[0] <= '3' && b[1] >= '0' && b[1] <= '7' && b[2] >= '0' && b[2] <= '7'
}

func appendBytea(dst []byte, f Format, b []byte) []byte {
	if f == Binary {
		return append(dst, b...)
	}
	return hex.AppendEncode(append(dst, `\x`...), b)
}
