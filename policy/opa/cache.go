package opa

import (
	"hash/maphash"
	"sync"

	"github.com/headgate/gateway/policy"
)

// shards is the number of locks of a cache, a power of two.
const shards = 16

// A cache maps keys to decisions and holds a bounded number of them. Each shard
// has two generations: when the young one is full it becomes the old one, which
// is dropped, and what is asked for from the old one becomes young again.
type cache[K comparable] struct {
	seed   maphash.Seed
	limit  int // entries of one generation of one shard
	shards [shards]shard[K]
}

type shard[K comparable] struct {
	mu         sync.RWMutex
	young, old map[K]*policy.Decision
	_          [64]byte // keeps neighbours' locks off this cache line
}

// newCache returns a cache of about the given number of entries, at the least one
// for each generation of each shard.
func newCache[K comparable](entries int) *cache[K] {
	return &cache[K]{seed: maphash.MakeSeed(), limit: max(1, entries/shards/2)}
}

func (c *cache[K]) shard(k *K) *shard[K] {
	return &c.shards[maphash.Comparable(c.seed, *k)%shards]
}

// get returns the decision under k, nil if there is none.
func (c *cache[K]) get(k *K) *policy.Decision {
	s := c.shard(k)
	s.mu.RLock()
	d := s.young[*k]
	found := d != nil
	if !found {
		d = s.old[*k]
	}
	s.mu.RUnlock()
	if d != nil && !found {
		c.store(s, *k, d)
	}
	return d
}

// put keeps d under k.
func (c *cache[K]) put(k K, d *policy.Decision) { c.store(c.shard(&k), k, d) }

func (c *cache[K]) store(s *shard[K], k K, d *policy.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= c.limit {
		s.old, s.young = s.young, nil
	}
	if s.young == nil {
		s.young = make(map[K]*policy.Decision)
	}
	s.young[k] = d
}

// len returns the number of entries.
func (c *cache[K]) len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.young) + len(s.old)
		s.mu.RUnlock()
	}
	return n
}
