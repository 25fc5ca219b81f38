package pgproxy

import (
	"fmt"
	"slices"
	"sync"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// A ruleset is the compiled masks of a decision, with what has been worked out
// for them. It is safe for concurrent use.
type ruleset struct {
	rules *mask.Rules
	masks []policy.Mask // what rules were compiled from
	known sync.Map      // *relation → bool: sensitive
	// refuseFilter and refuseUntraced say that a rule makes such a choice.
	refuseFilter, refuseUntraced bool

	mu    sync.RWMutex
	plans map[planKey]*mask.Plan
	// judged are texts whose names mean the same in every session.
	judged map[judgedKey]*finding
}

type judgedKey struct {
	query    *resolved
	distrust bool
}

// A finding is what the rules make of a text before it runs.
type finding struct {
	sensitive bool
	refusal   *intercept.Refusal
}

// judge works out what the rules make of a text, once where that may be.
func (r *ruleset) judge(q *resolved, distrust bool) *finding {
	key := judgedKey{q, distrust}
	r.mu.RLock()
	j := r.judged[key]
	r.mu.RUnlock()
	if j != nil {
		return j
	}
	j = &finding{sensitive: distrust || q.sensitive(r), refusal: q.smuggles(r, distrust)}
	if j.refusal == nil {
		j.refusal = q.unwanted(r, distrust)
	}
	if q.usesNames {
		return j
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.judged == nil || len(r.judged) >= maxPlans {
		r.judged = make(map[judgedKey]*finding)
	}
	r.judged[key] = j
	return j
}

// planKey is the shape of a result.
type planKey struct {
	statement *sqlfacts.Statement
	catalogue *catalogue
	layout    string
	formats   string
	distrust  bool
	sensitive bool
	ambiguous bool
}

// maxPlans and maxRulesets bound what is remembered; beyond it starts anew.
const (
	maxPlans    = 4096
	maxRulesets = 256
)

// rulesets compiles masks, once for each decision that brings them.
type rulesets struct {
	set *mask.Set
	mu  sync.Mutex
	// compiled is by the identity of the decision's masks.
	compiled map[maskList]*ruleset
}

// maskList tells lists of masks apart without a look at what is in them: lists of
// one array can have different lengths.
type maskList struct {
	first *policy.Mask
	n     int
}

func (r *rulesets) compile(masks []policy.Mask) (*ruleset, error) {
	key := maskList{&masks[0], len(masks)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.compiled[key]; c != nil && slices.EqualFunc(c.masks, masks, policy.Mask.Equal) {
		return c, nil
	}
	rules, err := r.set.Rules(masks)
	if err != nil {
		return nil, err
	}
	if r.compiled == nil || len(r.compiled) >= maxRulesets {
		r.compiled = make(map[maskList]*ruleset)
	}
	c := &ruleset{rules: rules, masks: slices.Clone(masks)}
	for i := range masks {
		c.refuseFilter = c.refuseFilter || masks[i].Filter == policy.MaskRefuse
		c.refuseUntraced = c.refuseUntraced || masks[i].Untraced == policy.MaskRefuse
	}
	r.compiled[key] = c
	return c, nil
}

// sensitive reports whether the relation has a masked column, itself or through
// the tables that share rows with it or that it is a view of, or could show one.
func (r *ruleset) sensitive(rel *relation) bool {
	if known, ok := r.known.Load(rel); ok {
		yes, _ := known.(bool) // nothing else is stored
		return yes
	}
	sensitive := rel.blind || rel.quotes("") || r.own(rel)
	for _, other := range rel.family {
		sensitive = sensitive || r.own(other)
	}
	for _, other := range rel.reads {
		sensitive = sensitive || r.sensitive(other)
	}
	r.known.Store(rel, sensitive)
	return sensitive
}

// own reports whether a rule matches a column of the relation itself.
func (r *ruleset) own(rel *relation) bool {
	for _, column := range rel.columns {
		if r.matches(rel, column) {
			return true
		}
	}
	return false
}

func (r *ruleset) matches(rel *relation, column string) bool {
	return r.rules.Match(mask.Source{Schema: rel.schema, Table: rel.name, Column: column}) != ""
}

// masked returns the first of the columns that is masked, "" if there is none.
func (r *ruleset) masked(rel *relation, columns []string) string {
	if len(columns) == 0 || !r.sensitive(rel) {
		return ""
	}
	name := joinName(rel.schema, rel.name)
	for _, column := range columns {
		if column == "*" && !rel.isView() {
			return name
		}
		of, ok := r.column(columnOf{rel, column})
		if !ok {
			return name
		}
		for _, source := range of.Sources {
			if r.rules.Match(source) != "" {
				return name + "." + column
			}
		}
	}
	return ""
}

// sources are the columns whose values a column of a table can hold or be
// computed from: its own, and those of the same name in tables that share rows
// with it.
func (r *relation) sources(column string) []mask.Source {
	out := r.ownSources(nil, column)
	for _, other := range r.family {
		if other != r {
			out = other.ownSources(out, column)
		}
	}
	return out
}

func (r *relation) ownSources(out []mask.Source, column string) []mask.Source {
	out = append(out, mask.Source{Schema: r.schema, Table: r.name, Column: column})
	for _, source := range r.generated[column] {
		out = append(out, mask.Source{Schema: r.schema, Table: r.name, Column: source})
	}
	return out
}

// computed reports whether the column is generated from others.
func (r *relation) computed(column string) bool {
	return len(r.generated[column]) > 0 ||
		slices.ContainsFunc(r.family, func(other *relation) bool { return len(other.generated[column]) > 0 })
}

// quotes reports whether a column of a system table holds values of other tables
// or texts of statements, which quote them; "" asks for any column.
func (r *relation) quotes(column string) bool {
	if r.name == "pg_stat_statements" { // an extension's, in any schema
		return column == "" || column == "query"
	}
	if r.schema != "pg_catalog" {
		return false
	}
	switch r.name {
	case "pg_stats", "pg_statistic", "pg_statistic_ext_data", "pg_stats_ext", "pg_stats_ext_exprs", "pg_largeobject":
		return true
	case "pg_stat_activity":
		return column == "" || column == "query"
	default:
		return false
	}
}

// plan returns the plan of a result shape, compiled once.
func (r *ruleset) plan(key planKey, columns func() ([]mask.Column, error)) (*mask.Plan, error) {
	r.mu.RLock()
	p := r.plans[key]
	r.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	traced, err := columns()
	if err != nil {
		return nil, err
	}
	p, err = mask.Compile(r.rules, traced)
	if err != nil {
		return nil, fmt.Errorf("pgproxy: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.plans == nil || len(r.plans) >= maxPlans {
		r.plans = make(map[planKey]*mask.Plan)
	}
	r.plans[key] = p
	return p, nil
}
