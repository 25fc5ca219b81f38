package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// createOther are the statements that make what is neither relation nor code.
func (a *analysis) createOther(n *pg.Node) bool {
	return a.createType(n) || a.createForeign(n) || a.createShared(n) || a.createMethod(n)
}

func (a *analysis) createType(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_CreateSchemaStmt:
		a.createSchema(v.CreateSchemaStmt)
	case *pg.Node_CreateDomainStmt:
		a.defineNamed("CREATE DOMAIN", "domain", v.CreateDomainStmt.GetDomainname())
		a.root().definitions(v.CreateDomainStmt.GetConstraints())
	case *pg.Node_CreateEnumStmt:
		a.defineNamed("CREATE TYPE", "type", v.CreateEnumStmt.GetTypeName())
	case *pg.Node_CreateRangeStmt:
		a.defineNamed("CREATE TYPE", "type", v.CreateRangeStmt.GetTypeName())
		a.opaque("functions bound to an object")
	case *pg.Node_DefineStmt:
		kind := v.DefineStmt.GetKind()
		a.defineNamed("CREATE "+objectTag(kind), objectKind(kind), v.DefineStmt.GetDefnames())
		if kind != pg.ObjectType_OBJECT_COLLATION {
			a.opaque("functions bound to an object")
		}
	default:
		return false
	}
	return true
}

// createSchema may hold other CREATE statements, whose names are in the schema.
func (a *analysis) createSchema(s *pg.CreateSchemaStmt) {
	name := s.GetSchemaname()
	if name == "" {
		name = roleName(s.GetAuthrole())
	}
	for _, n := range s.GetSchemaElts() {
		a.body(n)
	}
	a.define("CREATE SCHEMA", "schema", "", name)
	if s.GetAuthrole() != nil {
		a.effect(policy.VerbGrant, "role", "", roleName(s.GetAuthrole()))
	}
}

func (a *analysis) createForeign(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_CreateFdwStmt:
		a.define("CREATE FOREIGN DATA WRAPPER", "foreign data wrapper", "", v.CreateFdwStmt.GetFdwname())
		a.opaque("functions bound to an object")
	case *pg.Node_CreateForeignServerStmt:
		a.define("CREATE SERVER", "server", "", v.CreateForeignServerStmt.GetServername())
	case *pg.Node_CreateUserMappingStmt:
		a.define("CREATE USER MAPPING", "user mapping", "", v.CreateUserMappingStmt.GetServername())
	case *pg.Node_ImportForeignSchemaStmt:
		a.define("IMPORT FOREIGN SCHEMA", "schema", "", v.ImportForeignSchemaStmt.GetLocalSchema())
		a.effect(policy.VerbRead, "server", "", v.ImportForeignSchemaStmt.GetServerName())
		a.opaque("IMPORT FOREIGN SCHEMA")
	default:
		return false
	}
	return true
}

// createShared are objects of the whole server, and of replication.
func (a *analysis) createShared(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_CreatedbStmt:
		a.define("CREATE DATABASE", "database", "", v.CreatedbStmt.GetDbname())
	case *pg.Node_CreateTableSpaceStmt:
		a.define("CREATE TABLESPACE", "tablespace", "", v.CreateTableSpaceStmt.GetTablespacename())
		a.effect(policy.VerbCreate, "file", "", v.CreateTableSpaceStmt.GetLocation())
	case *pg.Node_CreatePublicationStmt:
		a.define("CREATE PUBLICATION", "publication", "", v.CreatePublicationStmt.GetPubname())
		a.published(v.CreatePublicationStmt.GetPubobjects(), v.CreatePublicationStmt.GetForAllTables())
	case *pg.Node_AlterPublicationStmt:
		a.define("ALTER PUBLICATION", "publication", "", v.AlterPublicationStmt.GetPubname())
		a.published(v.AlterPublicationStmt.GetPubobjects(), v.AlterPublicationStmt.GetForAllTables())
	case *pg.Node_CreateSubscriptionStmt:
		a.define("CREATE SUBSCRIPTION", "subscription", "", v.CreateSubscriptionStmt.GetSubname())
		a.effect(policy.VerbConnect, "server", "", "*")
		a.opaque("subscription")
	case *pg.Node_AlterSubscriptionStmt:
		a.define("ALTER SUBSCRIPTION", "subscription", "", v.AlterSubscriptionStmt.GetSubname())
		a.effect(policy.VerbConnect, "server", "", "*")
		a.opaque("subscription")
	default:
		return false
	}
	return true
}

// published are the tables of a publication: their rows leave by replication.
func (a *analysis) published(objects []*pg.Node, all bool) {
	a.wroteDerived = true
	if all {
		a.effect(policy.VerbTransfer, "table", "*", "*")
	}
	for _, n := range objects {
		spec := n.GetPublicationObjSpec()
		if spec.GetPubtable() == nil {
			a.effect(policy.VerbTransfer, "table", orStar(spec.GetName()), "*")
			continue
		}
		u := a.relation(policy.VerbTransfer, "table", spec.GetPubtable().GetRelation())
		for _, c := range stringsOf(spec.GetPubtable().GetColumns()) {
			a.reference(u, ColumnRef{Name: c}, false)
		}
		a.filtersOf(spec.GetPubtable().GetRelation(), spec.GetPubtable().GetWhereClause())
	}
}

// createMethod are objects that tie functions to the server's own machinery.
func (a *analysis) createMethod(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_CreateAmStmt:
		a.define("CREATE ACCESS METHOD", "access method", "", v.CreateAmStmt.GetAmname())
		a.executes(v.CreateAmStmt.GetHandlerName())
	case *pg.Node_CreateOpClassStmt:
		a.defineNamed("CREATE OPERATOR CLASS", "operator class", v.CreateOpClassStmt.GetOpclassname())
	case *pg.Node_CreateOpFamilyStmt:
		a.defineNamed("CREATE OPERATOR FAMILY", "operator family", v.CreateOpFamilyStmt.GetOpfamilyname())
	case *pg.Node_CreateConversionStmt:
		a.defineNamed("CREATE CONVERSION", "conversion", v.CreateConversionStmt.GetConversionName())
		a.executes(v.CreateConversionStmt.GetFuncName())
	case *pg.Node_CreateCastStmt:
		schema, name := qualifiedName(v.CreateCastStmt.GetTargettype().GetNames())
		a.define("CREATE CAST", "cast", schema, name)
		a.executes(v.CreateCastStmt.GetFunc().GetObjname())
	case *pg.Node_CreateTransformStmt:
		schema, name := qualifiedName(v.CreateTransformStmt.GetTypeName().GetNames())
		a.define("CREATE TRANSFORM", "transform", schema, name)
		a.executes(v.CreateTransformStmt.GetFromsql().GetObjname())
		a.executes(v.CreateTransformStmt.GetTosql().GetObjname())
	default:
		return false
	}
	a.opaque("functions bound to an object")
	return true
}

// drop removes objects.
func (a *analysis) drop(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_DropStmt:
		a.st.Tag = "DROP " + objectTag(v.DropStmt.GetRemoveType())
		a.cascade(v.DropStmt.GetBehavior())
		for _, object := range v.DropStmt.GetObjects() {
			a.object(policy.VerbDefine, v.DropStmt.GetRemoveType(), object)
		}
	case *pg.Node_DropTableSpaceStmt:
		a.define("DROP TABLESPACE", "tablespace", "", v.DropTableSpaceStmt.GetTablespacename())
	case *pg.Node_DropUserMappingStmt:
		a.define("DROP USER MAPPING", "user mapping", "", v.DropUserMappingStmt.GetServername())
	case *pg.Node_DropdbStmt:
		a.define("DROP DATABASE", "database", "", v.DropdbStmt.GetDbname())
	case *pg.Node_DropSubscriptionStmt:
		a.define("DROP SUBSCRIPTION", "subscription", "", v.DropSubscriptionStmt.GetSubname())
	default:
		return false
	}
	return true
}

// object adds an effect on an object of any type. What belongs to a relation is
// an effect on the relation too.
func (a *analysis) object(verb string, t pg.ObjectType, n *pg.Node) {
	if !belongs(t) {
		schema, name := objectName(n)
		a.effect(verb, objectKind(t), schema, name)
		return
	}
	ownerSchema, owner := ownerName(n)
	if kind := objectKind(t); kind != "table" {
		_, name := objectName(n)
		a.effect(verb, kind, ownerSchema, name)
	}
	a.effect(verb, "table", ownerSchema, owner)
}
