package scan

import "math/bits"

const (
	minSecret = 32
	maxSecret = 200
)

// entropy looks at a word that nothing announces, with the marks of base64 on
// either side of it. Digests in hexadecimal and names in camel case are no
// secrets: what is one has all sorts of characters, changes from one sort to
// another at least twice in five, and hardly repeats itself.
func (f *finder) entropy(start, end int) {
	first, last := f.base64Around(start, end)
	for n := 0; n < 2 && f.at(last) == '='; n++ {
		last++
	}
	if last-first < minSecret || last-first > maxSecret || isWord(f.at(first-1)) || isWord(f.at(last)) || f.digest(first) {
		return
	}
	if isRandom(f.b[first:last]) {
		f.found(first, last, Secret)
	}
}

// base64Around returns the whole stretch of base64 that a word is in.
func (f *finder) base64Around(start, end int) (first, last int) {
	if known := &f.base64; start < known.from || start >= known.to {
		known.from, known.to = start, end
		for known.from > 0 && isBase64(f.b[known.from-1]) {
			known.from--
		}
		for known.to < len(f.b) && isBase64(f.b[known.to]) {
			known.to++
		}
	}
	return f.base64.from, f.base64.to
}

func isBase64(c byte) bool { return isAlnum(c) || c == '+' || c == '/' || c == '-' || c == '_' }

// digest reports whether what begins at i is called a digest, as in sha256-….
func (f *finder) digest(i int) bool {
	b := f.b[i:min(len(f.b), i+8)]
	return hasPrefix(b, "sha1-") || hasPrefix(b, "sha256-") || hasPrefix(b, "sha384-") || hasPrefix(b, "sha512-") ||
		f.at(i-1) == ':' && endsWith(f.b[:i-1], "sha256")
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// isRandom reports whether a word of base64 is likely to be drawn at random.
func isRandom(b []byte) bool {
	var sorts [4]int
	var seen [4]uint64 // of the 256 bytes, those that occur
	changes, marks, last := 0, 0, -1
	for _, c := range b {
		s := sortOf(c)
		sorts[s]++
		if s == 3 {
			marks++
		}
		if s != last {
			changes++
			last = s
		}
		seen[c/64] |= 1 << (c % 64)
	}
	distinct := bits.OnesCount64(seen[0]) + bits.OnesCount64(seen[1])
	return sorts[0] > 1 && sorts[1] > 3 && sorts[2] > 3 && marks*6 < len(b) &&
		changes*5 >= len(b)*2 && distinct*20 >= min(len(b), 64)*9
}

// sortOf returns 0 for digits, 1 and 2 for letters and 3 for marks.
func sortOf(c byte) int {
	switch {
	case isDigit(c):
		return 0
	case isLower(c):
		return 1
	case isUpper(c):
		return 2
	default:
		return 3
	}
}
