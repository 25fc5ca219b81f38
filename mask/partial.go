package mask

import "unicode/utf8"

// partialStars bounds the stars that stand for the masked characters, so that a
// long text does not become as many of them.
const partialStars = 64

// partial is the method "partial". Whatever the rule keeps, it shows half of the
// characters at most, so that a short text does not stay readable.
func partial(dst []byte, v Value) ([]byte, error) {
	if !v.Type.Kind.isText() || v.Type.Array {
		return Redact(dst, v)
	}
	b, err := canonical(nil, v)
	if err != nil {
		return Redact(dst, v)
	}
	n := utf8.RuneCount(b)
	if !fits(v, b) {
		return Redact(dst, v)
	}
	keep := min(max(0, v.Keep), n/2)
	if v.Keep >= n {
		keep = 0
	}
	dst = appendRepeat(dst, '*', min(n-keep, partialStars))
	return append(dst, lastRunes(b, keep)...), nil
}

// lastRunes returns the last n characters of valid UTF-8.
func lastRunes(b []byte, n int) []byte {
	i := len(b)
	for range n {
		_, size := utf8.DecodeLastRune(b[:i])
		i -= size
	}
	return b[i:]
}
