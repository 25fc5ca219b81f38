package sqlfacts

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

func newAnalyzer(tb testing.TB) *Analyzer {
	tb.Helper()
	a, err := New(Config{})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// A sample is a statement with the facts expected of it.
type sample struct{ sql, want string }

func readSamples(tb testing.TB, name string) []sample {
	tb.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	var out []sample
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if facts, ok := strings.CutPrefix(line, "\t"); ok {
			out[len(out)-1].want = facts
			continue
		}
		out = append(out, sample{sql: line})
	}
	return out
}

func allSamples(tb testing.TB) []sample {
	tb.Helper()
	var out []sample
	for _, name := range []string{"queries.txt", "utility.txt", "ddl.txt"} {
		out = append(out, readSamples(tb, name)...)
	}
	return out
}

func TestFacts(t *testing.T) {
	a := newAnalyzer(t)
	for _, s := range allSamples(t) {
		q, err := a.Analyze(s.sql)
		if err != nil {
			t.Errorf("%s: %v", s.sql, err)
			continue
		}
		if len(q.Statements) != 1 {
			t.Errorf("%s: %d statements", s.sql, len(q.Statements))
			continue
		}
		if got := describe(q.Single()); got != s.want {
			t.Errorf("%s\n got %s\nwant %s", s.sql, got, s.want)
		}
	}
}
