package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// root is a walker for expressions outside of any query.
func (a *analysis) root() expr { return expr{a: a, sc: &scope{}} }

// statement analyses one statement. The families are tried in turn; a statement
// that belongs to none is opaque.
func (a *analysis) statement(n *pg.Node) {
	if a.query(n) {
		return
	}
	// Integers in other statements are options, counts and names.
	a.exactOnly = a.exactOnly || n.GetTransactionStmt() == nil
	if a.session(n) || a.data(n) || a.definition(n) || a.privilege(n) {
		return
	}
	a.st.Tag = "UNKNOWN"
	a.opaque("unknown statement")
	if n != nil {
		a.root().generic(n.ProtoReflect())
	}
}

// query is SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES.
func (a *analysis) query(n *pg.Node) bool {
	var returning []*pg.Node
	switch v := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		a.selected(n, v.SelectStmt)
		return true
	case *pg.Node_InsertStmt:
		a.st.Tag, returning = "INSERT", v.InsertStmt.GetReturningList()
	case *pg.Node_UpdateStmt:
		a.st.Tag, returning = "UPDATE", v.UpdateStmt.GetReturningList()
	case *pg.Node_DeleteStmt:
		a.st.Tag, returning = "DELETE", v.DeleteStmt.GetReturningList()
	case *pg.Node_MergeStmt:
		a.st.Tag, returning = "MERGE", v.MergeStmt.GetReturningList()
	default:
		return false
	}
	out := a.root().query(n)
	if len(returning) > 0 {
		a.st.Rows, a.st.Output = true, out
	}
	return true
}

func (a *analysis) selected(n *pg.Node, s *pg.SelectStmt) {
	a.st.Tag = "SELECT"
	a.listed = listedSetting(s)
	out := a.root().query(n)
	if leftmostInto(s) {
		a.st.Tag = "SELECT INTO"
		return
	}
	a.st.Rows, a.st.Output = true, out
}

// leftmostInto reports whether a query stores its rows. INTO stands in the first
// branch of a set operation.
func leftmostInto(s *pg.SelectStmt) bool {
	for ; s != nil; s = s.GetLarg() {
		if s.GetIntoClause() != nil {
			return true
		}
	}
	return false
}

// data are statements that move, empty, or look after rows as a whole.
func (a *analysis) data(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_CopyStmt:
		a.copy(v.CopyStmt)
	case *pg.Node_TruncateStmt:
		a.st.Tag = "TRUNCATE TABLE"
		a.eachRelation(policy.VerbDelete, "table", v.TruncateStmt.GetRelations())
		a.cascade(v.TruncateStmt.GetBehavior())
	case *pg.Node_LockStmt:
		a.st.Tag = "LOCK TABLE"
		a.eachRelation(policy.VerbUpdate, "lock", v.LockStmt.GetRelations())
	case *pg.Node_VacuumStmt:
		a.vacuum(v.VacuumStmt)
	case *pg.Node_ClusterStmt:
		a.st.Tag = "CLUSTER"
		if u := a.maintain(v.ClusterStmt.GetRelation()); v.ClusterStmt.GetRelation() != nil {
			a.reference(u, ColumnRef{Name: "*"}, true) // rows are put in the order of an index
		}
	case *pg.Node_ReindexStmt:
		a.reindex(v.ReindexStmt)
	case *pg.Node_RefreshMatViewStmt:
		a.st.Tag = "REFRESH MATERIALIZED VIEW"
		a.relation(policy.VerbUpdate, "materialized view", v.RefreshMatViewStmt.GetRelation())
	case *pg.Node_ExplainStmt:
		a.explain(v.ExplainStmt)
	case *pg.Node_CallStmt:
		a.callStmt(v.CallStmt)
	case *pg.Node_DoStmt:
		a.st.Tag = "DO"
		a.effect(policy.VerbExecute, "code", "", doLanguage(v.DoStmt))
		a.opaque("DO block")
	case *pg.Node_CheckPointStmt:
		a.st.Tag = "CHECKPOINT"
		a.effect(policy.VerbExecute, "server", "", "checkpoint")
	case *pg.Node_LoadStmt:
		a.st.Tag = "LOAD"
		a.effect(policy.VerbExecute, "file", "", v.LoadStmt.GetFilename())
		a.opaque("LOAD")
	default:
		return false
	}
	return true
}

// cascade notes that objects which the text does not name share the fate of those
// that it does.
func (a *analysis) cascade(b pg.DropBehavior) {
	if b == pg.DropBehavior_DROP_CASCADE {
		a.opaque("cascade")
	}
}

func (a *analysis) eachRelation(verb, kind string, list []*pg.Node) {
	for _, n := range list {
		a.relation(verb, kind, n.GetRangeVar())
	}
}

// maintain is upkeep of one relation, or of all that the role owns.
func (a *analysis) maintain(rv *pg.RangeVar) *use {
	if rv == nil {
		return a.effect(policy.VerbUpdate, "maintenance", "", "*")
	}
	return a.relation(policy.VerbUpdate, "maintenance", rv)
}

func (a *analysis) vacuum(s *pg.VacuumStmt) {
	a.st.Tag = "ANALYZE"
	if s.GetIsVacuumcmd() {
		a.st.Tag = "VACUUM"
	}
	if len(s.GetRels()) == 0 {
		a.maintain(nil)
	}
	for _, n := range s.GetRels() {
		a.maintain(n.GetVacuumRelation().GetRelation())
	}
}

func (a *analysis) reindex(s *pg.ReindexStmt) {
	a.st.Tag = "REINDEX"
	if s.GetRelation() != nil {
		a.maintain(s.GetRelation())
		return
	}
	a.effect(policy.VerbUpdate, "maintenance", "", orStar(s.GetName()))
}

func orStar(name string) string {
	if name == "" {
		return "*"
	}
	return name
}

// explain takes the inner effects as they are, whether or not they would happen:
// a plan shows what a policy may not want shown, and ANALYZE runs the statement.
func (a *analysis) explain(s *pg.ExplainStmt) {
	a.absorb(a.nested(s.GetQuery()))
	a.st.Tag = "EXPLAIN"
	a.st.Rows = true
	for _, n := range s.GetOptions() {
		// The value may be anything the server takes for true: without doubt only
		// where there is none.
		if strings.EqualFold(n.GetDefElem().GetDefname(), "analyze") {
			a.st.Analyze = n.GetDefElem().GetArg() == nil || !isFalse(constantText(n.GetDefElem().GetArg()))
		}
	}
}

func (a *analysis) callStmt(s *pg.CallStmt) {
	a.st.Tag = "CALL"
	schema, name := qualifiedName(s.GetFunccall().GetFuncname())
	a.effect(policy.VerbExecute, "procedure", schema, name)
	a.st.UnknownFunctions = true
	a.st.Rows = true
	a.called(schema, name)
	a.opaque("procedure")
	a.root().arguments(s.GetFunccall())
}

func doLanguage(s *pg.DoStmt) string {
	for _, n := range s.GetArgs() {
		if n.GetDefElem().GetDefname() == "language" {
			return constantText(n.GetDefElem().GetArg())
		}
	}
	return "plpgsql"
}
