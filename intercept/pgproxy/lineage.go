package pgproxy

import (
	"fmt"
	"slices"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/mask"
)

// field is a column of a RowDescription (manual, "Message Formats"): where the
// server says that it comes from, if it is a plain column, and how it is written.
type field struct {
	table  uint32
	number int16
	typ    uint32
	typmod int32
	format mask.Format
}

// rowShape is what rows look like: the body of a RowDescription, and formats, which
// count instead of the layout's if there are any. ambiguous says that a NULL can't
// be told from a value.
type rowShape struct {
	layout    []byte
	formats   []int16
	ambiguous bool
}

// planRows works out how the rows of a layout are masked.
func (s *session) planRows(x *execution, layout []byte, formats []int16) (err error) {
	var rows *traced
	if x.current < len(x.query.traced) {
		rows = x.query.traced[x.current].rows
	}
	x.plan, err = s.planOf(x, rows, rowShape{layout: layout, formats: formats})
	return err
}

// planOf returns the plan of rows. Where nothing has to be masked that is the one
// that there is.
func (s *session) planOf(x *execution, rows *traced, shape rowShape) (*mask.Plan, error) {
	if x.rules != nil && s.shelf.moved(x.query.catalogue) {
		x.distrust, x.sensitive = true, x.rules.rules.Whole() // it was judged by what is no longer so
	}
	if !x.masks() {
		return x.plan, nil
	}
	key := planKey{
		catalogue: x.query.catalogue, layout: string(shape.layout), formats: formatKey(shape.formats),
		distrust: x.distrust, sensitive: x.sensitive, ambiguous: shape.ambiguous,
	}
	if rows != nil {
		key.statement = rows.statement
	}
	return x.rules.plan(key, func() ([]mask.Column, error) {
		fields, err := parseLayout(shape.layout, shape.formats)
		if err != nil {
			return nil, err
		}
		columns := make([]mask.Column, len(fields))
		for i, f := range fields {
			columns[i] = x.column(rows, f, i, len(fields))
			columns[i].Type, columns[i].Format = x.query.catalogue.types.of(f.typ, f.typmod), f.format
			columns[i].Derived = columns[i].Derived || shape.ambiguous
		}
		if x.refusesUntraced(rows, columns) {
			return nil, errUntraced
		}
		return columns, nil
	})
}

func formatKey(formats []int16) string {
	b := make([]byte, len(formats))
	for i, f := range formats {
		b[i] = byte(f)
	}
	return string(b)
}

// parseLayout parses the body of a RowDescription.
func parseLayout(body []byte, formats []int16) ([]field, error) {
	n, rest, ok := cutInt16(body)
	if !ok || n < 0 {
		return nil, fmt.Errorf("%w: RowDescription", errMalformed)
	}
	fields := make([]field, n)
	for i := range fields {
		if _, rest, ok = cutString(rest); !ok || len(rest) < 18 {
			return nil, fmt.Errorf("%w: RowDescription", errMalformed)
		}
		table, _, _ := cutInt32(rest)
		number, _, _ := cutInt16(rest[4:])
		typ, _, _ := cutInt32(rest[6:])
		typmod, _, _ := cutInt32(rest[12:])
		format, _, _ := cutInt16(rest[16:])
		if len(formats) > 0 {
			format = int(formatOf(formats, i))
		}
		fields[i] = field{uint32(table), int16(number), uint32(typ), int32(typmod), mask.Format(format)}
		rest = rest[18:]
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%w: RowDescription", errMalformed)
	}
	return fields, nil
}

// column says where the values of the i-th of n columns come from, as far as it
// matters: without masks of whole values within reach that is only whether they are
// a table's, as they are, so that they are not searched for the sake of others.
func (x *execution) column(rows *traced, f field, i, n int) mask.Column {
	c := mask.Column{Traced: true}
	if x.sensitive {
		c = x.origin(rows, f, i, n)
	}
	if c.Traced && len(c.Sources) == 0 && !x.distrust && rows != nil && !rows.statement.SetOperation && f.number > 0 {
		if rel := x.query.catalogue.byOID[f.table]; rel != nil && !rel.isView() && rel.columns[f.number] != "" && (!x.sensitive || !x.rules.sensitive(rel)) {
			c.Sources, c.Derived = rel.sources(rel.columns[f.number]), rel.computed(rel.columns[f.number])
		}
	}
	return c
}

// origin says where the values of the i-th of n columns come from: what the
// analysis found, as long as the server says the same where it says anything. Where
// the analysis does not know, the server's word counts alone, unless a set
// operation makes it speak of the first branch only. What can't be told is
// untraceable, the zero Column, and is masked whole.
func (x *execution) origin(rows *traced, f field, i, n int) mask.Column {
	if x.distrust || rows == nil {
		return mask.Column{}
	}
	chosen := rows.chosen || rows.selectedBy(x.rules) != ""
	o := outputAt(rows.statement.Output, i, n)
	if !rows.unseen && f.table == 0 && harmless(o, chosen) || x.showsPlan(rows, chosen) {
		return mask.Column{Traced: true}
	}
	var said columnOf
	if f.table != 0 {
		if said.relation = x.query.catalogue.byOID[f.table]; said.relation == nil {
			return mask.Column{}
		}
		if f.number < 0 {
			return mask.Column{Traced: true} // a system column is a row's identifier
		}
		said.name = said.relation.columns[f.number]
	}
	column, made := x.rules.values(x.query.catalogue, rows, o)
	switch {
	case column.Traced && (f.table == 0 || slices.Contains(made, said)):
		return column
	case column.Traced, f.table == 0, said.name == "", rows.statement.SetOperation:
		return mask.Column{}
	default:
		column, _ = x.rules.column(said)
		return column
	}
}

// harmless reports whether an output column provably holds no value of a relation.
// Where masked columns have chosen the rows, constants that come with rows, and
// counts of these, spell values out.
func harmless(o *sqlfacts.OutputColumn, chosen bool) bool {
	switch {
	case o == nil:
		return false
	case chosen:
		return o.Pure && !o.Selected
	default:
		return o.Pure || o.Metadata || o.Counting
	}
}

// showsPlan reports whether the rows are a plan that holds nothing but names,
// estimates and constants of the text: code could have computed others, the numbers
// of rows met tell what has chosen them, and the memory used how long values are.
func (x *execution) showsPlan(t *traced, chosen bool) bool {
	if t.statement.Tag != "EXPLAIN" || executed(t.statement) != "" || t.lost || t.unseen || len(t.opaque) > 0 {
		return false
	}
	return !t.statement.Analyze || !chosen && !t.computes(x.rules)
}

// computes reports whether EXPLAIN's statement could make something else of masked
// values than they are.
func (t *traced) computes(rules *ruleset) bool {
	if !slices.ContainsFunc(t.reads, func(r reading) bool { return rules.masked(r.relation, r.columns) != "" }) {
		return false
	}
	inner := t.statement.Inner
	return inner == nil || inner.Nested || inner.FunctionInFrom || inner.SetOperation || slices.ContainsFunc(inner.Output, func(o sqlfacts.OutputColumn) bool {
		return !o.Star && !o.Direct && !o.Pure
	})
}

// outputAt finds the select list's item for the i-th of n result columns, nil if
// that can't be told or it is a star.
func outputAt(list []sqlfacts.OutputColumn, i, n int) *sqlfacts.OutputColumn {
	first, last := starRange(list)
	switch {
	case first < 0 && len(list) != n:
		return nil
	case first < 0 || i < first:
		return &list[i]
	case n-i < len(list)-last:
		return &list[len(list)-(n-i)]
	default:
		return nil
	}
}

// starRange returns the places of the first and last star, -1 without one.
func starRange(list []sqlfacts.OutputColumn) (first, last int) {
	first, last = -1, -1
	for i := range list {
		if list[i].Star {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	return first, last
}
