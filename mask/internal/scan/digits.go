package scan

// maxDigits is the length of the longest number that is looked at.
const maxDigits = 19

// digits looks at the run of digits from i to end.
func (f *finder) digits(i, end int) {
	n := end - i
	before := f.at(i - 1)
	if isLetter(before) {
		if n >= 2 && f.want.Has(IBAN) && f.iban(i-2) {
			return
		}
		if n < 13 {
			return
		}
	}
	switch {
	case n > maxDigits:
	case n >= 13:
		f.bareCard(i, end)
		f.barePhone(i, end)
	case before == '+':
		f.plusPhone(i)
	case n >= 9:
		f.bareSSN(i, end)
		f.barePhone(i, end)
	default:
		f.group(i, n, f.at(end))
	}
}

// group looks at the n digits at i as the first of several groups.
func (f *finder) group(i, n int, after byte) {
	if !isDigit(f.at(i+n+1)) && after != ')' {
		return
	}
	switch {
	case n <= 3 && after == '.':
		f.ipv4(i)
		fallthrough
	case n <= 3:
		if n == 3 && (after == '-' || after == ' ') {
			f.ssn(i, after)
		}
		f.phone(i, n)
	case n == 4:
		f.groupedCard(i, after)
		f.phone(i, n)
	case n == 5:
		f.phone(i, n)
	}
}

// ssn looks at ddd-dd-dddd, or the same with spaces behind a word that says so.
func (f *finder) ssn(i int, sep byte) {
	if !f.want.Has(SSN) || f.digitsAt(i+4, 2) != 2 || f.at(i+6) != sep || f.digitsAt(i+7, 4) != 4 {
		return
	}
	before, after := f.at(i-1), f.at(i+11)
	if isWord(before) || isWord(after) || before == '-' || before == '.' || before == '/' || after == '-' && isDigit(f.at(i+12)) {
		return
	}
	if f.isArea(i, i+4, i+7) && (sep == '-' || f.about(i, socialWords)) {
		f.found(i, i+11, SSN)
	}
}

const socialWords = "ssn|security|social|ss|taxpayer"

// bareSSN looks at nine digits behind a word that says what they are.
func (f *finder) bareSSN(i, end int) {
	if end-i == 9 && f.want.Has(SSN) && !isWord(f.at(end)) && f.isArea(i, i+3, i+5) && f.about(i, socialWords) {
		f.found(i, end, SSN)
	}
}

// isArea reports whether the parts of a number are ones that are given out.
func (f *finder) isArea(area, group, serial int) bool {
	a := string(f.b[area : area+3])
	return a != "000" && a != "666" && a[0] != '9' &&
		string(f.b[group:group+2]) != "00" && string(f.b[serial:serial+4]) != "0000"
}
