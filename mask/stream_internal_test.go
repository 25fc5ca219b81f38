package mask

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/headgate/gateway/policy"
)

func streamRules(t testing.TB) *Rules {
	t.Helper()
	set, err := NewSet(Config{})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := set.Rules([]policy.Mask{{Table: "*.*", Column: "*", Method: MethodRedact, Detect: []string{DetectAll}}})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// pieces are what texts for streams are put together from.
func pieces() []string {
	return []string{
		" ada@secret.example ", "4111 1111 1111 1111", "4111111111111111", "DE89370400440532013000", "123-45-6789", "+1 (415) 555-2671", "203.0.113.9", "2001:db8::1",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "password=", "hunter2 ", "postgres://u:p@h/",
		"-----BEGIN RSA PRIVATE KEY-----\n", "MIIEowIBAAKCAQEA1234567890abcdefghijkl\n", "-----END RSA PRIVATE KEY-----\n", "PuTTY-User-Key-File-2: x\n", "Private-MAC: 0123456789abcdef0123\n",
		"k7Gq2XzP9vLmN4sT8wRyB1dF6hJ3cA0e", " ", ".", "-", "@", ":", "=", "aaaaaaaaaaaaaaaa", "7", "\n", "word ", "ssn ", strings.Repeat("aB3", 100), strings.Repeat("9", 50), strings.Repeat("b", 4000), strings.Repeat("x7", 4000),
	}
}

// scrambled puts n pieces together.
func scrambled(r *rand.Rand, n int) []byte {
	var text []byte
	for range n {
		text = append(text, pieces()[r.IntN(len(pieces()))]...)
	}
	return text
}

func TestStreamFindsTheSameWhereverItIsCut(t *testing.T) {
	rules := streamRules(t)
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := scrambled(r, 400)
		want := rules.Message(nil, text)
		s := rules.Stream()
		s.chunk = 1 + r.IntN(3000)
		if got := inPieces(s, text, r); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: differs at %d of %d", seed, common(got, want), len(want))
		}
		if got := inPieces(s, text, r); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: the second text differs", seed)
		}
	}
}

func inPieces(s *Stream, text []byte, r *rand.Rand) []byte {
	var got []byte
	for rest := text; len(rest) > 0; {
		n := min(len(rest), 1+r.IntN(2000))
		got = s.Write(got, rest[:n])
		rest = rest[n:]
	}
	return s.Flush(got)
}

func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Every cut of a short text behind a long one, where the limit comes to lie.
func TestStreamAtEverySplit(t *testing.T) {
	rules := streamRules(t)
	short := []byte(" ada@secret.example 4111 1111 1111 1111 password=hunter2 +1 (415) 555-2671 postgres://u:p@h ")
	for cut := range short {
		text := bytes.Repeat([]byte("word "), 5000)
		text = append(append(append(text, short...), bytes.Repeat([]byte(" word"), 5000)...), short...)
		s := rules.Stream()
		s.chunk = 25000 + cut
		got := s.Write(nil, text[:25000+cut])
		got = s.Flush(s.Write(got, text[25000+cut:]))
		if want := rules.Message(nil, text); !bytes.Equal(got, want) {
			t.Fatalf("cut at %d: differs at %d", cut, common(got, want))
		}
	}
}

func TestStreamIsBounded(t *testing.T) {
	rules := streamRules(t)
	s := rules.Stream()
	var out []byte
	for range 1000 {
		out = s.Write(out[:0], bytes.Repeat([]byte("-----BEGIN RSA PRIVATE KEY-----"), 100))
		if cap(s.buf) > 1<<20 {
			t.Fatalf("%d bytes are held", cap(s.buf))
		}
	}
	var none *Rules
	if out := none.Stream().Write(nil, []byte("text")); len(out) > 0 {
		t.Errorf("without rules %q is let through", out)
	}
}

func FuzzStream(f *testing.F) {
	rules := streamRules(f)
	f.Add(uint64(1), 100, "ada@secret.example")
	f.Add(uint64(2), 7, "-----BEGIN RSA PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, seed uint64, chunk int, middle string) {
		r := rand.New(rand.NewPCG(seed, 2))
		text := scrambled(r, 60)
		text = append(append(append(text, middle...), bytes.Repeat([]byte("12 "), 7000)...), scrambled(r, 60)...)
		s := rules.Stream()
		s.chunk = max(1000, chunk&0xffff)
		if got, want := inPieces(s, text, r), rules.Message(nil, text); !bytes.Equal(got, want) {
			t.Fatalf("differs at %d of %d", common(got, want), len(want))
		}
	})
}
