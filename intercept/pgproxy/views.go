package pgproxy

import (
	"slices"
	"strings"
	"sync"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// A view is what is known of a view by its definition, which is looked at when it
// is asked for first.
type view struct {
	catalogue  *catalogue
	relation   *relation
	definition string

	once sync.Once
	// query is the definition with its names looked up, nil if it can't be followed;
	// outputs are the columns of its result by the names that the view gives them.
	query   *traced
	outputs map[string]*sqlfacts.OutputColumn
}

// followed returns v with its definition analysed, nil if there is nothing that
// can be relied on.
func (v *view) followed() *view {
	if v == nil {
		return nil
	}
	v.once.Do(v.follow)
	if v.query == nil {
		return nil
	}
	return v
}

func (v *view) follow() {
	q, err := v.catalogue.analyze(v.definition)
	if err != nil || v.relation.blind {
		return
	}
	s := q.Single()
	if s == nil || s.Tag != "SELECT" || len(s.Opaque) > 0 {
		return
	}
	outputs, ok := v.relation.outputs(s.Output)
	if !ok {
		return
	}
	if t := v.catalogue.trace(s, meaning{}); !t.lost {
		v.query, v.outputs = t, outputs
	}
}

// outputs gives the columns of a view's query the names that the view has for them.
func (r *relation) outputs(list []sqlfacts.OutputColumn) (map[string]*sqlfacts.OutputColumn, bool) {
	names := r.columnNames()
	if len(names) != len(list) {
		return nil, false
	}
	out := make(map[string]*sqlfacts.OutputColumn, len(list))
	for i, name := range names {
		o := &list[i]
		if o.Star || o.Name != "" && o.Name != name {
			return nil, false
		}
		out[name] = o
	}
	return out, true
}

// columnNames are the columns in their order, without those that were dropped.
func (r *relation) columnNames() []string {
	numbers := make([]int16, 0, len(r.columns))
	for number, name := range r.columns {
		if !strings.HasPrefix(name, "........pg.dropped.") {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	names := make([]string, len(numbers))
	for i, number := range numbers {
		names[i] = r.columns[number]
	}
	return names
}

// behind returns the columns of other relations that columns of the view are made
// of, views among them followed. It fails where one can't be traced.
func (v *view) behind(columns []string) (map[*relation][]string, bool) {
	out := map[*relation][]string{}
	if slices.Contains(columns, "*") {
		columns = v.relation.columnNames()
	}
	for _, name := range columns {
		if isSystemColumn(name) {
			continue
		}
		o := v.outputs[name]
		if o == nil {
			return nil, false
		}
		made, ok := v.catalogue.columnsOf(o)
		if !ok {
			return nil, false
		}
		for _, c := range made {
			if !addColumn(out, c) {
				return nil, false
			}
		}
	}
	return out, true
}

// addColumn adds a column and, where it is a view's, what that is made of.
func addColumn(out map[*relation][]string, c columnOf) bool {
	if slices.Contains(out[c.relation], c.name) {
		return true
	}
	out[c.relation] = append(out[c.relation], c.name)
	if !c.relation.isView() {
		return true
	}
	inner := c.relation.view.followed()
	if inner == nil {
		return false
	}
	deeper, ok := inner.behind([]string{c.name})
	if !ok {
		return false
	}
	for r, names := range deeper {
		for _, name := range names {
			if !slices.Contains(out[r], name) {
				out[r] = append(out[r], name)
			}
		}
	}
	return true
}

// filtered returns the columns of a relation that decide which rows the view has.
func (v *view) filtered(r *relation) []string {
	var out []string
	for _, read := range v.query.reads {
		for _, name := range read.filtered {
			if read.relation == r && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}
