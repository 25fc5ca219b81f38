package sqlfacts

import (
	"strings"
	"testing"
)

// describeOrigins writes what each output column is made of: "name = sources",
// where "=" stands for a value taken as it is, "~" for a computed one, and "?" for
// one that can't be traced. A "!" marks what rows decide about.
func describeOrigins(columns []OutputColumn) string {
	var out []string
	for _, c := range columns {
		sign := "~"
		switch {
		case c.Star:
			out = append(out, "*")
			continue
		case !c.Traced:
			sign = "?"
		case c.Direct:
			sign = "="
		}
		if c.Steered {
			sign += "!"
		}
		for _, s := range c.Sources {
			sign += " " + s.Relation.Name + "." + describeColumns([]ColumnRef{s.Column})
		}
		out = append(out, sign)
	}
	return strings.Join(out, ", ")
}

func TestOrigins(t *testing.T) {
	a := newAnalyzer(t)
	for _, s := range readSamples(t, "lineage.txt") {
		q, err := a.Analyze(s.sql)
		if err != nil || len(q.Statements) != 1 {
			t.Errorf("%s: %v", s.sql, err)
			continue
		}
		if got := describeOrigins(q.Single().Output); got != s.want {
			t.Errorf("%s\n got %s\nwant %s", s.sql, got, s.want)
		}
	}
}
