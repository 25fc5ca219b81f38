package sqlfacts

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// query analyses a query in a scope of its own, inside the walker's, and returns
// the columns of its result.
func (e expr) query(n *pg.Node) []OutputColumn {
	e.sc = e.sc.child()
	e.lin = nil
	switch v := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		return e.selectStmt(v.SelectStmt)
	case *pg.Node_InsertStmt:
		return e.insert(v.InsertStmt)
	case *pg.Node_UpdateStmt:
		return e.update(v.UpdateStmt)
	case *pg.Node_DeleteStmt:
		return e.delete(v.DeleteStmt)
	case *pg.Node_MergeStmt:
		return e.merge(v.MergeStmt)
	}
	e.a.opaque("unknown statement")
	e.node(n)
	return nil
}

func (e expr) selectStmt(s *pg.SelectStmt) []OutputColumn {
	e.with(s.GetWithClause())
	if s.GetIntoClause() != nil {
		e.a.into(s.GetIntoClause())
	}
	var out []OutputColumn
	switch {
	case isSetOperation(s):
		out = e.setOperation(s)
	case len(s.GetValuesLists()) > 0:
		out = e.values(s.GetValuesLists())
	default:
		out = e.plainSelect(s)
	}
	e.limit(s)
	e.locking(s.GetLockingClause())
	if s.GetIntoClause() != nil {
		e.a.derived(out)
	}
	return out
}

func isSetOperation(s *pg.SelectStmt) bool {
	switch s.GetOp() {
	case pg.SetOperation_SETOP_NONE, pg.SetOperation_SET_OPERATION_UNDEFINED:
		return false
	default:
		return true
	}
}

// setOperation analyses both branches. A column is as pure as both are.
func (e expr) setOperation(s *pg.SelectStmt) []OutputColumn {
	e.a.st.SetOperation = true
	left := e.branch(s.GetLarg())
	right := e.branch(s.GetRarg())
	out := e.a.combine(left, right)
	for i := range out {
		out[i].Selected = true
		out[i].origin.steered = out[i].origin.steered || out[i].origin.computed
		if len(left) == len(right) {
			out[i].read = e.a.join(left[i].read, right[i].read)
		}
	}
	if !s.GetAll() || s.GetOp() != pg.SetOperation_SETOP_UNION {
		e.compared(left)
		e.compared(right)
	}
	e.sortByOutput(s.GetSortClause(), out)
	return out
}

// branch is one side of a set operation, in a scope of its own.
func (e expr) branch(s *pg.SelectStmt) []OutputColumn {
	e.sc = e.sc.child()
	return e.selectStmt(s)
}

// compared notes that rows are kept or dropped by the values of these columns.
func (e expr) compared(columns []OutputColumn) {
	for _, c := range columns {
		e.a.filterAgain(e.a.log[c.read.from:c.read.to])
	}
}

// sortByOutput is the ORDER BY of a set operation, which can name output columns
// or their positions only.
func (e expr) sortByOutput(items []*pg.Node, out []OutputColumn) {
	for _, n := range items {
		item := n.GetSortBy()
		e.operator(item.GetUseOp())
		e.sortItem(item.GetNode(), out)
	}
}

func (e expr) sortItem(n *pg.Node, out []OutputColumn) {
	if !e.a.spend(len(out) / 16) {
		return
	}
	name, place := "", -1
	switch fields := n.GetColumnRef().GetFields(); {
	case len(fields) > 0:
		name = fields[len(fields)-1].GetString_().GetSval()
	case e.position(n):
		place = int(n.GetAConst().GetIval().GetIval()) - 1
	default:
		e.filtering().node(n)
		return
	}
	vague := hasStar(out)
	for i := range out {
		if vague || i == place || place < 0 && (out[i].Name == name || out[i].Name == "") {
			e.compared(out[i : i+1])
		}
	}
}

// combine merges the columns of two branches by place.
func (a *analysis) combine(left, right []OutputColumn) []OutputColumn {
	if len(left) != len(right) || hasStar(left) || hasStar(right) {
		return a.opaqueColumns(left, right)
	}
	out := make([]OutputColumn, len(left))
	for i := range left {
		from := left[i].origin
		from.refs = slices.Clip(from.refs)
		from.add(a, &right[i].origin)
		out[i] = OutputColumn{
			Name: left[i].Name, Pure: left[i].Pure && right[i].Pure,
			Metadata: left[i].harmless(false) && right[i].harmless(false) && (left[i].Metadata || right[i].Metadata),
			Counting: left[i].harmless(true) && right[i].harmless(true) && (left[i].Counting || right[i].Counting),
			Selected: left[i].Selected || right[i].Selected,
			read:     left[i].read.cover(right[i].read),
			origin:   from,
		}
	}
	return out
}

func (c OutputColumn) harmless(counting bool) bool {
	return c.Pure || c.Metadata || counting && c.Counting
}

func hasStar(columns []OutputColumn) bool {
	for _, c := range columns {
		if c.Star {
			return true
		}
	}
	return false
}

// opaqueColumns keeps names and stars only: each column may be any of both branches.
func (a *analysis) opaqueColumns(left, right []OutputColumn) []OutputColumn {
	either, other := a.merge(left), a.merge(right)
	either.add(a, &other)
	either.madeElsewhere()
	out := make([]OutputColumn, len(left))
	for i, c := range left {
		out[i] = OutputColumn{Name: c.Name, Star: c.Star, read: c.read, origin: either}
	}
	return out
}

// values are the rows of VALUES; the server calls their columns column1 and on.
func (e expr) values(rows []*pg.Node) []OutputColumn {
	var out []OutputColumn
	for i, row := range rows {
		columns := e.valueRow(row.GetList().GetItems())
		if i == 0 {
			out = columns
			continue
		}
		out = e.a.combine(out, columns)
	}
	return out
}

func (e expr) valueRow(items []*pg.Node) []OutputColumn {
	out := make([]OutputColumn, len(items))
	for i, item := range items {
		out[i] = e.output(item)
		out[i].Name = "column" + itoa(int32(i+1))
	}
	return out
}

func (e expr) plainSelect(s *pg.SelectStmt) []OutputColumn {
	e.from(s.GetFromClause())
	if s.GetWhereClause() != nil {
		e.a.where(e.sc)
	}
	out, list := e.targetList(s.GetTargetList())
	by := e.filtering()
	by.node(s.GetWhereClause())
	by.node(s.GetHavingClause())
	by.nodes(s.GetWindowClause())
	by.references(s.GetGroupClause(), list, false)
	by.references(s.GetSortClause(), list, true)
	by.distinct(s, list)
	return out
}

// distinct is DISTINCT ON (…), or DISTINCT, which compares all outputs.
func (e expr) distinct(s *pg.SelectStmt, targets []target) {
	clause := s.GetDistinctClause()
	if len(clause) == 0 {
		return
	}
	if len(clause) > 1 || clause[0].GetNode() != nil {
		e.references(clause, targets, true)
		return
	}
	for _, t := range targets {
		e.a.filterAgain(t.log)
	}
}

func (e expr) limit(s *pg.SelectStmt) {
	by := e.filtering()
	by.node(s.GetLimitCount())
	by.node(s.GetLimitOffset())
}

// where marks the WHERE clause of the outermost query.
func (a *analysis) where(sc *scope) {
	if sc.outer == nil || sc.outer.outer == nil {
		a.st.Where = true
	}
}

// A target is an entry of a SELECT list, and the references that it made.
type target struct {
	name string
	star bool
	log  []reference
}

// targets are the expressions of a SELECT or RETURNING list.
func (e expr) targets(list []*pg.Node) []OutputColumn {
	out, _ := e.targetList(list)
	return out
}

func (e expr) targetList(list []*pg.Node) ([]OutputColumn, []target) {
	out := make([]OutputColumn, 0, len(list))
	targets := make([]target, 0, len(list))
	for _, n := range list {
		t := n.GetResTarget()
		before := len(e.a.log)
		c := e.output(t.GetVal())
		targets = append(targets, target{name: t.GetName(), star: c.Star, log: e.a.log[before:]})
		if t.GetName() != "" {
			c.Name = t.GetName()
		}
		if expanded, ok := e.expanded(&c, len(out)); ok {
			out = append(out, expanded...)
			continue
		}
		out = append(out, c)
	}
	return out, targets
}

// output analyses an expression as a column of a result.
func (e expr) output(n *pg.Node) OutputColumn {
	var lin lineage
	before := len(e.a.log)
	e.tracing(&lin).node(n)
	c := OutputColumn{Name: outputName(n), Star: isStar(n), read: span{before, len(e.a.log)}, origin: lin.origin}
	c.origin.steered = c.origin.steered || lin.counting || lin.metadata
	c.origin.computed = c.origin.computed || n.GetColumnRef() == nil
	c.Computed = certainlyComputed(n)
	if c.Star {
		c.expands = e.expansion(n)
	}
	if lin.pure() {
		c.Selected = lin.selected
		c.Pure = !lin.metadata && !lin.counting
		c.Metadata = lin.metadata && !lin.counting
		c.Counting = lin.counting
	}
	return c
}

func isStar(n *pg.Node) bool {
	fields := n.GetColumnRef().GetFields()
	if ind := n.GetAIndirection(); ind != nil {
		fields = ind.GetIndirection()
	}
	return len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil
}

// outputName is the name that the server gives to a column without an alias, as
// far as it is simple; "" otherwise.
func outputName(n *pg.Node) string {
	switch v := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		fields := v.ColumnRef.GetFields()
		return fields[len(fields)-1].GetString_().GetSval()
	case *pg.Node_FuncCall:
		_, name := qualifiedName(v.FuncCall.GetFuncname())
		return name
	case *pg.Node_AExpr:
		if v.AExpr.GetKind() == pg.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif"
		}
		return "?column?"
	case *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_BoolExpr:
		return "?column?"
	}
	return ""
}

// certainlyComputed reports whether an expression can't be a column, as casts that
// do nothing, fields and calls with one argument can.
func certainlyComputed(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_AExpr, *pg.Node_BoolExpr, *pg.Node_CaseExpr, *pg.Node_CoalesceExpr, *pg.Node_MinMaxExpr,
		*pg.Node_SubLink, *pg.Node_AArrayExpr, *pg.Node_RowExpr:
		return true
	case *pg.Node_FuncCall:
		return len(v.FuncCall.GetArgs()) != 1
	}
	return false
}
