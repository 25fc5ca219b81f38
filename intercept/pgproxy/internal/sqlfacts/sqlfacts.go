// Package sqlfacts finds out what SQL text does before it is run: which objects
// it touches and how, where the columns of its results come from, and what it
// does to the session.
//
// The facts come from the raw parse tree, without a catalogue. Names are left as
// written; whoever holds a catalogue resolves them. Four things are taken for
// granted, and the caller must see to them:
//
//   - The server reads text as package pgparse does (see there).
//   - pg_catalog is searched before every schema in which others could define
//     functions, as it is unless search_path names it later. Even so a user's
//     function whose argument types match better is chosen over a built-in of the
//     same name, and so is a user's operator. Those who may create functions or
//     operators in a schema on the search path can therefore mislead the analysis.
//   - Views, rules, triggers, column defaults and row security are the server's:
//     what they do is not in the text. Views have to be resolved to their sources.
//   - Casts between built-in types are built-in.
package sqlfacts

import (
	"errors"
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/intercept/pgproxy/internal/pgparse"
)

// The reasons for which text is refused. Errors of Analyze wrap one of them.
var (
	ErrTooLong  = pgparse.ErrTooLong
	ErrTooDeep  = pgparse.ErrTooDeep
	ErrEncoding = pgparse.ErrEncoding
	ErrSyntax   = pgparse.ErrSyntax
	// ErrParser means that the parser failed, not that the text is wrong.
	ErrParser = pgparse.ErrParser
	// ErrTooComplex means that names could refer to more columns than the analysis
	// is ready to list.
	ErrTooComplex = errors.New("statement is too complex")
)

// A SyntaxError carries the message and position of a syntax error.
type SyntaxError = pgparse.SyntaxError

// DefaultCacheBytes is the size of the cache that a zero Config stands for.
const DefaultCacheBytes = 16 << 20

// Config configures an Analyzer. The zero Config is usable.
type Config struct {
	// MaxBytes is the longest text; zero means pgparse.DefaultMaxBytes.
	MaxBytes int
	// CacheBytes bounds the memory of remembered facts, roughly; zero means
	// DefaultCacheBytes, less than zero none at all.
	CacheBytes int
	// Parse replaces the parser; nil means package pgparse. It must be safe for
	// concurrent use, and is given text of any length up to MaxBytes.
	Parse func(sql string) (*pg_query.ParseResult, error)
}

// An Analyzer analyses text and remembers what it found. It is safe for
// concurrent use.
type Analyzer struct {
	maxBytes  int
	parse     func(sql string) (*pg_query.ParseResult, error)
	functions *functionTable
	cache     *cache
}

// New returns an Analyzer.
func New(c Config) (*Analyzer, error) {
	parser, err := pgparse.New(pgparse.Config{MaxBytes: c.MaxBytes})
	if err != nil {
		return nil, fmt.Errorf("sqlfacts: %w", err)
	}
	a := &Analyzer{maxBytes: c.MaxBytes, parse: c.Parse, functions: newFunctionTable()}
	if a.maxBytes == 0 {
		a.maxBytes = pgparse.DefaultMaxBytes
	}
	if a.parse == nil {
		a.parse = parser.Parse
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	if c.CacheBytes > 0 {
		a.cache = newCache(c.CacheBytes)
	}
	return a, nil
}

// Analyze returns the facts of sql. An error means that the text must not be
// forwarded. The Query is shared: it must not be changed.
//
// Statements of the same shape, which differ in plain decimal integers only,
// share one Query; see [Query.ExactOnly].
func (a *Analyzer) Analyze(sql string) (*Query, error) {
	if len(sql) > a.maxBytes {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLong, len(sql), a.maxBytes)
	}
	if a.cache == nil {
		return a.analyze(sql)
	}
	if q := a.cache.exact.get(sql); q != nil {
		return q, nil
	}
	var buf [maxShape]byte
	shape := shapeOf(buf[:0], sql)
	if q := a.cache.shapes.getBytes(shape); q != nil {
		return q, nil
	}
	q, err := a.analyze(sql)
	if err != nil {
		return nil, err
	}
	a.cache.put(sql, shape, q)
	return q, nil
}

// analyze parses sql and finds its facts.
func (a *Analyzer) analyze(sql string) (*Query, error) {
	tree, err := a.parse(sql)
	if err != nil {
		return nil, err
	}
	q := &Query{}
	budget := maxReferences
	for _, raw := range tree.GetStmts() {
		s := newAnalysis(a.functions, &budget)
		s.statement(raw.GetStmt())
		if budget < 0 {
			return nil, ErrTooComplex
		}
		q.Statements = append(q.Statements, s.finish())
		q.ExactOnly = q.ExactOnly || s.exactOnly
	}
	return q, nil
}
