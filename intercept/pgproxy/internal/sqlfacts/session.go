package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// session are statements that change the session and what it holds.
func (a *analysis) session(n *pg.Node) bool {
	return a.sessionState(n) || a.cursor(n) || a.prepared(n) || a.channel(n)
}

func (a *analysis) sessionState(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_TransactionStmt:
		a.transaction(v.TransactionStmt)
		return true
	case *pg.Node_VariableSetStmt:
		a.variableSet(v.VariableSetStmt)
		return true
	case *pg.Node_VariableShowStmt:
		a.st.Tag, a.st.Rows = "SHOW", true
		name := lower(v.VariableShowStmt.GetName())
		a.effect(policy.VerbRead, "setting", "", allStar(name))
		a.st.Output = showOutput(name)
		return true
	case *pg.Node_ConstraintsSetStmt:
		a.st.Tag = "SET CONSTRAINTS"
		a.effect(policy.VerbUpdate, "transaction", "", "constraints")
		return true
	case *pg.Node_DiscardStmt:
		a.discard(v.DiscardStmt)
		return true
	}
	return false
}

// showOutput describes SHOW: a value of the session, or a list of all.
func showOutput(name string) []OutputColumn {
	if name != "all" {
		return []OutputColumn{{Name: name, Pure: true}}
	}
	return []OutputColumn{{Name: "name", Pure: true}, {Name: "setting", Pure: true}, {Name: "description", Pure: true}}
}

func allStar(name string) string {
	if name == "all" {
		return "*"
	}
	return name
}

func (a *analysis) transaction(s *pg.TransactionStmt) {
	kind, tag := transactionKind(s.GetKind())
	a.st.Transaction, a.st.Tag = kind, tag
	a.st.Savepoint, a.st.GlobalID = s.GetSavepointName(), s.GetGid()
	a.effect(policy.VerbExecute, "transaction", "", lower(tag))
	if kind == TransactionNone {
		a.opaque("unknown statement")
	}
	a.transactionModes(s.GetOptions(), true)
}

func transactionKind(k pg.TransactionStmtKind) (TransactionKind, string) {
	switch k {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN:
		return TransactionBegin, "BEGIN"
	case pg.TransactionStmtKind_TRANS_STMT_START:
		return TransactionBegin, "START TRANSACTION"
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		return TransactionCommit, "COMMIT"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		return TransactionRollback, "ROLLBACK"
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		return TransactionSavepoint, "SAVEPOINT"
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		return TransactionRelease, "RELEASE"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		return TransactionRollbackTo, "ROLLBACK"
	case pg.TransactionStmtKind_TRANS_STMT_PREPARE:
		return TransactionPrepare, "PREPARE TRANSACTION"
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:
		return TransactionCommitPrepared, "COMMIT PREPARED"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		return TransactionRollbackPrepared, "ROLLBACK PREPARED"
	default:
		return TransactionNone, "UNKNOWN"
	}
}

func (a *analysis) discard(s *pg.DiscardStmt) {
	a.st.Discards = map[pg.DiscardMode]string{
		pg.DiscardMode_DISCARD_ALL: "all", pg.DiscardMode_DISCARD_PLANS: "plans",
		pg.DiscardMode_DISCARD_SEQUENCES: "sequences", pg.DiscardMode_DISCARD_TEMP: "temp",
	}[s.GetTarget()]
	a.st.Tag = "DISCARD " + upper(a.st.Discards)
	a.effect(policy.VerbUpdate, "session", "", "discard "+a.st.Discards)
	switch a.st.Discards {
	case "all":
		a.applySetting(Setting{Name: "session_authorization", Reset: true})
		a.applySetting(Setting{Reset: true, All: true})
		a.st.DeallocatesAll, a.st.ClosesAll, a.st.ChangesCatalog = true, true, true
	case "temp":
		a.st.ChangesCatalog = true
	}
}

// cursor are DECLARE, FETCH, MOVE and CLOSE.
func (a *analysis) cursor(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_DeclareCursorStmt:
		a.declare(v.DeclareCursorStmt)
	case *pg.Node_FetchStmt:
		a.st.Tag, a.st.Rows = "FETCH", true
		if v.FetchStmt.GetIsmove() {
			a.st.Tag, a.st.Rows = "MOVE", false
		}
		a.st.Fetches = v.FetchStmt.GetPortalname()
		a.effect(policy.VerbRead, "cursor", "", a.st.Fetches)
	case *pg.Node_ClosePortalStmt:
		a.st.Tag = "CLOSE CURSOR"
		a.st.Closes = v.ClosePortalStmt.GetPortalname()
		if a.st.Closes == "" {
			a.st.Tag, a.st.ClosesAll = "CLOSE CURSOR ALL", true
		}
		a.effect(policy.VerbUpdate, "cursor", "", orStar(a.st.Closes))
	default:
		return false
	}
	return true
}

// cursorHold is the WITH HOLD bit of a cursor's options.
const cursorHold = 0x20

func (a *analysis) declare(s *pg.DeclareCursorStmt) {
	a.absorb(a.nested(s.GetQuery()))
	a.st.Tag = "DECLARE CURSOR"
	a.st.Declares = s.GetPortalname()
	a.st.CursorHold = s.GetOptions()&cursorHold != 0
	a.st.Where = a.st.Inner.Where
	a.effect(policy.VerbCreate, "cursor", "", a.st.Declares)
}

// prepared are PREPARE, EXECUTE and DEALLOCATE. The inner statement's effects
// happen when it is executed: whoever tracks the names looks there.
func (a *analysis) prepared(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_PrepareStmt:
		inner := a.nested(v.PrepareStmt.GetQuery())
		a.st.Inner = inner.finish()
		a.st.Tag, a.st.Prepares = "PREPARE", v.PrepareStmt.GetName()
		a.effect(policy.VerbCreate, "statement", "", a.st.Prepares)
		for _, reason := range a.st.Inner.Opaque {
			a.opaque(reason)
		}
	case *pg.Node_ExecuteStmt:
		a.st.Tag, a.st.Executes, a.st.Rows = "EXECUTE", v.ExecuteStmt.GetName(), true
		a.effect(policy.VerbExecute, "statement", "", a.st.Executes)
		a.root().nodes(v.ExecuteStmt.GetParams())
	case *pg.Node_DeallocateStmt:
		a.st.Tag = "DEALLOCATE"
		a.st.Deallocates = v.DeallocateStmt.GetName()
		if a.st.Deallocates == "" {
			a.st.Tag, a.st.DeallocatesAll = "DEALLOCATE ALL", true
		}
		a.effect(policy.VerbDelete, "statement", "", orStar(a.st.Deallocates))
	default:
		return false
	}
	return true
}

// channel are LISTEN, NOTIFY and UNLISTEN.
func (a *analysis) channel(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_ListenStmt:
		a.st.Tag = "LISTEN"
		a.effect(policy.VerbRead, "channel", "", v.ListenStmt.GetConditionname())
	case *pg.Node_UnlistenStmt:
		a.st.Tag = "UNLISTEN"
		a.effect(policy.VerbUpdate, "channel", "", orStar(v.UnlistenStmt.GetConditionname()))
	case *pg.Node_NotifyStmt:
		a.st.Tag = "NOTIFY"
		a.effect(policy.VerbExecute, "channel", "", v.NotifyStmt.GetConditionname())
	default:
		return false
	}
	return true
}
