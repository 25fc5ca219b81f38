package mask

import (
	"bytes"
	"encoding/binary"
)

// The binary form of numeric: digits, weight of the first, sign, display scale,
// then the digits to the base 10000, each in 16 bits (numeric_recv).
const (
	numericHeader      = 8
	numericNegative    = 0x4000
	numericNaN         = 0xC000
	numericInfinity    = 0xD000
	numericNegInfinity = 0xF000
)

// appendNumericBinary encodes a whole number.
func appendNumericBinary(dst []byte, n uint64) []byte {
	var groups [5]uint16
	count := 0
	for ; n > 0; n /= 10000 {
		groups[count] = uint16(n % 10000)
		count++
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(count))
	dst = binary.BigEndian.AppendUint16(dst, uint16(max(0, count-1)))
	dst = append(dst, 0, 0, 0, 0) // positive, scale 0
	for i := count - 1; i >= 0; i-- {
		dst = binary.BigEndian.AppendUint16(dst, groups[i])
	}
	return dst
}

// canonicalNumeric returns the number in decimal without needless zeros: 1.50 and
// 1.5 are equal to the server too.
func canonicalNumeric(dst, b []byte, bin bool) ([]byte, error) {
	if !bin {
		return trimNumeric(dst, b)
	}
	start := len(dst)
	dst, err := appendNumericText(dst, b)
	if err != nil {
		return nil, err
	}
	mid := len(dst)
	dst, err = trimNumeric(dst, dst[start:mid])
	if err != nil {
		return nil, err
	}
	return append(dst[:start], dst[mid:]...), nil
}

// trimNumeric copies a decimal number without needless zeros.
func trimNumeric(dst, b []byte) ([]byte, error) {
	switch string(b) {
	case "NaN", "Infinity", "-Infinity":
		return append(dst, b...), nil
	}
	digits, negative := bytes.CutPrefix(b, []byte{'-'})
	whole, fraction, point := bytes.Cut(digits, []byte{'.'})
	if !isDigits(whole) || point && !isDigits(fraction) {
		return nil, ErrMalformed
	}
	whole = bytes.TrimLeft(whole, "0")
	fraction = bytes.TrimRight(fraction, "0")
	if len(whole)+len(fraction) == 0 {
		return append(dst, '0'), nil
	}
	if negative {
		dst = append(dst, '-')
	}
	if dst = append(dst, whole...); len(whole) == 0 {
		dst = append(dst, '0')
	}
	if len(fraction) > 0 {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst, nil
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// appendNumericText writes a binary numeric in decimal, with more zeros than
// needed.
func appendNumericText(dst, b []byte) ([]byte, error) {
	if len(b) < numericHeader {
		return nil, ErrMalformed
	}
	count := int(binary.BigEndian.Uint16(b))
	weight := int(int16(binary.BigEndian.Uint16(b[2:]))) //nolint:gosec // signed on the wire
	if len(b) != numericHeader+2*count {
		return nil, ErrMalformed
	}
	switch binary.BigEndian.Uint16(b[4:]) {
	case 0:
	case numericNegative:
		dst = append(dst, '-')
	case numericNaN:
		return append(dst, "NaN"...), nil
	case numericInfinity:
		return append(dst, "Infinity"...), nil
	case numericNegInfinity:
		return append(dst, "-Infinity"...), nil
	default:
		return nil, ErrMalformed
	}
	return appendNumericDigits(append(dst, '0'), b[numericHeader:], weight)
}

// appendNumericDigits writes groups of four decimal digits, the first of which
// counts 10000 to the weight.
func appendNumericDigits(dst, groups []byte, weight int) ([]byte, error) {
	count := len(groups) / 2
	if weight < 0 {
		dst = append(dst, '.')
		for range -weight - 1 {
			dst = append(dst, "0000"...)
		}
	}
	for i := range max(count, weight+1) {
		var g uint16
		if i < count {
			g = binary.BigEndian.Uint16(groups[2*i:])
		}
		if g > 9999 {
			return nil, ErrMalformed
		}
		dst = append(dst, byte('0'+g/1000), byte('0'+g/100%10), byte('0'+g/10%10), byte('0'+g%10))
		if i == weight {
			dst = append(dst, '.')
		}
	}
	return append(dst, '0'), nil
}

// integerDigits counts the digits before the point of a canonical numeric.
func integerDigits(canon []byte) int {
	canon = bytes.TrimPrefix(canon, []byte{'-'})
	whole, _, _ := bytes.Cut(canon, []byte{'.'})
	if string(whole) == "0" {
		return 0
	}
	return len(whole)
}
