package sqlfacts

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedEffects: the table in docs/postgresql.md says what the analysis says.
func TestDocumentedEffects(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/postgresql.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| Statement | Effects |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := regexp.MustCompile("(?m)^\\| `(.+)` \\| (.+) \\|$").FindAllStringSubmatch(table, -1)
	if len(rows) < 10 {
		t.Fatalf("%d rows", len(rows))
	}
	a := newAnalyzer(t)
	for _, row := range rows {
		q, err := a.Analyze(row[1])
		if err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		var effects []string
		for i := range q.Single().Effects {
			effects = append(effects, describeEffect(&q.Single().Effects[i]))
		}
		if got := strings.Join(effects, "; "); got != row[2] {
			t.Errorf("%s: %s, documented as %s", row[1], got, row[2])
		}
	}
}
