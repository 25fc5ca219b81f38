package embeddedpg

import (
	"slices"
	"strconv"
	"strings"
)

// A translator turns tokens of PostgreSQL's SQL into SQLite's. It covers what
// differs in everyday statements and refuses what SQLite would silently read in
// another way.
type translator struct {
	in     []token
	pos    int
	out    []piece
	params int
	// casts holds, for each open parenthesis, whether it belongs to a CAST.
	casts []bool
}

// A piece is a translated token. open and close are parentheses, names can be
// part of an operand.
type piece struct {
	text string
	kind tokenKind
}

func translate(tokens []token) (sql string, params int, err error) {
	t := &translator{in: tokens}
	for t.pos < len(t.in) {
		if err := t.step(); err != nil {
			return "", 0, err
		}
	}
	var b strings.Builder
	for i, p := range t.out {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p.text)
	}
	return b.String(), t.params, nil
}

func (t *translator) step() error {
	tok := t.in[t.pos]
	t.pos++
	switch tok.kind {
	case wordToken:
		return t.word(tok)
	case quotedToken:
		t.emit(quoteName(tok.text), quotedToken)
	case textToken:
		return t.text(tok)
	case numberToken:
		t.emit(tok.text, numberToken)
	case paramToken:
		return t.param(tok)
	case symbolToken:
		return t.symbol(tok)
	}
	return nil
}

func (t *translator) emit(text string, kind tokenKind) {
	t.out = append(t.out, piece{text, kind})
}

// peek returns the token n after the one at hand.
func (t *translator) peek(n int) token {
	if t.pos+n < len(t.in) {
		return t.in[t.pos+n]
	}
	return token{}
}

// before returns the token before the one at hand.
func (t *translator) before() token {
	if i := t.pos - 2; i >= 0 {
		return t.in[i]
	}
	return token{}
}

func (t *translator) word(tok token) error {
	switch {
	case t.peek(0).is(".") && tok.is("public"):
		t.emit("main", wordToken)
	case t.peek(0).is(".") && tok.is("pg_catalog") && t.peek(2).is("("):
		t.pos++ // a function
	case tok.is("ilike"), tok.is("similar"), tok.is("interval"), tok.is("temp"), tok.is("temporary"), tok.is("glob"),
		tok.is("regexp"), tok.is("match"), tok.is("indexed"), tok.is("pragma"):
		return unsupported(strings.ToUpper(tok.text))
	case isSessionValue(tok) && !t.peek(0).is("(") && !t.before().is("."):
		t.emit(tok.text, wordToken)
		t.emit("(", symbolToken)
		t.emit(")", symbolToken)
	case tok.is("as") && len(t.casts) > 0 && t.casts[len(t.casts)-1]:
		return t.castType()
	case isReplacement(tok) && (t.before().is("insert") || t.before().is("update")):
		return syntaxError(`syntax error at or near "` + tok.text + `"`)
	case tok.is("bool_and") && t.peek(0).is("("):
		t.emit("min", wordToken) // truth is 1 and 0
	case tok.is("serial"), tok.is("bigserial"):
		t.emit("integer", wordToken)
	case tok.is("select") && t.peek(0).is("from"):
		t.emit("select 1", wordToken) // a row without columns
	default:
		t.emit(tok.text, wordToken)
	}
	return nil
}

// isSessionValue reports whether a word is a function without parentheses.
func isSessionValue(tok token) bool {
	return slices.ContainsFunc(sessionValues(), tok.is)
}

func sessionValues() []string {
	return []string{"current_user", "session_user", "user", "current_role", "current_catalog", "current_schema"}
}

// isReplacement reports whether a word starts SQLite's INSERT OR … clause.
func isReplacement(tok token) bool { return tok.is("or") }

// text writes a string constant. A type's name before it is dropped, as in
// date '2026-01-31': the engine keeps dates as texts.
func (t *translator) text(tok token) error {
	switch last := t.before(); {
	case last.kind == textToken:
		return unsupported("string constants that continue")
	case last.is("as"):
		return syntaxError("syntax error at or near a string constant")
	case last.kind == quotedToken:
		return unsupported("a type's quoted name before a constant")
	case last.is("date"), last.is("time"), last.is("timestamp"), last.is("timestamptz"), last.is("json"), last.is("jsonb"), last.is("uuid"):
		t.out = t.out[:len(t.out)-1]
	}
	t.emit("'"+strings.ReplaceAll(tok.text, "'", "''")+"'", textToken)
	return nil
}

// maxParams is the engine's bound on parameters.
const maxParams = 32766

func (t *translator) param(tok token) error {
	n, err := strconv.Atoi(tok.text)
	if err != nil || n < 1 || n > maxParams {
		return &problem{"42P02", "there is no parameter $" + tok.text}
	}
	t.params = max(t.params, n)
	t.emit("?"+tok.text, paramToken)
	return nil
}

func (t *translator) symbol(tok token) error {
	switch tok.text {
	case "(":
		t.casts = append(t.casts, t.before().is("cast"))
	case ")":
		if len(t.casts) == 0 {
			return syntaxError(`syntax error at or near ")"`)
		}
		t.casts = t.casts[:len(t.casts)-1]
	case "::":
		return t.postfixCast()
	case "~":
		t.emit("REGEXP", wordToken)
		return nil
	case "!~":
		t.emit("NOT", wordToken)
		t.emit("REGEXP", wordToken)
		return nil
	case "~*", "!~*", "&", "|":
		return unsupported("the operator " + tok.text)
	}
	t.emit(tok.text, symbolToken)
	return nil
}

// castType translates the type in CAST(x AS type).
func (t *translator) castType() error {
	name, err := t.typeName()
	if err != nil {
		return err
	}
	t.emit("AS", wordToken)
	t.emit(name, wordToken)
	return nil
}

// postfixCast turns x::type into CAST(x AS type).
func (t *translator) postfixCast() error {
	start, ok := t.operand()
	if !ok {
		return syntaxError(`syntax error at or near "::"`)
	}
	name, err := t.typeName()
	if err != nil {
		return err
	}
	t.out = slices.Insert(t.out, start, piece{"CAST", wordToken}, piece{"(", symbolToken})
	t.emit("AS", wordToken)
	t.emit(name, wordToken)
	t.emit(")", symbolToken)
	return nil
}

// operand finds where the operand that ends the output begins.
func (t *translator) operand() (int, bool) {
	i := len(t.out) - 1
	if i < 0 {
		return 0, false
	}
	switch p := t.out[i]; {
	case p.kind == textToken, p.kind == numberToken, p.kind == paramToken:
		return i, true
	case p.kind == wordToken, p.kind == quotedToken:
		return t.nameStart(i), true
	case p.text == ")" && p.kind == symbolToken:
		return t.groupStart(i)
	default:
		return 0, false
	}
}

// nameStart finds where a qualified name that ends at i begins.
func (t *translator) nameStart(i int) int {
	for i >= 2 && t.out[i-1].text == "." {
		i -= 2
	}
	return i
}

// groupStart finds where the parentheses that end at i, or the call, begin.
func (t *translator) groupStart(i int) (int, bool) {
	depth := 0
	for ; i >= 0; i-- {
		if t.out[i].kind != symbolToken {
			continue
		}
		switch t.out[i].text {
		case ")":
			depth++
		case "(":
			depth--
		}
		if depth == 0 {
			break
		}
	}
	if i < 0 {
		return 0, false
	}
	if i > 0 && (t.out[i-1].kind == wordToken && !isKeyword(t.out[i-1].text) || t.out[i-1].kind == quotedToken) {
		return i - 1, true
	}
	return i, true
}

// isKeyword reports whether a word before a parenthesis is no function's name.
func isKeyword(word string) bool {
	return slices.Contains([]string{
		"select", "distinct", "all", "where", "and", "or", "not", "in", "exists", "when", "then", "else", "case", "values",
		"by", "on", "having", "set", "limit", "offset", "from", "returning", "between", "like", "is", "using", "as", "over", "filter",
	}, word)
}

// typeName reads a type and returns the SQLite type that a cast to it needs.
func (t *translator) typeName() (string, error) {
	if t.peek(0).is("pg_catalog") && t.peek(1).is(".") {
		t.pos += 2
	}
	name := t.peek(0)
	if !name.isName() {
		return "", syntaxError("syntax error in a cast")
	}
	t.pos++
	if name.is("double") && t.peek(0).is("precision") || name.is("character") && t.peek(0).is("varying") {
		t.pos++
	}
	if t.peek(0).is("(") {
		for t.pos < len(t.in) && !t.in[t.pos].is(")") {
			t.pos++
		}
		t.pos++
	}
	switch name.text {
	case "int", "int2", "int4", "int8", "integer", "smallint", "bigint", "oid":
		return "INTEGER", nil
	case "real", "float4", "float8", "float", "double":
		return "REAL", nil
	case "numeric", "decimal":
		return "NUMERIC", nil
	case "text", "varchar", "character", "char", "bpchar", "name", "date", "timestamp", "timestamptz", "json", "jsonb", "uuid":
		return "TEXT", nil
	default:
		return "", unsupported("casts to " + name.text)
	}
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
