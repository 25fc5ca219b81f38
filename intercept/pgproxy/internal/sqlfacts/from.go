package sqlfacts

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// from adds the items of a FROM list to the walker's scope.
func (e expr) from(items []*pg.Node) {
	for _, item := range items {
		e.sc.sources = append(e.sc.sources, e.fromItem(item)...)
	}
}

// fromItem analyses one item and returns what it adds to the scope. An aliased
// join adds itself and, hidden, its members, so that unqualified names find them.
func (e expr) fromItem(n *pg.Node) []*source {
	switch v := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		return []*source{e.table(v.RangeVar)}
	case *pg.Node_JoinExpr:
		return e.join(v.JoinExpr)
	case *pg.Node_RangeSubselect:
		return []*source{e.subselect(v.RangeSubselect)}
	case *pg.Node_RangeFunction:
		return []*source{e.fromFunction(v.RangeFunction)}
	case *pg.Node_RangeTableSample:
		return e.sample(v.RangeTableSample)
	case *pg.Node_RangeTableFunc:
		return []*source{e.computed(n, v.RangeTableFunc.GetAlias(), xmlColumns(v.RangeTableFunc))}
	case *pg.Node_JsonTable:
		return []*source{e.computed(n, v.JsonTable.GetAlias(), jsonColumns(v.JsonTable.GetColumns()))}
	}
	e.a.opaque("unknown FROM item")
	e.node(n)
	return nil
}

// table is a relation or, if the name is not qualified, a WITH query.
func (e expr) table(rv *pg.RangeVar) *source {
	if rv.GetSchemaname() == "" {
		if cte := e.sc.cte(rv.GetRelname()); cte != nil {
			return cte.aliased(rv.GetRelname(), rv.GetAlias())
		}
	}
	src := &source{name: rv.GetRelname(), schema: rv.GetSchemaname()}
	src.use = e.a.relation(policy.VerbRead, "table", rv)
	if alias := rv.GetAlias(); alias != nil {
		src.name, src.schema = alias.GetAliasname(), ""
		src.renamed = aliasNames(alias)
	}
	return src
}

// aliased returns a copy of a derived source under another name.
func (src *source) aliased(name string, alias *pg.Alias) *source {
	c := *src
	c.name, c.schema = name, ""
	if alias == nil {
		return &c
	}
	c.name = alias.GetAliasname()
	if names := aliasNames(alias); len(names) > 0 {
		return c.renamedTo(names)
	}
	return &c
}

func (e expr) join(j *pg.JoinExpr) []*source {
	left := e.fromItem(j.GetLarg())
	rightScope := e
	rightScope.sc = &scope{outer: e.sc.outer, ctes: e.sc.ctes}
	e.a.spend(len(e.sc.sources) / 16) // the list is copied
	rightScope.sc.sources = append(append(rightScope.sc.sources, e.sc.sources...), left...)
	right := rightScope.fromItem(j.GetRarg())
	members := slices.Concat(left, right)

	on := e.filtering()
	on.lin = nil
	on.sc = &scope{outer: e.sc.outer, ctes: e.sc.ctes, sources: members}
	on.node(j.GetQuals())
	on.using(members, j)
	if j.GetJoinUsingAlias() != nil {
		members = append(members, &source{
			name: j.GetJoinUsingAlias().GetAliasname(), members: visible(members),
		})
	}
	if j.GetAlias() == nil {
		return members
	}
	return hide(members, j.GetAlias())
}

// using are the columns of USING, or all for NATURAL. They merge: an unqualified
// name may then stand for several columns, so that no source settles it alone.
func (e expr) using(members []*source, j *pg.JoinExpr) {
	if !j.GetIsNatural() && len(j.GetUsingClause()) == 0 {
		return
	}
	for _, m := range members {
		m.merged = true
	}
	for _, name := range stringsOf(j.GetUsingClause()) {
		for _, m := range members {
			e.use(m, ColumnRef{Name: name, Ambiguous: true})
		}
	}
	if j.GetIsNatural() {
		for _, m := range members {
			e.use(m, ColumnRef{Name: "*"})
		}
	}
}

func visible(members []*source) []*source {
	var out []*source
	for _, m := range members {
		if !m.hidden {
			out = append(out, m)
		}
	}
	return out
}

// hide puts members behind the alias of their join.
func hide(members []*source, alias *pg.Alias) []*source {
	whole := &source{name: alias.GetAliasname(), members: visible(members), renamed: aliasNames(alias)}
	out := []*source{whole}
	if len(whole.renamed) > 0 {
		return out // unqualified names may be new ones, which only the join knows
	}
	for _, m := range members {
		c := *m
		c.hidden = true
		out = append(out, &c)
	}
	return out
}

// subselect is a query in FROM. Only LATERAL lets it see its neighbours.
func (e expr) subselect(r *pg.RangeSubselect) *source {
	inner := e
	inner.lin = nil
	inner.filter = false
	if !r.GetLateral() {
		inner.sc = &scope{outer: e.sc.outer, ctes: e.sc.ctes}
	}
	src := inner.derived(r.GetSubquery())
	return src.aliased("", r.GetAlias())
}

// derived analyses a query and returns it as a source.
func (e expr) derived(query *pg.Node) *source {
	before, log := len(e.a.uses), len(e.a.log)
	e.a.st.Nested = true
	out := e.query(query)
	src := &source{known: true, pure: true, passes: true, out: out, all: span{log, len(e.a.log)}, whole: e.a.merge(out)}
	for _, c := range out {
		src.columns = append(src.columns, c.Name)
		src.known = src.known && !c.Star && c.Name != ""
		src.starred = src.starred || c.Star
		src.passes = src.passes && (!c.Star || c.expands != nil)
		src.pure = src.pure && c.Pure
	}
	if len(out) == 0 {
		src.known = false
	}
	for _, u := range e.a.uses[before:] {
		if u.kind == "table" && u.verb == policy.VerbRead {
			src.inner = append(src.inner, u)
		}
	}
	return src
}

// fromFunction is a function, or ROWS FROM several, which see their neighbours.
func (e expr) fromFunction(r *pg.RangeFunction) *source {
	e.a.st.FunctionInFrom = true
	var lin lineage
	walk := e.tracing(&lin)
	walk.filter = false
	before := len(e.a.log)
	for _, f := range r.GetFunctions() {
		items := f.GetList().GetItems()
		if len(items) > 0 {
			walk.node(items[0])
		}
	}
	e.a.filterAgain(e.a.log[before:]) // the arguments say how many rows there are
	src := &source{name: functionName(r), scalar: true, pure: lin.pure() && !lin.metadata, all: span{before, len(e.a.log)}, whole: lin.made()}
	return src.aliased(src.name, r.GetAlias())
}

// functionName is the name that a function in FROM has without an alias.
func functionName(r *pg.RangeFunction) string {
	if len(r.GetFunctions()) == 0 {
		return ""
	}
	items := r.GetFunctions()[0].GetList().GetItems()
	if len(items) == 0 {
		return ""
	}
	_, name := qualifiedName(items[0].GetFuncCall().GetFuncname())
	return name
}

func xmlColumns(t *pg.RangeTableFunc) []string {
	names := make([]string, 0, len(t.GetColumns()))
	for _, n := range t.GetColumns() {
		names = append(names, n.GetRangeTableFuncCol().GetColname())
	}
	return names
}

func jsonColumns(columns []*pg.Node) []string {
	names := make([]string, 0, len(columns))
	for _, n := range columns {
		c := n.GetJsonTableColumn()
		if c.GetName() != "" {
			names = append(names, c.GetName())
		}
		names = append(names, jsonColumns(c.GetColumns())...)
	}
	return names
}

// computed is XMLTABLE or JSON_TABLE, with the names of its columns.
func (e expr) computed(n *pg.Node, alias *pg.Alias, names []string) *source {
	var lin lineage
	walk := e.tracing(&lin)
	walk.filter = false
	before := len(e.a.log)
	walk.generic(n.ProtoReflect())
	e.a.filterAgain(e.a.log[before:]) // as above
	src := &source{columns: names, starred: true, pure: lin.pure() && !lin.metadata, all: span{before, len(e.a.log)}, whole: lin.made()}
	return src.aliased("", alias)
}

func (e expr) sample(r *pg.RangeTableSample) []*source {
	out := e.fromItem(r.GetRelation())
	schema, method := qualifiedName(r.GetMethod())
	if schema != "" && schema != "pg_catalog" || method != "system" && method != "bernoulli" {
		e.callUnknown(schema, method)
	}
	args := e.filtering()
	args.nodes(r.GetArgs())
	args.node(r.GetRepeatable())
	return out
}
