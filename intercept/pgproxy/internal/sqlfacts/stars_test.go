package sqlfacts

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Stars over queries that have stars multiply at each level; so do the columns of
// queries that are joined with themselves. Both must be done or refused in time.
func TestStarsTakeBoundedTime(t *testing.T) {
	a := newAnalyzer(t)
	levels := func(first, each string, n int) string {
		var b strings.Builder
		b.WriteString("WITH w0 AS (" + first + ")")
		for i := 1; i <= n; i++ {
			b.WriteString(fmt.Sprintf(", w%d AS (", i) + strings.ReplaceAll(each, "W", fmt.Sprintf("w%d", i-1)) + ")")
		}
		return b.String()
	}
	nest := func(n int) string {
		return strings.Repeat("SELECT s.a || (SELECT s.a) AS a FROM (SELECT * FROM (", n) + "SELECT * FROM t" + strings.Repeat(") x, u) s", n)
	}
	for name, sql := range map[string]string{
		"stars":     levels("SELECT * FROM t, u", "SELECT * FROM W x, W y", 30) + " SELECT a, upper(b), w30.c FROM w30 WHERE d > 1 ORDER BY e",
		"columns":   levels("SELECT a, b FROM t", "SELECT * FROM W x, W y", 30) + " SELECT * FROM w30",
		"unions":    levels("SELECT a, b FROM t", "SELECT a, b FROM W UNION ALL SELECT b, a FROM W", 40) + " SELECT a FROM w40",
		"origins":   levels("SELECT a, b FROM t", "SELECT a || b || a AS a, b || a || b AS b FROM W", 40) + " SELECT a FROM w40",
		"recursive": strings.Replace(levels("SELECT a FROM t", "SELECT x.a || y.a AS a FROM W x, W y", 40), "WITH", "WITH RECURSIVE", 1) + " SELECT a FROM w40",
		"nested":    nest(20),
	} {
		start := time.Now()
		_, err := a.Analyze(sql)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: %v, %v", name, took, err)
		} else {
			t.Logf("%s: %v, %v", name, took, err)
		}
	}
}
