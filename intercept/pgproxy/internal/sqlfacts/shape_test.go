package sqlfacts

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestShapeOf(t *testing.T) {
	tests := []struct{ sql, want string }{
		{"SELECT a FROM t WHERE b = 12", "SELECT a FROM t WHERE b = \x00"},
		{"SELECT -1,2", "SELECT -\x00,\x00"},
		{"SELECT a1, b_2c FROM t3 LIMIT 4", "SELECT a1, b_2c FROM t3 LIMIT \x00"},
		{"SELECT a[1:2]", "SELECT a[\x00:\x00]"},
		{"SELECT 123456789", "SELECT \x00"},
		{"SELECT 1234567890", ""},
		{"SELECT a", ""},
		{"SELECT 1.5", ""},
		{"SELECT .5", ""},
		{"SELECT 5.", ""},
		{"SELECT 1e5", ""},
		{"SELECT 0x1F", ""},
		{"SELECT 1_000", ""},
		{"SELECT $1, 2", ""},
		{"SELECT 'a', 1", ""},
		{`SELECT "a", 1`, ""},
		{"SELECT 1 -- c", ""},
		{"SELECT 1 /* c */", ""},
		{`SELECT 1 \ 2`, ""},
		{"SELECT 1, \u00e4", ""},
		{"SELECT 1\x00", ""},
		{"SELECT 1\f", ""},
	}
	for _, tt := range tests {
		if got := string(shapeOf(nil, tt.sql)); got != tt.want {
			t.Errorf("shapeOf(%q) = %q, want %q", tt.sql, got, tt.want)
		}
	}
}

// renumber writes other integers in the places of a shape.
func renumber(shape []byte, r *rand.Rand) string {
	var b strings.Builder
	for _, c := range shape {
		if c != shapeMark {
			b.WriteByte(c)
			continue
		}
		switch r.IntN(4) {
		case 0:
			b.WriteString(strconv.Itoa(r.IntN(4)))
		case 1:
			b.WriteString("0" + strconv.Itoa(r.IntN(1e6)))
		default:
			b.WriteString(strconv.Itoa(r.IntN(1e9)))
		}
	}
	return b.String()
}

// checkShape fails if texts that would share the facts of sql have others.
func checkShape(t *testing.T, a *Analyzer, sql string) {
	t.Helper()
	q, err := a.analyze(sql)
	shape := shapeOf(nil, sql)
	if err != nil || shape == nil || q.ExactOnly {
		return
	}
	r := rand.New(rand.NewPCG(1, uint64(len(sql))))
	for range 4 {
		other := renumber(shape, r)
		got, err := a.analyze(other)
		if err != nil {
			t.Fatalf("%q shares the shape of %q, but: %v", other, sql, err)
		}
		if !reflect.DeepEqual(got, q) {
			t.Fatalf("%q and %q share a shape and differ:\n%s\n%s", other, sql, describe(got.Statements[0]), describe(q.Statements[0]))
		}
	}
}

func TestShapesShareFacts(t *testing.T) {
	a := newAnalyzer(t)
	shaped := 0
	for _, s := range allSamples(t) {
		checkShape(t, a, s.sql)
		if shapeOf(nil, s.sql) != nil {
			shaped++
		}
	}
	if shaped < 50 {
		t.Errorf("only %d samples have a shape", shaped)
	}
}

func TestExactOnly(t *testing.T) {
	a := newAnalyzer(t)
	for _, sql := range []string{
		"SELECT a FROM t ORDER BY 1", "SELECT a FROM t GROUP BY 1", "SELECT DISTINCT ON (1) a FROM t",
		"SELECT a FROM t GROUP BY ROLLUP (1)", "SELECT a FROM t UNION SELECT b FROM u ORDER BY 1",
		"SELECT a::float(10) FROM t", "SET a = 1", "FETCH 3 FROM c", "EXECUTE p(1)", "COPY t FROM STDIN WHERE a > 1",
		"EXPLAIN SELECT 1", "SELECT nextval(1)", "PREPARE p AS SELECT 1", "SELECT a FROM t WHERE EXISTS (SELECT b FROM u ORDER BY 1)",
	} {
		q, err := a.Analyze(sql)
		if err != nil || !q.ExactOnly {
			t.Errorf("%s: %v, ExactOnly %v", sql, err, q != nil && q.ExactOnly)
		}
	}
	one, _ := a.Analyze("SELECT a, b FROM t ORDER BY 1")
	two, _ := a.Analyze("SELECT a, b FROM t ORDER BY 2")
	if reflect.DeepEqual(one, two) {
		t.Error("ORDER BY 1 and ORDER BY 2 have the same facts")
	}
}

func FuzzAnalyze(f *testing.F) {
	for _, s := range allSamples(f) {
		f.Add(s.sql)
	}
	f.Add("SELECT 1; SELECT a FROM t WHERE b = 2 ORDER BY c LIMIT 3")
	a := newAnalyzer(f)
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) > 4096 {
			return
		}
		first, err := a.analyze(sql)
		second, again := a.analyze(sql)
		if (err == nil) != (again == nil) || !reflect.DeepEqual(first, second) {
			t.Fatalf("two runs differ: %v, %v", err, again)
		}
		checkShape(t, a, sql)
	})
}
