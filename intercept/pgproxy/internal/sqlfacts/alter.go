package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// alterObject are the ALTER statements that work on many types of objects.
func (a *analysis) alterObject(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_AlterTableStmt:
		a.alterTable(v.AlterTableStmt)
	case *pg.Node_RenameStmt:
		a.rename(v.RenameStmt)
	case *pg.Node_AlterObjectSchemaStmt:
		s := v.AlterObjectSchemaStmt
		a.alter(s.GetObjectType(), s.GetRelation(), s.GetObject())
		a.effect(policy.VerbDefine, "schema", "", s.GetNewschema())
		a.st.Renames = true
		if isTempSchema(s.GetNewschema()) {
			a.st.CreatesTemp = true
		}
	case *pg.Node_AlterOwnerStmt:
		s := v.AlterOwnerStmt
		a.alter(s.GetObjectType(), s.GetRelation(), s.GetObject())
		a.effect(policy.VerbGrant, "role", "", roleName(s.GetNewowner()))
	case *pg.Node_AlterObjectDependsStmt:
		s := v.AlterObjectDependsStmt
		a.alter(s.GetObjectType(), s.GetRelation(), s.GetObject())
		a.effect(policy.VerbDefine, "extension", "", s.GetExtname().GetSval())
	case *pg.Node_AlterSeqStmt:
		a.defineRelation("ALTER SEQUENCE", "sequence", v.AlterSeqStmt.GetSequence())
	case *pg.Node_AlterFunctionStmt:
		a.alterFunction(v.AlterFunctionStmt)
	default:
		return false
	}
	return true
}

// alter adds the effect of altering an object that is named as a relation, or
// otherwise.
func (a *analysis) alter(t pg.ObjectType, rv *pg.RangeVar, object *pg.Node) {
	a.st.Tag = "ALTER " + objectTag(t)
	if rv == nil {
		a.object(policy.VerbDefine, t, object)
		return
	}
	kind := objectKind(t)
	if belongs(t) {
		kind = "table"
	}
	a.relation(policy.VerbDefine, kind, rv)
}

func (a *analysis) rename(s *pg.RenameStmt) {
	t := s.GetRenameType()
	a.st.Renames = true
	if t == pg.ObjectType_OBJECT_COLUMN || t == pg.ObjectType_OBJECT_ATTRIBUTE {
		t = s.GetRelationType()
	}
	switch {
	case s.GetRelation() == nil && s.GetObject() == nil: // roles, databases and such
		a.st.Tag = "ALTER " + objectTag(t)
		a.effect(policy.VerbDefine, objectKind(t), "", s.GetSubname())
	default:
		a.alter(t, s.GetRelation(), s.GetObject())
	}
	if !isPart(s.GetRenameType()) {
		a.effect(policy.VerbDefine, objectKind(t), s.GetRelation().GetSchemaname(), s.GetNewname())
	}
}

// isPart reports that a name is one inside of another object.
func isPart(t pg.ObjectType) bool {
	switch t {
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_ATTRIBUTE,
		pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_DOMCONSTRAINT:
		return true
	default:
		return false
	}
}

// alterTable walks each subcommand for what it evaluates or refers to. Rows that
// are there already are checked or computed anew, which reads them.
func (a *analysis) alterTable(s *pg.AlterTableStmt) {
	rv := s.GetRelation()
	a.defineRelation("ALTER "+objectTag(s.GetObjtype()), objectKind(s.GetObjtype()), rv)
	read := &use{verb: policy.VerbRead, kind: "table", schema: rv.GetSchemaname(), name: rv.GetRelname()}
	e := a.root()
	e.sc.sources = []*source{{name: rv.GetRelname(), schema: rv.GetSchemaname(), use: read}}
	for _, n := range s.GetCmds() {
		e.alterCommand(n.GetAlterTableCmd())
	}
	if len(read.columns.list)+len(read.filtered.list) > 0 {
		a.uses = append(a.uses, read)
	}
}

func (e expr) alterCommand(c *pg.AlterTableCmd) {
	e.a.cascade(c.GetBehavior())
	if c.GetNewowner() != nil {
		e.a.effect(policy.VerbGrant, "role", "", roleName(c.GetNewowner()))
	}
	switch v := c.GetDef().GetNode().(type) {
	case nil:
	case *pg.Node_ColumnDef, *pg.Node_Constraint:
		e.definitions([]*pg.Node{c.GetDef()})
	case *pg.Node_RangeVar: // INHERIT and NO INHERIT
		e.a.relation(policy.VerbDefine, "table", v.RangeVar)
	case *pg.Node_PartitionCmd:
		if v.PartitionCmd.GetName() != nil {
			e.a.relation(policy.VerbDefine, "table", v.PartitionCmd.GetName())
		}
		e.generic(v.PartitionCmd.GetBound().ProtoReflect())
	case *pg.Node_TypeName:
		e.cast(v.TypeName)
	default:
		e.node(c.GetDef())
	}
	switch c.GetSubtype() {
	case pg.AlterTableType_AT_SetNotNull:
		e.filtering().unqualified(c.GetName())
	case pg.AlterTableType_AT_ClusterOn:
		e.filtering().allColumns()
	case pg.AlterTableType_AT_AttachPartition:
		e.a.bounded(Relation{Schema: e.sc.sources[0].schema, Name: e.sc.sources[0].name}, relationOf(c.GetDef().GetPartitionCmd().GetName()))
	case pg.AlterTableType_AT_AlterColumnType:
		e.filtering().unqualified(c.GetName()) // values that do not fit are complained of
		if c.GetDef().GetColumnDef().GetRawDefault() != nil {
			e.a.wroteDerived = true
		}
	case pg.AlterTableType_AT_EnableRowSecurity, pg.AlterTableType_AT_DisableRowSecurity,
		pg.AlterTableType_AT_ForceRowSecurity, pg.AlterTableType_AT_NoForceRowSecurity:
		e.a.effect(policy.VerbGrant, "row security", "", e.sc.sources[0].name)
	case pg.AlterTableType_AT_SetExpression:
		e.a.wroteDerived = true
	case pg.AlterTableType_AT_DropInherit, pg.AlterTableType_AT_DetachPartition, pg.AlterTableType_AT_DropExpression:
		e.a.st.Renames = true
	default:
	}
}

func (a *analysis) alterFunction(s *pg.AlterFunctionStmt) {
	kind := objectKind(s.GetObjtype())
	a.defineNamed("ALTER "+upper(kind), kind, s.GetFunc().GetObjname())
	for _, n := range s.GetActions() {
		a.functionOption(n.GetDefElem())
	}
}

// alterOther are the ALTER statements of one type of object each.
func (a *analysis) alterOther(n *pg.Node) bool {
	return a.alterNamed(n) || a.alterServer(n) || a.alterType(n)
}

func (a *analysis) alterNamed(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_AlterTableSpaceOptionsStmt:
		a.define("ALTER TABLESPACE", "tablespace", "", v.AlterTableSpaceOptionsStmt.GetTablespacename())
	case *pg.Node_AlterTableMoveAllStmt:
		a.define("ALTER "+objectTag(v.AlterTableMoveAllStmt.GetObjtype()), "tablespace", "", v.AlterTableMoveAllStmt.GetOrigTablespacename())
		a.effect(policy.VerbDefine, "tablespace", "", v.AlterTableMoveAllStmt.GetNewTablespacename())
	case *pg.Node_AlterExtensionContentsStmt:
		s := v.AlterExtensionContentsStmt
		a.object(policy.VerbDefine, s.GetObjtype(), s.GetObject())
		a.define("ALTER EXTENSION", "extension", "", s.GetExtname())
	case *pg.Node_AlterFdwStmt:
		a.define("ALTER FOREIGN DATA WRAPPER", "foreign data wrapper", "", v.AlterFdwStmt.GetFdwname())
		a.opaque("functions bound to an object")
	case *pg.Node_AlterForeignServerStmt:
		a.define("ALTER SERVER", "server", "", v.AlterForeignServerStmt.GetServername())
	case *pg.Node_AlterUserMappingStmt:
		a.define("ALTER USER MAPPING", "user mapping", "", v.AlterUserMappingStmt.GetServername())
	case *pg.Node_AlterEventTrigStmt:
		a.define("ALTER EVENT TRIGGER", "event trigger", "", v.AlterEventTrigStmt.GetTrigname())
	default:
		return false
	}
	return true
}

// alterServer are the statements that change a database or the whole server.
func (a *analysis) alterServer(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_AlterDatabaseStmt:
		a.define("ALTER DATABASE", "database", "", v.AlterDatabaseStmt.GetDbname())
	case *pg.Node_AlterDatabaseRefreshCollStmt:
		a.define("ALTER DATABASE", "database", "", v.AlterDatabaseRefreshCollStmt.GetDbname())
	case *pg.Node_AlterDatabaseSetStmt:
		a.define("ALTER DATABASE", "database", "", v.AlterDatabaseSetStmt.GetDbname())
		a.change(v.AlterDatabaseSetStmt.GetSetstmt(), "database")
	case *pg.Node_AlterSystemStmt:
		a.st.Tag = "ALTER SYSTEM"
		a.effect(policy.VerbExecute, "server", "", "alter system")
		a.change(v.AlterSystemStmt.GetSetstmt(), "system")
	default:
		return false
	}
	return true
}

func (a *analysis) alterType(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_AlterDomainStmt:
		a.defineNamed("ALTER DOMAIN", "domain", v.AlterDomainStmt.GetTypeName())
		a.root().definitions([]*pg.Node{v.AlterDomainStmt.GetDef()})
		switch v.AlterDomainStmt.GetSubtype() {
		case "T", "N", "X": // a default, or a constraint that goes
		default:
			schema, name := qualifiedName(v.AlterDomainStmt.GetTypeName())
			a.st.Domain = Relation{Schema: schema, Name: name}
		}
	case *pg.Node_AlterEnumStmt:
		a.defineNamed("ALTER TYPE", "type", v.AlterEnumStmt.GetTypeName())
	case *pg.Node_AlterTypeStmt:
		a.defineNamed("ALTER TYPE", "type", v.AlterTypeStmt.GetTypeName())
		a.opaque("functions bound to an object")
	case *pg.Node_AlterOperatorStmt:
		a.defineNamed("ALTER OPERATOR", "operator", v.AlterOperatorStmt.GetOpername().GetObjname())
		a.opaque("functions bound to an object")
	case *pg.Node_AlterOpFamilyStmt:
		a.defineNamed("ALTER OPERATOR FAMILY", "operator family", v.AlterOpFamilyStmt.GetOpfamilyname())
		a.opaque("functions bound to an object")
	case *pg.Node_AlterCollationStmt:
		a.defineNamed("ALTER COLLATION", "collation", v.AlterCollationStmt.GetCollname())
	case *pg.Node_AlterTsdictionaryStmt:
		a.defineNamed("ALTER TEXT SEARCH DICTIONARY", "text search dictionary", v.AlterTsdictionaryStmt.GetDictname())
	case *pg.Node_AlterTsconfigurationStmt:
		a.defineNamed("ALTER TEXT SEARCH CONFIGURATION", "text search configuration", v.AlterTsconfigurationStmt.GetCfgname())
	case *pg.Node_AlterStatsStmt:
		a.defineNamed("ALTER STATISTICS", "statistics", v.AlterStatsStmt.GetDefnames())
	default:
		return false
	}
	return true
}
