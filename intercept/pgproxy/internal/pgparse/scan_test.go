//go:build cgo

package pgparse

import (
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// scanMarks returns where the server's own scanner sees brackets and commas, or
// false if it refuses the text.
func scanMarks(sql string) (marks []int, ok bool) {
	res, err := pg_query.Scan(sql)
	if err != nil {
		return nil, false
	}
	for _, t := range res.GetTokens() {
		if t.GetEnd()-t.GetStart() == 1 && isMark(sql[t.GetStart()]) {
			marks = append(marks, int(t.GetStart()))
		}
	}
	return marks, true
}

func lexerMarks(sql string) (marks []int) {
	lex := lexer{text: sql}
	for {
		t, ok := lex.next()
		if !ok {
			return marks
		}
		if t.kind == tokenOther && isMark(t.text[0]) {
			marks = append(marks, lex.pos-1)
		}
	}
}

func isMark(c byte) bool {
	return c == '(' || c == ')' || c == '[' || c == ']' || c == ',' || c == ';'
}

func sameMarks(t *testing.T, sql string) {
	t.Helper()
	want, ok := scanMarks(sql)
	if !ok {
		return
	}
	got := lexerMarks(sql)
	if len(got) != len(want) {
		t.Fatalf("%q: brackets at %v, the server sees %v", sql, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%q: brackets at %v, the server sees %v", sql, got, want)
		}
	}
}

var lexical = []string{
	"SELECT '(' , E'\\'(' , U&'(' , B'0', X'1f', N'(' , \"(\" , U&\"(\" , $$($$ , $a1$($b$($a1$, $1(2)",
	"e'a'\n'\\'(' (", "e'a' -- x(\n'\\'(' (", "e'a' '\\' (", "'a'\n'\\' ( '", "fe'\\' (", "a$b$ ( $b$", "1e5'\\' (", "0xe'\\' (",
	"-- (\r(", "/* ( /* ( */ ( */ (", "+-- (\n(", "*/* ( */(", "$1$$($$", "1$$($$", "1..e'\\'('", "$ (", "$1a$ ( $1a$", "x'\n' ( '",
	"\u00e4$\u00e4$ ( $\u00e4$", "$\u00e4$ ( $\u00e4$ )", "e'\\\\' (", "e'''(' (", "n'a'\n'(' (", "b'0'\n'1' (",
}

func TestLexerAgreesWithTheServer(t *testing.T) {
	for _, sql := range lexical {
		sameMarks(t, sql)
	}
	for _, chain := range chains {
		sameMarks(t, chain(3))
	}
}

func FuzzLexer(f *testing.F) {
	for _, sql := range lexical {
		f.Add(sql)
	}
	p := Parser{maxBytes: 512, maxDepth: MaxDepth}
	f.Fuzz(func(t *testing.T, sql string) {
		if p.check(sql) == nil {
			sameMarks(t, sql)
		}
	})
}
