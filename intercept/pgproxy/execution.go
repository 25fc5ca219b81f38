package pgproxy

import (
	"slices"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// An execution is a text that may run upstream, with the masks of its answers.
type execution struct {
	query   *resolved
	text    string
	verdict intercept.Verdict
	// rules are the masks in force, nil for none.
	rules *ruleset
	// sensitive says that the text reaches masked columns, or something that the
	// gateway can't see.
	sensitive       bool
	endsTransaction bool
	// current counts the complete statements of a simple Query.
	current int
	// plan masks the rows that are on their way; nil if their layout is not known.
	plan *mask.Plan
	// result describes what a call by the fast path returns.
	result []byte
	// limit bounds the answer, nil for not at all; used is what the answer has had
	// of it.
	limit *policy.Limit
	used  meter
	// distrust says that the catalogue is known to be wrong: it has been changed,
	// and could not be asked for again. Origins of columns mean nothing then.
	distrust bool
	// copies mask the COPY TO STDOUT among the statements, by their place; nil if
	// there are none or their rows pass. copyFailed is the SQLSTATE with which the
	// server would not describe them.
	copies     []*copyOut
	copyFailed string
}

// masks reports whether rows may have to be changed.
func (x *execution) masks() bool {
	return x.rules != nil && (x.sensitive || x.rules.rules.Detects())
}

// distrusted returns the execution of what may be another statement by now: where
// its columns come from can't be told.
func (x *execution) distrusted() *execution {
	if x.distrust {
		return x
	}
	other := *x
	other.distrust, other.sensitive, other.plan = true, true, nil
	return &other
}

// passes reports whether rows go through unchanged.
func (x *execution) passes() bool {
	return !x.masks() || x.plan != nil && x.plan.Empty()
}

// execution prepares what was judged to be run. It takes the verdict back where
// the masks can't be applied.
func (s *session) execution(r *resolved, cmd *policy.Command, v intercept.Verdict) (*execution, intercept.Verdict) {
	x := &execution{query: r, text: cmd.Text, verdict: v, endsTransaction: r.endsTransaction}
	x.limit = bounds(v)
	x.distrust = s.catalogueChanged || s.shelf.outdated() || s.shelf.inChange()
	if v.Forward && r.listsSettings && x.distrust {
		return x, s.guard.Withhold(v, computedSetting()) // pg_settings may be another relation by now
	}
	if refusal := r.copyUnderLimit(x.limit); v.Forward && refusal != nil {
		return x, s.guard.Withhold(v, refusal)
	}
	if v.Forward && r.changesCatalogue {
		s.changesCatalogue()
	}
	if !v.Forward || len(v.Masks) == 0 {
		return x, v
	}
	rules, err := s.proxy.rules.compile(v.Masks)
	if err != nil {
		return x, s.guard.Withhold(v, unmaskable(err.Error()))
	}
	x.rules = rules
	if rules.rules.Detects() {
		s.searched = rules.rules
	}
	if !rules.rules.Whole() {
		return s.withCopy(x, v) // what is found in a value does not depend on where it comes from
	}
	s.masksSeen = true
	s.stateLoose = s.stateLoose || r.unseen() > 0
	told := s.stateLoose && tellsState(cmd.Effects)
	x.distrust = x.distrust || told
	judged := rules.judge(r, x.distrust)
	x.sensitive = judged.sensitive || told
	if judged.refusal != nil {
		return x, s.guard.Withhold(v, judged.refusal)
	}
	if told && slices.ContainsFunc(r.traced, (*traced).writes) {
		return x, s.guard.Withhold(v, unmaskable("it stores what code may have left in the session"))
	}
	return s.withCopy(x, v)
}

// withCopy makes ready for a COPY whose rows don't pass.
func (s *session) withCopy(x *execution, v intercept.Verdict) (*execution, intercept.Verdict) {
	if !x.passes() {
		if s.replication != replicationNone && x.query.copiesOut() {
			return x, s.guard.Withhold(v, unmaskable("in a session for replication the server does not say what COPY sends"))
		}
		if refusal := s.prepareCopies(x); refusal != nil {
			return x, s.guard.Withhold(v, refusal)
		}
	}
	return x, v
}

func unmaskable(why string) *intercept.Refusal {
	return &intercept.Refusal{Code: intercept.CodeUnmaskable, Reason: "the answer could not be masked: " + why}
}

// sensitive reports whether any statement reaches a masked column.
func (r *resolved) sensitive(rules *ruleset) bool {
	for _, t := range r.traced {
		if t.sensitive(rules) {
			return true
		}
	}
	return false
}

func (t *traced) sensitive(rules *ruleset) bool {
	return t.lost || slices.ContainsFunc(t.touches, rules.sensitive) ||
		slices.ContainsFunc(t.reads, func(read reading) bool { return rules.sensitive(read.relation) })
}

// smuggles says why a text could carry masked values to where they can't be
// traced: into a table, a view or a function, or by code that can't be seen.
func (r *resolved) smuggles(rules *ruleset, distrust bool) *intercept.Refusal {
	for _, t := range r.traced {
		if why := t.smuggles(rules, distrust); why != "" {
			return unmaskable(why)
		}
	}
	return nil
}

func (t *traced) smuggles(rules *ruleset, distrust bool) string {
	if len(t.opaque) > 0 {
		return "what it does can't be told (" + t.opaque[0] + ")"
	}
	if t.renames && (distrust || t.unmasks(rules)) {
		return "it would rename or detach what the masks go by"
	}
	if (distrust || t.lost) && (t.stores || (t.unseen || t.statement.UnknownFunctions) && t.writes()) {
		return "it stores values whose origin can't be told"
	}
	if column := t.selectedBy(rules); column != "" && (t.selects || t.emits) {
		return "it would store what the masked column " + column + " decides"
	}
	for _, read := range t.reads {
		if column := rules.masked(read.relation, read.columns); column != "" && (t.stores || t.emits) {
			return "it would pass on values of the masked column " + column
		}
		if column := rules.masked(read.relation, read.filtered); column != "" && (t.stores || t.emits || t.writesRows()) {
			return "it would pass on values of the masked column " + column
		}
	}
	return ""
}

// selectedBy returns a masked column that decides which rows are met, "" if there
// is none.
func (t *traced) selectedBy(rules *ruleset) string {
	for _, f := range t.filters {
		if column := rules.masked(f.relation, f.filtered); column != "" {
			return column
		}
	}
	return ""
}

// writesRows reports whether rows of a table are written.
func (t *traced) writesRows() bool {
	return slices.ContainsFunc(t.effects, func(e policy.Effect) bool {
		return e.Kind == "table" && (e.Verb == policy.VerbCreate || e.Verb == policy.VerbUpdate || e.Verb == policy.VerbDelete)
	})
}

// unmasks reports whether a statement that renames is about something with masks:
// a relation, or a schema or extension, whatever is in it.
func (t *traced) unmasks(rules *ruleset) bool {
	return slices.ContainsFunc(t.touches, rules.sensitive) ||
		slices.ContainsFunc(t.effects, func(e policy.Effect) bool { return e.Kind == "schema" || e.Kind == "extension" })
}

// writes reports whether the statement stores values.
func (t *traced) writes() bool {
	for _, e := range t.effects {
		switch e.Verb {
		case policy.VerbCreate, policy.VerbUpdate, policy.VerbDefine:
			if e.Kind != "setting" {
				return true
			}
		}
	}
	return false
}
