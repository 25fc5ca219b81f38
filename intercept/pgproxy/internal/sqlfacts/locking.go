package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// locking is FOR UPDATE and its like, on the named relations or on all.
func (e expr) locking(clauses []*pg.Node) {
	for _, n := range clauses {
		names := n.GetLockingClause().GetLockedRels()
		for _, src := range e.sc.sources {
			if !e.a.spend(1 + len(names)/16) {
				return
			}
			if !src.hidden && (len(names) == 0 || namedIn(src, names)) {
				e.lock(src)
			}
		}
	}
}

func (e expr) lock(src *source) {
	for _, u := range src.locked() {
		if !e.a.spend(1) {
			return
		}
		e.a.effect(policy.VerbUpdate, "lock", u.schema, u.name)
	}
}

func namedIn(src *source, names []*pg.Node) bool {
	for _, n := range names {
		if n.GetRangeVar().GetRelname() == src.name {
			return true
		}
	}
	return false
}
