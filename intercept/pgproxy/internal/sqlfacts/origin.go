package sqlfacts

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// An origin says exactly which columns of relations a value is made of.
type origin struct {
	refs []reference
	// lost says that refs are not all: the value can't be traced.
	lost bool
	// recursive says that the value depends on rows of the recursive query that is
	// being analysed.
	recursive bool
	// steered says that rows decide about the value beyond whether it is met: it
	// counts or combines rows, or is one of several that were made elsewhere.
	steered bool
	// computed says that the value is not taken from a column as it is.
	computed bool
}

// add takes over what another value is made of.
func (o *origin) add(a *analysis, other *origin) {
	o.lost = o.lost || other.lost
	o.recursive = o.recursive || other.recursive
	o.steered = o.steered || other.steered
	o.computed = o.computed || other.computed
	if a.spend(len(other.refs)) {
		o.refs = append(o.refs, other.refs...)
	}
}

// madeElsewhere marks values of which rows choose one.
func (o *origin) madeElsewhere() { o.steered, o.computed = true, true }

// reads notes a column of a relation as an origin of the value.
func (e expr) reads(u *use, ref ColumnRef) {
	if e.lin == nil || !e.a.spend(1) {
		return
	}
	e.lin.origin.refs = append(e.lin.origin.refs, reference{u, ref})
}

// through notes the origins of a column of a derived source.
func (e expr) through(src *source, ref ColumnRef) {
	if e.lin == nil || !e.a.spend(1+len(src.columns)/32) {
		return
	}
	o := &e.lin.origin
	place := slices.Index(src.columns, ref.Name)
	switch {
	case src.self:
		o.recursive = true
		o.madeElsewhere()
	case src.row:
		o.lost = true
	case src.known && ref.Name != "*" && place >= 0 && place < len(src.out):
		o.chosen(e.a, &src.out[place].origin)
	default:
		o.add(e.a, &src.whole)
		o.madeElsewhere()
	}
}

// throughStars refers to a column of a derived source of which stars stand for
// columns: to what has the name inside. It reports whether that could be told.
func (e expr) throughStars(src *source, ref ColumnRef) bool {
	if src.known || !src.passes || !src.starred || ref.Name == "*" || !e.a.spend(1+len(src.columns)/32) {
		return false
	}
	named := slices.Contains(src.columns, ref.Name) // then no star has the name as well
	for i := range src.out {
		switch c := &src.out[i]; {
		case named && src.columns[i] != ref.Name:
		case c.Star:
			for _, inner := range c.expands {
				e.use(inner, ColumnRef{Name: ref.Name, Ambiguous: true, Starred: true})
			}
		case src.columns[i] == ref.Name || src.columns[i] == "":
			e.a.readAgain(c.read, e.filter)
			if e.lin != nil {
				e.lin.origin.chosen(e.a, &c.origin)
			}
		}
	}
	return true
}

// chosen takes over what a column in FROM is made of. Rows choose between values
// that were computed there.
func (o *origin) chosen(a *analysis, column *origin) {
	o.add(a, column)
	o.steered = o.steered || column.computed
}

// made is what the values of a source are made of that was computed.
func (l *lineage) made() origin {
	o := l.origin
	o.madeElsewhere()
	return o
}

// merge makes one origin of all columns.
func (a *analysis) merge(columns []OutputColumn) origin {
	var all origin
	for i := range columns {
		all.add(a, &columns[i].origin)
	}
	all.lost = all.lost || len(columns) == 0
	return all
}

// expansion returns the sources of which a star stands for the columns, nil if
// that can't be told.
func (e expr) expansion(n *pg.Node) []*source {
	fields := n.GetColumnRef().GetFields()
	if len(fields) == 0 {
		return nil
	}
	if len(fields) == 1 {
		return visible(e.sc.sources)
	}
	qualifier := stringsOf(fields[:len(fields)-1])
	schema := ""
	if len(qualifier) > 1 {
		schema = qualifier[len(qualifier)-2]
	}
	if src := e.named(schema, qualifier[len(qualifier)-1]); src != nil {
		return []*source{src}
	}
	return nil
}

// maxColumns is how many columns a result can have in PostgreSQL.
const maxColumns = 1664

// expanded returns the columns that a star stands for, where those of all its
// sources are known, behind so many others.
func (e expr) expanded(star *OutputColumn, before int) ([]OutputColumn, bool) {
	if !star.Star || len(star.expands) == 0 {
		return nil, false
	}
	var out []OutputColumn
	for _, src := range star.expands {
		plain := src.known && !src.starred && !src.merged && src.use == nil && src.members == nil && len(src.columns) == len(src.out)
		if !plain || before+len(out)+len(src.columns) > maxColumns || !e.a.spend(len(src.columns)) {
			return nil, false
		}
		for i, name := range src.columns {
			c := OutputColumn{Name: name, Pure: star.Pure, Metadata: star.Metadata, Counting: star.Counting, Selected: star.Selected, read: src.out[i].read}
			c.origin.chosen(e.a, &src.out[i].origin)
			out = append(out, c)
		}
	}
	return out, true
}

// settleRecursion makes what columns of the recursive query take from its own rows come
// from all of its columns.
func (src *source) settleRecursion(a *analysis) {
	all := a.merge(src.out)
	all.recursive = false
	all.madeElsewhere()
	for i := range src.out {
		if src.out[i].origin.recursive {
			src.out[i].origin = all
		}
	}
	src.whole.recursive = false
}

// trace fills in the origins of output columns for those outside of the analysis.
func (a *analysis) trace(columns []OutputColumn) {
	for i := range columns {
		c := &columns[i]
		c.Traced = !c.Star && !c.origin.lost && !c.origin.recursive
		c.Direct = c.Traced && !c.origin.computed
		c.Steered = c.origin.steered
		if c.Traced {
			c.Sources = sourcesOf(c.origin.refs)
		}
		c.origin, c.expands = origin{}, nil
	}
}

// sourcesOf lists references without duplicates.
func sourcesOf(refs []reference) []ColumnSource {
	var out []ColumnSource
	seen := make(map[ColumnSource]struct{}, len(refs))
	for _, r := range refs {
		s := ColumnSource{Relation: Relation{Schema: r.use.schema, Name: r.use.name}, Column: r.ref}
		if _, ok := seen[s]; !ok {
			seen[s] = struct{}{}
			out = append(out, s)
		}
	}
	return out
}
