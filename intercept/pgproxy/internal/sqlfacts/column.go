package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// An expr walks expressions in one scope. What it meets goes to the analysis,
// and to its lineage if it has one.
type expr struct {
	a  *analysis
	sc *scope
	// filter says that values decide which rows are met, and are not returned.
	filter bool
	lin    *lineage
}

// A lineage says what a value was computed from.
type lineage struct {
	relation, unknown, metadata, counting bool
	// selected says that rows decide which of several constants it is.
	selected bool
	origin   origin
}

func (l *lineage) pure() bool { return !l.relation && !l.unknown }

// filtering returns the same walker for a clause that decides about rows.
func (e expr) filtering() expr {
	e.filter = true
	return e
}

func (e expr) tracing(l *lineage) expr {
	e.lin = l
	return e
}

// tainted notes that the value comes from a relation.
func (e expr) tainted() {
	if e.lin != nil {
		e.lin.relation = true
	}
}

func (e expr) untraceable() {
	if e.lin != nil {
		e.lin.unknown, e.lin.origin.lost = true, true
	}
}

// selected notes that rows decide which constant the value is.
func (e expr) selected() {
	if e.lin != nil {
		e.lin.selected, e.lin.origin.steered = true, true
	}
}

// column resolves a column reference: c, t.c, s.t.c, d.s.t.c, or with a star in
// place of the column.
func (e expr) column(ref *pg.ColumnRef) {
	fields := ref.GetFields()
	if len(fields) == 0 {
		return
	}
	last := fields[len(fields)-1]
	name, star := last.GetString_().GetSval(), last.GetAStar() != nil
	qualifier := stringsOf(fields[:len(fields)-1])
	switch {
	case star && len(qualifier) == 0:
		e.allColumns()
	case len(qualifier) == 0:
		e.unqualified(name)
	default:
		if star {
			name = "*"
		}
		e.qualified(qualifier, name)
	}
}

// allColumns is the star alone, which means every source of the innermost scope.
func (e expr) allColumns() {
	if len(e.sc.sources) == 0 {
		e.untraceable()
	}
	for _, src := range e.sc.sources {
		if !src.hidden {
			e.use(src, ColumnRef{Name: "*"})
		}
	}
}

// qualified resolves a reference through the name of a source. What it can't
// find, the server refuses or takes for a column of a composite type; then every
// source in reach may be meant.
func (e expr) qualified(qualifier []string, name string) {
	table := qualifier[len(qualifier)-1]
	schema := ""
	if len(qualifier) > 1 {
		schema = qualifier[len(qualifier)-2]
	}
	if src := e.named(schema, table); src != nil {
		if name != "*" {
			e.member(src, name)
		}
		e.use(src, ColumnRef{Name: name})
		return
	}
	e.everywhere(ColumnRef{Name: "*"})
}

// named returns the nearest source called name, of the given schema if any.
func (e expr) named(schema, name string) *source {
	for sc := e.sc; sc != nil; sc = sc.outer {
		if !e.a.spend(len(sc.sources) / 16) {
			return nil
		}
		for _, src := range sc.sources {
			if src.name == name && !src.hidden && (schema == "" || schema == src.schema) {
				return src
			}
		}
	}
	return nil
}

// everywhere is a reference to all that is in reach.
func (e expr) everywhere(ref ColumnRef) {
	e.untraceable()
	for sc := e.sc; sc != nil; sc = sc.outer {
		for _, src := range sc.sources {
			if !e.a.spend(1) {
				return
			}
			e.use(src, ref)
		}
	}
}

// unqualified resolves a name alone: a column of any source in reach, or the row
// of the source that has this name. A derived source whose columns are known ends
// the search, as a second column of the name would be an error.
func (e expr) unqualified(name string) {
	candidates, settled := e.candidates(name)
	var row *source
	if !settled {
		row = e.named("", name)
	}
	for _, src := range candidates {
		e.use(src, ColumnRef{Name: name, Ambiguous: len(candidates) > 1 || row != nil})
	}
	if len(candidates) == 0 || !settled && !e.allPure() {
		e.tainted()
	}
	if len(candidates) == 0 && row == nil {
		e.untraceable()
	}
	if row != nil {
		e.use(row, ColumnRef{Name: "*", Ambiguous: true, Unless: name})
	}
}

// allPure reports whether no source in reach has values of relations.
func (e expr) allPure() bool {
	for sc := e.sc; sc != nil; sc = sc.outer {
		for _, src := range sc.sources {
			if !e.a.spend(1) || !src.isPure() {
				return false
			}
		}
	}
	return true
}

// candidates returns the sources that may have the column, and whether it is
// known which of them does.
func (e expr) candidates(name string) (found []*source, settled bool) {
	for sc := e.sc; sc != nil; sc = sc.outer {
		inner := len(found) // those of inner scopes come first if they have it
		for _, src := range sc.sources {
			if !e.a.spend(1 + len(src.columns)/32) {
				return nil, true
			}
			switch {
			case src.known && src.merged && src.hasColumn(name):
				found = append(found, src)
			case src.known && src.hasColumn(name):
				return append(found[:inner:inner], src), inner == 0
			case !src.known && (src.members == nil || len(src.renamed) > 0):
				found = append(found, src)
			}
		}
	}
	return found, false
}

// use notes a reference to a column of src.
func (e expr) use(src *source, ref ColumnRef) {
	if !src.isPure() {
		e.tainted()
	}
	if !src.row && e.lin != nil {
		e.lin.selected = true
	}
	if src.members != nil && len(src.renamed) > 0 {
		ref = ColumnRef{Name: "*"} // of which member is a matter of its columns
	}
	src.derivations(func(s *source) {
		if s.used != nil {
			*s.used = true
		}
		if e.throughStars(s, ref) {
			return
		}
		e.a.readAgain(s.readBy(ref), e.filter)
		e.through(s, ref)
	})
	src.relations(func(s *source) {
		e.a.spend(len(s.renamed) / 32)
		e.a.reference(s.use, s.named(ref), e.filter)
		e.reads(s.use, s.named(ref))
	})
}

// named gives ref its position if the source's alias renames the column.
func (src *source) named(ref ColumnRef) ColumnRef {
	for i, name := range src.renamed {
		if name == ref.Name {
			ref.Position = i + 1
			return ref
		}
	}
	return ref
}
