package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// stringsOf returns the strings of a list, leaving out other nodes.
func stringsOf(nodes []*pg.Node) []string {
	var out []string
	for _, n := range nodes {
		if s := n.GetString_(); s != nil {
			out = append(out, s.GetSval())
		}
	}
	return out
}

// qualifiedName splits a name of one to three parts. A database is left out: the
// server accepts only its own.
func qualifiedName(nodes []*pg.Node) (schema, name string) {
	parts := stringsOf(nodes)
	switch len(parts) {
	case 0:
		return "", ""
	case 1:
		return "", parts[0]
	}
	return parts[len(parts)-2], parts[len(parts)-1]
}

// objectName returns the name that a node gives to an object in DDL: a string, a
// list of strings, a function with its arguments, a type or a relation.
func objectName(n *pg.Node) (schema, name string) {
	switch v := n.GetNode().(type) {
	case *pg.Node_String_:
		return "", v.String_.GetSval()
	case *pg.Node_List:
		return listName(v.List.GetItems())
	case *pg.Node_ObjectWithArgs:
		return qualifiedName(v.ObjectWithArgs.GetObjname())
	case *pg.Node_TypeName:
		return qualifiedName(v.TypeName.GetNames())
	case *pg.Node_RangeVar:
		return v.RangeVar.GetSchemaname(), v.RangeVar.GetRelname()
	case *pg.Node_Integer, *pg.Node_Float:
		return "", constantText(n)
	case *pg.Node_RoleSpec:
		return "", roleName(v.RoleSpec)
	}
	return "", ""
}

// listName is a name in parts, or a list that begins with a type or the like.
func listName(items []*pg.Node) (schema, name string) {
	if names := stringsOf(items); len(names) == len(items) {
		return qualifiedName(items)
	}
	for _, item := range items {
		if schema, name = objectName(item); name != "" {
			return schema, name
		}
	}
	return "", ""
}

// ownerName returns the relation in a name of which the last part belongs to it,
// as a column, trigger, rule or policy does.
func ownerName(n *pg.Node) (schema, name string) {
	items := n.GetList().GetItems()
	if len(items) < 2 {
		return objectName(n)
	}
	return qualifiedName(items[:len(items)-1])
}

// roleName writes a role; the special ones are in capitals, as no quoted role can
// be by accident.
func roleName(r *pg.RoleSpec) string {
	switch r.GetRoletype() {
	case pg.RoleSpecType_ROLESPEC_CURRENT_ROLE:
		return "CURRENT_ROLE"
	case pg.RoleSpecType_ROLESPEC_CURRENT_USER:
		return "CURRENT_USER"
	case pg.RoleSpecType_ROLESPEC_SESSION_USER:
		return "SESSION_USER"
	case pg.RoleSpecType_ROLESPEC_PUBLIC:
		return "PUBLIC"
	default:
		return r.GetRolename()
	}
}

// constantText writes a constant as the text of a setting would have it.
func constantText(n *pg.Node) string {
	switch v := n.GetNode().(type) {
	case *pg.Node_Integer:
		return itoa(v.Integer.GetIval())
	case *pg.Node_Float:
		return v.Float.GetFval()
	case *pg.Node_String_:
		return v.String_.GetSval()
	case *pg.Node_Boolean:
		return boolText(v.Boolean.GetBoolval())
	case *pg.Node_TypeName:
		return strings.Join(stringsOf(v.TypeName.GetNames()), ".")
	case *pg.Node_TypeCast:
		return constantText(v.TypeCast.GetArg())
	case *pg.Node_AConst:
		return literalText(v.AConst)
	case *pg.Node_List:
		return joinConstants(v.List.GetItems())
	}
	return ""
}

func literalText(c *pg.A_Const) string {
	switch v := c.GetVal().(type) {
	case *pg.A_Const_Ival:
		return itoa(v.Ival.GetIval())
	case *pg.A_Const_Fval:
		return v.Fval.GetFval()
	case *pg.A_Const_Sval:
		return v.Sval.GetSval()
	case *pg.A_Const_Boolval:
		return boolText(v.Boolval.GetBoolval())
	case *pg.A_Const_Bsval:
		return v.Bsval.GetBsval()
	}
	return ""
}

func joinConstants(nodes []*pg.Node) string {
	parts := make([]string, 0, len(nodes))
	for _, n := range nodes {
		parts = append(parts, constantText(n))
	}
	return strings.Join(parts, ", ")
}
