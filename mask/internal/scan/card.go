package scan

// bareCard looks at 13 to 19 digits in one.
func (f *finder) bareCard(i, end int) {
	if !f.want.Has(Card) || f.fraction(i, end) || f.long(i, end) {
		return
	}
	if isCard(f.b[i:end]) {
		f.found(i, end, Card)
	}
}

// fraction reports whether the digits are a part of a number with a point.
func (f *finder) fraction(i, end int) bool {
	before, after := f.at(i-1), f.at(end)
	return before == '.' && isDigit(f.at(i-2)) || after == '.' && isDigit(f.at(end+1))
}

// long reports whether the digits are within a word that has many more characters,
// as digests and identifiers have.
func (f *finder) long(i, end int) bool {
	const spare = 8
	n := 0
	for n <= spare && isAlnum(f.at(i-1-n)) {
		n++
	}
	for n <= spare && isAlnum(f.at(end)) {
		n++
		end++
	}
	return n > spare
}

// groupedCard looks at groups of digits of which the first has four, parted by sep.
func (f *finder) groupedCard(i int, sep byte) {
	if !f.want.Has(Card) || isAlnum(f.at(i-1)) {
		return
	}
	lengths := issued(f.b[i:])
	if lengths == 0 {
		return
	}
	var digits [maxDigits]byte
	n, pos := copy(digits[:], f.b[i:i+4]), i+4
	for groups := 1; groups < 5 && f.at(pos) == sep; groups++ {
		size := 0
		for pos++; pos < len(f.b) && isDigit(f.b[pos]); pos++ {
			if size == 6 || n == maxDigits {
				return
			}
			digits[n] = f.b[pos]
			n++
			size++
		}
		if size < 3 {
			return
		}
		if lengths>>n&1 == 1 && luhn(digits[:n]) && !isAlnum(f.at(pos)) {
			f.found(i, pos, Card)
			return
		}
	}
}

// isCard checks issuer, length and check digit.
func isCard(digits []byte) bool {
	return issued(digits)>>len(digits)&1 == 1 && luhn(digits)
}

// lengths of card numbers: bit n is about n digits.
const (
	from13 = 1<<20 - 1<<13 // to 19
	from16 = 1<<20 - 1<<16
)

// issued returns which lengths numbers have that begin with four digits.
func issued(digits []byte) uint32 {
	prefix := 0
	for _, c := range digits[:4] {
		prefix = 10*prefix + int(c-'0')
	}
	switch p := prefix; {
	case p >= 4000 && p < 5000: // Visa
		return 1<<13 | 1<<16 | 1<<19
	case p >= 5100 && p < 5600, p >= 2221 && p <= 2720, p >= 9792 && p < 9793: // Mastercard, Troy
		return 1 << 16
	case p >= 3400 && p < 3500, p >= 3700 && p < 3800: // American Express
		return 1 << 15
	case p >= 3000 && p < 3060, p == 3095, p >= 3600 && p < 3700, p >= 3800 && p < 4000: // Diners Club
		return 1<<14 | 1<<16
	case p >= 3528 && p < 3590, p >= 2200 && p < 2205: // JCB, Mir
		return from16
	case p == 6011, p >= 6440 && p < 6600, p >= 6200 && p < 6300, p >= 8100 && p < 8200: // Discover, UnionPay
		return from16
	case p == 5018, p == 5020, p == 5038, p == 5893, p == 6304, p == 6759, p >= 6761 && p <= 6763: // Maestro
		return from13
	default:
		return 0
	}
}

// luhn checks the last digit (ISO/IEC 7812-1, annex B).
func luhn(digits []byte) bool {
	const doubled = "0246813579"
	sum := 0
	for i := len(digits) - 1; i > 0; i -= 2 {
		sum += int(digits[i]-'0') + int(doubled[digits[i-1]-'0']-'0')
	}
	if len(digits)%2 == 1 {
		sum += int(digits[0] - '0')
	}
	return sum%10 == 0
}
