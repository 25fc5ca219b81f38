package scan

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// What checks share of a stretch is what each would find by itself.
func TestStretches(t *testing.T) {
	g := rand.New(rand.NewPCG(3, 7))
	const sample = "aaaaaaaabbbbbbbbB3B3----__//++..==\"'`<,; \x00\\"
	for range 2000 {
		text := make([]byte, 1+g.IntN(2000))
		kinds := 1 + g.IntN(len(sample))
		for i := range text {
			text[i] = sample[g.IntN(kinds)]
		}
		f := finder{b: text}
		for i := 0; i < len(text); i += 1 + g.IntN(1+g.IntN(90)) {
			quote := "\x00\"'`"[g.IntN(4)]
			if got, want := f.valueEnd(i, quote), (&finder{b: text}).valueEnd(i, quote); got != want {
				t.Fatalf("%q: the value at %d with %q ends at %d, want %d", text, i, quote, got, want)
			}
			if got, want := f.keyEndOf(i), (&finder{b: text}).keyEndOf(i); got != want {
				t.Fatalf("%q: the key at %d ends at %d, want %d", text, i, got, want)
			}
			if !isBase64(text[i]) {
				continue
			}
			from, to := f.base64Around(i, i+1)
			if first, last := (&finder{b: text}).base64Around(i, i+1); from != first || to != last {
				t.Fatalf("%q: base64 at %d is from %d to %d, want %d to %d", text, i, from, to, first, last)
			}
		}
	}
}

// plainJWTEnd is jwtEnd of one token that knows nothing of those before.
func plainJWTEnd(b []byte, start int) int {
	f := finder{b: b}
	parts := bytes.Split(b[start:], []byte("."))
	end := start
	for i, part := range parts[:min(len(parts), jwtParts)] {
		size := 0
		for size < len(part) && isToken(part[size]) {
			size++
		}
		if size > maxPart || i == 1 && size == 0 {
			return 0
		}
		if i == 0 {
			decoded, err := base64.RawURLEncoding.DecodeString(string(part[:size]))
			if err != nil || len(decoded) > maxHeader || !bytes.HasSuffix(decoded, []byte("}")) || !bytes.Contains(decoded, []byte(`"alg"`)) {
				return 0
			}
		}
		if end += size; f.at(end) != '.' || i == jwtParts-1 {
			if i == 0 {
				return 0
			}
			return end
		}
		end++
	}
	return end
}

// What is remembered of one token changes nothing of what is found out about others.
func TestTokensOneAfterAnother(t *testing.T) {
	g := rand.New(rand.NewPCG(3, 14))
	pieces := []string{"eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJ4IjoxfQ", "eyJ", "-", "_", "x", ".", ".", ".", " ", strings.Repeat("a", 400), strings.Repeat("b", 3000), "eyJ4Ijp7ImFsZyI6MX19"}
	found := 0
	for range 3000 {
		var b []byte
		for range 1 + g.IntN(14) {
			b = append(b, pieces[g.IntN(len(pieces))]...)
		}
		f := finder{b: b, want: All}
		for start := range b {
			if !bytes.HasPrefix(b[start:], []byte("eyJ")) {
				continue
			}
			got, want := f.jwtEnd(start), plainJWTEnd(b, start)
			if got != want {
				t.Fatalf("%q at %d: %d, want %d", b, start, got, want)
			}
			if got > 0 {
				found++
			}
		}
	}
	if found < 500 {
		t.Errorf("%d tokens", found)
	}
}
