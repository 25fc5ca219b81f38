package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/headgate/gateway/policy"
)

func (e expr) nodes(list []*pg.Node) {
	for _, n := range list {
		e.node(n)
	}
}

// node walks an expression. Sorts of nodes that need no care of their own are
// walked by reflection, so that none is passed over.
func (e expr) node(n *pg.Node) {
	if !e.a.spend(0) {
		return // the text will be refused
	}
	switch v := n.GetNode().(type) {
	case nil, *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_String_, *pg.Node_Integer, *pg.Node_SqlvalueFunction, *pg.Node_SetToDefault:
	case *pg.Node_ColumnRef:
		e.column(v.ColumnRef)
	case *pg.Node_AExpr:
		e.operator(v.AExpr.GetName())
		e.node(v.AExpr.GetLexpr())
		e.node(v.AExpr.GetRexpr())
	case *pg.Node_BoolExpr:
		e.nodes(v.BoolExpr.GetArgs())
	case *pg.Node_List:
		e.nodes(v.List.GetItems())
	case *pg.Node_FuncCall:
		e.call(v.FuncCall)
	case *pg.Node_TypeCast:
		e.node(v.TypeCast.GetArg())
		e.cast(v.TypeCast.GetTypeName())
	case *pg.Node_TypeName:
		e.cast(v.TypeName)
	case *pg.Node_SubLink:
		e.subLink(v.SubLink)
	case *pg.Node_SelectStmt:
		e.subquery(n)
	case *pg.Node_MultiAssignRef:
		e.multiAssign(v.MultiAssignRef)
	case *pg.Node_CurrentOfExpr:
		e.a.effect(policy.VerbRead, "cursor", "", v.CurrentOfExpr.GetCursorName())
	case *pg.Node_AIndirection:
		e.indirection(v.AIndirection)
	default:
		e.newer(n)
		e.generic(n.ProtoReflect())
	}
}

// generic walks the fields of a message, in their order in the schema.
func (e expr) generic(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case field.Message() == nil || !m.Has(field):
		case field.IsList():
			list := m.Get(field).List()
			for k := range list.Len() {
				e.message(list.Get(k).Message())
			}
		default:
			e.message(m.Get(field).Message())
		}
	}
}

// message walks one message, by its own rules if it has any.
func (e expr) message(m protoreflect.Message) {
	switch v := m.Interface().(type) {
	case *pg.Node:
		e.node(v)
	case *pg.FuncCall:
		e.call(v)
	case *pg.TypeName:
		e.cast(v)
	case *pg.SelectStmt:
		e.subquery(&pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: v}})
	case *pg.RangeVar:
		e.a.relation(policy.VerbRead, "table", v)
	case *pg.WindowDef:
		e.window(v)
	default:
		e.generic(m)
	}
}

// operator notes operators, and as calls those that are not pg_catalog's.
func (e expr) operator(name []*pg.Node) {
	if len(name) < 2 {
		for _, op := range stringsOf(name) {
			e.a.st.Operators = appendNear(e.a.st.Operators, op)
		}
		return
	}
	if schema, op := qualifiedName(name); schema != "pg_catalog" {
		e.callUnknown(schema, op)
	}
}

// cast taints values that go through a type that is not built in: its cast may
// be any function. Lengths of float types vanish in the grammar, so that texts
// with different ones can't share facts.
func (e expr) cast(t *pg.TypeName) {
	if t == nil {
		return
	}
	schema, name := qualifiedName(t.GetNames())
	if name == "float4" || name == "float8" {
		e.a.exactOnly = true
	}
	if strings.HasPrefix(name, "reg") && e.lin != nil {
		e.lin.metadata = true // names of objects are looked up
	}
	builtIn := e.a.functions.types[name]
	e.a.st.Casts = appendNear(e.a.st.Casts, TypeName{Schema: schema, Name: name, BuiltIn: builtIn})
	if schema != "pg_catalog" && (schema != "" || !builtIn) {
		e.untraceable()
	}
}

// subLink is a subquery in an expression.
func (e expr) subLink(s *pg.SubLink) {
	e.node(s.GetTestexpr())
	e.operator(s.GetOperName())
	if s.GetSubLinkType() == pg.SubLinkType_EXISTS_SUBLINK && e.lin != nil {
		before := e.lin.origin
		e.subquery(s.GetSubselect())
		e.lin.origin.refs, e.lin.origin.lost = before.refs, before.lost // it tells whether there is a row
		return
	}
	e.subquery(s.GetSubselect())
}

// subquery analyses a query whose result is a value here. Whether there is a row
// at all tells something about relations, as a count does.
func (e expr) subquery(n *pg.Node) {
	before := len(e.a.uses)
	e.a.st.Nested = true
	e.selected()
	for _, c := range e.query(n) {
		e.inherit(c)
	}
	for _, u := range e.a.uses[before:] {
		if u.kind == "table" && e.lin != nil {
			e.lin.counting = true
		}
	}
}

// inherit takes over the lineage of a subquery's column.
func (e expr) inherit(c OutputColumn) {
	if e.lin == nil {
		return
	}
	e.lin.selected = e.lin.selected || c.Selected
	e.lin.metadata = e.lin.metadata || c.Metadata
	e.lin.counting = e.lin.counting || c.Counting
	e.lin.origin.add(e.a, &c.origin)
	if !c.Pure && !c.Metadata && !c.Counting {
		e.lin.unknown = true
	}
}

// multiAssign is one column of SET (a, b) = source. The tree repeats the source
// for each column.
func (e expr) multiAssign(m *pg.MultiAssignRef) {
	if m.GetColno() == 1 {
		e.node(m.GetSource())
		return
	}
	e.untraceable()
}

// window walks a window definition: it decides about order, not values.
func (e expr) window(w *pg.WindowDef) {
	if w == nil {
		return
	}
	by := e.filtering()
	by.lin = nil
	by.nodes(w.GetPartitionClause())
	by.nodes(w.GetOrderClause())
	by.node(w.GetStartOffset())
	by.node(w.GetEndOffset())
}
