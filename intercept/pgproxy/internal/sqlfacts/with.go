package sqlfacts

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// with analyses the queries of a WITH clause and adds them to the scope. Each is
// analysed once, whether or not it is used.
func (e expr) with(w *pg.WithClause) {
	if w == nil {
		return
	}
	if e.sc.ctes == nil {
		e.sc.ctes = map[string]*source{}
	}
	if w.GetRecursive() {
		e.recursive(w)
		return
	}
	for _, n := range w.GetCtes() {
		cte := n.GetCommonTableExpr()
		src := e.cte(cte)
		e.sc.ctes[cte.GetCtename()] = src
	}
}

// recursive makes every query of the clause visible in all of them. Until they
// have been analysed nothing is known about their columns.
func (e expr) recursive(w *pg.WithClause) {
	e.a.st.SetOperation = true
	pending := map[string]*source{}
	for _, n := range w.GetCtes() {
		name := n.GetCommonTableExpr().GetCtename()
		pending[name] = &source{name: name, whole: origin{lost: true}, used: new(bool)}
		e.sc.ctes[name] = pending[name]
	}
	start, ahead := len(e.a.log), false
	for _, n := range w.GetCtes() {
		before := len(e.a.log)
		self := pending[n.GetCommonTableExpr().GetCtename()]
		ahead = ahead || *self.used // by one before it
		self.self = true
		src := e.cte(n.GetCommonTableExpr())
		src.pure = false
		src.settleRecursion(e.a)
		if isSetOperation(n.GetCommonTableExpr().GetCtequery().GetSelectStmt()) {
			e.a.filterAgain(e.a.log[before:]) // which rows come next depends on those before
		}
		e.sc.ctes[src.name] = src
	}
	if ahead {
		e.a.filterAgain(e.a.log[start:]) // what was used before it was known may have been a filter
	}
}

func (e expr) cte(cte *pg.CommonTableExpr) *source {
	inner := e
	inner.filter = false
	// The query sees the WITH queries that are there by now, and no relation of
	// this level.
	inner.sc = &scope{outer: e.sc.outer, ctes: e.sc.ctes}
	src := inner.derived(cte.GetCtequery())
	src.name = cte.GetCtename()
	if names := stringsOf(cte.GetAliascolnames()); len(names) > 0 {
		src = src.renamedTo(names)
	}
	if cte.GetSearchClause() != nil || cte.GetCycleClause() != nil {
		src.known, src.passes = false, false
	}
	e.cycle(cte.GetCycleClause())
	return src
}

func (e expr) cycle(c *pg.CTECycleClause) {
	e.node(c.GetCycleMarkValue())
	e.node(c.GetCycleMarkDefault())
}

// renamedTo gives the first columns new names.
func (src *source) renamedTo(names []string) *source {
	if len(names) == len(src.columns) && !src.starred {
		src.known = true // names were all that was missing
	}
	src.known = src.known && len(names) <= len(src.columns)
	src.passes = false // names may be those of columns that a star stands for
	src.columns = append(slices.Clip(names), src.columns[min(len(names), len(src.columns)):]...)
	return src
}
