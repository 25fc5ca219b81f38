package pgproxy

import (
	"slices"
	"strings"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/policy"
)

// trace looks up the names of one statement.
func (c *catalogue) trace(s *sqlfacts.Statement, m meaning) *traced {
	t := &traced{
		statement: s, opaque: s.Opaque, lost: s.UnknownFunctions,
		stores: s.WritesDerived, selects: s.WritesSelected, renames: s.Renames,
	}
	t.rows, t.chosen = t, s.UnknownFunctions
	t.runsCode = s.UnknownFunctions || len(s.Opaque) > 0
	t.addSettings()
	for i := range s.Effects {
		t.addEffect(c, &s.Effects[i])
	}
	t.addCode(c)
	t.addCasts(c)
	t.addConstrained(c)
	if s.Inner != nil && (s.Prepares != "" || s.Declares != "") {
		t.inner = c.trace(s.Inner, m)
	}
	if name := executed(s); name != "" {
		t.follow(c, m.statement(name), m, "EXECUTE of a statement that the gateway has not seen")
	}
	if s.Fetches != "" {
		t.follow(nil, m.cursor(s.Fetches), m, "FETCH from a cursor that the gateway has not seen")
	}
	return t
}

// maxExecutes is how far statements are followed that execute others: by way of the
// protocol one can execute itself, which the server refuses only when it runs.
const maxExecutes = 8

// follow makes t have the effects and rows of what it names. The server looks the
// names of a prepared statement up again when the catalogue has changed, and so
// does c; a cursor keeps what it was opened on.
func (t *traced) follow(c *catalogue, named *traced, m meaning, unknown string) {
	if t.statement.Inner == nil {
		t.rows = nil
	}
	if named == nil || m.depth >= maxExecutes {
		t.opaque = append(slices.Clone(t.opaque), unknown)
		t.lost, t.chosen, t.runsCode = true, true, true
		return
	}
	if c != nil {
		m.depth++
		named = c.trace(named.statement, m)
	}
	if t.statement.Inner == nil {
		t.rows = named.rows
	}
	t.effects = append(slices.Clone(t.effects), named.effects...)
	t.opaque = append(slices.Clone(t.opaque), named.opaque...)
	t.reads = append(slices.Clone(t.reads), named.reads...)
	t.touches = append(slices.Clone(t.touches), named.touches...)
	t.filters = append(slices.Clone(t.filters), named.filters...)
	t.lost, t.chosen = t.lost || named.lost, t.chosen || named.chosen
	t.stores, t.selects = t.stores || named.stores, t.selects || named.selects
	t.emits, t.renames = t.emits || named.emits, t.renames || named.renames
	t.runsCode, t.setsPath, t.resetsPath = t.runsCode || named.runsCode, t.setsPath || named.setsPath, t.resetsPath || named.resetsPath
}

// addSettings notes changes of the search path.
func (t *traced) addSettings() {
	for _, set := range t.statement.Settings {
		switch {
		case set.Scope != "":
		case set.Listed, set.Computed:
			t.setsPath = true
		case set.All, set.Name == "search_path" && set.Reset:
			t.resetsPath = true
		case set.Name == "search_path":
			t.setsPath = true
		}
	}
}

// isRelation says which kinds of effects are about relations.
func isRelation(kind string) bool {
	switch kind {
	case "table", "lock", "view", "materialized view", "foreign table", "maintenance":
		return true
	default:
		return false
	}
}

func (t *traced) addEffect(c *catalogue, e *sqlfacts.Effect) {
	if !isRelation(e.Kind) || e.Name == "*" {
		t.effects = append(t.effects, policy.Effect{Verb: e.Verb, Kind: e.Kind, Name: joinName(e.Schema, e.Name)})
		t.addOutside(e)
		return
	}
	rel := c.lookup(e.Schema, e.Name)
	effect := policy.Effect{Verb: e.Verb, Kind: e.Kind, Name: c.nameOf(rel, e)}
	effect.Columns = columnNames(rel, e.Columns)
	effect.Filtered = columnNames(rel, e.Filtered)
	t.effects = append(t.effects, effect)
	t.addFilters(rel, effect.Filtered)
	if rel != nil {
		t.touches = append(t.touches, rel)
		t.addRowFunctions(c, rel, e.Columns)
		t.addRowFunctions(c, rel, e.Filtered)
	}
	switch e.Verb {
	case policy.VerbRead:
		t.addReading(rel, effect.Columns, effect.Filtered)
	case policy.VerbCreate, policy.VerbUpdate, policy.VerbDelete:
		t.addWriting(rel, e)
	}
}

// addFilters notes what decides which rows are met.
func (t *traced) addFilters(rel *relation, columns []string) {
	switch {
	case len(columns) == 0:
	case rel == nil:
		t.chosen = true
	default:
		t.filters = append(t.filters, reading{relation: rel, filtered: columns})
	}
}

// addRowFunctions notes functions called on a row in the way of columns.
func (t *traced) addRowFunctions(c *catalogue, rel *relation, refs []sqlfacts.ColumnRef) {
	for _, ref := range refs {
		if !rel.has(ref.Name) {
			t.addNotation(c, ref.Name)
		}
	}
}

// addNotation notes the call of a function that has the form of a column.
func (t *traced) addNotation(c *catalogue, name string) {
	f, known := c.functions[strings.ToLower(name)]
	if !known {
		return
	}
	t.emits = t.emits || f.volatile
	t.addUnseen(name)
}

// addReading notes what is read, and what a view reads in turn: a policy about a
// table must not be got round by a view.
func (t *traced) addReading(rel *relation, columns, filtered []string) {
	if rel == nil {
		t.lost, t.runsCode = true, true // it may be a view
		return
	}
	t.reads = append(t.reads, reading{rel, columns, filtered})
	t.lost, t.runsCode = t.lost || rel.blind, t.runsCode || rel.blind
	for _, name := range rel.runs {
		t.effects = append(t.effects, policy.Effect{Verb: policy.VerbExecute, Kind: "function", Name: name})
	}
	t.addBehind(rel, columns)
}

// addBehind notes what a view reads in turn: the columns that those which are read
// of it are made of, or all where that can't be told.
func (t *traced) addBehind(rel *relation, columns []string) {
	v := rel.view.followed()
	var made map[*relation][]string
	ok := false
	if v != nil {
		made, ok = v.behind(columns)
	}
	for _, source := range rel.reads {
		read, effect := reading{source, []string{"*"}, nil}, behind(policy.VerbRead, source)
		if ok {
			read = reading{source, made[source], v.filtered(source)}
			effect.Columns, effect.Filtered = read.columns, read.filtered
		}
		t.reads = append(t.reads, read)
		t.effects = append(t.effects, effect)
	}
}

// addWriting notes what a write to a view writes in turn. What rules make of a
// write can't be told.
func (t *traced) addWriting(rel *relation, e *sqlfacts.Effect) {
	if rel == nil {
		return
	}
	rewritten := rel.rewritten
	for _, source := range rel.reads {
		rewritten = rewritten || source.rewritten
		if e.Kind == "table" {
			t.effects = append(t.effects, behind(e.Verb, source))
			t.touches = append(t.touches, source)
		}
	}
	if rewritten {
		t.opaque = append(slices.Clone(t.opaque), "rules rewrite what is written")
	}
	if rel.schema == "pg_catalog" && e.Kind == "table" {
		t.opaque = append(slices.Clone(t.opaque), "writes to the system catalogue")
	}
}

// behind is an effect on a relation behind a view.
func behind(verb string, source *relation) policy.Effect {
	return policy.Effect{Verb: verb, Kind: "table", Name: joinName(source.schema, source.name), Columns: []string{"*"}}
}

// addOutside notes values that come from outside of all relations, and those that
// go there.
func (t *traced) addOutside(e *sqlfacts.Effect) {
	switch e.Kind {
	case "file", "large object", "replication":
		t.lost = true
		t.emits = t.emits || e.Verb != policy.VerbRead
	case "channel", "session", "server":
		t.emits = t.emits || e.Verb != policy.VerbRead
	}
}

// addCode notes the functions and operators that users made: those that may be
// chosen in place of built-in ones, and those that may store what they are given.
func (t *traced) addCode(c *catalogue) {
	for _, name := range t.statement.Functions {
		f := c.functions[name]
		t.emits = t.emits || f.volatile || name == "setval" || strings.Contains(name, "_advisory_") ||
			name == "nextval" && !t.inserts()
	}
	for _, n := range t.statement.Notations {
		rel := c.lookup(n.Of.Schema, n.Of.Name)
		if n.Of.Name == "" || rel == nil || !rel.has(n.Name) {
			t.addNotation(c, n.Name)
		}
	}
	for _, name := range t.statement.Searched {
		if f := c.functions[name]; f.shadows || c.exposed && f.own {
			t.addUnseen(name)
		}
	}
	for _, name := range t.statement.Operators {
		if acts, own := c.operators[name]; acts || c.exposed && own {
			t.addUnseen(name)
		}
	}
	if _, own := c.operators["="]; own && c.exposed {
		t.addUnseen("=") // which JOIN USING, CASE and others call without a word
	}
}

// inserts reports whether t does nothing but make rows of one table: what it reads
// of that is what it has made.
func (t *traced) inserts() bool {
	var made sqlfacts.Relation
	for i := range t.statement.Effects {
		e := &t.statement.Effects[i]
		switch {
		case !isRelation(e.Kind):
		case i == 0 && e.Verb == policy.VerbCreate:
			made = e.Relation()
		case e.Verb != policy.VerbRead, e.Relation() != made:
			return false
		}
	}
	return t.statement.Tag == "INSERT" && !t.statement.Nested && made.Name != ""
}

func (t *traced) addUnseen(name string) {
	t.lost, t.unseen, t.chosen, t.runsCode = true, true, true, true
	t.effects = append(t.effects, policy.Effect{Verb: policy.VerbExecute, Kind: "function", Name: name})
}
