package sqlfacts

import (
	"strings"
	"sync"
)

// A cache remembers queries by their exact text and by their shape. The two
// share the bound evenly, so that neither can push out the other.
type cache struct {
	exact, shapes *generations
}

func newCache(bytes int) *cache {
	return &cache{exact: newGenerations(bytes / 2), shapes: newGenerations(bytes / 2)}
}

// put remembers q by its shape if it has one that may be shared, otherwise by
// its text.
func (c *cache) put(sql string, shape []byte, q *Query) {
	if shape != nil && !q.ExactOnly {
		c.shapes.put(string(shape), q)
		return
	}
	c.exact.put(strings.Clone(sql), q)
}

// generations is a map with two ages. When the young one is full, it becomes the
// old one and what the old one held is forgotten, except for what has been
// looked up since.
type generations struct {
	mu         sync.RWMutex
	young, old map[string]*Query
	size       int // of the young
	limit      int // for each age
}

func newGenerations(bytes int) *generations {
	return &generations{young: map[string]*Query{}, limit: bytes / 2}
}

func (g *generations) get(key string) *Query {
	g.mu.RLock()
	q := g.young[key]
	if q != nil {
		g.mu.RUnlock()
		return q
	}
	q = g.old[key]
	g.mu.RUnlock()
	if q != nil {
		g.put(strings.Clone(key), q)
	}
	return q
}

func (g *generations) getBytes(key []byte) *Query {
	if key == nil {
		return nil
	}
	g.mu.RLock()
	q := g.young[string(key)] // the compiler does not allocate this string
	if q != nil {
		g.mu.RUnlock()
		return q
	}
	q = g.old[string(key)]
	g.mu.RUnlock()
	if q != nil {
		g.put(string(key), q)
	}
	return q
}

// put adds a query under a key that the cache may keep. Queries larger than a
// generation are not kept.
func (g *generations) put(key string, q *Query) {
	cost := len(key) + q.cost()
	if cost > g.limit {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.young[key] != nil {
		return
	}
	if g.size+cost > g.limit {
		g.old, g.young, g.size = g.young, map[string]*Query{}, 0
	}
	g.young[key] = q
	g.size += cost
}

// cost estimates the memory of q in bytes.
func (q *Query) cost() int {
	total := 128
	for _, s := range q.Statements {
		total += s.cost()
	}
	return total
}

func (s *Statement) cost() int {
	const statement, effect, column, short = 768, 160, 80, 64
	total := statement + effect*len(s.Effects) + column*len(s.Output)
	for i := range s.Output {
		total += (column + short) * len(s.Output[i].Sources)
	}
	for i := range s.Effects {
		total += column * (len(s.Effects[i].Columns) + len(s.Effects[i].Filtered))
	}
	total += short * (len(s.Functions) + len(s.Searched) + len(s.Operators) + len(s.Casts) + len(s.Opaque) + len(s.WriteSources))
	for _, set := range s.Settings {
		total += effect + len(set.Value)
	}
	if s.Inner != nil {
		total += s.Inner.cost()
	}
	return total
}
