package walcommand

import (
	"fmt"
	"strings"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted // a name in double quotes
	tokenString
	tokenNumber
	tokenPosition // of the log, as 16/B374D848
	tokenSign     // any other character
)

// A token is a piece of a command. text is what a quoted one stands for.
type token struct {
	kind tokenKind
	text string
}

type lexer struct{ rest string }

// next returns the next token. It is narrower than the server's scanner wherever
// versions of that differ.
func (l *lexer) next() (token, error) {
	l.rest = strings.TrimLeft(l.rest, " \t\n")
	if l.rest == "" {
		return token{}, nil
	}
	switch c := l.rest[0]; {
	case c == '\'':
		return l.quoted(tokenString)
	case c == '"':
		return l.quoted(tokenQuoted)
	case isWordByte(c):
		return l.word()
	default:
		l.rest = l.rest[1:]
		return token{tokenSign, string(c)}, nil
	}
}

// quoted reads what stands between two quotes. The server has a quote within a
// string doubled, and none within a name.
func (l *lexer) quoted(kind tokenKind) (token, error) {
	quote := l.rest[:1]
	var parts []string
	for {
		part, rest, ok := strings.Cut(l.rest[1:], quote)
		if !ok {
			return token{}, fmt.Errorf("%w: unterminated quoted string", ErrSyntax)
		}
		parts = append(parts, part)
		if l.rest = rest; !strings.HasPrefix(rest, quote) {
			return token{kind, strings.Join(parts, quote)}, nil
		}
		if kind == tokenQuoted {
			return token{}, fmt.Errorf("%w: a quote within a name", ErrSyntax)
		}
	}
}

// word reads a keyword, a name, a number or a position, which must end where the next
// token can't be taken for a part of it.
func (l *lexer) word() (token, error) {
	word := l.cutWord()
	if after, ok := strings.CutPrefix(l.rest, "/"); ok {
		l.rest = after
		low := l.cutWord()
		if !isHex(word) || !isHex(low) {
			return token{}, fmt.Errorf("%w: %q is no position", ErrSyntax, word+"/"+low)
		}
		return token{tokenPosition, word + "/" + low}, nil
	}
	switch {
	case isDigits(word):
		return token{tokenNumber, word}, nil
	case word[0] >= '0' && word[0] <= '9' || word[0] == '$' || !isASCII(word):
		return token{}, fmt.Errorf("%w: %q is no word", ErrSyntax, word)
	default:
		return token{tokenWord, word}, nil
	}
}

func (l *lexer) cutWord() string {
	n := 0
	for n < len(l.rest) && isWordByte(l.rest[n]) {
		n++
	}
	word := l.rest[:n]
	l.rest = l.rest[n:]
	return word
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

func isDigits(s string) bool {
	return s != "" && len(s) <= maxDigits && strings.Trim(s, "0123456789") == ""
}

// isHex reports whether s is half of a position: 32 bits.
func isHex(s string) bool {
	return s != "" && len(s) <= 8 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// maxDigits keeps numbers within 32 bits.
const maxDigits = 9
