// Package pgparse parses SQL with PostgreSQL's own grammar, taken from the
// server by libpg_query: linked as C where cgo is available, and as a
// WebAssembly module in a pure Go runtime elsewhere.
//
// The text comes from an untrusted client. Limits on its length, encoding and
// nesting are checked before the grammar sees it, because the C code recurses
// over the tree that it builds and a client could otherwise exhaust its stack.
//
// The grammar reads text as a server with standard_conforming_strings = on,
// backslash_quote = safe_encoding and client_encoding = UTF8 does. Callers must
// hold the server to these settings. One difference is known: a string constant
// that goes on after a comment, as in 'a' -- b, a newline and 'c', is one constant
// to the server and a syntax error here.
package pgparse

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// The limits that a zero Config stands for.
const (
	DefaultMaxBytes = 1 << 20
	DefaultMaxDepth = 500
)

// MaxDepth is the greatest depth that a Config may ask for. The C parser needs
// up to about 1 KiB of stack for each level, of which threads have 512 KiB on
// the platforms with the least.
const MaxDepth = 500

// The reasons for which text is refused. Errors of Parse wrap one of them.
var (
	ErrTooLong  = errors.New("statement is too long")
	ErrTooDeep  = errors.New("statement is nested too deeply")
	ErrEncoding = errors.New("statement is not valid UTF-8 text")
	ErrSyntax   = errors.New("syntax error")
	// ErrParser means that the parser itself failed, not that the text is wrong.
	ErrParser = errors.New("parser failed")
)

// A SyntaxError is the grammar's complaint. It wraps ErrSyntax.
type SyntaxError struct {
	// Message is the server's primary message, such as: syntax error at or near "x".
	Message string
	// Position is the place in the text in characters from 1, or 0 if unknown.
	Position int
	// Code is the SQLSTATE, Detail and Hint go with the message. They are empty
	// where the parser's build without cgo does not tell them.
	Code, Detail, Hint string
	// File and Routine are the place in PostgreSQL's source that reports it.
	File, Routine string
}

// sourceFile is what PostgreSQL calls a file of libpg_query's: src_backend_parser_gram.c
// is made of gram.y.
func sourceFile(name string) string {
	name = strings.TrimPrefix(name, "src_backend_")
	for _, folder := range []string{"parser_", "utils_mb_", "utils_adt_", "nodes_"} {
		name = strings.TrimPrefix(name, folder)
	}
	switch name {
	case "gram.c":
		return "gram.y"
	case "scan.c":
		return "scan.l"
	default:
		return name
	}
}

// sqlState spells out the number that PostgreSQL packs a SQLSTATE into: six bits
// for each character.
func sqlState(packed int) string {
	code := make([]byte, 5)
	for i := range code {
		code[i] = byte(packed>>(6*i)&0x3f) + '0'
	}
	return string(code)
}

// Error returns the message.
func (e *SyntaxError) Error() string { return e.Message }

// Unwrap returns ErrSyntax.
func (e *SyntaxError) Unwrap() error { return ErrSyntax }

// Config bounds what is parsed. The zero Config has the defaults.
type Config struct {
	// MaxBytes is the longest text; zero means DefaultMaxBytes.
	MaxBytes int
	// MaxDepth bounds the nesting of the text as [Depth] counts it; zero means
	// DefaultMaxDepth. It can't be more than the constant MaxDepth.
	MaxDepth int
}

// A Parser parses within limits. It is immutable and safe for concurrent use.
type Parser struct {
	maxBytes, maxDepth int
}

// New returns a Parser with the limits of c.
func New(c Config) (*Parser, error) {
	if c.MaxBytes < 0 || c.MaxDepth < 0 || c.MaxDepth > MaxDepth {
		return nil, fmt.Errorf("pgparse: limits out of range: %d bytes, depth %d", c.MaxBytes, c.MaxDepth)
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.MaxDepth == 0 {
		c.MaxDepth = DefaultMaxDepth
	}
	return &Parser{maxBytes: c.MaxBytes, maxDepth: c.MaxDepth}, nil
}

// Parse parses sql within the default limits.
func Parse(sql string) (*pg_query.ParseResult, error) {
	p := Parser{maxBytes: DefaultMaxBytes, maxDepth: DefaultMaxDepth}
	return p.Parse(sql)
}

// Parse returns the tree of sql. Any error means that the text must not be
// forwarded. The zero Parser refuses all text but the empty one.
func (p *Parser) Parse(sql string) (*pg_query.ParseResult, error) {
	if err := p.check(sql); err != nil {
		return nil, err
	}
	encoded, err := rawParse(sql)
	if err != nil {
		return nil, err
	}
	tree := new(pg_query.ParseResult)
	if err := proto.Unmarshal(encoded, tree); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrParser, err)
	}
	return tree, nil
}

// check holds sql to the limits that keep the C code safe.
func (p *Parser) check(sql string) error {
	if len(sql) > p.maxBytes {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrTooLong, len(sql), p.maxBytes)
	}
	if strings.IndexByte(sql, 0) >= 0 || !utf8.ValidString(sql) {
		return ErrEncoding
	}
	depth, copies := measure(sql)
	if depth > p.maxDepth {
		return fmt.Errorf("%w: depth %d, limit %d", ErrTooDeep, depth, p.maxDepth)
	}
	if copies > maxCopies {
		return fmt.Errorf("%w: nested multiple assignments", ErrTooDeep)
	}
	return nil
}
