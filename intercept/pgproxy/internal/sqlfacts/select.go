package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
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
	case s.GetOp() != pg.SetOperation_SETOP_NONE && s.GetOp() != pg.SetOperation_SET_OPERATION_UNDEFINED:
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

// setOperation analyses both branches. A column is as pure as both are.
func (e expr) setOperation(s *pg.SelectStmt) []OutputColumn {
	e.a.st.SetOperation = true
	left := e.branch(s.GetLarg())
	right := e.branch(s.GetRarg())
	out := combine(left, right)
	e.sortByOutput(s.GetSortClause())
	return out
}

// branch is one side of a set operation, in a scope of its own.
func (e expr) branch(s *pg.SelectStmt) []OutputColumn {
	e.sc = e.sc.child()
	return e.selectStmt(s)
}

// sortByOutput is the ORDER BY of a set operation, which can name output columns
// or their positions only.
func (e expr) sortByOutput(items []*pg.Node) {
	for _, n := range items {
		item := n.GetSortBy()
		e.operator(item.GetUseOp())
		if item.GetNode().GetColumnRef() == nil {
			e.position(item.GetNode())
			e.filtering().node(item.GetNode())
		}
	}
}

// combine merges the columns of two branches by place.
func combine(a, b []OutputColumn) []OutputColumn {
	if len(a) != len(b) || hasStar(a) || hasStar(b) {
		return opaqueColumns(a)
	}
	out := make([]OutputColumn, len(a))
	for i := range a {
		out[i] = OutputColumn{
			Name: a[i].Name, Pure: a[i].Pure && b[i].Pure,
			Metadata: a[i].harmless(false) && b[i].harmless(false) && (a[i].Metadata || b[i].Metadata),
			Counting: a[i].harmless(true) && b[i].harmless(true) && (a[i].Counting || b[i].Counting),
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

// opaqueColumns keeps names and stars only.
func opaqueColumns(in []OutputColumn) []OutputColumn {
	out := make([]OutputColumn, len(in))
	for i, c := range in {
		out[i] = OutputColumn{Name: c.Name, Star: c.Star}
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
		out = combine(out, columns)
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
	out := e.targets(s.GetTargetList())
	by := e.filtering()
	by.node(s.GetWhereClause())
	by.node(s.GetHavingClause())
	by.nodes(s.GetWindowClause())
	by.references(s.GetGroupClause(), s.GetTargetList(), false)
	by.references(s.GetSortClause(), s.GetTargetList(), true)
	by.distinct(s)
	return out
}

// distinct is DISTINCT ON (…), or DISTINCT, which compares all outputs.
func (e expr) distinct(s *pg.SelectStmt) {
	clause := s.GetDistinctClause()
	if len(clause) == 0 {
		return
	}
	if len(clause) > 1 || clause[0].GetNode() != nil {
		e.references(clause, s.GetTargetList(), true)
		return
	}
	for _, t := range s.GetTargetList() {
		e.node(t.GetResTarget().GetVal())
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

// targets are the expressions of a SELECT or RETURNING list.
func (e expr) targets(list []*pg.Node) []OutputColumn {
	out := make([]OutputColumn, 0, len(list))
	for _, n := range list {
		t := n.GetResTarget()
		c := e.output(t.GetVal())
		if t.GetName() != "" {
			c.Name = t.GetName()
		}
		out = append(out, c)
	}
	return out
}

// output analyses an expression as a column of a result.
func (e expr) output(n *pg.Node) OutputColumn {
	var lin lineage
	e.tracing(&lin).node(n)
	c := OutputColumn{Name: outputName(n), Star: isStar(n)}
	if lin.pure() {
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
	case *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_AExpr, *pg.Node_BoolExpr:
		return "?column?"
	}
	return ""
}

// references are the items of GROUP BY, ORDER BY or DISTINCT ON, which can be
// expressions, names of outputs, or their positions.
func (e expr) references(items, targets []*pg.Node, outputFirst bool) {
	for _, n := range items {
		if sort := n.GetSortBy(); sort != nil {
			e.operator(sort.GetUseOp())
			n = sort.GetNode()
		}
		if set := n.GetGroupingSet(); set != nil {
			e.references(set.GetContent(), targets, outputFirst)
			continue
		}
		e.reference(n, targets, outputFirst)
	}
}

func (e expr) reference(n *pg.Node, targets []*pg.Node, outputFirst bool) {
	if list := n.GetRowExpr().GetArgs(); list != nil {
		e.references(list, targets, outputFirst)
		return
	}
	if e.position(n) {
		e.positional(int(n.GetAConst().GetIval().GetIval()), targets)
		return
	}
	matched := e.outputNamed(n, targets)
	if !matched || !outputFirst {
		e.node(n)
	}
}

// position reports whether n is a bare integer, and notes that it matters.
func (e expr) position(n *pg.Node) bool {
	if n.GetAConst().GetIval() == nil {
		return false
	}
	e.a.exactOnly = true
	return true
}

// positional walks the output at a place. Behind a star it could be any.
func (e expr) positional(place int, targets []*pg.Node) {
	for i, t := range targets {
		if isStar(t.GetResTarget().GetVal()) || i == place-1 {
			e.node(t.GetResTarget().GetVal())
			return
		}
	}
}

// outputNamed walks the outputs that n names, if it is a name alone.
func (e expr) outputNamed(n *pg.Node, targets []*pg.Node) bool {
	fields := n.GetColumnRef().GetFields()
	if len(fields) != 1 || fields[0].GetString_() == nil {
		return false
	}
	name, found := fields[0].GetString_().GetSval(), false
	for _, t := range targets {
		if *e.a.budget--; *e.a.budget < 0 {
			return true
		}
		if t.GetResTarget().GetName() == name {
			e.node(t.GetResTarget().GetVal())
			found = true
		}
	}
	return found
}

// locking is FOR UPDATE and its like, on the named relations or on all.
func (e expr) locking(clauses []*pg.Node) {
	for _, n := range clauses {
		names := n.GetLockingClause().GetLockedRels()
		for _, src := range e.sc.sources {
			if !src.hidden && (len(names) == 0 || namedIn(src, names)) {
				e.lock(src)
			}
		}
	}
}

func (e expr) lock(src *source) {
	for _, u := range src.locked() {
		if *e.a.budget--; *e.a.budget < 0 {
			return
		}
		e.a.effect(policy.VerbUpdate, "lock", u.schema, u.name)
	}
}

func namedIn(src *source, names []*pg.Node) bool {
	for _, n := range names {
		if n.GetRangeVar().GetRelname() == src.name {
			return true
		}
	}
	return false
}
