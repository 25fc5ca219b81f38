package scan

import (
	"math/rand/v2"
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
