package pgproxy

import (
	"errors"
	"slices"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/mask"
)

// errUntraced says that the origin of a column can't be told, and that a rule wants
// such answers refused. Nothing of the answer is released and the session ends.
var errUntraced = errors.New("pgproxy: the origin of a column can't be told")

func untraced() *intercept.Refusal {
	return &intercept.Refusal{
		Code: intercept.CodeUnmaskable, Reason: "the origin of a column can't be told, and the policy refuses what can't be traced beside masked columns",
		Hint: "select plain columns, or compute with built-in functions",
	}
}

// unwanted says why a text is refused by a choice of the rules: it filters by a
// column that must not be filtered by, or has columns that certainly can't be traced.
func (r *resolved) unwanted(rules *ruleset, distrust bool) *intercept.Refusal {
	for _, t := range r.traced {
		if column := t.filtersRefused(rules, distrust); column != "" {
			return &intercept.Refusal{
				Code: intercept.CodeUnmaskable, Reason: "the masked column " + column + " must not decide which rows are met, grouped or sorted",
				Hint: "filter, join, group and sort by other columns",
			}
		}
		if rules.refuseUntraced && t.untracedReach(rules, distrust) && t.showsUntraced(rules, r.catalogue, distrust) {
			return untraced()
		}
	}
	return nil
}

// filtersRefused returns a column by which t filters against the rules' choice.
func (t *traced) filtersRefused(rules *ruleset, distrust bool) string {
	if !rules.refuseFilter {
		return ""
	}
	for _, f := range t.filters {
		if distrust {
			return joinName(f.relation.schema, f.relation.name)
		}
		if column := rules.reaches(f.relation, f.filtered, func(c mask.Choices) bool { return c.RefuseFilter }); column != "" {
			return column
		}
	}
	if t.inner != nil {
		return t.inner.filtersRefused(rules, distrust)
	}
	return ""
}

// reaches returns the first of the columns that is made of one for which a rule's
// choices are such, or of which that can't be told.
func (r *ruleset) reaches(rel *relation, columns []string, such func(mask.Choices) bool) string {
	for _, column := range columns {
		of, ok := r.column(columnOf{rel, column})
		if !ok || slices.ContainsFunc(of.Sources, func(s mask.Source) bool { return such(r.rules.Choices(s)) }) {
			return joinName(rel.schema, rel.name) + "." + column
		}
	}
	return ""
}

// untracedReach reports whether a column is in reach of t beside which nothing
// untraced may be shown.
func (t *traced) untracedReach(rules *ruleset, distrust bool) bool {
	if t.lost || distrust {
		return true
	}
	return slices.ContainsFunc(t.touches, rules.refusesUntraced) ||
		slices.ContainsFunc(t.reads, func(read reading) bool { return rules.refusesUntraced(read.relation) })
}

func (r *ruleset) refusesUntraced(rel *relation) bool {
	return r.reaches(rel, []string{"*"}, func(c mask.Choices) bool { return c.RefuseUntraced }) != ""
}

// showsUntraced reports whether t certainly returns a column that can't be traced.
// Of one that may be plain the server has yet to speak.
func (t *traced) showsUntraced(rules *ruleset, c *catalogue, distrust bool) bool {
	if !t.statement.Rows || t.rows != t {
		return false
	}
	return slices.ContainsFunc(t.statement.Output, func(o sqlfacts.OutputColumn) bool {
		if !o.Computed {
			return false
		}
		column, _ := rules.values(c, t, &o)
		return distrust || !column.Traced && (t.unseen || !harmless(&o, t.chosen || t.selectedBy(rules) != ""))
	})
}

// refusesUntraced says that columns of unknown origin among those of a result end
// the statement.
func (x *execution) refusesUntraced(rows *traced, columns []mask.Column) bool {
	if !x.rules.refuseUntraced || !slices.ContainsFunc(columns, func(c mask.Column) bool { return !c.Traced }) {
		return false
	}
	return rows == nil || rows.untracedReach(x.rules, x.distrust)
}

// known judges an execution by a layout that is known before it runs.
func (s *session) known(x *execution, v intercept.Verdict, st *statement, formats []int16) intercept.Verdict {
	if !v.Forward || x.rules == nil || !x.rules.refuseUntraced || st.layout == nil {
		return v
	}
	if err := s.planRows(x, st.layout, formats); errors.Is(err, errUntraced) {
		return s.guard.Withhold(v, untraced())
	}
	return v
}
