package sqlfacts

import (
	"slices"
	"strings"
	"testing"
)

// commands.txt has every command of PostgreSQL 18's reference ("SQL Commands"), in
// its order. Each must be known for what it is.
func TestEveryCommandIsKnown(t *testing.T) {
	a := newAnalyzer(t)
	for _, s := range readSamples(t, "commands.txt") {
		q, err := a.Analyze(s.sql)
		if err != nil || len(q.Statements) != 1 {
			t.Errorf("%s: %v", s.sql, err)
			continue
		}
		st := q.Single()
		if st.Tag == "UNKNOWN" || slices.Contains(st.Opaque, "unknown statement") {
			t.Errorf("%s is not known", s.sql)
		}
		if got := describe(st); got != s.want {
			t.Errorf("%s\n got %s\nwant %s", s.sql, got, s.want)
		}
	}
}

// What PostgreSQL 18 added to the grammar is not read by that of 17: it is refused
// as a syntax error rather than understood by half.
func TestNewerSyntaxIsRefused(t *testing.T) {
	a := newAnalyzer(t)
	for _, sql := range []string{
		"UPDATE t SET a = 1 RETURNING WITH (OLD AS o, NEW AS n) o.a, n.a",
		"CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a) VIRTUAL)",
		"CREATE TABLE t (a int4range, PRIMARY KEY (a WITHOUT OVERLAPS))",
		"ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID",
		"ALTER TABLE t ALTER CONSTRAINT c NO INHERIT",
		"ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT ENFORCED",
	} {
		if q, err := a.Analyze(sql); err == nil {
			t.Errorf("%s: %s", sql, strings.TrimSpace(describe(q.Single())))
		}
	}
}
