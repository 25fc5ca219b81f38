package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// variableSet is SET or RESET.
func (a *analysis) variableSet(s *pg.VariableSetStmt) {
	a.st.Tag = "SET"
	switch s.GetKind() {
	case pg.VariableSetKind_VAR_RESET, pg.VariableSetKind_VAR_RESET_ALL:
		a.st.Tag = "RESET"
	default:
	}
	a.change(s, "")
}

// change applies a SET clause in the given scope.
func (a *analysis) change(s *pg.VariableSetStmt, scope string) {
	set := Setting{Name: lower(s.GetName()), Local: s.GetIsLocal(), Scope: scope}
	switch s.GetKind() {
	case pg.VariableSetKind_VAR_SET_VALUE:
		set.Value = joinConstants(s.GetArgs())
	case pg.VariableSetKind_VAR_SET_DEFAULT, pg.VariableSetKind_VAR_RESET:
		set.Reset = true
	case pg.VariableSetKind_VAR_RESET_ALL:
		set.Reset, set.All, set.Name = true, true, ""
	case pg.VariableSetKind_VAR_SET_CURRENT:
		set.FromCurrent = true
	case pg.VariableSetKind_VAR_SET_MULTI:
		a.setMulti(s, scope)
		return
	default:
		a.opaque("unknown statement")
	}
	a.applySetting(set)
}

// setMulti is SET TRANSACTION and SET SESSION CHARACTERISTICS.
func (a *analysis) setMulti(s *pg.VariableSetStmt, scope string) {
	name := lower(s.GetName())
	switch name {
	case "transaction":
		a.transactionModes(s.GetArgs(), true)
	case "session characteristics":
		a.transactionModes(s.GetArgs(), false)
	case "transaction snapshot":
		a.applySetting(Setting{Name: name, Value: joinConstants(s.GetArgs()), Local: true, Scope: scope})
	default:
		a.opaque("unknown statement")
	}
}

// transactionModes are the options of a transaction, or the defaults of those to
// come.
func (a *analysis) transactionModes(options []*pg.Node, local bool) {
	for _, n := range options {
		name := n.GetDefElem().GetDefname()
		if !local {
			name = "default_" + name
		}
		a.applySetting(Setting{Name: name, Value: constantText(n.GetDefElem().GetArg()), Local: local})
	}
}

// applySetting records a change of a setting and its effect.
func (a *analysis) applySetting(set Setting) {
	a.st.Settings = append(a.st.Settings, set)
	name := set.Name
	if set.All {
		name = "*"
	}
	switch {
	case set.Scope != "":
		a.effect(policy.VerbDefine, "setting", "", name)
	case set.Name == "role" || set.Name == "session_authorization":
		a.effect(policy.VerbUpdate, "role", "", roleValue(set))
		a.effect(policy.VerbUpdate, "setting", "", name)
	default:
		a.effect(policy.VerbUpdate, "setting", "", name)
	}
}

// roleValue is the role that a setting changes to.
func roleValue(set Setting) string {
	if set.Reset {
		return "DEFAULT"
	}
	return set.Value
}
