package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// privilege are statements about roles, rights and labels.
func (a *analysis) privilege(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_GrantStmt:
		a.st.Tag = grantTag(v.GrantStmt.GetIsGrant())
		a.grant(v.GrantStmt)
	case *pg.Node_GrantRoleStmt:
		a.grantRole(v.GrantRoleStmt)
	case *pg.Node_AlterDefaultPrivilegesStmt:
		a.st.Tag = "ALTER DEFAULT PRIVILEGES"
		a.effect(policy.VerbGrant, "default privileges", "", objectKind(v.AlterDefaultPrivilegesStmt.GetAction().GetObjtype()))
		a.grantees(v.AlterDefaultPrivilegesStmt.GetAction().GetGrantees())
	case *pg.Node_CreateRoleStmt:
		a.st.Tag = "CREATE ROLE"
		a.effect(policy.VerbDefine, "role", "", v.CreateRoleStmt.GetRole())
	case *pg.Node_AlterRoleStmt:
		a.st.Tag = "ALTER ROLE"
		a.effect(policy.VerbDefine, "role", "", roleName(v.AlterRoleStmt.GetRole()))
	case *pg.Node_AlterRoleSetStmt:
		a.st.Tag = "ALTER ROLE"
		a.effect(policy.VerbDefine, "role", "", orAll(roleName(v.AlterRoleSetStmt.GetRole())))
		a.change(v.AlterRoleSetStmt.GetSetstmt(), "role")
	case *pg.Node_DropRoleStmt:
		a.st.Tag = "DROP ROLE"
		a.eachRole(v.DropRoleStmt.GetRoles(), policy.VerbDefine)
	case *pg.Node_DropOwnedStmt:
		a.st.Tag = "DROP OWNED"
		a.eachRole(v.DropOwnedStmt.GetRoles(), policy.VerbDelete)
		a.opaque("objects named by their owner")
	case *pg.Node_ReassignOwnedStmt:
		a.st.Tag = "REASSIGN OWNED"
		a.eachRole(v.ReassignOwnedStmt.GetRoles(), policy.VerbGrant)
		a.effect(policy.VerbGrant, "role", "", roleName(v.ReassignOwnedStmt.GetNewrole()))
		a.opaque("objects named by their owner")
	default:
		return a.label(n)
	}
	a.st.ChangesCatalog = true
	return true
}

func (a *analysis) label(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_CommentStmt:
		a.st.Tag = "COMMENT"
		a.object(policy.VerbDefine, v.CommentStmt.GetObjtype(), v.CommentStmt.GetObject())
	case *pg.Node_SecLabelStmt:
		a.st.Tag = "SECURITY LABEL"
		a.object(policy.VerbGrant, v.SecLabelStmt.GetObjtype(), v.SecLabelStmt.GetObject())
	default:
		return false
	}
	a.st.ChangesCatalog = true
	return true
}

func grantTag(grant bool) string {
	if grant {
		return "GRANT"
	}
	return "REVOKE"
}

// grant names the objects on which rights change, and the roles that they are
// given to or taken from.
func (a *analysis) grant(s *pg.GrantStmt) {
	kind := objectKind(s.GetObjtype())
	if s.GetTargtype() == pg.GrantTargetType_ACL_TARGET_ALL_IN_SCHEMA {
		for _, n := range s.GetObjects() {
			a.effect(policy.VerbGrant, kind, n.GetString_().GetSval(), "*")
		}
	} else {
		a.grantObjects(kind, s.GetObjects(), grantedColumns(s.GetPrivileges()))
	}
	a.grantees(s.GetGrantees())
}

func (a *analysis) grantObjects(kind string, objects []*pg.Node, columns []string) {
	for _, n := range objects {
		if !a.spend(len(columns)) {
			return // the text will be refused
		}
		schema, name := objectName(n)
		u := a.effect(policy.VerbGrant, kind, schema, name)
		for _, column := range columns {
			u.columns.add(ColumnRef{Name: column})
		}
	}
}

func grantedColumns(privileges []*pg.Node) []string {
	out := make([]string, 0, len(privileges))
	for _, n := range privileges {
		out = append(out, stringsOf(n.GetAccessPriv().GetCols())...)
	}
	return out
}

func (a *analysis) grantees(roles []*pg.Node) { a.eachRole(roles, policy.VerbGrant) }

func (a *analysis) eachRole(roles []*pg.Node, verb string) {
	for _, n := range roles {
		a.effect(verb, "role", "", roleName(n.GetRoleSpec()))
	}
}

func (a *analysis) grantRole(s *pg.GrantRoleStmt) {
	a.st.Tag = grantTag(s.GetIsGrant()) + " ROLE"
	for _, n := range s.GetGrantedRoles() {
		a.effect(policy.VerbGrant, "role", "", n.GetAccessPriv().GetPrivName())
	}
	a.grantees(s.GetGranteeRoles())
}

func orAll(role string) string {
	if role == "" {
		return "*"
	}
	return role
}
