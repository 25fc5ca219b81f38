package record

import (
	"bytes"
	"crypto/ed25519"
	"math/rand/v2"
	"strings"
	"testing"
)

// Anybody can put records behind the last checkpoint of an unsealed log that has
// no keys: no report may vouch for them.
func TestReportVouchesForWhatIsProven(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	root := bytes.Repeat([]byte{1}, 32)
	keyed := newSample(t, rng, newSigner(t), root, "s", 6) // records: header, cp, 4, cp at 6, 2, seal
	plain := newSample(t, rng, newSigner(t), nil, "s", 6)
	cut := func(s sample, n int) sample { return s.with(s.clone()[:n]) }
	forged := cut(plain, 7)
	w := encoder{chain: newChain((*[fileHeadSize]byte)(plain.head), nil), seq: 7}
	for _, r := range forged.records {
		w.chain.add(r[:len(r)-trailerSize])
	}
	for range 2 {
		forged.records = append(forged.records, w.record(nil, TypeOutput, 0, stamp{}, []byte("forged")))
	}
	broken := cut(plain, 9)
	broken.records[8][20] ^= 1
	for name, c := range map[string]struct {
		log    sample
		root   bool
		proven uint64
		want   string
	}{
		"tail":             {cut(plain, 9), false, 7, "UNSEALED: proven through 6 (checkpoint); 2 records behind it are not proven; "},
		"forged tail":      {forged, false, 7, "UNSEALED: proven through 6 (checkpoint); 2 records behind it are not proven; "},
		"one record":       {cut(plain, 8), false, 7, "UNSEALED: proven through 6 (checkpoint); 1 record behind it is not proven; "},
		"checkpoint last":  {cut(plain, 7), false, 7, "UNSEALED: proven through 6 (checkpoint); the writer"},
		"keyed, no root":   {cut(keyed, 9), false, 7, "UNSEALED: proven through 6 (checkpoint); 2 records behind it are not proven; "},
		"keyed, with root": {cut(keyed, 9), true, 9, "UNSEALED: proven through 8 (root key); the writer"},
		"damaged":          {broken, false, 7, "; proven through 6 (checkpoint); 1 record behind it is not proven"},
		"nothing":          {cut(plain, 1), false, 0, "; nothing is proven; 1 record behind it is not proven"},
		"sealed":           {plain, false, 10, "OK: sealed (done)"},
		"sealed, root":     {keyed, true, 10, "tags proven through 9"},
	} {
		keys := Keys{Public: []ed25519.PublicKey{c.log.pub}}
		if c.root {
			keys = c.log.verifiers()["root"]
		}
		rep := Verify(bytes.NewReader(c.log.bytes()), keys)
		if rep.Proven != c.proven || rep.Proven > rep.Records || !strings.Contains(rep.String(), c.want) {
			t.Errorf("%s: proven %d of %d, %v", name, rep.Proven, rep.Records, rep)
		}
		if c.proven < rep.Records && (strings.Contains(rep.String(), "good") || strings.Contains(rep.Err().Error(), "good")) {
			t.Errorf("%s: calls records good that are not proven: %v, %v", name, rep, rep.Err())
		}
	}
	if s := (Report{VerifiedThrough: -1, TaggedThrough: -1}).String(); !strings.Contains(s, "UNSEALED: empty") {
		t.Errorf("empty: %s", s)
	}
}
