package pgparse

import "strings"

type tokenKind uint8

const (
	tokenOther  tokenKind = iota // one byte of punctuation or of an operator
	tokenWord                    // an unquoted word
	tokenQuoted                  // a string constant or quoted identifier
	tokenNumber                  // digits, or a parameter such as $1
)

type token struct {
	kind tokenKind
	text string
}

// A lexer splits text as the server's scan.l does with
// standard_conforming_strings on, as far as quotes, comments, words and brackets
// go. An operator comes out byte by byte. Where scan.l reports an error, what
// comes out after it is of no interest, as nothing is parsed then.
type lexer struct {
	text string
	pos  int
}

// next returns the next token, or false at the end.
func (l *lexer) next() (token, bool) {
	l.skipSpace()
	if l.pos >= len(l.text) {
		return token{}, false
	}
	start := l.pos
	kind := l.scan(l.text[start])
	return token{kind: kind, text: l.text[start:l.pos]}, true
}

func (l *lexer) scan(c byte) tokenKind {
	switch {
	case c == '\'':
		l.pos++
		l.quoted('\'')
		return tokenQuoted
	case c == '"':
		l.pos++
		l.quoted('"')
		return tokenQuoted
	case isWordStart(c):
		return l.word(c)
	case isDigit(c):
		l.digits()
		return tokenNumber
	case c == '$':
		return l.dollar()
	}
	l.pos++
	return tokenOther
}

// word reads a word, or the escape string that an E begins.
func (l *lexer) word(c byte) tokenKind {
	if (c == 'e' || c == 'E') && l.at(1) == '\'' {
		l.pos += 2
		l.escaped()
		return tokenQuoted
	}
	for l.pos < len(l.text) && isWordPart(l.text[l.pos]) {
		l.pos++
	}
	return tokenWord
}

func (l *lexer) digits() {
	for l.pos < len(l.text) && isDigit(l.text[l.pos]) {
		l.pos++
	}
}

// dollar reads a parameter, a dollar-quoted string or a lone dollar sign.
func (l *lexer) dollar() tokenKind {
	if isDigit(l.at(1)) {
		l.pos++
		l.digits()
		return tokenNumber
	}
	end := l.pos + 1
	if end < len(l.text) && isWordStart(l.text[end]) {
		for end < len(l.text) && isWordPart(l.text[end]) && l.text[end] != '$' {
			end++
		}
	}
	if end >= len(l.text) || l.text[end] != '$' {
		l.pos++
		return tokenOther
	}
	tag := l.text[l.pos : end+1]
	l.pos = end + 1
	l.skipPast(tag)
	return tokenQuoted
}

// quoted reads up to the closing quote. A doubled quote is read as two strings
// side by side, which ends in the same place.
func (l *lexer) quoted(quote byte) {
	for {
		i := strings.IndexByte(l.text[l.pos:], quote)
		if i < 0 {
			l.pos = len(l.text)
			return
		}
		l.pos += i + 1
		if l.at(0) != quote {
			return
		}
		l.pos++
	}
}

// escaped reads the rest of an escape string with its continuations on further
// lines, in which backslashes escape as well.
func (l *lexer) escaped() {
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		l.pos++
		switch {
		case c == '\\':
			l.pos = min(l.pos+1, len(l.text))
		case c == '\'' && l.at(0) == '\'':
			l.pos++
		case c == '\'' && !l.continued():
			return
		}
	}
}

// continued moves past the opening quote of a continuation, if white space with
// a newline and then a quote come next. The server lets a comment stand there as
// well; libpg_query, for which comments are tokens, does not, and reports a syntax
// error at the second string.
func (l *lexer) continued() bool {
	newline := false
	i := l.pos
	for i < len(l.text) {
		switch c := l.text[i]; {
		case c == '\n' || c == '\r':
			newline = true
			i++
		case isSpace(c):
			i++
		default:
			if c != '\'' || !newline {
				return false
			}
			l.pos = i + 1
			return true
		}
	}
	return false
}

// skipSpace moves past white space and comments.
func (l *lexer) skipSpace() {
	for l.pos < len(l.text) {
		switch rest := l.text[l.pos:]; {
		case isSpace(rest[0]):
			l.pos++
		case strings.HasPrefix(rest, "--"):
			l.pos = lineEnd(l.text, l.pos)
		case strings.HasPrefix(rest, "/*"):
			l.comment()
		default:
			return
		}
	}
}

// comment moves past a comment in which others may be nested.
func (l *lexer) comment() {
	depth := 0
	for l.pos < len(l.text) {
		switch rest := l.text[l.pos:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.pos += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			l.pos += 2
			if depth == 0 {
				return
			}
		default:
			l.pos++
		}
	}
}

func (l *lexer) skipPast(tag string) {
	i := strings.Index(l.text[l.pos:], tag)
	if i < 0 {
		l.pos = len(l.text)
		return
	}
	l.pos += i + len(tag)
}

// at returns the byte n after the current one, or 0 behind the end.
func (l *lexer) at(n int) byte {
	if l.pos+n >= len(l.text) {
		return 0
	}
	return l.text[l.pos+n]
}

// lineEnd returns where the line that holds i ends: at LF or CR.
func lineEnd(text string, i int) int {
	n := strings.IndexAny(text[i:], "\n\r")
	if n < 0 {
		return len(text)
	}
	return i + n
}

func isSpace(c byte) bool {
	return c == ' ' || c >= '\t' && c <= '\r'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordStart(c byte) bool {
	return c == '_' || c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isWordPart(c byte) bool { return isWordStart(c) || isDigit(c) || c == '$' }
