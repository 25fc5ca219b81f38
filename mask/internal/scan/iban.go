package scan

const (
	minIBAN = 15
	maxIBAN = 34
)

// iban looks at an account number that begins with the two letters at i.
func (f *finder) iban(i int) bool {
	if i < 0 || !isLetter(f.b[i]) || !isLetter(f.b[i+1]) || isWord(f.at(i-1)) {
		return false
	}
	want := accountLength(f.b[i]&^0x20, f.b[i+1]&^0x20)
	if want == 0 {
		return false
	}
	var number [maxIBAN]byte
	n, pos := 0, i
	for n < want {
		c := f.at(pos)
		switch {
		case isAlnum(c):
			number[n] = c
			n++
		case (c == ' ' || c == '-') && n > 0 && n%4 == 0 && isAlnum(f.at(pos+1)):
		default:
			return false
		}
		pos++
	}
	if isAlnum(f.at(pos)) || !mod97(number[:n]) {
		return false
	}
	f.found(i, pos, IBAN)
	return true
}

// accountLength returns the length of a country's numbers (IBAN registry), 0 for
// countries without.
func accountLength(a, b byte) int {
	const lengths = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24" +
		"FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21" +
		"LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24" +
		"SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"
	for i := 0; i < len(lengths); i += 4 {
		if lengths[i] == a && lengths[i+1] == b {
			return int(lengths[i+2]-'0')*10 + int(lengths[i+3]-'0')
		}
	}
	return 0
}

// mod97 checks the two digits behind the country (ISO 7064, MOD 97-10).
func mod97(number []byte) bool {
	rest := 0
	for i := range number {
		c := number[(i+4)%len(number)]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c&^0x20-'A') + 10) % 97
		}
	}
	return rest == 1
}
