package mask

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/headgate/gateway/policy/secret"
)

// minKey is the shortest key that is taken, in bytes.
const minKey = 16

// A seed is what a pseudonym is made from: HMAC-SHA-256 of a canonical value.
type seed [sha256.Size]byte

// number returns 64 bits of the seed.
func (s *seed) number() uint64 { return binary.BigEndian.Uint64(s[:]) }

// keyed makes seeds. It is safe for concurrent use.
type keyed struct {
	key  []byte
	pool sync.Pool // of *digester
}

// newKeyed derives an own key, so that the one given is not kept.
func newKeyed(key secret.Value) *keyed {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte("headgate mask 1"))
	k := &keyed{key: mac.Sum(nil)}
	k.pool.New = func() any { return &digester{mac: hmac.New(sha256.New, k.key)} }
	return k
}

// digester is the state of one computation, reused because a new HMAC allocates.
type digester struct {
	mac     hash.Hash
	seed    seed
	label   [2]byte
	scratch []byte
	chars   rand.ChaCha8
}

// maxScratch bounds the memory that a pooled digester keeps.
const maxScratch = 64 << 10

// room returns scratch space for the canonical form of most values of n bytes.
// Longer forms outgrow it and are not kept.
func (d *digester) room(n int) []byte {
	d.scratch = slices.Grow(d.scratch[:0], min(maxScratch, 4*n+64))
	return d.scratch
}

// A forger writes a forged value from the canonical form of v and its seed, which
// d holds.
type forger func(dst []byte, v Value, canon []byte, d *digester) ([]byte, error)

// mask computes the seed of v for the method of that label and has forge write
// the value. A value without canonical form is redacted.
func (k *keyed) mask(dst []byte, v Value, label byte, forge forger) ([]byte, error) {
	d := k.pool.Get().(*digester) //nolint:errcheck // the pool holds nothing else
	defer k.pool.Put(d)
	canon, err := canonical(d.room(len(v.Bytes)), v)
	if err != nil {
		return Redact(dst, v)
	}
	d.label = [2]byte{label, v.Type.Kind.class()}
	d.mac.Reset()
	d.mac.Write(d.label[:])
	d.mac.Write(canon)
	d.mac.Sum(d.seed[:0])
	return forge(dst, v, canon, d)
}
