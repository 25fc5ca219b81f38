package pgproxy

import (
	"slices"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/policy"
)

// resolved is an analysed text whose names have been looked up in a catalogue.
// It is immutable and, unless it uses names of the session, shared.
type resolved struct {
	query     *sqlfacts.Query
	catalogue *catalogue
	facts     *policy.Facts
	traced    []*traced
	// usesNames says that a statement is about a prepared statement or cursor by
	// its name, whose meaning is the session's.
	usesNames bool
	// renames counts the statements that change what names mean.
	renames int
	// unknown says that a relation is not in the catalogue.
	unknown bool
	// changesCatalogue says that names may mean something else afterwards.
	changesCatalogue bool
	// reads says that the text leaves nothing behind that a commit would keep.
	reads bool
	// endsTransaction says that a statement ends a transaction.
	endsTransaction bool
	// setsPath says that the search path is changed, resetsPath that it may be what it
	// was when the session began, leaves that a transaction, or a part of one, may end,
	// runsCode that code is run which could change the path, too. looksUpBehind says
	// that a statement looks names up behind one that resets or leaves.
	setsPath, resetsPath, leaves bool
	runsCode                     bool
	looksUpBehind                bool
	// looksUpLate says that names are looked up when a portal is executed.
	looksUpLate bool
	// listsSettings says that a setting is changed by way of pg_settings.
	listsSettings bool
	// refusal is set for what the gateway does not carry.
	refusal *intercept.Refusal
}

// traced is one statement with the relations that it reaches.
type traced struct {
	statement *sqlfacts.Statement
	// rows is the statement that the rows come from: itself, or what EXECUTE or
	// FETCH names. Nil if that is not known.
	rows *traced
	// reads are the relations read, with the columns, views expanded.
	reads []reading
	// touches are all relations that it is about in some way: errors can quote
	// their rows.
	touches []*relation
	// lost says that a relation is not in the catalogue, or that code is run which
	// the gateway can't see.
	lost bool
	// runsCode says that code is run which the gateway can't see.
	runsCode bool
	// setsPath and resetsPath say that the search path is changed, or set back.
	setsPath, resetsPath bool
	// unseen says that code may be chosen in place of built-in functions, so that
	// not even values from constants are known.
	unseen bool
	// filters are the columns that decide which rows are met, of reads and writes;
	// chosen says that what decides can't be told.
	filters []reading
	chosen  bool
	// stores says that computed values go where they can't be traced; selects, that
	// which values are stored is a matter of rows that are read; emits, that
	// code or channels are given values which they could keep or pass on; renames,
	// that what the masks go by changes.
	stores, selects, emits, renames bool
	// inner is what PREPARE or DECLARE gives a name to.
	inner *traced
	// effects is what the policy is told.
	effects []policy.Effect
	opaque  []string
}

// reading is a relation and the columns of it that a statement reads, and those
// that decide which rows are met; "*" is all.
type reading struct {
	relation          *relation
	columns, filtered []string
}

func (r *resolved) factsOrOpaque(reason string) *policy.Facts {
	if r == nil || r.facts == nil {
		return opaqueFacts(reason)
	}
	return r.facts
}

// sameMeaning reports whether two resolutions of one text mean the same.
func (r *resolved) sameMeaning(other *resolved) bool {
	return slices.EqualFunc(r.traced, other.traced, func(a, b *traced) bool {
		return a.statement == b.statement && sameRows(a.rows, b.rows)
	}) && r.catalogue.setting == other.catalogue.setting
}

func sameRows(a, b *traced) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.statement == b.statement
}

// meaning looks names of the session up. A nil func knows none.
type meaning struct {
	statement func(name string) *traced
	cursor    func(name string) *traced
	// depth is how many statements have executed each other so far.
	depth int
}

// resolve looks up all names of a text. Statements of one text follow each other,
// so what an earlier one names a later one may use.
func (c *catalogue) resolve(q *sqlfacts.Query, session meaning) *resolved {
	r := &resolved{query: q, catalogue: c}
	local := meaning{statement: session.statement, cursor: session.cursor}
	for _, s := range q.Statements {
		t := c.trace(s, local)
		t.lost = t.lost || r.changesCatalogue || r.runsCode && looksUp(s)
		if looksUp(s) && r.setsPath && r.refusal == nil {
			r.refusal = pathMoved()
		}
		r.followPath(t)
		r.traced = append(r.traced, t)
		r.usesNames = r.usesNames || usesName(s)
		r.changesCatalogue = r.changesCatalogue || s.ChangesCatalog
		r.unknown = r.unknown || t.lost
		r.endsTransaction = r.endsTransaction || endsTransaction(s)
		if t.runsUnseen() {
			local = noMeaning()
		}
		if changesNames(s) {
			r.renames++
			local = local.after(s, t, r.renames)
		}
		if r.refusal == nil {
			r.refusal = t.uncarried(c)
		}
		r.listsSettings = r.listsSettings || slices.ContainsFunc(s.Settings, func(set sqlfacts.Setting) bool { return set.Listed })
	}
	r.facts = r.policyFacts()
	r.reads = r.onlyReads()
	return r
}

// endsTransaction reports whether what was deferred may happen now.
func endsTransaction(s *sqlfacts.Statement) bool {
	switch s.Transaction {
	case sqlfacts.TransactionCommit, sqlfacts.TransactionPrepare, sqlfacts.TransactionCommitPrepared:
		return true
	default:
		return s.Tag == "SET CONSTRAINTS"
	}
}

// followPath notes what the next statement does to the search path.
func (r *resolved) followPath(t *traced) {
	r.looksUpBehind = r.looksUpBehind || looksUp(t.statement) && (r.resetsPath || r.leaves)
	r.looksUpLate = r.looksUpLate || looksUpLate(t.statement)
	r.setsPath, r.runsCode = r.setsPath || t.setsPath, r.runsCode || t.runsCode
	r.resetsPath = r.resetsPath || t.resetsPath
	r.leaves = r.leaves || leavesTransaction(t.statement)
}

// leavesTransaction reports whether what was done since a transaction, or a part of
// one, began may be undone.
func leavesTransaction(s *sqlfacts.Statement) bool {
	switch s.Transaction {
	case sqlfacts.TransactionNone, sqlfacts.TransactionBegin, sqlfacts.TransactionSavepoint, sqlfacts.TransactionRelease:
		return false
	default:
		return true
	}
}

// executed returns the name of the prepared statement that s runs: itself, or
// inside of EXPLAIN or CREATE TABLE AS.
func executed(s *sqlfacts.Statement) string {
	for ; s != nil; s = s.Inner {
		if s.Executes != "" || s.Prepares != "" {
			return s.Executes
		}
	}
	return ""
}

func usesName(s *sqlfacts.Statement) bool { return executed(s) != "" || s.Fetches != "" }

// changesNames reports whether a statement changes what names mean.
func changesNames(s *sqlfacts.Statement) bool {
	return s.Prepares != "" || s.Deallocates != "" || s.DeallocatesAll ||
		s.Declares != "" || s.Closes != "" || s.ClosesAll || s.Discards != ""
}

// noMeaning is what names mean behind code that could have changed them.
func noMeaning() meaning {
	none := func(string) *traced { return nil }
	return meaning{statement: none, cursor: none}
}

// maxRenames is how many statements of one text may change what names mean: each
// look-up goes through all of them.
const maxRenames = 256

// after is what names mean behind a statement of the same text, the n-th that
// changes them. Behind too many they mean nothing that is known.
func (m meaning) after(s *sqlfacts.Statement, t *traced, n int) meaning {
	if n > maxRenames {
		none := func(string) *traced { return nil }
		return meaning{statement: none, cursor: none}
	}
	before := m
	m.statement = func(name string) *traced {
		switch {
		case s.Prepares == name:
			return t.inner
		case s.Deallocates == name, s.DeallocatesAll, s.Discards == "all":
			return nil
		default:
			return before.statement(name)
		}
	}
	m.cursor = func(name string) *traced {
		switch {
		case s.Declares == name:
			return t.inner
		case s.Closes == name, s.ClosesAll, s.Discards == "all":
			return nil
		default:
			return before.cursor(name)
		}
	}
	return m
}

// nameOf returns the qualified name. What is not in the catalogue would be made,
// or does not exist; its name is the one that the server would look for last.
func (c *catalogue) nameOf(rel *relation, e *sqlfacts.Effect) string {
	switch {
	case rel != nil:
		return joinName(rel.schema, rel.name)
	case e.Schema == "":
		return joinName(c.home, e.Name)
	default:
		return joinName(e.Schema, e.Name)
	}
}

func joinName(schema, name string) string {
	if schema == "" {
		return name
	}
	return schema + "." + name
}

// columnNames returns the columns that the relation can have, each once.
func columnNames(rel *relation, refs []sqlfacts.ColumnRef) []string {
	var out []string
	for _, ref := range refs {
		name := ref.Name
		switch {
		case rel == nil:
		case ref.Position > 0:
			name = rel.columnAt(ref.Position)
		case ref.Ambiguous && !ref.Starred && name != "*" && !rel.has(name) && !isSystemColumn(name):
			continue
		case ref.Unless != "" && rel.has(ref.Unless):
			name = ref.Unless
		case name != "*" && !rel.has(name) && !isSystemColumn(name):
			name = "*" // a function of the row
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// columnAt returns the n-th column from 1, "*" if there is none: dropped columns
// do not count.
func (r *relation) columnAt(n int) string {
	names := r.columnNames()
	if n > len(names) {
		return "*"
	}
	return names[n-1]
}

func isSystemColumn(name string) bool {
	switch name {
	case "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid":
		return true
	default:
		return false
	}
}

// policyFacts puts together what the policy is told of all statements.
func (r *resolved) policyFacts() *policy.Facts {
	f := &policy.Facts{Effects: []policy.Effect{}, Opaque: []string{}, SQL: &policy.SQL{Statements: []policy.SQLStatement{}, SearchPath: r.catalogue.setting}}
	for _, t := range r.traced {
		f.Effects = append(f.Effects, t.effects...)
		f.Opaque = append(f.Opaque, t.opaque...)
		f.SQL.Statements = append(f.SQL.Statements, policy.SQLStatement{
			Tag: t.statement.Tag, Where: t.statement.Where, Functions: t.statement.Functions,
			Calls: r.catalogue.calls(t.statement.Functions),
		})
	}
	return f
}
