package mask

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fakeMethod is the method "fake".
type fakeMethod struct{ *keyed }

var _ Method = fakeMethod{}

// Mask puts a fake in the value's place.
func (m fakeMethod) Mask(dst []byte, v Value) ([]byte, error) {
	if v.Type.Array {
		return dst, ErrNull
	}
	return m.mask(dst, v, labelFake, appendFake)
}

func appendFake(dst []byte, v Value, canon []byte, d *digester) ([]byte, error) {
	switch {
	case v.Type.Kind.isNumber():
		return appendAmount(dst, v, fakeNumber(v.Type, canon, &d.seed)), nil
	case !v.Type.Kind.isText():
		return appendForged(dst, v, canon, &d.seed)
	}
	d.chars.Seed(d.seed)
	start := len(dst)
	if _, _, ok := cutEmail(canon); ok && fakeLocal+len(fakeDomain) <= v.Type.room() {
		return append(appendLetters(dst, &d.chars, fakeLocal), fakeDomain...), nil
	}
	dst, changed := appendShape(dst, canon, min(fakeRunes, v.Type.room()), &d.chars)
	if changed == 0 || bytes.Equal(dst[start:], canon) {
		return Redact(dst[:start], v)
	}
	return dst, nil
}

const (
	// fakeRunes bounds fake texts. Longer ones are cut.
	fakeRunes  = 64
	fakeLocal  = 10
	fakeDomain = "@example.com"
)

func appendLetters(dst []byte, chars *rand.ChaCha8, n int) []byte {
	for range n {
		dst = append(dst, pick(chars, 'a', 26))
	}
	return dst
}

// appendShape writes an ASCII text of up to limit characters, with letters for letters, digits for digits
// and the usual punctuation of names, numbers and addresses as it is. It returns
// how many characters were drawn anew.
func appendShape(dst, text []byte, limit int, chars *rand.ChaCha8) (out []byte, changed int) {
	for n := 0; len(text) > 0 && n < limit; n++ {
		r, size := utf8.DecodeRune(text)
		c := fakeRune(r, chars)
		if rune(c) != r || isAlnum(c) {
			changed++
		}
		dst = append(dst, c)
		text = text[size:]
	}
	return dst, changed
}

func fakeRune(r rune, chars *rand.ChaCha8) byte {
	switch {
	case unicode.IsDigit(r):
		return pick(chars, '0', 10)
	case unicode.IsUpper(r):
		return pick(chars, 'A', 26)
	case unicode.IsLetter(r):
		return pick(chars, 'a', 26)
	case strings.ContainsRune(" -_.,:/@+()'", r):
		return byte(r) //nolint:gosec // one of the above
	default:
		return '*'
	}
}

// pick draws one of n characters from first on.
func pick(chars *rand.ChaCha8, first byte, n uint64) byte {
	return first + byte(chars.Uint64()%n) //nolint:gosec // below n
}

// fakeNumber draws a number with as many digits before the point as the original,
// as far as the type allows.
func fakeNumber(t Type, canon []byte, s *seed) uint64 {
	greatest := greatest(t)
	digits := magnitude(t.Kind, canon)
	if digits > 18 || power10(digits-1) > greatest {
		return s.number() % (greatest + 1)
	}
	low := power10(digits - 1)
	if digits == 1 {
		low = 0
	}
	high := min(power10(digits)-1, greatest)
	return low + s.number()%(high-low+1)
}

// magnitude counts the digits before the point of a canonical number, at least 1.
func magnitude(k Kind, canon []byte) int {
	if k == KindNumeric {
		return max(1, integerDigits(canon))
	}
	n := binary.BigEndian.Uint64(canon)
	switch {
	case k == KindFloat4 || k == KindFloat8:
		n = uint64(min(math.Abs(wholeFloat(n)), 1e18))
	case k == KindMoney:
		n = absolute(n) / 100
	case k != KindOID && k != KindXID8:
		n = absolute(n)
	}
	digits := 1
	for ; n >= 10; n /= 10 {
		digits++
	}
	return digits
}

// wholeFloat returns a float from its bits, 0 for NaN.
func wholeFloat(bits uint64) float64 {
	x := math.Float64frombits(bits)
	if math.IsNaN(x) {
		return 0
	}
	return x
}

// absolute returns the magnitude of a number in two's complement.
func absolute(n uint64) uint64 {
	if n>>63 == 1 {
		return -n
	}
	return n
}
