package record

import (
	"crypto/sha256"
	"hash"
)

// Labels keep the uses of one hash apart. Each ends with NUL.
const (
	labelStart     = "headgate record 1 start\x00"
	labelSignature = "headgate record 1 signature\x00"
	labelRatchet   = "hg-ratchet\x00"
)

// A chain links each record to all records before it. The link is the running
// hash (32 bytes) and the tag (16 bytes) of the record last added:
//
//	hash_i = SHA-256(hash_{i-1} || tag_{i-1} || head_i || payload_i)
//	tag_i  = HMAC-SHA-256(key_i, hash_i)[:16]     key_{i+1} = SHA-256(label || key_i)
//
// so a payload is hashed once. Without a key, tag_i is hash_i[:16]. A key is
// overwritten by its successor: what is in memory can't make an older tag.
type chain struct {
	digest hash.Hash
	link   [sha256.Size + tagSize]byte
	signed [len(labelSignature) + sha256.Size]byte
	key    [sha256.Size]byte
	keyed  bool
}

// newChain starts a chain over the file header. A nil key makes it unkeyed.
func newChain(head *[fileHeadSize]byte, key *[sha256.Size]byte) *chain {
	c := &chain{digest: sha256.New()}
	c.digest.Write([]byte(labelStart))
	c.digest.Write(head[:])
	c.digest.Sum(c.link[:0])
	copy(c.signed[:], labelSignature)
	if key != nil {
		c.keyed, c.key = true, *key
	}
	return c
}

// add moves the chain over rec, a record's head and payload.
func (c *chain) add(rec []byte) {
	c.hash(rec, c.link[:0])
	if !c.keyed {
		copy(c.link[sha256.Size:], c.link[:tagSize])
		return
	}
	tag := mac(&c.key, (*[sha256.Size]byte)(c.link[:sha256.Size]))
	copy(c.link[sha256.Size:], tag[:tagSize])
	c.key = ratchet(&c.key)
}

// tag is the tag of the record last added.
func (c *chain) tag() []byte { return c.link[sha256.Size:] }

// message returns what a checkpoint signs whose head and payload so far are rec.
// It is valid until the next call.
func (c *chain) message(rec []byte) []byte {
	c.hash(rec, c.signed[:len(labelSignature)])
	return c.signed[:]
}

// hash appends SHA-256(link || rec) to out.
func (c *chain) hash(rec, out []byte) {
	c.digest.Reset()
	c.digest.Write(c.link[:])
	c.digest.Write(rec)
	c.digest.Sum(out)
}

// erase forgets the key.
func (c *chain) erase() { clear(c.key[:]) }

func ratchet(key *[sha256.Size]byte) [sha256.Size]byte {
	var b [len(labelRatchet) + sha256.Size]byte
	copy(b[:], labelRatchet)
	copy(b[len(labelRatchet):], key[:])
	return sha256.Sum256(b[:])
}

// mac is HMAC-SHA-256 (RFC 2104) of one hash, without the allocations that a new
// key per record would cost in crypto/hmac.
func mac(key, msg *[sha256.Size]byte) [sha256.Size]byte {
	const ipad, opad = 0x36, 0x5c
	var b [sha256.BlockSize + sha256.Size]byte
	pad(b[:sha256.BlockSize], key, ipad)
	copy(b[sha256.BlockSize:], msg[:])
	inner := sha256.Sum256(b[:])
	pad(b[:sha256.BlockSize], key, opad)
	copy(b[sha256.BlockSize:], inner[:])
	return sha256.Sum256(b[:])
}

func pad(block []byte, key *[sha256.Size]byte, fill byte) {
	for i := range block {
		block[i] = fill
	}
	for i, k := range key {
		block[i] ^= k
	}
}
