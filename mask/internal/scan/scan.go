// Package scan finds personal data and secrets in bytes, by their form.
//
// A scan is one pass that sorts the bytes into a few classes, 64 at a time, and
// combines these into the places where something may begin: digits beside certain
// marks, ':', '=', '@', and words of 16 letters and digits or more. What it comes
// upon is confirmed by checks that are anchored on both sides: check digits,
// lengths, neighbours. Every check looks at a bounded number of bytes, or at bytes
// that no other check of its sort looks at, so that the time is linear in the text
// whatever the text is. A scan that finds nothing does not allocate.
package scan

import (
	"cmp"
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
const shortest = 5

// Any reports whether something of the wanted kinds is in b.
func Any(b []byte, want Set) bool {
	w, suspect := Suspect(b)
	if !suspect {
		return false
	}
	f := finder{b: b, want: want, once: true}
	f.scan(w)
	return f.hit
}

// AnyInDocument is Any for a JSON document without escapes. It reports true, too,
// where a member could be one of which only the name says what it is.
func AnyInDocument(b []byte, want Set) bool {
	w, suspect := Suspect(b)
	if !suspect {
		return false
	}
	f := finder{b: b, want: want, once: true, document: true}
	f.scan(w)
	return f.hit
}

// Append appends to spans what is found in b, in the order of where it begins.
// Spans may overlap; see Resolve.
func Append(spans []Span, b []byte, want Set) []Span {
	w, suspect := Suspect(b)
	if !suspect {
		return spans
	}
	return w.Append(spans, b, want)
}

// Append is like the function Append for the text b that w was found in.
func (w Window) Append(spans []Span, b []byte, want Set) []Span {
	n := len(spans)
	f := finder{b: b, want: want}
	f.scan(w)
	spans = append(append(spans, f.few[:f.n]...), f.more...)
	if len(spans) > n+1 {
		Sort(spans[n:])
	}
	return spans
}

// Sort orders spans by where they begin, the longer first.
func Sort(spans []Span) {
	slices.SortFunc(spans, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Kind, b.Kind))
	})
}

// fewSpans is how many spans are found without need for memory.
const fewSpans = 8

// finder is the state of one scan.
type finder struct {
	b      []byte
	want   Set
	once   bool // stop at the first match
	hit    bool
	worded bool // there is a word of minRun
	// document says that b is one of JSON, see AnyInDocument.
	document bool

	few  [fewSpans]Span // the first n spans; a slice of the caller's would have to be on the heap
	n    int
	more []Span

	values [4]stretch // for valueEnd
	base64 stretch    // for entropy
	key    stretch    // for keyEndOf

	parts   [jwtParts]stretch // for partEnd
	headers [4]header         // for isHeader
}

func (f *finder) found(start, end int, k Kind) {
	f.hit = true
	switch {
	case f.once:
	case f.n < len(f.few):
		f.few[f.n] = Span{start, end, k}
		f.n++
	default:
		if len(f.more) == cap(f.more) { // append's own steps would cost hostile text most of its time
			f.more = slices.Grow(f.more, max(4*fewSpans, 2*len(f.more)))
		}
		f.more = append(f.more, Span{start, end, k})
	}
}

// stop reports whether the scan is over.
func (f *finder) stop() bool { return f.hit && f.once }

// scan looks at the text, of which w is the first window with anything to look at.
func (f *finder) scan(w Window) {
	f.places(w)
	if f.worded && f.want.Has(PrivateKey) && !f.stop() {
		f.blocks()
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
