package scan

const (
	minPhone = 8
	maxPhone = 15 // E.164
	// phoneBytes bounds a number with its marks.
	phoneBytes = 40
)

// plusPhone looks at the digits at i, which stand behind a '+'.
func (f *finder) plusPhone(i int) {
	if !f.want.Has(Phone) || f.b[i] == '0' || isWord(f.at(i-2)) || f.at(i-2) == '+' {
		return
	}
	digits, pos, end := 0, i, i
	for pos < i+phoneBytes {
		c := f.at(pos)
		switch {
		case isDigit(c):
			digits++
			end = pos + 1
		case !f.joins(pos, c):
			pos = i + phoneBytes
		}
		pos++
	}
	if digits >= minPhone && digits <= maxPhone && !isWord(f.at(end)) {
		f.found(i-1, end, Phone)
	}
}

// joins reports whether the mark at pos stands between groups of digits.
func (f *finder) joins(pos int, c byte) bool {
	next := f.at(pos + 1)
	switch c {
	case '-', '.', '/':
		return isDigit(next)
	case ' ':
		return isDigit(next) || next == '('
	case '(':
		return isDigit(next)
	case ')':
		return isDigit(next) || next == ' ' || next == '-'
	default:
		return false
	}
}

const phoneWords = "phone|telephone|tel|mobile|cell|fax|call|whatsapp|sms|handy|telefon"

// barePhone looks at digits in one, behind a word that says what they are.
func (f *finder) barePhone(i, end int) {
	if f.want.Has(Phone) && end-i >= 9 && end-i <= maxPhone && !isWord(f.at(end)) && !f.fraction(i, end) && f.about(i, phoneWords) {
		f.found(i, end, Phone)
	}
}

// phone looks at national forms that begin with the n digits at i.
func (f *finder) phone(i, n int) {
	if !f.want.Has(Phone) {
		return
	}
	before := f.at(i - 1)
	if isWord(before) || (before == '.' || before == '-' || before == '/' || before == '+') && isAlnum(f.at(i-2)) {
		return
	}
	switch {
	case f.b[i] == '0' && n >= 2:
		f.trunkPhone(i, n)
	case n == 3:
		f.americanPhone(i, i)
	case n == 1 && f.b[i] == '1' && f.digitsAt(i+2, 3) == 3:
		f.americanPhone(i, i+2)
	}
}

// americanPhone looks at 555-234-5678 and its like; area is where the area code
// is.
func (f *finder) americanPhone(start, area int) {
	pos, sep := area+3, f.at(area+3)
	if sep == ')' {
		if f.at(area-1) != '(' {
			return
		}
		start = min(start, area-1)
		if pos++; f.at(pos) == ' ' || f.at(pos) == '-' {
			pos++
		}
		sep = f.at(pos + 3)
	} else {
		pos++
	}
	end := pos + 8
	if f.digitsAt(pos, 3) != 3 || f.at(pos+3) != sep || !isJoint(sep) || f.digitsAt(pos+4, 4) != 4 {
		return
	}
	if f.b[area] < '2' || f.b[pos] < '2' || isWord(f.at(end)) || isJoint(f.at(end)) && isDigit(f.at(end+1)) {
		return
	}
	if sep == ' ' && f.at(area-1) != '(' && !f.about(start, phoneWords) {
		return // three numbers in a row
	}
	f.found(start, end, Phone)
}

func isJoint(c byte) bool { return c == '-' || c == '.' || c == ' ' }

// trunkPhone looks at numbers with a leading zero, in two groups or more of which
// the first has n digits: 030 1234567, 020 7946 0958, 01 23 45 67 89.
func (f *finder) trunkPhone(i, n int) {
	sep := f.at(i + n)
	if f.b[i+1] == '0' || sep != ' ' && sep != '-' && sep != '/' {
		return
	}
	digits, pos, groups, pairs := n, i+n, 1, n == 2
	for groups < 5 && (f.at(pos) == sep || f.at(pos) == ' ') && isDigit(f.at(pos+1)) {
		size := f.digitsAt(pos+1, 8)
		if size < 2 || size > 8 {
			return
		}
		digits += size
		groups++
		pairs = pairs && size == 2
		pos += 1 + size
	}
	switch {
	case digits < 9 || digits > 12 || isWord(f.at(pos)) || f.at(pos) == '-' || f.at(pos) == ':':
	case n == 2 && (!pairs || groups != 5) && (groups != 3 || digits != 10):
	case n == 4 && groups == 3 && digits < 10:
	default:
		f.found(i, pos, Phone)
	}
}
