package intercept

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

// factsRecord is the payload of record.TypeFacts.
type factsRecord struct {
	Ref      int              `json:"ref"`
	Facts    *policy.Facts    `json:"facts"`
	Decision *policy.Decision `json:"decision"`
}

// factsIndex numbers the pairs of facts and decision that are in the record. Its
// lock is held while a pair is being written: nobody refers to it before.
type factsIndex struct {
	mu sync.Mutex
	// few has the pairs as long as they are few, refs all of them after that.
	few  []factsKey // the n-th is number n+1
	refs map[factsKey]int
	next int
}

// fewFacts is how many pairs are looked for one by one: a session that waits has
// often had no more, and a map of them takes a kilobyte.
const fewFacts = 4

// find returns the number of a pair.
func (x *factsIndex) find(key *factsKey) (int, bool) {
	if x.refs != nil {
		n, ok := x.refs[*key]
		return n, ok
	}
	for i := range x.few {
		if x.few[i] == *key {
			return i + 1, true
		}
	}
	return 0, false
}

// add numbers a pair that is in the record.
func (x *factsIndex) add(key *factsKey) int {
	x.next++
	if x.refs == nil && len(x.few) < fewFacts {
		x.few = append(x.few, *key)
		return x.next
	}
	if x.refs == nil || len(x.refs) >= maxFacts {
		x.refs = make(map[factsKey]int)
		for i := range x.few {
			x.refs[x.few[i]] = i + 1
		}
		x.few = nil
	}
	x.refs[*key] = x.next
	return x.next
}

// maxFacts bounds the index; beyond it numbering goes on with an empty index.
const maxFacts = 4096

// factsKey tells pairs apart by the identity of their immutable parts. Holding
// the pointers keeps them from being used again.
type factsKey struct {
	facts    *policy.Facts
	masks    *policy.Mask
	reasons  *policy.Reason
	limit    *policy.Limit
	lengths  [2]int // of masks and reasons
	labels   string
	outcome  policy.Outcome
	revision string
}

func keyOf(f *policy.Facts, d policy.Decision) factsKey {
	k := factsKey{facts: f, limit: d.Limit, lengths: [2]int{len(d.Masks), len(d.Reasons)}, outcome: d.Outcome, revision: d.Revision}
	if len(d.Labels) > 0 {
		k.labels = fmt.Sprintf("%q", d.Labels) // in the order of the names
	}
	if len(d.Masks) > 0 {
		k.masks = &d.Masks[0]
	}
	if len(d.Reasons) > 0 {
		k.reasons = &d.Reasons[0]
	}
	return k
}

// errFactsTooLong says that no entry of the record has room for what an analysis
// found. The session goes on.
var errFactsTooLong = errors.New("intercept: more is known of the command than an entry of the record holds")

// recordFacts returns the number of the pair, which is in the record.
func (g *Guard) recordFacts(f *policy.Facts, d policy.Decision) (int, error) {
	key := keyOf(f, d)
	x := &g.facts
	x.mu.Lock()
	defer x.mu.Unlock()
	if n, ok := x.find(&key); ok {
		return n, nil
	}
	payload, err := json.Marshal(factsRecord{Ref: x.next + 1, Facts: f, Decision: &d})
	if err != nil {
		return 0, g.fail(err)
	}
	if len(payload) > record.MaxPayload {
		return 0, errFactsTooLong
	}
	if err := g.append(record.TypeFacts, 0, payload); err != nil {
		return 0, err
	}
	return x.add(&key), nil
}
