package oidc

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/headgate/gateway/policy"
)

// An entry is a token that has been verified. It is not changed any more.
type entry struct {
	identity   policy.Identity
	window     window
	until      time.Time // when it has to be verified again
	keys       *keyring
	generation uint64 // of keys
}

// current reports whether the verification still counts.
func (e *entry) current(now time.Time) bool {
	return now.Before(e.until) && e.generation == e.keys.generation.Load()
}

// A cache remembers a bounded number of entries by the SHA-256 of their tokens.
// The oldest makes room. A nil cache remembers nothing.
type cache struct {
	size int

	mu      sync.RWMutex
	entries map[[sha256.Size]byte]*entry
	order   [][sha256.Size]byte // a ring once it has size elements
	next    int                 // the oldest of a full ring
}

func newCache(size int) *cache {
	if size <= 0 {
		return nil
	}
	return &cache{size: size, entries: map[[sha256.Size]byte]*entry{}}
}

func (c *cache) get(sum [sha256.Size]byte) *entry {
	if c == nil {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[sum]
}

func (c *cache) put(sum [sha256.Size]byte, e *entry) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[sum]; !ok {
		c.makeRoom(sum)
	}
	c.entries[sum] = e
}

// makeRoom gives sum a place in the order, the oldest's if all are taken.
func (c *cache) makeRoom(sum [sha256.Size]byte) {
	if len(c.order) < c.size {
		c.order = append(c.order, sum)
		return
	}
	delete(c.entries, c.order[c.next])
	c.order[c.next] = sum
	c.next = (c.next + 1) % c.size
}
