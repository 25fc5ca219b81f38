package pgproxy

import (
	"slices"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/mask"
)

// A columnOf is a column of a relation; "*" is its row as a whole.
type columnOf struct {
	relation *relation
	name     string
}

// columnsOf looks up the columns that an output column is made of. It fails where
// these are not known.
func (c *catalogue) columnsOf(o *sqlfacts.OutputColumn) ([]columnOf, bool) {
	if o == nil || !o.Traced {
		return nil, false
	}
	var out []columnOf
	for i := range o.Sources {
		s := &o.Sources[i]
		rel := c.lookup(s.Relation.Schema, s.Relation.Name)
		if rel == nil {
			return nil, false
		}
		name, ok := c.columnName(rel, s.Column, o.Sources)
		if found := (columnOf{rel, name}); ok && !slices.Contains(out, found) {
			out = append(out, found)
		}
	}
	return out, true
}

// columnName returns the column that ref can mean, and whether it can mean one:
// among the sources there may be another relation that has it.
func (c *catalogue) columnName(rel *relation, ref sqlfacts.ColumnRef, among []sqlfacts.ColumnSource) (string, bool) {
	switch {
	case ref.Position > 0:
		return rel.columnAt(ref.Position), true
	case ref.Unless != "" && rel.has(ref.Unless):
		return ref.Unless, true
	case ref.Name == "*", rel.has(ref.Name), isSystemColumn(ref.Name):
		return ref.Name, true
	case ref.Starred:
		return "*", !c.anyHas(ref.Name, among)
	case ref.Ambiguous:
		return "", false
	default:
		return "*", true // a function of the row
	}
}

// anyHas reports whether one of the relations has the column.
func (c *catalogue) anyHas(column string, among []sqlfacts.ColumnSource) bool {
	for i := range among {
		if !among[i].Column.Starred || among[i].Column.Name != column {
			continue
		}
		if rel := c.lookup(among[i].Relation.Schema, among[i].Relation.Name); rel != nil && rel.has(column) {
			return true
		}
	}
	return false
}

// values says where the values of an output column of t come from, and of which
// columns they are made. The zero Column is untraceable.
func (r *ruleset) values(c *catalogue, t *traced, o *sqlfacts.OutputColumn) (mask.Column, []columnOf) {
	made, ok := c.columnsOf(o)
	if !ok || t.unseen && !taken(o, made) || o.Steered && (t.chosen || t.selectedBy(r) != "") {
		return mask.Column{}, nil
	}
	out := mask.Column{Traced: true, Derived: !taken(o, made)}
	masked, vague := 0, false
	for _, m := range made {
		of, ok := r.column(m)
		if !ok {
			return mask.Column{}, nil
		}
		out.Sources = append(out.Sources, of.Sources...)
		out.Derived = out.Derived || of.Derived
		vague = vague || len(of.Sources) == 0
		if slices.ContainsFunc(of.Sources, func(s mask.Source) bool { return r.rules.Match(s) != "" }) {
			masked++
		}
	}
	// Values of other columns under the same mask would confirm what is masked.
	out.Derived = out.Derived || masked > 0 && masked < len(made)
	if vague && masked == 0 {
		out.Sources = nil // rather than some of them: those who search values go by all
	}
	return out, made
}

// taken reports whether values are those of columns as they are. What looks like a
// column can be a function of a row.
func taken(o *sqlfacts.OutputColumn, made []columnOf) bool {
	return o.Direct && !slices.ContainsFunc(made, func(c columnOf) bool { return c.name == "*" })
}

// column says where the values of one column of a relation come from.
func (r *ruleset) column(c columnOf) (mask.Column, bool) {
	rel := c.relation
	switch {
	case isSystemColumn(c.name), rel.isView() && !r.sensitive(rel):
		return mask.Column{Traced: true}, true
	case c.name == "*":
		return r.row(rel)
	case rel.quotes(c.name):
		return mask.Column{}, false
	case rel.quotes(""):
		return mask.Column{Traced: true}, true
	case rel.isView():
		return r.viewColumn(rel, c.name)
	case rel.blind:
		return mask.Column{}, false
	default:
		return mask.Column{Traced: true, Sources: rel.sources(c.name), Derived: rel.computed(c.name)}, true
	}
}

// row is the row of a relation as a whole.
func (r *ruleset) row(rel *relation) (mask.Column, bool) {
	all := mask.Column{Traced: true, Derived: true}
	for _, name := range rel.columnNames() {
		one, ok := r.column(columnOf{rel, name})
		if !ok {
			return mask.Column{}, false
		}
		all.Sources = append(all.Sources, one.Sources...)
	}
	return all, true
}

// viewColumn is a column of a view, down to what its query makes it of. A mask may
// also be on the view's own column.
func (r *ruleset) viewColumn(rel *relation, name string) (mask.Column, bool) {
	v := rel.view.followed()
	if v == nil || rel.blind {
		return mask.Column{}, false
	}
	column, _ := r.values(v.catalogue, v.query, v.outputs[name])
	if !column.Traced {
		return mask.Column{}, false
	}
	column.Sources = append(column.Sources, mask.Source{Schema: rel.schema, Table: rel.name, Column: name})
	return column, true
}
