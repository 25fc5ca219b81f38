package scan

// ipv4 looks at the first of four numbers parted by dots. Addresses that are
// nobody's (0.*, 127.*, 255.*) and versions are left alone.
func (f *finder) ipv4(i int) {
	before := f.at(i - 1)
	if !f.want.Has(IP) || isWord(before) || before == '.' || before == '-' && isAlnum(f.at(i-2)) {
		return
	}
	pos := i
	for part := range 4 {
		n, size := f.octet(pos)
		if size == 0 || part == 0 && (n == 0 || n == 127 || n == 255) {
			return
		}
		pos += size
		if part < 3 {
			if f.at(pos) != '.' {
				return
			}
			pos++
		}
	}
	after := f.at(pos)
	if isWord(after) || (after == '.' || after == '-') && isAlnum(f.at(pos+1)) {
		return
	}
	if before == 0xa7 && f.at(i-2) == 0xc2 {
		return // a section sign
	}
	if word, _ := f.before(i, 16); isOneOf(word, "version|versions|ver|v|release|firmware|build|rev|section|chapter") {
		return
	}
	f.found(i, pos, IP)
}

// octet reads a number up to 255 without leading zeros.
func (f *finder) octet(pos int) (n, size int) {
	size = f.digitsAt(pos, 3)
	for _, c := range f.b[pos : pos+size] {
		n = n*10 + int(c-'0')
	}
	if size > 3 || n > 255 || size > 1 && f.b[pos] == '0' {
		return 0, 0
	}
	return n, size
}

const (
	ipv6Groups = 8
	ipv6Bytes  = 45
)

// ipv6 looks at an address of which the first ':' is at i.
func (f *finder) ipv6(i int) {
	if next := f.at(i + 1); next != ':' && (!isHex(next) || f.isClock(i)) {
		return
	}
	start := i
	for start > 0 && i-start < 5 && isHex(f.b[start-1]) {
		start--
	}
	if i-start > 4 || isWord(f.at(start-1)) || f.at(start-1) == ':' || !isHex(f.at(i+1)) && f.at(i+1) != ':' {
		return
	}
	end := start
	for end < len(f.b) && end-start <= ipv6Bytes && (isHex(f.b[end]) || f.b[end] == ':') {
		end++
	}
	if f.at(end) == '.' && isDigit(f.at(end-1)) {
		end = f.mapped(end)
	}
	if end-start > ipv6Bytes || isWord(f.at(end)) {
		return
	}
	if end-start > 2 && f.b[end-1] == ':' && f.b[end-2] != ':' {
		end-- // a sentence goes on
	}
	if isIPv6(f.b[start:end]) {
		f.found(start, end, IP)
	}
}

// isClock reports whether the ':' at i stands between two groups of two digits, as
// in a time.
func (f *finder) isClock(i int) bool {
	return i >= 2 && i+3 <= len(f.b) && isDigit(f.b[i-1]) && isDigit(f.b[i-2]) && isDigit(f.b[i+1]) && isDigit(f.b[i+2]) &&
		!isHex(f.at(i-3)) && !isHex(f.at(i+3))
}

// mapped returns the end of the four numbers of which the first ends at dot, dot
// itself if there are none.
func (f *finder) mapped(dot int) int {
	pos := dot
	for range 3 {
		if f.at(pos) != '.' {
			return dot
		}
		_, size := f.octet(pos + 1)
		if size == 0 {
			return dot
		}
		pos += 1 + size
	}
	return pos
}

// isIPv6 takes addresses that are not mistaken for times, hardware addresses and
// names with double colons: with a digit and a group of three digits or more.
func isIPv6(b []byte) bool {
	groups, size, longest, gaps, digit, dots := 0, 0, 0, 0, false, 0
	for i, c := range b {
		switch {
		case c == '.':
			dots++
			size = 1
		case c != ':':
			if size == 0 {
				groups++
			}
			size++
			longest = max(longest, size)
			digit = digit || isDigit(c)
		default:
			if i+1 < len(b) && b[i+1] == ':' {
				gaps++
				if i+2 < len(b) && b[i+2] == ':' {
					return false
				}
			}
			size = 0
		}
		if size > 4 {
			return false
		}
	}
	if dots > 0 {
		groups++ // the four numbers are two groups
	}
	return digit && longest >= 3 && gaps <= 1 && (gaps == 1 && groups > 0 && groups < ipv6Groups || gaps == 0 && groups == ipv6Groups)
}
