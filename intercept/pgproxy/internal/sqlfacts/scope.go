package sqlfacts

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// A scope is a set of names that expressions can refer to. Names that it does
// not have are looked for in the outer ones.
type scope struct {
	outer   *scope
	sources []*source
	ctes    map[string]*source
}

// A source is an entry of a FROM list.
type source struct {
	name   string
	schema string // of a relation without an alias
	// use is set for a relation, members for an aliased join; a source with
	// neither is derived: its columns were accounted for where they were computed.
	use     *use
	members []*source
	// columns are the names of a derived source's columns, if known is set.
	columns []string
	known   bool
	starred bool // how many columns there are is not known
	// merged says that a join has merged columns, so that the source alone does not
	// settle what an unqualified name means.
	merged bool
	// out are a derived source's columns, under the names that they were given
	// inside; all is the part of the log that the whole of it was read from, whole
	// what its values are made of.
	out   []OutputColumn
	all   span
	whole origin
	// passes says that columns which the names don't tell come through stars.
	passes bool
	// self is the recursive query that is being analysed; used, if there, notes that
	// a query was referred to before it was analysed.
	self bool
	used *bool
	// renamed are the names that an alias gives to a relation's first columns.
	renamed []string
	// pure says that a derived source's values come from no relation.
	pure bool
	// inner are the relations that a derived source reads, for row locks.
	inner []*use
	// scalar is a function, whose column has the name of the source if it is one
	// value; row is the row of a relation that is not read.
	scalar, row bool
	// hidden is behind a join's alias and can't be referred to by its own name.
	hidden bool
}

func (s *scope) child() *scope { return &scope{outer: s} }

func (s *scope) cte(name string) *source {
	for ; s != nil; s = s.outer {
		if c, ok := s.ctes[name]; ok {
			return c
		}
	}
	return nil
}

func (src *source) hasColumn(name string) bool {
	return slices.Contains(src.columns, name)
}

// relations calls f for each relation behind the source.
func (src *source) relations(f func(*source)) {
	if src.use != nil {
		f(src)
	}
	for _, m := range src.members {
		m.relations(f)
	}
}

// isPure reports whether no relation is behind the source.
func (src *source) isPure() bool {
	if src.members == nil {
		return src.pure && src.use == nil
	}
	for _, m := range src.members {
		if !m.isPure() {
			return false
		}
	}
	return true
}

// locked returns the relations of which FOR UPDATE locks the rows.
func (src *source) locked() []*use {
	out := src.inner
	src.relations(func(s *source) { out = append(out, s.use) })
	return out
}

// aliasNames returns the column names that an alias gives.
func aliasNames(alias *pg.Alias) []string { return stringsOf(alias.GetColnames()) }

// readBy returns the part of the log that a column of a derived source comes from.
// The whole of it is meant where that is not known.
func (src *source) readBy(ref ColumnRef) span {
	if i := slices.Index(src.columns, ref.Name); src.known && i >= 0 && i < len(src.out) {
		return src.out[i].read
	}
	return src.all
}

// derivations calls f for each derived source behind the source.
func (src *source) derivations(f func(*source)) {
	if src.use == nil && src.members == nil {
		f(src)
	}
	for _, m := range src.members {
		m.derivations(f)
	}
}
