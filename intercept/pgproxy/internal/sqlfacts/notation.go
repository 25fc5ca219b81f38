package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// indirection is (x).a, (x)[1] or (x).*.
func (e expr) indirection(n *pg.A_Indirection) {
	e.node(n.GetArg())
	for _, part := range n.GetIndirection() {
		if name := part.GetString_(); name != nil {
			e.notation(name.GetSval(), n.GetArg())
			continue
		}
		e.node(part)
	}
}

// notation is a name behind a period where a value is before it: a field, or a
// function that is called on the value (manual, "Using Composite Types in
// Queries"). Its value is never taken for one of constants.
func (e expr) notation(name string, arg *pg.Node) {
	e.untraceable()
	e.perhapsCall(name, arg)
}

// perhapsCall is a name that is a column's or a function's.
func (e expr) perhapsCall(name string, arg *pg.Node) {
	e.a.st.Notations = appendNear(e.a.st.Notations, Notation{Name: name})
	switch e.a.functions.class[name] {
	case classPure, classMetadata, classSetConfig: // the last wants three arguments
	case 0:
		if runsSQL(name) {
			e.unknownName(name)
		}
	default:
		e.builtin(name, &pg.FuncCall{Args: []*pg.Node{arg}})
	}
}

// member is a name behind the name of a source. Functions on the row of a relation
// are told from its columns by whoever knows these.
func (e expr) member(src *source, name string) {
	switch {
	case src.use != nil || src.hasColumn(name):
	case src.row:
		target := e.sc.sources[0].use
		e.a.st.Notations = appendNear(e.a.st.Notations, Notation{Name: name, Of: Relation{target.schema, target.name}})
	case src.scalar && src.name == name:
		e.a.st.Notations = appendNear(e.a.st.Notations, Notation{Name: name})
	case src.self, src.passes && src.starred:
		e.perhapsCall(name, nil) // where it is no column it is taken for the whole row
	default:
		e.notation(name, nil)
	}
}

// newer are words that the grammar has made its own of late. A server before that
// takes them for names of functions, which anyone may have made.
func (e expr) newer(n *pg.Node) {
	switch v := n.GetNode().(type) {
	case *pg.Node_JsonFuncExpr:
		e.callUnknown("", jsonFunction(v.JsonFuncExpr.GetOp()))
	case *pg.Node_JsonParseExpr:
		e.callUnknown("", "json")
	case *pg.Node_JsonScalarExpr:
		e.callUnknown("", "json_scalar")
	case *pg.Node_JsonSerializeExpr:
		e.callUnknown("", "json_serialize")
	case *pg.Node_JsonArrayConstructor:
		e.callUnknown("", "json_array")
	case *pg.Node_JsonArrayAgg:
		e.callUnknown("", "json_arrayagg")
	case *pg.Node_MergeSupportFunc:
		e.callUnknown("", "merge_action")
	}
}

func jsonFunction(op pg.JsonExprOp) string {
	return strings.ToLower(strings.TrimSuffix(op.String(), "_OP"))
}
