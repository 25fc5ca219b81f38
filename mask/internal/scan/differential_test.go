package scan

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/gateway/internal/labelled"
)

// slowly is Append without anything that saves looks: all digits, all marks and all
// long words are looked at, one byte after another.
func slowly(b []byte, want Set) []Span {
	f := finder{b: b, want: want}
	for i := range b {
		if b[i] == '@' || b[i] == ':' || b[i] == '=' {
			f.mark(i, b[i])
		}
		if isDigit(b[i]) && !isDigit(f.at(i-1)) {
			f.number(i)
		}
		if n := 0; isAlnum(b[i]) && !isAlnum(f.at(i-1)) {
			for isAlnum(f.at(i + n)) {
				n++
			}
			if n >= minRun {
				f.word(i)
			}
		}
	}
	if want.Has(PrivateKey) {
		f.blocks()
	}
	spans := append(f.few[:f.n:f.n], f.more...)
	Sort(spans)
	return spans
}

// checkScan compares what is found with what slowly finds, for all kinds and for
// some of them, and what the other ways to ask say.
func checkScan(t *testing.T, b []byte, want Set) {
	t.Helper()
	for _, want := range []Set{All, want & All} {
		exact := slowly(b, want)
		if got := Append(nil, b, want); !slices.Equal(got, exact) {
			t.Fatalf("%q: %v, want %v", b, got, exact)
		}
		if Any(b, want) != (len(exact) > 0) {
			t.Fatalf("%q: Any says %v", b, len(exact) == 0)
		}
	}
	checkClasses(t, b)
}

// checkClasses compares the classes of many blocks with those of their bytes.
func checkClasses(t *testing.T, b []byte) {
	t.Helper()
	for at := 0; at < len(b); at += 13 {
		text := b[at:min(len(b), at+block)]
		var want, got, slow classes
		for i, c := range text {
			for class, field := range want.fields() {
				*field |= uint64(classOfByte[c]) >> class & 1 << i
			}
		}
		slow.classifyBytes(text)
		if wide {
			classifyAVX2(&got, &text[0], len(text))
		}
		if want.digits|want.pairs|want.ats == 0 {
			got.joints, got.gaps, got.signs = want.joints, want.gaps, want.signs // it need not tell them
		}
		if wide && got != want || slow != want {
			t.Fatalf("%q: %x and %x, want %x", text, got, slow, want)
		}
	}
}

// fields are in the order of the classes of a byte.
func (c *classes) fields() [8]*uint64 {
	return [...]*uint64{&c.digits, &c.letters, &c.pairs, &c.ats, &c.joints, &c.gaps, &c.signs, &c.zeros}
}

func FuzzScan(f *testing.F) {
	g := labelled.New(5)
	for _, kind := range labelled.Kinds() {
		for range 3 {
			f.Add([]byte(g.Dressed(kind).Text), uint16(All))
		}
	}
	for _, row := range labelled.Rows(11) {
		f.Add(row, uint16(Of(Card)))
	}
	for i, piece := range pieces() {
		f.Add([]byte(strings.Repeat(" ", 40+i%16)+piece+pieces()[i*7%len(pieces())]), uint16(All))
	}
	f.Fuzz(func(t *testing.T, text []byte, want uint16) {
		if len(text) > 1<<12 {
			t.Skip()
		}
		checkScan(t, text, Set(want))
	})
}

// pieces are what things to find are made of, whole, in part, and nearly.
func pieces() []string {
	return []string{
		"1", "12", "012", "123", "0000", "4111", "12345", "01234", "123456789", "1111", "378282246310005", "78-05-", "078-05-1120", "192", "10.0.0.1", "255", "2001:db8::1", "fe80::1",
		".", "-", " ", "/", ")", "(", "+", ":", "=", "@", "\"", "'", "_", ",", ";", "\n", "\x00", "ä", "\xff", "//", "://", "10:11:12", "2024-01-05",
		"a", "DE", "DE89", "GB82 WEST", "3704 0044 0532 0130 00", "ada", "example.com", "password", "token", "tel ", "ssn ", "eyJhbGciOiJIUzI1NiJ9", "AKIAIOSFODNN7EXAMPLE",
		"0171 1234567", "tel 1 415 555 2671", "a10:11::abc1", "555-234-5678", "4111 1111 1111 1111", "ghp_", "abcdefghijklmnop", "k7Gq2XzP9vLmN4sT8wRyB1dF6hJ3cA0e", "-----BEGIN RSA PRIVATE KEY-----", "-----END ",
	}
}

// Whatever stands where in a block, and whatever is beside it, is found.
func TestScanFindsWhatIsThere(t *testing.T) {
	g, parts := rand.New(rand.NewPCG(11, 7)), pieces()
	rounds := 40_000
	if testing.Short() {
		rounds = 4000
	}
	var text []byte
	for range rounds {
		text = text[:0]
		for range g.IntN(70) {
			text = append(text, ' ')
		}
		for range 1 + g.IntN(12) {
			text = append(text, parts[g.IntN(len(parts))]...)
		}
		exact := slowly(text, All)
		if got := Append(nil, text, All); !slices.Equal(got, exact) {
			t.Fatalf("%q: %v, want %v", text, got, exact)
		}
	}
}
