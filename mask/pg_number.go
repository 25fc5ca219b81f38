package mask

import (
	"encoding/binary"
	"math"
	"strconv"
)

// greatest returns the greatest number that hash and fake put in place of a value
// of t. For 64 bits it is what a float64 holds exactly, so that clients which
// read numbers as such keep pseudonyms apart.
func greatest(t Type) uint64 {
	const exact = 1<<53 - 1
	switch t.Kind {
	case KindInt2:
		return math.MaxInt16
	case KindInt4, KindOID:
		return math.MaxInt32
	case KindFloat4:
		return 1<<24 - 1
	case KindMoney:
		return 999_999_999_999
	case KindNumeric:
		return greatestNumeric(t.Limit)
	default:
		return exact
	}
}

func greatestNumeric(limit int) uint64 {
	const digits = 15
	switch {
	case limit < 0:
		return 0
	case limit == 0 || limit > digits:
		return power10(digits) - 1
	default:
		return power10(limit) - 1
	}
}

// power10 returns 10 to the n, for n up to 19.
func power10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// appendNumber encodes n, which is at most greatest(k), as a value of kind k.
func appendNumber(dst []byte, k Kind, f Format, n uint64) []byte {
	if f == Text {
		return strconv.AppendUint(dst, n, 10)
	}
	switch k {
	case KindInt2:
		return binary.BigEndian.AppendUint16(dst, uint16(n)) //nolint:gosec // bounded by greatest
	case KindInt4, KindOID:
		return binary.BigEndian.AppendUint32(dst, uint32(n)) //nolint:gosec // bounded by greatest
	case KindFloat4:
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(n)))
	case KindFloat8:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(float64(n)))
	case KindNumeric:
		return appendNumericBinary(dst, n)
	case KindMoney:
		return binary.BigEndian.AppendUint64(dst, n*100)
	default:
		return binary.BigEndian.AppendUint64(dst, n)
	}
}

func canonicalBool(dst, b []byte, bin bool) ([]byte, error) {
	if len(b) != 1 {
		return nil, ErrMalformed
	}
	switch {
	case bin && b[0] <= 1:
		return append(dst, b[0]), nil
	case !bin && b[0] == 't':
		return append(dst, 1), nil
	case !bin && b[0] == 'f':
		return append(dst, 0), nil
	default:
		return nil, ErrMalformed
	}
}

// canonicalInt returns the number in 8 bytes.
func canonicalInt(dst []byte, k Kind, b []byte, bin bool) ([]byte, error) {
	if !bin {
		n, err := parseInt(k, b)
		if err != nil {
			return nil, err
		}
		return binary.BigEndian.AppendUint64(dst, n), nil
	}
	switch {
	case k == KindInt2 && len(b) == 2:
		n := int16(binary.BigEndian.Uint16(b))                           //nolint:gosec // two's complement
		return binary.BigEndian.AppendUint64(dst, uint64(int64(n))), nil //nolint:gosec // two's complement
	case k == KindInt4 && len(b) == 4:
		n := int32(binary.BigEndian.Uint32(b))                           //nolint:gosec // two's complement
		return binary.BigEndian.AppendUint64(dst, uint64(int64(n))), nil //nolint:gosec // two's complement
	case k == KindOID && len(b) == 4:
		return append(append(dst, 0, 0, 0, 0), b...), nil
	case (k == KindInt8 || k == KindXID8) && len(b) == 8:
		return append(dst, b...), nil
	default:
		return nil, ErrMalformed
	}
}

func parseInt(k Kind, b []byte) (uint64, error) {
	if len(b) > 20 { // the longest is -9223372036854775808
		return 0, ErrMalformed
	}
	var n uint64
	var err error
	switch k {
	case KindOID:
		n, err = strconv.ParseUint(string(b), 10, 32)
	case KindXID8:
		n, err = strconv.ParseUint(string(b), 10, 64)
	default:
		var i int64
		i, err = strconv.ParseInt(string(b), 10, intBits(k))
		n = uint64(i) //nolint:gosec // two's complement
	}
	if err != nil {
		return 0, ErrMalformed
	}
	return n, nil
}

func intBits(k Kind) int {
	switch k {
	case KindInt2:
		return 16
	case KindInt4:
		return 32
	default:
		return 64
	}
}

// canonicalFloat returns the bits of the float, those of 0 for both zeros and the
// same for every NaN.
func canonicalFloat(dst []byte, k Kind, b []byte, bin bool) ([]byte, error) {
	x, err := readFloat(k, b, bin)
	if err != nil {
		return nil, err
	}
	switch {
	case x == 0:
		x = 0 // also for -0
	case math.IsNaN(x):
		x = math.NaN() // the server's has other bits
	}
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(x)), nil
}

func readFloat(k Kind, b []byte, bin bool) (float64, error) {
	switch {
	case !bin:
		return parseFloat(k, b)
	case k == KindFloat4 && len(b) == 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), nil
	case k == KindFloat8 && len(b) == 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	default:
		return 0, ErrMalformed
	}
}

func parseFloat(k Kind, b []byte) (float64, error) {
	switch string(b) {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	if len(b) > 32 || !isDecimal(b) {
		return 0, ErrMalformed
	}
	bits := 64
	if k == KindFloat4 {
		bits = 32
	}
	x, err := strconv.ParseFloat(string(b), bits)
	if err != nil {
		return 0, ErrMalformed
	}
	return x, nil
}

// isDecimal reports whether b has only what a decimal float is written with.
func isDecimal(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' {
			return false
		}
	}
	return len(b) > 0
}
