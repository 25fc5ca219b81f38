package sqlfacts

import pg "github.com/pganalyze/pg_query_go/v6"

// listedCall is a call of set_config for the one setting of a name, nil for none.
type listedCall struct {
	call *pg.FuncCall
	name *pg.Node
}

// listedSetting recognises
//
//	SELECT set_config(name, 'value', false) FROM pg_settings WHERE name = 'setting'
//
// by which pg_dump changes a setting only if the server has it.
func listedSetting(s *pg.SelectStmt) listedCall {
	if !isPlain(s) || len(s.GetTargetList()) != 1 || len(s.GetFromClause()) != 1 {
		return listedCall{}
	}
	table, where := s.GetFromClause()[0].GetRangeVar(), s.GetWhereClause().GetAExpr()
	call := s.GetTargetList()[0].GetResTarget().GetVal().GetFuncCall()
	if table.GetRelname() != "pg_settings" || table.GetCatalogname() != "" || table.GetAlias() != nil ||
		table.GetSchemaname() != "" && table.GetSchemaname() != "pg_catalog" {
		return listedCall{}
	}
	if where.GetKind() != pg.A_Expr_Kind_AEXPR_OP || len(where.GetName()) != 1 || where.GetName()[0].GetString_().GetSval() != "=" ||
		!isName(where.GetLexpr()) || where.GetRexpr().GetAConst() == nil || !isLiteral(where.GetRexpr()) {
		return listedCall{}
	}
	args := call.GetArgs()
	if len(args) != 3 || call.GetFuncVariadic() || !isName(args[0]) || !isLiteral(args[1]) || !isLiteral(args[2]) {
		return listedCall{}
	}
	return listedCall{call, where.GetRexpr()}
}

// isPlain reports whether a query has nothing but a select list, FROM and WHERE.
func isPlain(s *pg.SelectStmt) bool {
	return s.GetOp() == pg.SetOperation_SETOP_NONE && s.GetWithClause() == nil && s.GetIntoClause() == nil && len(s.GetDistinctClause()) == 0 &&
		len(s.GetGroupClause()) == 0 && s.GetHavingClause() == nil && len(s.GetWindowClause()) == 0 && len(s.GetValuesLists()) == 0 &&
		len(s.GetSortClause()) == 0 && s.GetLimitCount() == nil && s.GetLimitOffset() == nil && len(s.GetLockingClause()) == 0
}

// isName reports whether a node is the column called name.
func isName(n *pg.Node) bool {
	fields := n.GetColumnRef().GetFields()
	return len(fields) == 1 && fields[0].GetString_().GetSval() == "name"
}
