package sqlfacts

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// call analyses a function call with its arguments.
func (e expr) call(f *pg.FuncCall) {
	schema, name := qualifiedName(f.GetFuncname())
	builtin := schema == "" || schema == "pg_catalog"
	if schema == "" {
		e.a.st.Searched = appendNear(e.a.st.Searched, strings.ToLower(name))
	}
	if builtin {
		schema = ""
	}
	e.a.called(schema, name)
	if !builtin {
		if runsSQL(name) {
			e.a.opaque("function runs SQL text")
		}
		e.unknownFunction(schema, name)
		e.arguments(f)
		return
	}
	if name == "system_user" {
		e.unqualified(name) // a column to a server that does not know the word
	}
	if e.counts(name) {
		e.countArguments(f)
		return
	}
	before := len(e.a.log)
	e.arguments(f)
	if returnsRows(name) {
		e.selected()
		e.a.filterAgain(e.a.log[before:])
	}
	if e.lin != nil && aggregates(name, f) {
		e.lin.counting = true
	}
	e.builtin(name, f)
}

// returnsRows reports whether a function's argument says how many rows there are.
func returnsRows(name string) bool {
	switch name {
	case "generate_series", "generate_subscripts", "unnest", "string_to_table", "regexp_split_to_table", "regexp_matches",
		"ts_parse", "ts_debug", "ts_token_type", "pg_snapshot_xip", "txid_snapshot_xip":
		return true
	}
	return strings.HasPrefix(name, "json") && (strings.Contains(name, "_each") || strings.Contains(name, "_elements") ||
		strings.HasSuffix(name, "_keys") || strings.Contains(name, "recordset") || strings.HasPrefix(name, "jsonb_path_query"))
}

// aggregates reports whether a function puts rows together, so that its value tells
// of their number even where its arguments are constants.
func aggregates(name string, f *pg.FuncCall) bool {
	switch name {
	case "sum", "avg", "min", "max", "every", "any_value", "corr", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or",
		"range_agg", "range_intersect_agg", "lag", "lead", "nth_value", "first_value", "last_value", "xmlagg":
		return true
	}
	return f.GetAggStar() || f.GetAggDistinct() || f.GetAggWithinGroup() || f.GetAggFilter() != nil || len(f.GetAggOrder()) > 0 || f.GetOver() != nil ||
		strings.Contains(name, "_agg") || strings.HasPrefix(name, "regr_") || strings.HasPrefix(name, "stddev") || strings.HasPrefix(name, "var") ||
		strings.HasPrefix(name, "covar_") || strings.HasPrefix(name, "percentile_")
}

// called lists a function, in lower case.
func (a *analysis) called(schema, name string) {
	if schema != "" {
		name = schema + "." + name
	}
	if name = strings.ToLower(name); !a.st.lists(name) {
		a.st.Functions = append(a.st.Functions, name)
	}
}

// lists reports whether s has the function already. A statement with a great
// many different functions lists some twice rather than be slow.
func (s *Statement) lists(name string) bool {
	const near = 64
	return slices.Contains(s.Functions[max(0, len(s.Functions)-near):], name)
}

func (e expr) arguments(f *pg.FuncCall) {
	e.nodes(f.GetArgs())
	if f.GetAggWithinGroup() {
		e.nodes(f.GetAggOrder()) // these are the values aggregated
	} else {
		e.filtering().nodes(f.GetAggOrder())
	}
	e.filtering().node(f.GetAggFilter())
	e.window(f.GetOver())
}

// counts reports whether a function's value is a number of rows.
func (e expr) counts(name string) bool {
	switch name {
	case "count", "row_number", "rank", "dense_rank", "ntile", "percent_rank", "cume_dist":
		return true
	}
	return false
}

// countArguments walks the arguments of a count: they decide which rows count,
// and are not part of the value.
func (e expr) countArguments(f *pg.FuncCall) {
	if e.lin != nil {
		e.lin.counting = true
	}
	by := e.filtering()
	by.lin = nil
	by.arguments(f)
}

// callUnknown is the call of a function by something other than a call.
func (e expr) callUnknown(schema, name string) {
	e.a.called(schema, name)
	e.unknownFunction(schema, name)
}

func (e expr) unknownFunction(schema, name string) {
	e.a.effect(policy.VerbExecute, "function", schema, name)
	e.a.st.UnknownFunctions = true
	e.untraceable()
}

// builtin is a function of pg_catalog, or one that is taken for it.
func (e expr) builtin(name string, f *pg.FuncCall) {
	switch e.a.functions.class[name] {
	case classPure:
	case classMetadata:
		if e.lin != nil {
			e.lin.metadata = true
		}
	case classReadsSetting:
		e.setting(f)
	case classSetConfig:
		e.setConfig(f)
	case classNotify:
		e.special(policy.VerbExecute, "channel", e.first(f), name)
	case classSequenceRead:
		e.sequence(policy.VerbRead, e.first(f), name)
	case classSequenceWrite:
		e.sequence(policy.VerbUpdate, e.first(f), name)
	default:
		e.dangerous(name, f)
	}
}

// dangerous are functions with effects beyond their value, and unknown ones.
func (e expr) dangerous(name string, f *pg.FuncCall) {
	switch e.a.functions.class[name] {
	case classRunsSQL:
		e.a.opaque("function runs SQL text")
		e.special(policy.VerbExecute, "function", name, name)
	case classReadsFile:
		e.special(policy.VerbRead, "file", e.first(f), name)
	case classWritesFile:
		e.special(policy.VerbUpdate, "file", e.first(f), name)
	case classObjectRead:
		e.special(policy.VerbRead, "large object", "*", name)
	case classObjectWrite:
		e.special(policy.VerbUpdate, "large object", "*", name)
	case classObjectFile:
		e.special(policy.VerbTransfer, "large object", "*", name)
		e.a.effect(policy.VerbTransfer, "file", "", e.last(f))
	case classSession:
		e.special(policy.VerbExecute, "session", name, name)
	case classServer:
		e.special(policy.VerbExecute, "server", name, name)
	case classReplication:
		e.special(policy.VerbExecute, "replication", name, name)
	case classLock:
		e.a.effect(policy.VerbExecute, "function", "", name)
	default:
		e.unknownName(name)
	}
}

// special adds the effect of a built-in function on an object, and the call.
func (e expr) special(verb, kind, object, function string) {
	if kind != "function" {
		e.a.effect(verb, kind, "", object)
	}
	e.a.effect(policy.VerbExecute, "function", "", function)
	e.untraceable()
}

// sequence is a function on a sequence, whose number tells no more of relations
// than how often it was called.
func (e expr) sequence(verb, object, function string) {
	e.a.effect(verb, "sequence", "", object)
	e.a.effect(policy.VerbExecute, "function", "", function)
	if e.lin != nil {
		e.lin.metadata = true
	}
}

// unknownName is a function that is not in the list. Some families are known
// by the start of their names wherever they are installed.
func (e expr) unknownName(name string) {
	if runsSQL(name) {
		e.a.opaque("function runs SQL text")
	}
	e.unknownFunction("", name)
}

func runsSQL(name string) bool {
	return slices.ContainsFunc(runsSQLPrefixes(), func(p string) bool { return strings.HasPrefix(name, p) })
}

// setting is current_setting: session state, but a read of the setting too.
func (e expr) setting(f *pg.FuncCall) {
	e.a.effect(policy.VerbRead, "setting", "", strings.ToLower(e.first(f)))
}

// setConfig is set_config(name, value, is_local), which is SET by other means.
func (e expr) setConfig(f *pg.FuncCall) {
	e.a.effect(policy.VerbExecute, "function", "", "set_config")
	e.untraceable()
	args := f.GetArgs()
	if f == e.a.listed.call && f != nil {
		set := Setting{Name: strings.ToLower(e.literal(e.a.listed.name)), Value: e.literal(args[1]), Listed: true}
		set.Local = isTrue(e.literal(args[2]))
		e.a.applySetting(set)
		return
	}
	if len(args) != 3 || !isLiteral(args[0]) || !isLiteral(args[1]) || !isLiteral(args[2]) || f.GetFuncVariadic() {
		e.a.effect(policy.VerbUpdate, "setting", "", "*")
		e.a.opaque("setting known only when run")
		e.a.st.Settings = append(e.a.st.Settings, Setting{Computed: true})
		return
	}
	set := Setting{Name: strings.ToLower(e.literal(args[0])), Value: e.literal(args[1])}
	// Anything that is not plainly false might mean true; a change that lasts is
	// the stronger effect.
	set.Local = isTrue(e.literal(args[2]))
	e.a.applySetting(set)
}

// first is the first argument if it is a constant, otherwise "*".
func (e expr) first(f *pg.FuncCall) string {
	if len(f.GetArgs()) == 0 {
		return ""
	}
	return e.literal(f.GetArgs()[0])
}

func (e expr) last(f *pg.FuncCall) string {
	if len(f.GetArgs()) == 0 {
		return ""
	}
	return e.literal(f.GetArgs()[len(f.GetArgs())-1])
}

// literal is the text of a constant, which thereby matters to the facts.
func (e expr) literal(n *pg.Node) string {
	if !isLiteral(n) {
		return "*"
	}
	e.a.exactOnly = true
	return constantText(n)
}

// isLiteral reports whether a node is a constant that is not null, perhaps cast.
func isLiteral(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_AConst:
		return !v.AConst.GetIsnull()
	case *pg.Node_TypeCast:
		return isLiteral(v.TypeCast.GetArg())
	}
	return false
}
