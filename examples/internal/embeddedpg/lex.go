package embeddedpg

import (
	"strings"
)

// tokenKind says what a token is.
type tokenKind uint8

const (
	wordToken   tokenKind = iota + 1 // a keyword or an unquoted name, folded to lower case
	quotedToken                      // a quoted name, without its quotes
	textToken                        // a string constant, decoded
	numberToken
	paramToken  // $1, holding "1"
	symbolToken // an operator or punctuation
)

// A token is one lexical element of SQL, by PostgreSQL's rules (manual, "Lexical
// Structure").
type token struct {
	kind tokenKind
	text string
}

// is reports whether t is the keyword or the symbol s.
func (t token) is(s string) bool {
	return (t.kind == wordToken || t.kind == symbolToken) && t.text == s
}

// isName reports whether t can name a table, a column or a function.
func (t token) isName() bool { return t.kind == wordToken || t.kind == quotedToken }

// A lexer cuts SQL into tokens. What PostgreSQL and SQLite would read
// differently is decided here, or refused.
type lexer struct {
	src    string
	pos    int
	tokens []token
}

// lex returns the tokens of sql. Comments are dropped.
func lex(sql string) ([]token, error) {
	if strings.IndexByte(sql, 0) >= 0 {
		return nil, syntaxError("a NUL byte is not allowed")
	}
	l := &lexer{src: sql}
	for {
		if err := l.space(); err != nil {
			return nil, err
		}
		if l.pos == len(l.src) {
			return l.tokens, nil
		}
		if err := l.next(); err != nil {
			return nil, err
		}
	}
}

// space skips white space and comments, which nest.
func (l *lexer) space() error {
	for l.pos < len(l.src) {
		switch {
		case strings.IndexByte(" \t\r\n\f\v", l.src[l.pos]) >= 0:
			l.pos++
		case strings.HasPrefix(l.src[l.pos:], "--"):
			end := strings.IndexAny(l.src[l.pos:], "\r\n")
			if end < 0 {
				end = len(l.src) - l.pos
			}
			l.pos += end
		case strings.HasPrefix(l.src[l.pos:], "/*"):
			if err := l.comment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) comment() error {
	depth := 0
	for l.pos < len(l.src) {
		switch {
		case strings.HasPrefix(l.src[l.pos:], "/*"):
			depth++
			l.pos += 2
		case strings.HasPrefix(l.src[l.pos:], "*/"):
			depth--
			l.pos += 2
		default:
			l.pos++
		}
		if depth == 0 {
			return nil
		}
	}
	return syntaxError("unterminated comment")
}

func (l *lexer) next() error {
	c := l.src[l.pos]
	switch {
	case c == '\'':
		return l.text(false)
	case c == '"':
		return l.quoted()
	case c == '$':
		return l.dollar()
	case isDigit(c), c == '.' && isDigit(l.peek(1)):
		return l.number()
	case isNameStart(c):
		return l.word()
	default:
		return l.symbol()
	}
}

func (l *lexer) emit(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind, text})
}

func (l *lexer) peek(n int) byte {
	if l.pos+n < len(l.src) {
		return l.src[l.pos+n]
	}
	return 0
}

// word reads a name or keyword, or a string constant with a prefix letter.
func (l *lexer) word() error {
	c := l.src[l.pos] | 0x20
	if l.peek(1) == '\'' {
		switch c {
		case 'e':
			l.pos++
			return l.text(true)
		case 'b', 'x', 'n':
			return unsupported("bit and national strings")
		}
	}
	if c == 'u' && l.peek(1) == '&' && (l.peek(2) == '\'' || l.peek(2) == '"') {
		return unsupported("Unicode escapes in strings")
	}
	start := l.pos
	for l.pos < len(l.src) && (isNameStart(l.src[l.pos]) || isDigit(l.src[l.pos]) || l.src[l.pos] == '$') {
		l.pos++
	}
	l.emit(wordToken, foldCase(l.src[start:l.pos]))
	return nil
}

func (l *lexer) quoted() error {
	text, err := l.until('"', false)
	if err != nil {
		return err
	}
	if text == "" {
		return syntaxError("zero-length delimited identifier")
	}
	l.emit(quotedToken, text)
	return nil
}

func (l *lexer) text(escapes bool) error {
	text, err := l.until('\'', escapes)
	if err != nil {
		return err
	}
	l.emit(textToken, text)
	return nil
}

// until reads up to the closing quote, which is doubled to stand for itself.
func (l *lexer) until(quote byte, escapes bool) (string, error) {
	var b strings.Builder
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch c := l.src[l.pos]; {
		case c == quote && l.peek(1) == quote:
			b.WriteByte(quote)
			l.pos++
		case c == quote:
			l.pos++
			return b.String(), nil
		case c == '\\' && escapes:
			if err := l.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", syntaxError("unterminated quoted string")
}

// escape reads one backslash escape of an E” string. Numeric ones are refused.
func (l *lexer) escape(b *strings.Builder) error {
	l.pos++
	c := l.peek(0)
	if i := strings.IndexByte(`bfnrt\'"`, c); c != 0 && i >= 0 {
		b.WriteByte("\b\f\n\r\t\\'\""[i])
		return nil
	}
	return unsupported("this backslash escape")
}

// dollar reads a parameter or a dollar-quoted string.
func (l *lexer) dollar() error {
	end := l.pos + 1
	for end < len(l.src) && isDigit(l.src[end]) {
		end++
	}
	if end > l.pos+1 {
		l.emit(paramToken, l.src[l.pos+1:end])
		l.pos = end
		return nil
	}
	for end < len(l.src) && (isNameStart(l.src[end]) || isDigit(l.src[end])) {
		end++
	}
	if end == len(l.src) || l.src[end] != '$' {
		return syntaxError(`syntax error at or near "$"`)
	}
	tag := l.src[l.pos : end+1]
	length := strings.Index(l.src[end+1:], tag)
	if length < 0 {
		return syntaxError("unterminated dollar-quoted string")
	}
	l.emit(textToken, l.src[end+1:end+1+length])
	l.pos = end + 1 + length + len(tag)
	return nil
}

func (l *lexer) number() error {
	start := l.pos
	l.digits()
	if l.peek(0) == '.' && l.peek(1) != '.' {
		l.pos++
		l.digits()
	}
	if c := l.peek(0); c == 'e' || c == 'E' {
		l.pos++
		if c := l.peek(0); c == '+' || c == '-' {
			l.pos++
		}
		l.digits()
	}
	if isNameStart(l.peek(0)) {
		return syntaxError("trailing junk after numeric literal")
	}
	l.emit(numberToken, l.src[start:l.pos])
	return nil
}

func (l *lexer) digits() {
	for isDigit(l.peek(0)) {
		l.pos++
	}
}

// symbols are the operators of more than one character, the longest first.
func symbols() []string {
	return []string{"->>", "!~*", "::", "!~", "~*", "->", "||", "<=", ">=", "<>", "!="}
}

func (l *lexer) symbol() error {
	for _, s := range symbols() {
		if strings.HasPrefix(l.src[l.pos:], s) {
			l.emit(symbolToken, s)
			l.pos += len(s)
			return nil
		}
	}
	c := l.src[l.pos]
	if strings.IndexByte("+-*/%<>=&|~(),.;", c) < 0 {
		return syntaxError("syntax error at or near \"" + string(rune(c)) + "\"")
	}
	l.emit(symbolToken, string(c))
	l.pos++
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

// foldCase makes ASCII letters small, as the server does with unquoted names.
func foldCase(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
