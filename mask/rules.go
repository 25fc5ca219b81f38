package mask

import (
	"fmt"
	"strings"

	"github.com/headgate/gateway/policy"
)

// Rules are a policy's masks, compiled. They are immutable and safe for concurrent
// use. Nil Rules are refused where they are needed.
type Rules struct {
	rules   []rule
	detects []detectRule
	host    []hostDetector
	message *detection // for texts that belong to no column
	redact  action
	null    action
}

type rule struct {
	schema, table string // "*" for each
	qualified     string // as written
	column        string
	action        action
	choices       Choices
}

// Choices are what a rule wants beside its method.
type Choices struct {
	// RefuseFilter says that the column must not decide which rows are met.
	RefuseFilter bool
	// RefuseUntraced says that values of unknown origin must be refused, not masked,
	// where the column is in reach.
	RefuseUntraced bool
}

// An action is a method with its parameter. The zero action lets values pass.
type action struct {
	name   string
	method Method
	keep   int
}

// Rules compiles masks. It refuses masks with an empty table or column, a negative
// Keep, or a method that the Set does not have; a caller must then refuse the
// command. Masks may be empty.
//
// A mask with Detect does not mask whole values, but what is found in text. Where
// a mask without it matches as well, that one counts.
//
// A mask's table is "schema.table", where either part may be "*"; a name without
// a dot is a table in any schema. Names compare exactly, as the catalogue stores
// them.
func (s *Set) Rules(masks []policy.Mask) (*Rules, error) {
	r := &Rules{
		rules:  make([]rule, 0, len(masks)),
		redact: action{name: MethodRedact, method: MethodFunc(Redact)},
		null:   action{name: MethodNull, method: MethodFunc(nil)},
	}
	for _, m := range masks {
		method, err := s.Method(m.Method)
		if err != nil {
			return nil, fmt.Errorf("table %q, column %q: %w", m.Table, m.Column, err)
		}
		if m.Table == "" || m.Column == "" || m.Keep < 0 {
			return nil, fmt.Errorf("%w: table %q, column %q, keep %d", ErrInvalidRule, m.Table, m.Column, m.Keep)
		}
		choices, err := choicesOf(&m)
		if err != nil {
			return nil, err
		}
		schema, table := splitTable(m.Table)
		compiled := rule{schema, table, m.Table, m.Column, action{m.Method, method, m.Keep}, choices}
		if len(m.Detect) == 0 {
			r.rules = append(r.rules, compiled)
			continue
		}
		d, err := s.detectRule(compiled, m)
		if err != nil {
			return nil, err
		}
		r.detects = append(r.detects, d)
	}
	r.host = s.detectors
	r.message = r.messages()
	return r, nil
}

// choicesOf reads the choices of m. One that is not known is refused: what it would
// have asked for can't be done.
func choicesOf(m *policy.Mask) (Choices, error) {
	var c Choices
	if len(m.Detect) > 0 && (m.Filter != "" || m.Untraced != "") {
		return c, fmt.Errorf("%w: table %q, column %q: what is found in text has neither filter nor untraced", ErrInvalidRule, m.Table, m.Column)
	}
	switch m.Filter {
	case "", policy.MaskAllow:
	case policy.MaskRefuse:
		c.RefuseFilter = true
	default:
		return c, fmt.Errorf("%w: table %q, column %q, filter %q", ErrInvalidRule, m.Table, m.Column, m.Filter)
	}
	switch m.Untraced {
	case "", policy.MaskWhole:
	case policy.MaskRefuse:
		c.RefuseUntraced = true
	default:
		return c, fmt.Errorf("%w: table %q, column %q, untraced %q", ErrInvalidRule, m.Table, m.Column, m.Untraced)
	}
	return c, nil
}

// splitTable cuts a pattern at the dot next to its "*", else at the first dot.
func splitTable(name string) (schema, table string) {
	if schema, ok := strings.CutSuffix(name, ".*"); ok {
		return schema, "*"
	}
	schema, table, ok := strings.Cut(name, ".")
	if !ok {
		return "*", name
	}
	return schema, table
}

// Whole reports whether any rule masks whole values, so that it matters where values
// come from.
func (r *Rules) Whole() bool { return r == nil || len(r.rules) > 0 }

// A Source is a column of a relation that values come from. An empty part means
// that it is not known, or for Column that it is the whole row; it matches every
// rule.
type Source struct {
	Schema, Table, Column string
}

// Match returns the name of the method for a column, "" if no rule matches.
//
// Where several rules match, the one that hides most wins: null, redact, hash,
// fake, partial (with the smaller Keep), email. How much a method of the host
// hides is not known: with any other than null beside it, or itself with another
// Keep, the value is redacted.
func (r *Rules) Match(src Source) string {
	if r == nil {
		return MethodNull
	}
	return r.match(src).name
}

// Choices returns what the rules that match a column want beside their methods: all
// that any of them wants. Nil Rules want everything refused.
func (r *Rules) Choices(src Source) Choices {
	if r == nil {
		return Choices{RefuseFilter: true, RefuseUntraced: true}
	}
	var c Choices
	for i := range r.rules {
		if r.rules[i].matches(src) {
			c.RefuseFilter = c.RefuseFilter || r.rules[i].choices.RefuseFilter
			c.RefuseUntraced = c.RefuseUntraced || r.rules[i].choices.RefuseUntraced
		}
	}
	return c
}

func (r *Rules) match(src Source) action {
	var a action
	for i := range r.rules {
		if r.rules[i].matches(src) {
			a = r.stricter(a, r.rules[i].action)
		}
	}
	return a
}

// matches takes a name with dots in its parts for every table that it could mean.
func (r *rule) matches(src Source) bool {
	if src.Column != "" && r.column != "*" && r.column != src.Column {
		return false
	}
	if src.Schema != "" && src.Table != "" && r.qualified == src.Schema+"."+src.Table {
		return true
	}
	return matchPart(r.schema, src.Schema) && matchPart(r.table, src.Table)
}

func matchPart(pattern, name string) bool {
	return pattern == "*" || name == "" || pattern == name
}

// stricter returns the action that hides what a and b hide.
func (r *Rules) stricter(a, b action) action {
	switch sa, sb := strictness(a.name), strictness(b.name); {
	case a.method == nil:
		return b
	case b.method == nil:
		return a
	case a.name == b.name && (a.keep == b.keep || sa > 0 && a.keep < b.keep):
		return a
	case a.name == b.name && sa > 0:
		return b
	case a.name == MethodNull || b.name == MethodNull:
		return r.null
	case sa == 0 || sb == 0:
		return r.redact
	case sa > sb:
		return a
	default:
		return b
	}
}
