package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// A target is the relation that a statement writes. WITH queries never hide it.
// Columns that the statement reads of it are an effect of their own, so that what
// is written and what is read stay apart.
func (e expr) target(verb string, rv *pg.RangeVar) (*use, *source) {
	write := e.a.relation(verb, "table", rv)
	read := &use{verb: policy.VerbRead, kind: "table", schema: rv.GetSchemaname(), name: rv.GetRelname()}
	src := &source{name: rv.GetRelname(), schema: rv.GetSchemaname(), use: read}
	if alias := rv.GetAlias(); alias != nil {
		src.name, src.schema = alias.GetAliasname(), ""
	}
	return write, src
}

// settle hands the filters found on a target to its write, and adds the read if
// columns were read.
func (e expr) settle(write *use, src *source) {
	for _, ref := range src.use.filtered.list {
		write.filtered.add(ref)
	}
	if len(src.use.columns.list) > 0 {
		e.a.uses = append(e.a.uses, src.use)
	}
}

func (e expr) insert(s *pg.InsertStmt) []OutputColumn {
	e.with(s.GetWithClause())
	write, target := e.target(policy.VerbCreate, s.GetRelation())
	e.assigned(write, s.GetCols())
	if len(s.GetCols()) == 0 && s.GetSelectStmt() != nil {
		write.columns.add(ColumnRef{Name: "*"})
	}
	var inserted []OutputColumn
	if s.GetSelectStmt() != nil {
		inserted = e.query(s.GetSelectStmt())
		e.a.st.WritesSelected = e.a.st.WritesSelected || len(s.GetSelectStmt().GetSelectStmt().GetValuesLists()) == 0
		e.a.derived(inserted)
	}
	rows := e
	rows.sc = &scope{outer: e.sc.outer, ctes: e.sc.ctes, sources: []*source{target}}
	rows.conflict(s, allPure(inserted))
	out := rows.targets(s.GetReturningList())
	rows.settle(write, target)
	return out
}

func allPure(columns []OutputColumn) bool {
	for _, c := range columns {
		if !c.Pure {
			return false
		}
	}
	return true
}

// assigned notes the columns that a statement writes. Subscripts are stored as the
// values are: as keys of a document, as bounds of an array.
func (e expr) assigned(write *use, columns []*pg.Node) {
	for _, n := range columns {
		t := n.GetResTarget()
		e.a.reference(write, ColumnRef{Name: t.GetName()}, false)
		e.storing(t.GetIndirection()...)
	}
}

// storing walks expressions whose values are stored.
func (e expr) storing(values ...*pg.Node) {
	var lin lineage
	e.tracing(&lin).nodes(values)
	if !lin.pure() {
		e.a.wroteDerived = true
	}
	e.a.st.WritesSelected = e.a.st.WritesSelected || lin.selected || lin.counting || lin.metadata
}

// conflict is ON CONFLICT. The row that was to be inserted is called excluded.
func (e expr) conflict(s *pg.InsertStmt, pure bool) {
	c := s.GetOnConflictClause()
	if c == nil {
		return
	}
	by := e.filtering()
	for _, n := range c.GetInfer().GetIndexElems() {
		by.indexElement(n.GetIndexElem())
	}
	by.node(c.GetInfer().GetWhereClause())
	if c.GetAction() != pg.OnConflictAction_ONCONFLICT_UPDATE {
		return
	}
	write := e.a.relation(policy.VerbUpdate, "table", s.GetRelation())
	e.sc.sources = append(e.sc.sources, &source{name: "excluded", row: true, pure: pure})
	e.assign(write, c.GetTargetList())
	e.filtering().node(c.GetWhereClause())
	e.sc.sources = e.sc.sources[:1]
	for _, ref := range e.sc.sources[0].use.filtered.list {
		write.filtered.add(ref)
	}
}

// indexElement is a column or expression of an index.
func (e expr) indexElement(el *pg.IndexElem) {
	if el.GetName() != "" {
		e.unqualified(el.GetName())
	}
	e.node(el.GetExpr())
}

// assign is a SET list: columns written, and values, which can come from relations.
func (e expr) assign(write *use, list []*pg.Node) {
	e.assigned(write, list)
	for _, n := range list {
		e.storing(n.GetResTarget().GetVal())
	}
}

func (e expr) update(s *pg.UpdateStmt) []OutputColumn {
	e.with(s.GetWithClause())
	write, target := e.target(policy.VerbUpdate, s.GetRelation())
	e.sc.sources = append(e.sc.sources, target)
	e.from(s.GetFromClause())
	e.assign(write, s.GetTargetList())
	return e.affected(write, target, s.GetWhereClause(), s.GetReturningList())
}

func (e expr) delete(s *pg.DeleteStmt) []OutputColumn {
	e.with(s.GetWithClause())
	write, target := e.target(policy.VerbDelete, s.GetRelation())
	e.sc.sources = append(e.sc.sources, target)
	e.from(s.GetUsingClause())
	return e.affected(write, target, s.GetWhereClause(), s.GetReturningList())
}

// affected is what UPDATE and DELETE have in common.
func (e expr) affected(write *use, target *source, where *pg.Node, returning []*pg.Node) []OutputColumn {
	if where != nil {
		e.a.where(e.sc)
	}
	e.filtering().node(where)
	out := e.targets(returning)
	e.settle(write, target)
	return out
}

// merge writes a relation in up to three ways. Each WHEN clause adds an effect.
func (e expr) merge(s *pg.MergeStmt) []OutputColumn {
	e.with(s.GetWithClause())
	if s.GetJoinCondition() != nil {
		e.a.where(e.sc)
	}
	filter, target := e.target(policy.VerbRead, s.GetRelation())
	e.sc.sources = append(e.sc.sources, target)
	e.from([]*pg.Node{s.GetSourceRelation()})
	e.filtering().node(s.GetJoinCondition())
	for _, n := range s.GetMergeWhenClauses() {
		e.mergeWhen(s.GetRelation(), n.GetMergeWhenClause())
	}
	out := e.targets(s.GetReturningList())
	for _, ref := range target.use.columns.list {
		filter.columns.add(ref)
	}
	for _, ref := range target.use.filtered.list {
		filter.filtered.add(ref)
	}
	return out
}

func (e expr) mergeWhen(rv *pg.RangeVar, w *pg.MergeWhenClause) {
	e.filtering().node(w.GetCondition())
	switch w.GetCommandType() {
	case pg.CmdType_CMD_INSERT:
		write := e.a.relation(policy.VerbCreate, "table", rv)
		e.assigned(write, w.GetTargetList())
		if len(w.GetTargetList()) == 0 {
			write.columns.add(ColumnRef{Name: "*"})
		}
		e.a.derived(e.valueRow(w.GetValues()))
	case pg.CmdType_CMD_UPDATE:
		e.assign(e.a.relation(policy.VerbUpdate, "table", rv), w.GetTargetList())
	case pg.CmdType_CMD_DELETE:
		e.a.relation(policy.VerbDelete, "table", rv)
	case pg.CmdType_CMD_NOTHING:
	default:
		e.a.opaque("unknown statement")
	}
}

// derived notes that rows with these columns are stored or sent somewhere.
func (a *analysis) derived(columns []OutputColumn) {
	for _, c := range columns {
		if !c.Pure && !c.Metadata && !c.Counting {
			a.wroteDerived = true
		}
		a.st.WritesSelected = a.st.WritesSelected || !c.Pure || c.Selected
	}
}

// into is the relation that SELECT INTO or CREATE TABLE AS makes.
func (a *analysis) into(into *pg.IntoClause) {
	rv := into.GetRel()
	a.relation(policy.VerbDefine, "table", rv)
	a.relation(policy.VerbCreate, "table", rv)
	a.created(rv)
	a.st.ChangesCatalog, a.st.WritesSelected = true, true
}

// created notes a relation that may come to be in a temporary schema.
func (a *analysis) created(rv *pg.RangeVar) {
	if rv.GetRelpersistence() == "t" || isTempSchema(rv.GetSchemaname()) {
		a.st.CreatesTemp = true
	}
}
