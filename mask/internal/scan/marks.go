package scan

// beside says which bytes beside a few digits may make them the beginning of
// something: 1 before them, 2 behind them.
var beside = func() (set [256]uint8) {
	set['+'] = 1
	for c := range set {
		if isLetter(byte(c)) {
			set[c] = 1
		}
	}
	for _, c := range []byte(".- /)") {
		set[c] |= 2
	}
	return set
}()

// number looks at the digits that begin at i.
func (f *finder) number(i int) {
	end := i + 1
	for end < len(f.b) && isDigit(f.b[end]) {
		end++
	}
	if end-i >= 9 || (beside[f.at(i-1)]&1|beside[f.at(end)]&2) != 0 && isBegin(f.b, i, end) {
		f.digits(i, end)
	}
}

// isBegin reports whether something may begin with the few digits from i to end: a
// glance at what stands around them that saves most calls of digits.
func isBegin(b []byte, i, end int) bool {
	if i > 0 {
		switch before := b[i-1]; {
		case before == '+':
			return true
		case isLetter(before):
			return end-i >= 2 // an account number's country
		case before == '-' || before == '.':
			if end-i != 4 && i > 1 && isDigit(b[i-2]) {
				return false // within a date or a number
			}
		}
	}
	if end+1 >= len(b) {
		return false
	}
	switch b[end] {
	case '.', '-', ' ', '/':
		if end-i == 4 && b[i] != '0' { // a card's, not a year
			return end+3 < len(b) && isDigit(b[end+1]) && isDigit(b[end+2]) && isDigit(b[end+3])
		}
		return isDigit(b[end+1])
	case ')':
		return end-i == 3
	default:
		return false
	}
}

// mark looks at the mark c at i.
func (f *finder) mark(i int, c byte) {
	switch c {
	case '@':
		f.email(i)
	case ':':
		f.colon(i)
	case '=':
		f.pair(i)
	}
}
