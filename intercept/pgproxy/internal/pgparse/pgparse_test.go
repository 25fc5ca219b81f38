package pgparse

import (
	"errors"
	"sort"
	"strings"
	"sync"
	"testing"
)

func TestParse(t *testing.T) {
	tree, err := Parse("SELECT 1; UPDATE t SET a = 2")
	if err != nil || len(tree.GetStmts()) != 2 {
		t.Fatalf("got %v, %v; want two statements", tree, err)
	}
	if v := tree.GetVersion() / 10000; v != 17 {
		t.Errorf("the grammar is of version %d, the C declarations are of 17", v)
	}
	for _, sql := range []string{"", ";", "-- nothing", "/* /* */ */;;"} {
		if tree, err := Parse(sql); err != nil || len(tree.GetStmts()) != 0 {
			t.Errorf("Parse(%q): %v, %v; want no statement", sql, tree, err)
		}
	}
}

func TestParseReportsSyntaxErrors(t *testing.T) {
	tests := []struct {
		sql, message string
		position     int
	}{
		{"SELECT x FROM", "syntax error at end of input", 14},
		{"SELECT 'ü' FORM t", `syntax error at or near "t"`, 17},
		{"SELECT 'x", `unterminated quoted string at or near "'x"`, 8},
		{"/* open", `unterminated /* comment at or near "/* open"`, 1},
		{"SELECT E'\\xff'", `invalid byte sequence for encoding "UTF8": 0xff`, 0},
	}
	for _, tt := range tests {
		_, err := Parse(tt.sql)
		var syntax *SyntaxError
		if !errors.Is(err, ErrSyntax) || !errors.As(err, &syntax) {
			t.Errorf("%s: got %v, want a syntax error", tt.sql, err)
			continue
		}
		if !strings.HasPrefix(syntax.Message, tt.message[:20]) || syntax.Position != tt.position {
			t.Errorf("%s: got %q at %d, want %q at %d", tt.sql, syntax.Message, syntax.Position, tt.message, tt.position)
		}
	}
	if _, err := Parse("SELECT 1"); err != nil {
		t.Errorf("after an error: %v", err)
	}
}

// The server reads on in the same string after a comment. The parser must not take
// what follows for anything else.
func TestParseRefusesStringsContinuedAfterComments(t *testing.T) {
	for _, sql := range []string{"SELECT e'a' -- b\n'\\'; DROP TABLE t; --'", "SELECT 'a' -- b\n'c'", "SELECT date e'a' --\n'\\' + '1'"} {
		if _, err := Parse(sql); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v", sql, err)
		}
	}
}

func TestParseRefusesBeforeTheGrammar(t *testing.T) {
	p, err := New(Config{MaxBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		sql  string
		want error
	}{
		{"SELECT 1" + strings.Repeat(" ", 100), ErrTooLong},
		{"SELECT 1\x00; DROP TABLE t", ErrEncoding},
		{"SELECT '\xff'", ErrEncoding},
		{"SELECT '\xed\xa0\x80'", ErrEncoding},
	}
	for _, tt := range tests {
		if _, err := p.Parse(tt.sql); !errors.Is(err, tt.want) {
			t.Errorf("%q: got %v, want %v", tt.sql, err, tt.want)
		}
	}
	if _, err := new(Parser).Parse("SELECT 1"); !errors.Is(err, ErrTooLong) {
		t.Errorf("the zero Parser: %v", err)
	}
}

func TestNewRefusesLimitsOutOfRange(t *testing.T) {
	for _, c := range []Config{{MaxBytes: -1}, {MaxDepth: -1}, {MaxDepth: MaxDepth + 1}} {
		if _, err := New(c); err == nil {
			t.Errorf("New(%+v) succeeded", c)
		}
	}
}

// chains are the ways to make a deep tree, by the number of repetitions.
var chains = map[string]func(n int) string{
	"operators":   func(n int) string { return "SELECT 1" + strings.Repeat("+1", n) },
	"strings":     func(n int) string { return "SELECT a" + strings.Repeat("||'('||a", n) },
	"parentheses": func(n int) string { return "SELECT " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) },
	"NOT":         func(n int) string { return "SELECT " + strings.Repeat("NOT ", n) + "a" },
	"minus":       func(n int) string { return "SELECT " + strings.Repeat("- ", n) + "a" },
	"sublinks":    func(n int) string { return strings.Repeat("(select", n) + " 1" + strings.Repeat(")", n) },
	"subselects": func(n int) string {
		return strings.Repeat("select * from (", n) + "select 1" + strings.Repeat(") x", n)
	},
	"UNION": func(n int) string { return "select 1" + strings.Repeat(" union select 1,2", n) },
	"CASE": func(n int) string {
		return "select " + strings.Repeat("case when a or b then ", n) + "1" + strings.Repeat(" end", n)
	},
	"ARRAY": func(n int) string { return "select array" + strings.Repeat("[", n) + "1" + strings.Repeat("]", n) },
	"WITH": func(n int) string {
		return strings.Repeat("with a as (", n) + "select 1" + strings.Repeat(") select 1", n)
	},
	"JOIN":      func(n int) string { return "select 1 from a" + strings.Repeat(" join a on b or c", n) },
	"functions": func(n int) string { return "select " + strings.Repeat("f(", n) + "1" + strings.Repeat(")", n) },
	"subscript": func(n int) string { return "select " + strings.Repeat("a[", n) + "1" + strings.Repeat("]", n) },
	"casts":     func(n int) string { return "select 1" + strings.Repeat("::a", n) },
	"BETWEEN":   func(n int) string { return "select " + strings.Repeat("a between 1 and not ", n) + "b" },
	"labels":    func(n int) string { return "select a" + strings.Repeat("+a . /**/ or", n) },
	"E strings": func(n int) string { return "select e'\\''" + strings.Repeat("||e'a'\n'\\'('", n) },
	"dollars":   func(n int) string { return "select $1" + strings.Repeat("||$a1$)$a2$'$a1$", n) },
	"IS NULL":   func(n int) string { return "select a" + strings.Repeat(" is null", n) },
	"COLLATE":   func(n int) string { return "select a" + strings.Repeat(` collate "C"`, n) },
	"AT":        func(n int) string { return "select a" + strings.Repeat(" at time zone b", n) },
	"copies": func(n int) string {
		return strings.Repeat("with x as(update t set(a,b,c,d)=(", n) + "select 1" + strings.Repeat("))select 1", n)
	},
}

func TestParseRefusesDeepTrees(t *testing.T) {
	for name, chain := range chains {
		for _, n := range []int{MaxDepth * 2, 20_000} {
			if _, err := Parse(chain(n)); !errors.Is(err, ErrTooDeep) && !errors.Is(err, ErrTooLong) {
				t.Errorf("%d %s: got %v", n, name, err)
			}
		}
	}
}

// The deepest text of each sort that passes the limits must pass the parser.
func TestParserBearsWhatTheLimitsAllow(t *testing.T) {
	p := Parser{maxBytes: DefaultMaxBytes, maxDepth: MaxDepth}
	for name, chain := range chains {
		n := sort.Search(2*MaxDepth, func(n int) bool { return p.check(chain(n+1)) != nil })
		if n < 5 {
			t.Errorf("%s: only %d pass", name, n)
		}
		if _, err := p.Parse(chain(n)); err != nil && !errors.Is(err, ErrSyntax) {
			t.Errorf("%d %s: %v", n, name, err)
		}
	}
}

func TestParseAllowsLongFlatText(t *testing.T) {
	for name, sql := range map[string]string{
		"rows":    "INSERT INTO t VALUES (1,-2,'((((')" + strings.Repeat(",(1,-2,'((((')", 20_000),
		"OR":      "SELECT 1 FROM t WHERE a=1" + strings.Repeat(" OR a=1 AND b=2", 20_000),
		"IN":      "SELECT 1 FROM t WHERE a IN (1" + strings.Repeat(",1", 100_000) + ")",
		"script":  strings.Repeat("INSERT INTO t VALUES (1, 'a');", 20_000),
		"literal": "SELECT '" + strings.Repeat("((((+-", 100_000) + "'",
		"dollar":  "DO $do$" + strings.Repeat("(((;';--", 50_000) + "$do$",
		"comment": "SELECT 1 /*" + strings.Repeat("((((", 100_000) + "*/",
		"assign":  "UPDATE t SET (a,b,c)=(1,2,3) WHERE a IN (1" + strings.Repeat(",1", 100_000) + ")",
	} {
		if _, err := Parse(sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if tree, err := Parse("SELECT a FROM b WHERE c = 1"); err != nil || len(tree.GetStmts()) != 1 {
					t.Errorf("got %v, %v", tree, err)
				}
				if _, err := Parse("SELECT FROM WHERE"); !errors.Is(err, ErrSyntax) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzParse(f *testing.F) {
	for _, chain := range chains {
		f.Add(chain(3))
	}
	f.Add("SELECT U&'\\0061' UESCAPE '!', B'01', X'1f', N'x' /* /* */ */ -- c\r, 1e5")
	p := Parser{maxBytes: 4096, maxDepth: MaxDepth}
	f.Fuzz(func(t *testing.T, sql string) {
		if _, err := p.Parse(sql); errors.Is(err, ErrParser) {
			t.Fatal(err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("SELECT abalance FROM pgbench_accounts WHERE aid = 1234"); err != nil {
			b.Fatal(err)
		}
	}
}
