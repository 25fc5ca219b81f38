// Package scan finds personal data and secrets in bytes, by their form.
//
// A scan is one pass for rare bytes (digits, ':', '=', '@'), eight at a time, and
// one for words of 16 letters and digits or more, looked at in every sixteenth
// place. What either comes upon is confirmed by checks that are anchored on both
// sides: check digits, lengths, neighbours. Every check looks at a bounded number
// of bytes, or at bytes that no other check of its sort looks at, so that the time
// is linear in the text whatever the text is. A scan that finds nothing does not
// allocate.
package scan

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// Kind is what has been found.
type Kind uint8

// The kinds.
const (
	Email Kind = iota
	Card
	IBAN
	SSN
	Phone
	IP
	JWT
	PrivateKey
	APIKey
	Secret
	URL
	Kinds // how many there are
)

// String returns the kind's name in policies.
func (k Kind) String() string {
	switch k {
	case Email:
		return "email"
	case Card:
		return "card"
	case IBAN:
		return "iban"
	case SSN:
		return "ssn"
	case Phone:
		return "phone"
	case IP:
		return "ip"
	case JWT:
		return "jwt"
	case PrivateKey:
		return "private_key"
	case APIKey:
		return "api_key"
	case Secret:
		return "secret"
	case URL:
		return "url_credentials"
	default:
		return "unknown"
	}
}

// A Set is a set of kinds.
type Set uint16

// All is the set of all kinds.
const All Set = 1<<Kinds - 1

// Of returns the set of one kind.
func Of(k Kind) Set { return 1 << k }

// Has reports whether k is in s.
func (s Set) Has(k Kind) bool { return s>>k&1 == 1 }

// A Span is a place in a text.
type Span struct {
	Start, End int
	Kind       Kind
}

// Bounds of what is looked at around a place, in bytes. Whether a text matches at
// a place depends on no byte that is further away.
const (
	// Ahead is the greatest length of a match with what is looked at behind it.
	Ahead = maxKey + 128
	// Behind is how far back a check looks.
	Behind = maxRun + 256
)

// shortest is the length of the shortest match.
const shortest = 6

// Any reports whether something of the wanted kinds is in b.
func Any(b []byte, want Set) bool {
	if len(b) < shortest {
		return false
	}
	f := finder{b: b, want: want, once: true}
	f.scan()
	return f.hit
}

// Append appends to spans what is found in b, in the order of where it begins.
// Spans may overlap; see Resolve.
func Append(spans []Span, b []byte, want Set) []Span {
	if len(b) < shortest {
		return spans
	}
	n := len(spans)
	f := finder{b: b, want: want, spans: spans}
	f.scan()
	Sort(f.spans[n:])
	return f.spans
}

// Sort orders spans by where they begin, the longer first.
func Sort(spans []Span) {
	slices.SortFunc(spans, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Kind, b.Kind))
	})
}

// finder is the state of one scan.
type finder struct {
	b      []byte
	want   Set
	spans  []Span
	once   bool // stop at the first match
	hit    bool
	worded bool // there is a word of minRun
}

func (f *finder) found(start, end int, k Kind) {
	f.hit = true
	if !f.once {
		f.spans = append(f.spans, Span{start, end, k})
	}
}

// stop reports whether the scan is over.
func (f *finder) stop() bool { return f.hit && f.once }

func (f *finder) scan() {
	f.marks()
	if f.want&(Of(JWT)|Of(PrivateKey)|Of(APIKey)|Of(Secret)) != 0 && !f.stop() {
		f.runs()
		if f.worded && f.want.Has(PrivateKey) && !f.stop() {
			f.blocks()
		}
	}
}

// marks looks at every byte from '0' to '@'.
func (f *finder) marks() {
	b := f.b
	i := 0
	for i < len(b) {
		if i+8 <= len(b) {
			m := marked(binary.LittleEndian.Uint64(b[i:]))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) / 8
		} else if c := b[i]; c < '0' || c > '@' {
			i++
			continue
		}
		if c := b[i]; c > '9' {
			f.mark(i, c)
			i++
		} else {
			end := i + 1
			for end < len(b) && b[end]-'0' < 10 {
				end++
			}
			if end-i >= 9 || isBegin(b, i, end) {
				f.digits(i, end)
			}
			i = end
		}
		if f.hit && f.once {
			return
		}
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

// marked has the highest bit of each byte of w that is from '0' to '@'.
func marked(w uint64) uint64 {
	const (
		ones = 0x0101010101010101
		high = 0x80 * ones
	)
	low := w &^ high
	return (low + (0x80-'0')*ones) &^ (low + (0x80-'@'-1)*ones) &^ w & high
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

// minRun is the length of the words that runs finds.
const minRun = 16

// runs looks at every word of minRun letters and digits or more: one covers every
// place that it tries.
func (f *finder) runs() {
	b := f.b
	for i := minRun - 1; i < len(b); i += minRun {
		if !isAlnum(b[i]) {
			continue
		}
		start := i
		for start > 0 && isAlnum(b[start-1]) {
			start--
		}
		end := i + 1
		for end < len(b) && isAlnum(b[end]) {
			end++
		}
		if end-start >= minRun {
			f.worded = true
			f.run(start, end)
			if f.stop() {
				return
			}
		}
		i = end
	}
}

// Resolve makes sorted spans of b follow one another: a part that a span before it
// covers is taken off. Last is the span before them, the zero Span without one.
func Resolve(spans []Span, last Span) []Span {
	kept := spans[:0]
	for _, s := range spans {
		if s.End <= last.End || last.Kind == URL && s.Kind == Email && s.Start < last.End {
			continue // the '@' behind a password is not an address's
		}
		s.Start = max(s.Start, last.End)
		kept = append(kept, s)
		last = s
	}
	return kept
}
