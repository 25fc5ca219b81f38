package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// createCode are the statements that store code to be run later.
func (a *analysis) createCode(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_CreateFunctionStmt:
		a.createFunction(v.CreateFunctionStmt)
	case *pg.Node_CreateTrigStmt:
		a.createTrigger(v.CreateTrigStmt)
	case *pg.Node_CreateEventTrigStmt:
		a.define("CREATE EVENT TRIGGER", "event trigger", "", v.CreateEventTrigStmt.GetTrigname())
		a.executes(v.CreateEventTrigStmt.GetFuncname())
		a.opaque("trigger")
	case *pg.Node_RuleStmt:
		a.createRule(v.RuleStmt)
	case *pg.Node_CreatePolicyStmt:
		a.policyStmt("CREATE POLICY", v.CreatePolicyStmt.GetPolicyName(), v.CreatePolicyStmt.GetTable(),
			v.CreatePolicyStmt.GetQual(), v.CreatePolicyStmt.GetWithCheck())
	case *pg.Node_AlterPolicyStmt:
		a.policyStmt("ALTER POLICY", v.AlterPolicyStmt.GetPolicyName(), v.AlterPolicyStmt.GetTable(),
			v.AlterPolicyStmt.GetQual(), v.AlterPolicyStmt.GetWithCheck())
	case *pg.Node_CreatePlangStmt:
		a.define("CREATE LANGUAGE", "language", "", v.CreatePlangStmt.GetPlname())
		a.executes(v.CreatePlangStmt.GetPlhandler())
		a.opaque("language")
	case *pg.Node_CreateExtensionStmt:
		a.define("CREATE EXTENSION", "extension", "", v.CreateExtensionStmt.GetExtname())
		a.opaque("extension script")
	case *pg.Node_AlterExtensionStmt:
		a.define("ALTER EXTENSION", "extension", "", v.AlterExtensionStmt.GetExtname())
		a.opaque("extension script")
	case *pg.Node_ReturnStmt, *pg.Node_PlassignStmt, *pg.Node_InlineCodeBlock, *pg.Node_CallContext:
		a.st.Tag = "UNKNOWN" // parts of bodies, never statements of their own
		a.opaque("unknown statement")
		a.root().generic(n.ProtoReflect())
	default:
		return false
	}
	return true
}

// executes notes a function that will be called.
func (a *analysis) executes(name []*pg.Node) {
	if len(name) == 0 {
		return
	}
	schema, last := qualifiedName(name)
	a.called(schema, last)
	a.effect(policy.VerbExecute, "function", schema, last)
	a.st.UnknownFunctions = true
}

func (a *analysis) createFunction(s *pg.CreateFunctionStmt) {
	kind := "function"
	if s.GetIsProcedure() {
		kind = "procedure"
	}
	a.defineNamed("CREATE "+upper(kind), kind, s.GetFuncname())
	a.opaque(kind + " body")
	a.wroteDerived = true
	for _, n := range s.GetOptions() {
		a.functionOption(n.GetDefElem())
	}
	for _, n := range s.GetParameters() {
		a.root().node(n.GetFunctionParameter().GetDefexpr())
	}
	if s.GetSqlBody() != nil {
		a.body(s.GetSqlBody())
	}
}

// body walks the statements of a function body that the grammar has parsed.
func (a *analysis) body(n *pg.Node) {
	switch v := n.GetNode().(type) {
	case *pg.Node_List:
		for _, item := range v.List.GetItems() {
			a.body(item)
		}
	case *pg.Node_ReturnStmt:
		a.root().node(v.ReturnStmt.GetReturnval())
	default:
		inner := a.nested(n)
		in := inner.finish()
		a.uses = append(a.uses, inner.uses...)
		a.inherit(in)
	}
}

// functionOption is one option of CREATE or ALTER FUNCTION.
func (a *analysis) functionOption(d *pg.DefElem) {
	switch d.GetDefname() {
	case "security":
		if d.GetArg().GetBoolean().GetBoolval() {
			a.opaque("security definer")
		}
	case "set":
		a.change(d.GetArg().GetVariableSetStmt(), "function")
	case "support":
		a.executes(d.GetArg().GetList().GetItems())
	case "language":
		a.effect(policy.VerbRead, "language", "", constantText(d.GetArg()))
	}
}

func (a *analysis) createTrigger(s *pg.CreateTrigStmt) {
	a.define("CREATE TRIGGER", "trigger", s.GetRelation().GetSchemaname(), s.GetTrigname())
	a.relation(policy.VerbDefine, "table", s.GetRelation())
	a.executes(s.GetFuncname())
	a.opaque("trigger")
	a.wroteDerived = true
	e := a.on(s.GetRelation())
	e.node(s.GetWhenClause())
	if s.GetConstrrel() != nil {
		a.relation(policy.VerbRead, "table", s.GetConstrrel())
	}
}

// createRule stores statements that replace or accompany others.
func (a *analysis) createRule(s *pg.RuleStmt) {
	a.define("CREATE RULE", "rule", s.GetRelation().GetSchemaname(), s.GetRulename())
	a.relation(policy.VerbDefine, "table", s.GetRelation())
	a.opaque("rule")
	a.wroteDerived = true
	a.on(s.GetRelation()).node(s.GetWhereClause())
	for _, n := range s.GetActions() {
		a.body(n)
	}
}

func (a *analysis) policyStmt(tag, name string, table *pg.RangeVar, quals ...*pg.Node) {
	a.define(tag, "policy", table.GetSchemaname(), name)
	a.relation(policy.VerbGrant, "table", table)
	a.filtersOf(table, quals...)
}
