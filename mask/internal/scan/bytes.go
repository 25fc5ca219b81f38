package scan

// alnum says which bytes are letters and digits.
var alnum = [256]bool{
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'A': true, 'B': true, 'C': true, 'D': true, 'E': true, 'F': true, 'G': true, 'H': true, 'I': true, 'J': true,
	'K': true, 'L': true, 'M': true, 'N': true, 'O': true, 'P': true, 'Q': true, 'R': true, 'S': true, 'T': true,
	'U': true, 'V': true, 'W': true, 'X': true, 'Y': true, 'Z': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true, 'g': true, 'h': true, 'i': true, 'j': true,
	'k': true, 'l': true, 'm': true, 'n': true, 'o': true, 'p': true, 'q': true, 'r': true, 's': true, 't': true,
	'u': true, 'v': true, 'w': true, 'x': true, 'y': true, 'z': true,
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isUpper(c byte) bool { return c-'A' < 26 }

func isLower(c byte) bool { return c-'a' < 26 }

func isLetter(c byte) bool { return c|0x20-'a' < 26 }

func isAlnum(c byte) bool { return alnum[c] }

func isHex(c byte) bool { return c-'0' < 10 || c|0x20-'a' < 6 }

// isWord reports whether c continues a word; bytes of other than ASCII characters
// don't, because in many languages they stand next to words without a space.
func isWord(c byte) bool { return isAlnum(c) || c == '_' }

func isSpace(c byte) bool { return c == ' ' || c-'\t' < 5 }

// at returns the byte at i, 0 outside of the text.
func (f *finder) at(i int) byte {
	if i < 0 || i >= len(f.b) {
		return 0
	}
	return f.b[i]
}

// digitsAt returns how many digits stand at i, counting no more than limit+1.
func (f *finder) digitsAt(i, limit int) int {
	n := 0
	for n <= limit && isDigit(f.at(i+n)) {
		n++
	}
	return n
}

// setOf returns a table of the bytes of s.
func setOf(s string) (set [256]bool) {
	for _, c := range []byte(s) {
		set[c] = true
	}
	return set
}

// A stretch is a part of the text of which every byte is known to go on with
// something. Checks that begin at several places of one stretch share it, so that
// none of its bytes is looked at for each of them.
type stretch struct{ from, to int }

// skip returns where to go on looking from i.
func (s *stretch) skip(i int) int {
	if s.from <= i && i < s.to {
		return s.to
	}
	return i
}

// add adds what is from i to end.
func (s *stretch) add(i, end int) {
	if i < s.from || i > s.to {
		s.from = i
	}
	s.to = end
}

// lower returns c in lower case if it is a letter.
func lower(c byte) byte {
	if isUpper(c) {
		return c | 0x20
	}
	return c
}

// endsWith reports whether b ends with a word in lower case, whatever its own.
func endsWith(b []byte, word string) bool {
	if len(b) < len(word) {
		return false
	}
	b = b[len(b)-len(word):]
	for i := range len(word) {
		if lower(b[i]) != word[i] {
			return false
		}
	}
	return true
}

// maxBetween is how many marks and spaces may stand between a word and what it is
// about: between a member's name and its value, JSON has six.
const maxBetween = len(`" : ["`)

// before returns the letters that stand before i with nothing between but a few
// marks and spaces, at most limit of them, and where they begin.
func (f *finder) before(i, limit int) (word []byte, start int) {
	end := i
	for end > 0 && i-end < maxBetween && !isAlnum(f.b[end-1]) {
		end--
	}
	start = end
	for start > 0 && end-start < limit && isLetter(f.b[start-1]) {
		start--
	}
	return f.b[start:end], start
}

// about reports whether one of the words, in lower case and parted by '|', stands
// before i, perhaps with "number", "no" or "is" between.
func (f *finder) about(i int, words string) bool {
	word, start := f.before(i, 16)
	if isOneOf(word, "number|no|nr|num|is|at") {
		word, _ = f.before(start, 16)
	}
	return isOneOf(word, words)
}

// isOneOf reports whether b is one of the words, which are in lower case and
// parted by '|'.
func isOneOf(b []byte, words string) bool {
	if len(b) == 0 {
		return false
	}
	for at := 0; at+len(b) <= len(words); {
		n := at
		for n < len(words) && words[n] != '|' {
			n++
		}
		if n-at == len(b) && words[at] == lower(b[0]) && endsWith(b, words[at:n]) {
			return true
		}
		at = n + 1
	}
	return false
}
