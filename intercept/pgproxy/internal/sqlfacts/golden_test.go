package sqlfacts

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

func newAnalyzer(t testing.TB) *Analyzer {
	t.Helper()
	a, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A sample is a statement with the facts expected of it.
type sample struct{ sql, want string }

func readSamples(t testing.TB, name string) []sample {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
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

func allSamples(t testing.TB) []sample {
	t.Helper()
	var out []sample
	for _, name := range []string{"queries.txt", "utility.txt", "ddl.txt"} {
		out = append(out, readSamples(t, name)...)
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
