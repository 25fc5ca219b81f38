package sqlfacts

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/intercept/pgproxy/internal/pgparse"
)

func TestAnalyzeRefuses(t *testing.T) {
	a, err := New(Config{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	manySources := "SELECT x" + strings.Repeat(",x", 3000) + " FROM t" + strings.Repeat(",t", 3000)
	for _, tt := range []struct {
		sql  string
		want error
	}{
		{"SELECT 1" + strings.Repeat(" ", 1<<20), ErrTooLong},
		{"SELECT " + strings.Repeat("(", 5000), ErrTooDeep},
		{"SELECT 1 FROM WHERE", ErrSyntax},
		{"SELECT '\xff'", ErrEncoding},
		{"SELECT \x00", ErrEncoding},
		{manySources, ErrTooComplex},
	} {
		q, err := a.Analyze(tt.sql)
		if q != nil || !errors.Is(err, tt.want) {
			t.Errorf("%.40q: got %v, %v; want %v", tt.sql, q, err, tt.want)
		}
	}
	var syntax *SyntaxError
	_, err = a.Analyze("SELECT 1 FROM WHERE")
	if !errors.As(err, &syntax) || syntax.Position != 15 || !strings.Contains(syntax.Message, `"WHERE"`) {
		t.Errorf("got %#v", err)
	}
}

// Texts that would take exponential or quadratic time if work were done twice at
// each level, or once for each pair of names, must be done or refused in time.
func TestAnalyzeTakesBoundedTime(t *testing.T) {
	a := newAnalyzer(t)
	names := strings.Repeat("a,", 20_000) + "a"
	nest := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for name, sql := range map[string]string{
		"sorted targets":  nest("SELECT DISTINCT (", "SELECT 1", ") AS x FROM t GROUP BY x, 1 ORDER BY x, 1", 35),
		"sorted sources":  nest("SELECT DISTINCT * FROM (", "SELECT 1", ") x GROUP BY 1 ORDER BY 1", 35),
		"aliased joins":   "SELECT a FROM " + nest("(", "t", " CROSS JOIN t) j", 100),
		"locks":           "SELECT a FROM t," + names + " FOR UPDATE OF " + names,
		"qualified":       "SELECT " + strings.Repeat("a.a,", 20_000) + "a.a FROM b," + names,
		"renamed":         "SELECT " + names + " FROM t AS t(" + names + ")",
		"derived columns": "SELECT " + strings.Repeat("z,", 20_000) + "z FROM (SELECT " + names + ") x, t",
		"positions":       "SELECT " + names + " FROM t ORDER BY 1" + strings.Repeat(",1", 20_000),
		"output names":    "SELECT " + names + " FROM t ORDER BY " + names,
		"write sources":   "INSERT INTO t SELECT 1 FROM " + names,
		"functions":       "SELECT a()" + strings.Repeat(",b()", 20_000),
		"WITH queries":    "WITH a AS (SELECT 1)" + strings.Repeat(",b AS (SELECT 1 FROM a)", 30_000) + " SELECT 1",
		"granted columns": "GRANT SELECT (" + names + ") ON t," + names + " TO u",
		"assignments":     nest("WITH x AS (UPDATE t SET (a,b) = (", "SELECT 1", ")) SELECT 1", 12),
	} {
		done := make(chan error, 1)
		go func() {
			_, err := a.Analyze(sql)
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, ErrTooComplex) && !errors.Is(err, ErrTooDeep) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: still at it after 20 s", name)
		}
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	if _, err := New(Config{MaxBytes: -1}); err == nil {
		t.Error("a negative limit was taken")
	}
}

func TestEmptyAndManyStatements(t *testing.T) {
	a := newAnalyzer(t)
	for _, sql := range []string{"", ";;", " -- c\n", "/* c */;"} {
		q, err := a.Analyze(sql)
		if err != nil || len(q.Statements) != 0 || q.Single() != nil {
			t.Errorf("%q: %v, %v", sql, q, err)
		}
	}
	q, err := a.Analyze("BEGIN; DELETE FROM t; DO $$ $$; LOAD 'x'; DO 'y'; COMMIT")
	if err != nil || len(q.Statements) != 6 || q.Single() != nil {
		t.Fatalf("%v, %v", q, err)
	}
	if got, want := q.Opaque(), []string{"DO block", "LOAD"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Opaque() = %q, want %q", got, want)
	}
}

func TestReadOnly(t *testing.T) {
	a := newAnalyzer(t)
	for sql, want := range map[string]bool{
		"SELECT a FROM t":                                        true,
		"BEGIN; SELECT pg_sleep(1); COMMIT":                      true,
		"EXPLAIN ANALYZE SELECT a FROM t":                        true,
		"SHOW search_path":                                       true,
		"SELECT a FROM t FOR UPDATE":                             false,
		"WITH d AS (DELETE FROM t RETURNING a) SELECT a FROM d":  false,
		"SELECT a INTO u FROM t":                                 false,
		"SELECT my_func()":                                       false,
		"SELECT nextval('s')":                                    false,
		"SELECT query_to_xml('x', true, true, '')":               false,
		"COPY t TO '/tmp/x'":                                     false,
		"SET a = 1":                                              false,
		"SELECT 1; DROP TABLE t":                                 false,
		"EXPLAIN DELETE FROM t":                                  false,
		"SELECT lo_unlink(1)":                                    false,
		"SELECT a FROM t WHERE b OPERATOR(public.=) 1":           false,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity": false,
	} {
		q, err := a.Analyze(sql)
		if err != nil || q.ReadOnly() != want {
			t.Errorf("%s: %v, ReadOnly %v, want %v", sql, err, !want, want)
		}
	}
}

func TestStatementDetails(t *testing.T) {
	a := newAnalyzer(t)
	statement := func(sql string) *Statement {
		q, err := a.Analyze(sql)
		if err != nil || q.Single() == nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return q.Single()
	}
	if s := statement("PREPARE p AS INSERT INTO t SELECT a FROM u"); s.Prepares != "p" || s.Inner.Tag != "INSERT" || !s.Inner.WritesDerived || s.WritesDerived {
		t.Errorf("PREPARE: %+v", s)
	}
	if s := statement("ROLLBACK TO SAVEPOINT sp"); s.Transaction != TransactionRollbackTo || s.Savepoint != "sp" {
		t.Errorf("ROLLBACK TO: %+v", s)
	}
	if s := statement("COMMIT PREPARED 'gid'"); s.Transaction != TransactionCommitPrepared || s.GlobalID != "gid" {
		t.Errorf("COMMIT PREPARED: %+v", s)
	}
	if s := statement("DECLARE c CURSOR FOR SELECT a FROM t WHERE b = 1"); s.Declares != "c" || len(s.Inner.Output) != 1 {
		t.Errorf("DECLARE: %+v", s)
	}
	if s := statement("FETCH c"); s.Fetches != "c" {
		t.Errorf("FETCH: %+v", s)
	}
	if s := statement("EXECUTE p"); s.Executes != "p" || s.Output != nil {
		t.Errorf("EXECUTE: %+v", s)
	}
	if s := statement("SELECT PG_CATALOG.Lower('x'), upper('y'), lower('z'), s.f()"); !reflect.DeepEqual(s.Functions, []string{"lower", "upper", "s.f"}) {
		t.Errorf("functions: %q", s.Functions)
	}
	want := []Relation{{"", "b"}, {"s", "c"}}
	if s := statement("INSERT INTO a SELECT x FROM b JOIN s.c USING (x)"); !reflect.DeepEqual(s.WriteSources, want) {
		t.Errorf("WriteSources = %v, want %v", s.WriteSources, want)
	}
	for sql, kind := range map[string]CopyKind{
		"COPY t TO STDOUT": CopyToStdout, "COPY t FROM STDIN": CopyFromStdin, "COPY t TO '/x'": CopyToFile,
		"COPY t FROM '/x'": CopyFromFile, "COPY t TO PROGRAM 'x'": CopyToProgram, "COPY t FROM PROGRAM 'x'": CopyFromProgram,
	} {
		if s := statement(sql); s.Copy != kind {
			t.Errorf("%s: kind %d, want %d", sql, s.Copy, kind)
		}
	}
}

// The grammar ends a comment at a carriage return, takes $ in names and knows
// string continuations; the facts must show what the server would run.
func TestLexicalTraps(t *testing.T) {
	a := newAnalyzer(t)
	for sql, tags := range map[string]string{
		"SELECT 1 -- x\rFROM t; DROP TABLE t":        "SELECT DROP TABLE",
		"SELECT 1 -- x\n; DROP TABLE t":              "SELECT DROP TABLE",
		"SELECT '\\'; DROP TABLE t; --'":             "SELECT DROP TABLE",
		"SELECT E'\\'; DROP TABLE t; --'":            "SELECT",
		"SELECT a$b$ FROM t; DROP TABLE u; --$b$":    "SELECT DROP TABLE",
		"SELECT $a1$; DROP TABLE t; $a1$":            "SELECT",
		"SELECT E'a'\n'\\'; DROP TABLE t; --'":       "SELECT",
		"SELECT 'a'\n'\\'; DROP TABLE t; --'":        "SELECT DROP TABLE",
		"SELECT /* /* */ ; DROP TABLE t; */ 1":       "SELECT",
		"SELECT U&'\\'''; DROP TABLE t; --'":         "",
		"SELECT \"a\"\"; DROP TABLE t; \" FROM t":    "SELECT",
		"SELECT 1;;; /* x */ ; DELETE FROM t":        "SELECT DELETE",
		"SELECT b'0'';DROP TABLE t;--'":              "",
		"SELECT 1 AS \"select\"; SELECT n'x;' ; END": "SELECT SELECT COMMIT",
	} {
		q, err := a.Analyze(sql)
		if err != nil {
			if tags != "" {
				t.Errorf("%q: %v", sql, err)
			}
			continue
		}
		var got []string
		for _, s := range q.Statements {
			got = append(got, s.Tag)
		}
		if strings.Join(got, " ") != tags {
			t.Errorf("%q: %q, want %q", sql, got, tags)
		}
	}
}

func TestCacheSharesByTextAndShape(t *testing.T) {
	parses := 0
	a, err := New(Config{Parse: func(sql string) (*pg_query.ParseResult, error) {
		parses++
		return pgparse.Parse(sql)
	}})
	if err != nil {
		t.Fatal(err)
	}
	analyze := func(sql string) *Query {
		q, err := a.Analyze(sql)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	one := analyze("SELECT a FROM t WHERE b = 1")
	if analyze("SELECT a FROM t WHERE b = 22") != one || parses != 1 {
		t.Errorf("statements of one shape were parsed %d times", parses)
	}
	if analyze("SELECT a FROM t WHERE b = '1'") == one || analyze("SELECT a FROM t WHERE b = 1.5") == one {
		t.Error("other constants shared the facts")
	}
	parses = 0
	if analyze("SELECT a FROM t ORDER BY 1") == analyze("SELECT a FROM t ORDER BY 2") || parses != 2 {
		t.Error("positions shared the facts")
	}
	if analyze("SELECT a FROM t ORDER BY 1"); parses != 2 {
		t.Error("the exact text was not remembered")
	}
}

func TestCacheIsBounded(t *testing.T) {
	g := newGenerations(64 << 10)
	q := &Query{Statements: []*Statement{{Tag: "SELECT"}}}
	for i := range 10_000 {
		g.put(fmt.Sprint("key", i), q)
		g.get("key0") // what is used stays
	}
	if g.get("key0") == nil || g.get("key9999") == nil {
		t.Error("used and young entries were dropped")
	}
	if g.get("key500") != nil {
		t.Error("an old entry was kept")
	}
	if n := len(g.young) + len(g.old); n > 80 {
		t.Errorf("%d entries", n)
	}
	g.put(strings.Repeat("x", 64<<10), q)
	if len(g.young)+len(g.old) > 80 || g.get(strings.Repeat("x", 64<<10)) != nil {
		t.Error("an entry larger than the cache was kept")
	}
}

func TestCacheOff(t *testing.T) {
	a, err := New(Config{CacheBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := a.Analyze("SELECT 1")
	two, _ := a.Analyze("SELECT 1")
	if one == two || !reflect.DeepEqual(one, two) {
		t.Error("facts were remembered, or differ")
	}
}

// The memory that queries take must be near what the cache believes.
func TestCostIsHonest(t *testing.T) {
	a, err := New(Config{CacheBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	const n = 200
	kept := make([]*Query, 0, n*4)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cost := 0
	for range n {
		for _, sql := range []string{
			"SELECT a, b, c, d FROM t WHERE e = 1", "UPDATE t SET a = 1 WHERE b = 2", "SELECT 1",
			"SELECT x.a, y.b, count(*) FROM t x JOIN u y ON x.id = y.id GROUP BY x.a, y.b ORDER BY x.a",
		} {
			q, _ := a.Analyze(sql)
			kept = append(kept, q)
			cost += q.cost()
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int(after.HeapAlloc) - int(before.HeapAlloc)
	if used > cost*3/2 {
		t.Errorf("%d queries use %d bytes and are counted as %d", len(kept), used, cost)
	}
	runtime.KeepAlive(kept)
}

func TestAnalyzeConcurrently(t *testing.T) {
	a, err := New(Config{CacheBytes: 32 << 10})
	if err != nil {
		t.Fatal(err)
	}
	samples := allSamples(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, s := range samples {
				if q, err := a.Analyze(s.sql); err != nil || describe(q.Single()) != s.want {
					t.Errorf("%s: %v", s.sql, err)
				}
			}
		})
	}
	wg.Wait()
}

const benchSQL = "SELECT abalance FROM pgbench_accounts WHERE aid = "

func BenchmarkExactHit(b *testing.B) {
	a := newAnalyzer(b)
	sql := benchSQL + "$1"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Analyze(sql); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkShapeHit(b *testing.B) {
	a := newAnalyzer(b)
	texts := make([]string, 1000)
	for i := range texts {
		texts[i] = benchSQL + fmt.Sprint(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := a.Analyze(texts[i%len(texts)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkMiss(b *testing.B) {
	a, err := New(Config{CacheBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Analyze(benchSQL + "1"); err != nil {
			b.Fatal(err)
		}
	}
}
