package record

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/headgate/gateway/policy/secret"
)

// A sample is a log made in memory, cut into its records.
type sample struct {
	head    []byte
	records [][]byte
	pub     ed25519.PublicKey
	root    []byte
}

func (s sample) bytes() []byte { return append(bytes.Clone(s.head), bytes.Join(s.records, nil)...) }

// with returns a copy of s with other records.
func (s sample) with(records [][]byte) sample {
	s.records = records
	return s
}

func (s sample) clone() [][]byte {
	out := make([][]byte, len(s.records))
	for i := range out {
		out[i] = bytes.Clone(s.records[i])
	}
	return out
}

type signer struct {
	pub ed25519.PublicKey
	key ed25519.PrivateKey
}

func newSigner(tb testing.TB) signer {
	tb.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return signer{pub, key}
}

// newSample writes a log with n random entries and a checkpoint after every
// fourth. A root key makes it keyed.
func newSample(tb testing.TB, rng *rand.Rand, s signer, root []byte, session string, n int) sample {
	tb.Helper()
	head := fileHead{keyID: KeyIDOf(s.pub), keyed: root != nil, number: rng.Uint32N(100)}
	binary.BigEndian.PutUint64(head.file[:], rng.Uint64())
	var key *[32]byte
	if root != nil {
		k := logKey(root, head)
		key = &k
	}
	raw := head.encode()
	w := encoder{chain: newChain(&raw, key), key: s.key}
	out := sample{head: raw[:], pub: s.pub, root: root}
	add := func(b []byte) { out.records = append(out.records, b) }
	payload, _ := json.Marshal(Header{Session: session})
	add(w.record(nil, TypeHeader, 0, stamp{}, payload))
	add(w.checkpoint(nil, stamp{}))
	for i := range n {
		p := make([]byte, rng.IntN(60))
		for j := range p {
			p[j] = byte(rng.Uint32())
		}
		at := stamp{wall: int64(i), mono: int64(i)}
		add(w.record(nil, TypeIdentity+Type(rng.IntN(8)), uint8(rng.IntN(3)), at, p))
		if i%4 == 3 {
			add(w.checkpoint(nil, at))
		}
	}
	add(w.seal(nil, stamp{}, "done"))
	return out
}

// verifiers are the two kinds of verifier.
func (s sample) verifiers() map[string]Keys {
	keys := map[string]Keys{"public": {Public: []ed25519.PublicKey{s.pub}}}
	if s.root != nil {
		keys["root"] = Keys{Public: []ed25519.PublicKey{s.pub}, Root: secret.FromBytes(bytes.Clone(s.root))}
	}
	return keys
}

// mustRefuse checks that every verifier refuses s.
func (s sample) mustRefuse(t *testing.T, what string) {
	t.Helper()
	for who, keys := range s.verifiers() {
		if rep := Verify(bytes.NewReader(s.bytes()), keys); rep.Err() == nil {
			t.Errorf("%s: not found by the %s verifier", what, who)
		}
	}
}

func eachSample(t *testing.T, test func(t *testing.T, rng *rand.Rand, s sample)) {
	t.Helper()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var root []byte
			if seed%2 == 1 {
				root = bytes.Repeat([]byte{byte(seed)}, 32)
			}
			s := newSample(t, rng, newSigner(t), root, "s1", 1+rng.IntN(10))
			for who, keys := range s.verifiers() {
				if err := Verify(bytes.NewReader(s.bytes()), keys).Err(); err != nil {
					t.Fatalf("untouched log, %s verifier: %v", who, err)
				}
			}
			test(t, rng, s)
		})
	}
}

func TestBitFlips(t *testing.T) {
	eachSample(t, func(t *testing.T, rng *rand.Rand, s sample) {
		t.Helper()
		for i := rng.IntN(3); i < len(s.bytes()); i += 1 + rng.IntN(5) {
			b := s.bytes()
			b[i] ^= 1 << rng.IntN(8)
			for who, keys := range s.verifiers() {
				if Verify(bytes.NewReader(b), keys).Err() == nil {
					t.Fatalf("flip in byte %d not found by the %s verifier", i, who)
				}
			}
		}
	})
}

// forge makes changed records as good as somebody without keys can: sequence
// numbers run on and checksums fit.
func forge(records [][]byte) [][]byte {
	for i, r := range records {
		binary.BigEndian.PutUint64(r[4:], uint64(i))
		end := len(r) - crcSize
		binary.BigEndian.PutUint32(r[end:], crc32.Checksum(r[:end], castagnoli))
	}
	return records
}

func TestForgedRecords(t *testing.T) {
	eachSample(t, func(t *testing.T, rng *rand.Rand, s sample) {
		t.Helper()
		for i := range s.records {
			s.with(forge(slices.Delete(s.clone(), i, i+1))).mustRefuse(t, fmt.Sprintf("removal of %d", i))
			s.with(forge(slices.Insert(s.clone(), i, bytes.Clone(s.records[i])))).mustRefuse(t, fmt.Sprintf("doubling of %d", i))
			j := rng.IntN(len(s.records))
			if i != j {
				c := s.clone()
				c[i], c[j] = c[j], c[i]
				s.with(forge(c)).mustRefuse(t, fmt.Sprintf("swap of %d and %d", i, j))
			}
			if n := len(s.records[i]); i < len(s.records)-1 { // the seal's own tag is not signed
				c := s.clone()
				c[i][12+rng.IntN(n-crcSize-12)] ^= 0x40 // not in length and sequence, which forge restores
				s.with(forge(c)).mustRefuse(t, fmt.Sprintf("change in %d", i))
			}
			s.with(s.records[:i]).mustRefuse(t, fmt.Sprintf("cut before %d", i))
		}
	})
}

func TestSplices(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	sign, root := newSigner(t), bytes.Repeat([]byte{9}, 32)
	a := newSample(t, rng, sign, root, "a", 12)
	b := newSample(t, rng, sign, root, "b", 12)
	for i := range a.records {
		c := a.clone()
		c[i] = bytes.Clone(b.records[i])
		a.with(forge(c)).mustRefuse(t, fmt.Sprintf("record %d of another session", i))
		a.with(forge(slices.Insert(a.clone(), i, bytes.Clone(b.records[i])))).mustRefuse(t, fmt.Sprintf("insertion at %d", i))
		if i > 0 {
			a.with(append(a.clone()[:i], b.clone()[i:]...)).mustRefuse(t, fmt.Sprintf("tail of another session from %d", i))
		}
	}
	c := a
	c.head = b.head
	c.mustRefuse(t, "file header of another session")
}

func TestOtherSession(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	s := newSample(t, rng, newSigner(t), nil, "b", 3)
	rep := Verify(bytes.NewReader(s.bytes()), Keys{Public: []ed25519.PublicKey{s.pub}, Session: "a"})
	wantProblem(t, rep, ProblemSession, 0)
}

func wantProblem(t *testing.T, rep Report, kind ProblemKind, seq uint64) {
	t.Helper()
	var p *Problem
	if !errors.As(rep.Err(), &p) || p.Kind != kind || p.Seq != seq {
		t.Errorf("got %v, want %s at %d", rep.Err(), kind, seq)
	}
}

func TestProblemsAreNamed(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	sign, root := newSigner(t), bytes.Repeat([]byte{1}, 32)
	s := newSample(t, rng, sign, root, "s", 8) // records: header, cp, 4, cp, 4, cp, seal
	public := Keys{Public: []ed25519.PublicKey{s.pub}}
	rooted := s.verifiers()["root"]
	check := func(s sample, keys Keys, kind ProblemKind, seq uint64) {
		t.Helper()
		wantProblem(t, Verify(bytes.NewReader(s.bytes()), keys), kind, seq)
	}
	flipped := s.clone()
	flipped[4][12+20]++
	check(s.with(flipped), public, ProblemCorrupt, 4)
	forged := forge(flipped)
	check(s.with(forged), public, ProblemSignature, 6)
	check(s.with(forged), rooted, ProblemChain, 4)
	check(s.with(slices.Delete(s.clone(), 3, 4)), public, ProblemSequence, 3)
	check(s.with(append(s.clone(), []byte("x"))), public, ProblemTrailing, uint64(len(s.records)))
	check(s.with(s.clone()[:1]), public, ProblemUnsigned, 1)
	check(s, Keys{}, ProblemKey, 0)
	check(s, Keys{Public: []ed25519.PublicKey{newSigner(t).pub}}, ProblemKey, 0)
	unkeyed := newSample(t, rng, sign, nil, "s", 8)
	check(unkeyed, rooted, ProblemKey, 0)
	check(sample{head: []byte("#!/bin/sh\n")}, public, ProblemNotALog, 0)
}

// With the root key a forged tail behind the last checkpoint is found too, even
// if whoever forged it has stolen the signing key.
func TestRootKeyProvesTail(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	s := newSample(t, rng, newSigner(t), bytes.Repeat([]byte{1}, 32), "s", 6)
	cut := s.clone()[:9] // two records behind the checkpoint at 6
	rep := Verify(bytes.NewReader(s.with(cut).bytes()), s.verifiers()["root"])
	if rep.Problem != nil || !errors.Is(rep.Err(), ErrUnsealed) || rep.TaggedThrough != 8 || rep.VerifiedThrough != 6 || rep.Proven != 9 {
		t.Errorf("%v", rep)
	}
	cut[7][recordHeadSize-1]++
	forged := s.with(forge(cut))
	wantProblem(t, Verify(bytes.NewReader(forged.bytes()), s.verifiers()["root"]), ProblemChain, 7)
	if rep := Verify(bytes.NewReader(forged.bytes()), s.verifiers()["public"]); rep.VerifiedThrough != 6 || rep.Err() == nil {
		t.Errorf("public verifier must not vouch for more than the checkpoint: %v", rep)
	}
}
