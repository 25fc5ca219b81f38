package sqlfacts

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// definition is DDL. Everything that such a statement holds is walked, so that
// the functions and queries in defaults, checks and bodies are found.
func (a *analysis) definition(n *pg.Node) bool {
	known := a.createRelation(n) || a.createCode(n) || a.createOther(n) || a.alterObject(n) ||
		a.alterOther(n) || a.drop(n)
	if known {
		a.st.ChangesCatalog = true
	}
	return known
}

// define sets the tag and adds the effect of DDL.
func (a *analysis) define(tag, kind, schema, name string) {
	a.st.Tag = tag
	a.effect(policy.VerbDefine, kind, schema, name)
}

func (a *analysis) defineRelation(tag, kind string, rv *pg.RangeVar) {
	a.created(rv)
	a.define(tag, kind, rv.GetSchemaname(), rv.GetRelname())
}

// defineNamed is define for a name in parts.
func (a *analysis) defineNamed(tag, kind string, name []*pg.Node) {
	schema, last := qualifiedName(name)
	if isTempSchema(schema) {
		a.st.CreatesTemp = true
	}
	a.define(tag, kind, schema, last)
}

// on returns a walker in which column names mean those of a relation that is
// being defined, and are not reads.
func (a *analysis) on(rv *pg.RangeVar) expr {
	e := a.root()
	e.sc.sources = []*source{{name: rv.GetRelname(), schema: rv.GetSchemaname(), pure: true}}
	return e
}

// createRelation are the statements that make relations.
func (a *analysis) createRelation(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_CreateStmt:
		a.createTable(v.CreateStmt, "CREATE TABLE", "table")
	case *pg.Node_CreateForeignTableStmt:
		a.createTable(v.CreateForeignTableStmt.GetBaseStmt(), "CREATE FOREIGN TABLE", "foreign table")
		a.effect(policy.VerbRead, "server", "", v.CreateForeignTableStmt.GetServername())
	case *pg.Node_CreateTableAsStmt:
		a.createTableAs(v.CreateTableAsStmt)
	case *pg.Node_ViewStmt:
		a.defineRelation("CREATE VIEW", "view", v.ViewStmt.GetView())
		a.stored(v.ViewStmt.GetQuery())
	case *pg.Node_CreateSeqStmt:
		a.defineRelation("CREATE SEQUENCE", "sequence", v.CreateSeqStmt.GetSequence())
	case *pg.Node_IndexStmt:
		a.createIndex(v.IndexStmt)
	case *pg.Node_CompositeTypeStmt:
		a.defineRelation("CREATE TYPE", "type", v.CompositeTypeStmt.GetTypevar())
	case *pg.Node_CreateStatsStmt:
		a.statistics(v.CreateStatsStmt)
	default:
		return false
	}
	return true
}

func (a *analysis) createTable(s *pg.CreateStmt, tag, kind string) {
	a.defineRelation(tag, kind, s.GetRelation())
	for _, n := range s.GetInhRelations() {
		a.relation(policy.VerbDefine, "table", n.GetRangeVar())
		if s.GetPartbound() != nil {
			a.bounded(relationOf(n.GetRangeVar()))
		}
	}
	e := a.on(s.GetRelation())
	e.definitions(s.GetTableElts())
	e.definitions(s.GetConstraints())
	e.nodes(s.GetPartspec().GetPartParams())
	if s.GetPartbound() != nil {
		e.generic(s.GetPartbound().ProtoReflect())
	}
}

// bounded notes tables whose rows are held against the bounds of a partition: those
// of the partition, and of the one that takes what fits nowhere else.
func (a *analysis) bounded(tables ...Relation) { a.st.Bounded = append(a.st.Bounded, tables...) }

func relationOf(rv *pg.RangeVar) Relation {
	return Relation{Schema: rv.GetSchemaname(), Name: rv.GetRelname()}
}

// filtersOf walks conditions that will decide which rows of a table are met.
func (a *analysis) filtersOf(rv *pg.RangeVar, conditions ...*pg.Node) {
	read := &use{verb: policy.VerbRead, kind: "table", schema: rv.GetSchemaname(), name: rv.GetRelname()}
	e := a.root()
	e.sc.sources = []*source{{name: rv.GetRelname(), schema: rv.GetSchemaname(), use: read}}
	e.filtering().nodes(conditions)
	if len(read.filtered.list) > 0 {
		a.uses = append(a.uses, read)
	}
}

// definitions walks column definitions, constraints and LIKE clauses.
func (e expr) definitions(list []*pg.Node) {
	for _, n := range list {
		switch v := n.GetNode().(type) {
		case *pg.Node_ColumnDef:
			e.node(v.ColumnDef.GetRawDefault())
			e.definitions(v.ColumnDef.GetConstraints())
		case *pg.Node_Constraint:
			e.constraint(v.Constraint)
		case *pg.Node_TableLikeClause:
			e.a.relation(policy.VerbRead, "table", v.TableLikeClause.GetRelation())
		default:
			e.node(n)
		}
	}
}

// constraint walks a constraint. Whether the rows that are there satisfy it tells
// of their values, as a filter does; a foreign key can be used to find out values of
// the table that it refers to.
func (e expr) constraint(c *pg.Constraint) {
	by := e.filtering()
	switch c.GetContype() {
	case pg.ConstrType_CONSTR_GENERATED:
		e.node(c.GetRawExpr())
		e.a.wroteDerived = true
	case pg.ConstrType_CONSTR_CHECK:
		by.node(c.GetRawExpr())
	default:
		e.node(c.GetRawExpr())
	}
	by.node(c.GetWhereClause())
	for _, n := range c.GetExclusions() {
		by.exclusion(n.GetList().GetItems())
	}
	for _, name := range slices.Concat(stringsOf(c.GetKeys()), stringsOf(c.GetFkAttrs())) {
		by.unqualified(name)
	}
	if c.GetPktable() != nil {
		u := e.a.relation(policy.VerbRead, "table", c.GetPktable())
		for _, name := range stringsOf(c.GetPkAttrs()) {
			e.a.reference(u, ColumnRef{Name: name}, true)
		}
	}
}

// exclusion is an element of EXCLUDE and its operator.
func (e expr) exclusion(items []*pg.Node) {
	for _, n := range items {
		if el := n.GetIndexElem(); el != nil {
			e.indexElement(el)
			continue
		}
		e.operator(n.GetList().GetItems())
	}
}

func (a *analysis) createTableAs(s *pg.CreateTableAsStmt) {
	tag, kind := "CREATE TABLE AS", "table"
	if s.GetObjtype() == pg.ObjectType_OBJECT_MATVIEW {
		tag, kind = "CREATE MATERIALIZED VIEW", "materialized view"
	}
	inner := a.nested(s.GetQuery())
	a.absorb(inner)
	if a.st.Inner.Output == nil && a.st.Inner.Executes != "" {
		a.st.Executes = a.st.Inner.Executes // CREATE TABLE AS EXECUTE
		a.wroteDerived = true
	}
	a.defineRelation(tag, kind, s.GetInto().GetRel())
	a.relation(policy.VerbCreate, kind, s.GetInto().GetRel())
	a.derived(a.st.Inner.Output)
}

// stored is a query that a definition keeps to be run later.
func (a *analysis) stored(query *pg.Node) {
	inner := a.nested(query)
	a.absorb(inner)
	a.derived(a.st.Inner.Output)
}

func (a *analysis) createIndex(s *pg.IndexStmt) {
	a.define("CREATE INDEX", "index", s.GetRelation().GetSchemaname(), orStar(s.GetIdxname()))
	u := a.relation(policy.VerbDefine, "table", s.GetRelation())
	e := a.root()
	e.sc.sources = []*source{{name: u.name, schema: u.schema, use: u}}
	by := e.filtering()
	for _, n := range s.GetIndexParams() {
		by.indexElement(n.GetIndexElem())
	}
	by.node(s.GetWhereClause())
}

// statistics are kept on columns and expressions over a relation.
func (a *analysis) statistics(s *pg.CreateStatsStmt) {
	a.defineNamed("CREATE STATISTICS", "statistics", s.GetDefnames())
	e := a.root()
	e.from(s.GetRelations())
	for _, n := range s.GetExprs() {
		if name := n.GetStatsElem().GetName(); name != "" {
			e.unqualified(name)
		}
		e.filtering().node(n.GetStatsElem().GetExpr()) // ANALYZE fails where it does
	}
}
