package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// maxReferences bounds the column references that one text may resolve to, and
// the search for them.
const maxReferences = 1 << 18

// An analysis collects the facts of one statement.
type analysis struct {
	functions *functionTable
	st        *Statement
	uses      []*use
	budget    *int
	// log holds every reference, so that those of an expression can be gone
	// through again without walking it: walking twice at each level of nesting
	// would take exponential time.
	log []reference
	// exactOnly is set where an integer has decided something.
	exactOnly bool
	// wroteDerived is set where computed values go somewhere.
	wroteDerived bool
	// listed is the call of set_config that a setting of pg_settings is changed by.
	listed listedCall
}

func newAnalysis(functions *functionTable, budget *int) *analysis {
	return &analysis{functions: functions, st: &Statement{}, budget: budget}
}

// A use is an effect that is being collected.
type use struct {
	verb, kind, schema, name string
	columns, filtered        columnSet
}

// A reference is a column of a relation that an expression refers to.
type reference struct {
	use *use
	ref ColumnRef
}

// A span is a part of the log.
type span struct{ from, to int }

// cover is the part from the one to the other.
func (s span) cover(other span) span { return span{min(s.from, other.from), max(s.to, other.to)} }

// A columnSet is a list without duplicates.
type columnSet struct {
	list []ColumnRef
	seen map[ColumnRef]struct{}
}

func (c *columnSet) add(ref ColumnRef) {
	if _, ok := c.seen[ref]; ok {
		return
	}
	if c.seen == nil {
		c.seen = map[ColumnRef]struct{}{}
	}
	c.seen[ref] = struct{}{}
	c.list = append(c.list, ref)
}

// effect adds an effect on an object that has no columns.
func (a *analysis) effect(verb, kind, schema, name string) *use {
	u := &use{verb: verb, kind: kind, schema: schema, name: name}
	a.uses = append(a.uses, u)
	return u
}

// relation adds an effect on a relation.
func (a *analysis) relation(verb, kind string, rv *pg.RangeVar) *use {
	return a.effect(verb, kind, rv.GetSchemaname(), rv.GetRelname())
}

func (a *analysis) opaque(reason string) { a.st.Opaque = appendOnce(a.st.Opaque, reason) }

// reference adds ref to the columns of u, or to the filtered ones.
func (a *analysis) reference(u *use, ref ColumnRef, filter bool) {
	if !a.spend(1) {
		return
	}
	a.log = append(a.log, reference{u, ref})
	if filter {
		u.filtered.add(ref)
		return
	}
	u.columns.add(ref)
}

// spend takes work off the budget and reports whether there was enough left.
func (a *analysis) spend(n int) bool {
	*a.budget -= n
	return *a.budget >= 0
}

// readAgain notes what a derived column was read from where it is used: as
// filters, or in the log, for what is derived from it in turn.
func (a *analysis) readAgain(part span, filter bool) {
	if filter {
		a.filterAgain(a.log[part.from:part.to])
		return
	}
	if a.spend(part.to - part.from) {
		a.log = append(a.log, a.log[part.from:part.to]...)
	}
}

// join makes one part of two.
func (a *analysis) join(x, y span) span {
	before := len(a.log)
	a.readAgain(x, false)
	a.readAgain(y, false)
	return span{before, len(a.log)}
}

// filterAgain notes a part of the log as filters.
func (a *analysis) filterAgain(log []reference) {
	if !a.spend(len(log)) {
		return
	}
	for _, r := range log {
		r.use.filtered.add(r.ref)
	}
}

// finish returns the statement. The analysis must not be used again.
func (a *analysis) finish() *Statement {
	s := a.st
	a.trace(s.Output)
	for _, u := range a.uses {
		s.Effects = append(s.Effects, Effect{
			Verb: u.verb, Kind: u.kind, Schema: u.schema, Name: u.name,
			Columns: u.columns.list, Filtered: u.filtered.list,
		})
	}
	if a.wroteDerived {
		s.WritesDerived = true
		s.WriteSources = a.sources()
	}
	return s
}

// sources are the relations of which columns are read.
func (a *analysis) sources() []Relation {
	var out []Relation
	seen := map[Relation]bool{}
	for _, u := range a.uses {
		r := Relation{Schema: u.schema, Name: u.name}
		if u.verb == policy.VerbRead && u.kind == "table" && !seen[r] {
			seen[r] = true
			out = append(out, r)
		}
	}
	return out
}

// absorb makes inner the inner statement of this one and takes over its effects.
func (a *analysis) absorb(inner *analysis) {
	a.st.Inner = inner.finish()
	a.uses = append(a.uses, inner.uses...)
	a.exactOnly = a.exactOnly || inner.exactOnly
	a.inherit(a.st.Inner)
}

// inherit takes over what an inner statement implies for the outer one.
func (a *analysis) inherit(in *Statement) {
	s := a.st
	for _, reason := range in.Opaque {
		a.opaque(reason)
	}
	for _, f := range in.Functions {
		if !s.lists(f) {
			s.Functions = append(s.Functions, f)
		}
	}
	for _, f := range in.Searched {
		s.Searched = appendNear(s.Searched, f)
	}
	for _, t := range in.Casts {
		s.Casts = appendNear(s.Casts, t)
	}
	for _, n := range in.Notations {
		s.Notations = appendNear(s.Notations, n)
	}
	for _, op := range in.Operators {
		s.Operators = appendNear(s.Operators, op)
	}
	s.SetOperation = s.SetOperation || in.SetOperation
	s.UnknownFunctions = s.UnknownFunctions || in.UnknownFunctions
	s.FunctionInFrom = s.FunctionInFrom || in.FunctionInFrom
	s.ChangesCatalog = s.ChangesCatalog || in.ChangesCatalog
	s.CreatesTemp = s.CreatesTemp || in.CreatesTemp
	s.WritesSelected = s.WritesSelected || in.WritesSelected
	s.Renames = s.Renames || in.Renames
	s.Settings = append(s.Settings, in.Settings...)
	a.wroteDerived = a.wroteDerived || in.WritesDerived
}

// nested analyses a statement inside this one on its own.
func (a *analysis) nested(n *pg.Node) *analysis {
	inner := newAnalysis(a.functions, a.budget)
	inner.statement(n)
	return inner
}

// readsOnly judges the effects alone.
func (s *Statement) readsOnly() bool {
	for i := range s.Effects {
		switch e := &s.Effects[i]; {
		case e.Verb == policy.VerbRead:
		case e.Kind == "function", e.Kind == "transaction":
		default:
			return false
		}
	}
	return true
}
