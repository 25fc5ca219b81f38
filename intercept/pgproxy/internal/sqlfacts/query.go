package sqlfacts

import "slices"

// A Query is what the analysis of one text found. It is shared between all
// callers that ask for the same text or shape, and is never changed.
type Query struct {
	// Statements are in the order of the text. Text of comments and semicolons
	// only has none.
	Statements []*Statement
	// ExactOnly says that integers of the text matter to the facts, so that they
	// can't be shared with other texts of the same shape.
	ExactOnly bool
}

// Single returns the statement of a text that has exactly one, otherwise nil.
func (q *Query) Single() *Statement {
	if len(q.Statements) != 1 {
		return nil
	}
	return q.Statements[0]
}

// Opaque returns the reasons for which the analysis of any statement is
// incomplete, each once, in the order found.
func (q *Query) Opaque() []string {
	var out []string
	for _, s := range q.Statements {
		for _, reason := range s.Opaque {
			out = appendOnce(out, reason)
		}
	}
	return out
}

// ReadOnly reports that no statement writes, defines, grants, executes unknown
// functions, or is opaque. Statements that steer a transaction or read a setting
// count as reading.
func (q *Query) ReadOnly() bool {
	for _, s := range q.Statements {
		if len(s.Opaque) > 0 || s.UnknownFunctions || !s.readsOnly() {
			return false
		}
	}
	return true
}

// A Statement is what one statement does. Names are as the grammar has folded
// them, without quotes; an empty schema means that the name was not qualified.
type Statement struct {
	// Tag is the command tag, such as "SELECT" or "CREATE TABLE", without counts.
	Tag string
	// Where says that a SELECT, UPDATE, DELETE or COPY has a WHERE clause at its
	// top, or a MERGE its join condition.
	Where bool
	// Effects are in the order of analysis. One relation that occurs twice has two.
	Effects []Effect
	// Functions are the functions called, in the order met, each once, qualified
	// as written except that pg_catalog is left out.
	Functions []string
	// Searched are those of the functions that were called without a schema, so that
	// the server looks for them along the search path.
	Searched []string
	// Notations are the names behind a period that are not plainly columns: the
	// server takes x.f for a call of f where x has no such column.
	Notations []Notation
	// Operators are the operators used under a name without schema, each once, and
	// those of IN, LIKE and the like.
	Operators []string
	// Casts are the types that values are cast to, each once.
	Casts []TypeName
	// Opaque says why Effects may be incomplete, in stable words.
	Opaque []string

	// Rows says that the statement returns rows, whose columns Output describes.
	// It is nil for statements whose columns depend on something outside of the
	// text, such as FETCH and EXECUTE.
	Rows   bool
	Output []OutputColumn
	// SetOperation says that there is a set operation or recursive query
	// somewhere: the server then describes a column by its first branch only.
	SetOperation bool
	// UnknownFunctions says that functions or operators are called of which the
	// built-in list knows nothing: their results can't be traced.
	UnknownFunctions bool
	// FunctionInFrom says that a function stands where a relation could.
	FunctionInFrom bool
	// Nested says that there is a query within the query.
	Nested bool
	// WritesDerived says that values computed from relations are stored or sent
	// where they can't be traced: INSERT … SELECT, CREATE TABLE AS, a view, a
	// COPY to a file. WriteSources are the relations read.
	WritesDerived bool
	WriteSources  []Relation
	// WritesSelected says that which values are stored is a matter of rows that are
	// read, be the values computed from them or not.
	WritesSelected bool

	// Settings are the changes to settings, in order.
	Settings []Setting
	// Transaction is set for statements that steer transactions.
	Transaction TransactionKind
	// Savepoint is the name in SAVEPOINT, RELEASE and ROLLBACK TO; GlobalID the
	// identifier in PREPARE TRANSACTION, COMMIT PREPARED and ROLLBACK PREPARED.
	Savepoint, GlobalID string
	// Prepares, Executes and Deallocates name prepared statements.
	Prepares, Executes, Deallocates string
	DeallocatesAll                  bool
	// Declares, Fetches and Closes name cursors. CursorHold marks WITH HOLD.
	Declares, Fetches, Closes string
	ClosesAll, CursorHold     bool
	// Inner is the statement that PREPARE, DECLARE CURSOR, EXPLAIN or COPY wraps.
	// The effects of all but PREPARE's are among the outer statement's as well.
	Inner *Statement
	// Discards says what DISCARD drops: "all", "plans", "sequences" or "temp".
	Discards string

	// ChangesCatalog says that a catalogue held elsewhere may be out of date.
	ChangesCatalog bool
	// Renames says that names of relations or columns change, that a table ceases to
	// share rows with another or a column to be generated from others: whoever goes by
	// these must look again.
	Renames bool
	// Domain is a domain whose values, wherever they are kept, are held against a
	// constraint. Bounded are a partitioned table and, if it is attached, a partition,
	// whose rows are held against the partition's bounds.
	Domain  Relation
	Bounded []Relation
	// CreatesTemp says that a temporary relation comes to be, which can shadow one
	// of the same name. A name qualified by pg_temp counts.
	CreatesTemp bool
	// Copy says which way a COPY goes.
	Copy CopyKind
	// CopyOptions says how a COPY writes or reads rows.
	CopyOptions CopyOptions
	// Analyze says that EXPLAIN runs its statement.
	Analyze bool
}

// A TypeName names a type as the text does. BuiltIn says that a built-in type has
// the name.
type TypeName struct {
	Schema, Name string
	BuiltIn      bool
}

// TransactionKind says how a statement steers the transaction.
type TransactionKind uint8

// The kinds of transaction control.
const (
	TransactionNone TransactionKind = iota
	TransactionBegin
	TransactionCommit
	TransactionRollback
	TransactionSavepoint
	TransactionRelease
	TransactionRollbackTo
	TransactionPrepare
	TransactionCommitPrepared
	TransactionRollbackPrepared
)

// CopyKind says between what a COPY moves rows.
type CopyKind uint8

// The kinds of COPY.
const (
	CopyNone CopyKind = iota
	CopyFromStdin
	CopyToStdout
	CopyFromFile
	CopyToFile
	CopyFromProgram
	CopyToProgram
)

// A Notation is the name of a column or a function behind a period.
type Notation struct {
	Name string
	// Of is the relation whose row is before the period, zero if it is another value.
	Of Relation
}

// A Relation names a relation as written.
type Relation struct{ Schema, Name string }

// An Effect is one thing that a statement does to one object.
type Effect struct {
	// Verb is one of the Verb constants of package policy.
	Verb string
	// Kind is the sort of object. A relation in a query has Kind "table", whatever
	// it turns out to be; "lock" is a relation whose rows or which itself is locked.
	Kind         string
	Schema, Name string
	// Columns are read or written. A relation may have none: count(*) reads rows
	// without columns.
	Columns []ColumnRef
	// Filtered are the columns that decide which rows are met or in which order.
	Filtered []ColumnRef
}

// Relation returns the effect's name.
func (e *Effect) Relation() Relation { return Relation{Schema: e.Schema, Name: e.Name} }

// A ColumnRef is a column of a relation.
type ColumnRef struct {
	// Name is the column, or "*" for all of them and for the row as a whole.
	Name string
	// Ambiguous says that the name was not qualified and that more than one
	// relation could have it: it may be dropped if this relation does not.
	Ambiguous bool
	// Starred says that a star stands between the name and this relation: where no
	// relation behind the star has such a column, the name is a function of its row.
	Starred bool
	// Unless is set on a "*" that stands for a name that means the whole row only
	// where no column has it. It may be dropped if a relation in scope has it.
	Unless string
	// Position, if not zero, is the column's place from 1 in the relation, whose
	// columns were renamed by an alias; Name is then the alias.
	Position int
}

// An OutputColumn says where one column of a result comes from.
type OutputColumn struct {
	// Name is the name that the server will give it, "" if not known.
	Name string
	// Star expands to an unknown number of columns.
	Star bool
	// Pure says that the value comes from constants, parameters, the clock and the
	// session only.
	Pure bool
	// Metadata says that it would be Pure but for functions that read the system
	// catalogue.
	Metadata bool
	// Counting says that it would be Pure or Metadata but for counts of rows.
	Counting bool
	// Selected says that the value, although from no relation, can be one of several
	// of which rows decide: it comes out of a query in FROM or in an expression, or
	// of a set operation.
	Selected bool

	// Traced says that the value is made of Sources, constants, parameters, and
	// what the server tells of itself, and of nothing else.
	Traced  bool
	Sources []ColumnSource
	// Direct says that the value is that of one of the sources as it is.
	Direct bool
	// Computed says that the value is none of a column as it is, whatever the server
	// makes of the names in it.
	Computed bool
	// Steered says that rows decide about the value beyond whether it is met: it
	// counts or combines rows, or is one of several that a query in FROM has made.
	Steered bool

	// read is the part of the analysis's log that the value comes from, origin what
	// it is made of, expands what a star stands for.
	read    span
	origin  origin
	expands []*source
}

// A ColumnSource is a column of a relation that a value is made of.
type ColumnSource struct {
	Relation Relation
	Column   ColumnRef
}

// A Setting is a change to a setting.
type Setting struct {
	// Name is in lower case: "role" and "session_authorization" for their SQL
	// forms, "transaction" and "session characteristics" for SET TRANSACTION and
	// its sibling. It is empty with All.
	Name string
	// Value is the text of the value; lists are joined by ", ".
	Value string
	// Local ends with the transaction. Reset restores a default, of all settings
	// with All. FromCurrent takes the value in force.
	Local, Reset, All, FromCurrent bool
	// Computed says that the setting or its value is known only when the statement
	// is run; Name is empty then.
	Computed bool
	// Listed says that the name is taken from a row of pg_settings that has it: it is
	// what it seems if that is the server's own view, and = its own operator.
	Listed bool
	// Scope is where it applies: "" for this session, otherwise "role",
	// "database", "system" or "function", which apply later or to others.
	Scope string
}

func appendOnce[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// appendNear is appendOnce that looks at the last entries only: a list of a great
// many has some twice rather than be slow.
func appendNear[T comparable](list []T, v T) []T {
	const near = 64
	if slices.Contains(list[max(0, len(list)-near):], v) {
		return list
	}
	return append(list, v)
}
