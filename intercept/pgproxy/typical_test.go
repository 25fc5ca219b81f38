package pgproxy_test

import (
	_ "embed"
	"strings"
	"testing"
)

//go:embed testdata/bypass/typical.sql
var typicalQueries string

// What mappers, dashboards and people write about tables with masked columns comes
// through as it is, where it shows nothing that is masked.
func TestTypicalQueriesPassAsTheyAre(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	r.pg.Exec("DROP FUNCTION lower(int) CASCADE")
	conn := r.connect(t)
	for sql := range strings.Lines(typicalQueries) {
		rows, err := runSimple(t.Context(), conn, sql)
		if want := joined(r.pg.Query(sql)); err != nil || joined(rows) != want {
			t.Errorf("%s: got %q, %v, want %q", sql, joined(rows), err, want)
		}
	}
}
