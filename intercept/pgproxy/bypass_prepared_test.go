package pgproxy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

const preparedSetup = cursorTables + `
CREATE FUNCTION swap() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE c'; EXECUTE 'PREPARE c AS SELECT reverse(name) FROM items ORDER BY id'; RETURN 1; END $$;
CREATE FUNCTION still() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$`

// A function can prepare another statement by a name that has a meaning already. One
// of the protocol is then prepared again, and returns what it did before; what SQL
// has prepared is not known any more. The benign twins call one that does not.
func TestBypassByPreparedStatements(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: masking("public.items.name:redact"), setup: preparedSetup})
		plain := newRig(t, rigConfig{driver: d, setup: preparedSetup})
		for _, byProtocol := range []bool{false, true} {
			for _, way := range []string{"one by one", "queries", "batch", "batches"} {
				for _, function := range []string{"swap", "still"} {
					got := strings.Join(executeBehind(t, r, function, way, byProtocol), "\n")
					if strings.Contains(got, "yranac") || strings.Contains(got, "1-") {
						t.Errorf("%s, %s, by protocol %v: got\n%s", function, way, byProtocol, got)
					}
					if byProtocol && !strings.Contains(got, "row red\nrow green") {
						t.Errorf("%s, %s: got\n%s", function, way, got)
					}
				}
				if got := executeBehind(t, plain, "still", way, byProtocol); !slices.Contains(got, "row red") {
					t.Errorf("without masks, %s, by protocol %v: got %q", way, byProtocol, got)
				}
			}
		}
	})
}

// executeBehind prepares a statement, calls a function, and runs the statement.
func executeBehind(t *testing.T, r *rig, function, way string, byProtocol bool) []string {
	t.Helper()
	c := r.session(t)
	const colours = "SELECT colour FROM colours ORDER BY id"
	call, run := "SELECT "+function+"()", extended("EXECUTE c")
	if byProtocol {
		c.send(&pgproto3.Parse{Name: "c", Query: colours}, &pgproto3.Describe{ObjectType: 'S', Name: "c"}, &pgproto3.Sync{})
		run = []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "c"}, &pgproto3.Execute{}}
	} else {
		c.send(&pgproto3.Query{String: "PREPARE c AS " + colours})
	}
	c.until(1)
	switch way {
	case "one by one":
		c.send(&pgproto3.Query{String: call})
		got := c.until(1)
		c.send(pipeline(run, &pgproto3.Sync{})...)
		return append(got, c.until(1)...)
	case "queries":
		c.send(pipeline(&pgproto3.Query{String: call}, run, &pgproto3.Sync{})...)
		return c.until(2)
	case "batch":
		c.send(pipeline(extended(call), run, &pgproto3.Sync{})...)
		return c.until(1)
	default:
		c.send(pipeline(extended(call), &pgproto3.Sync{}, run, &pgproto3.Sync{})...)
		return c.until(2)
	}
}

// What a function prepares in the same text, or while the answer to a PREPARE is on
// its way, is not taken for what was prepared before.
func TestBypassByPreparedStatementsInOneText(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: masking("public.items.name:redact"), setup: preparedSetup})
		const prepare = "PREPARE c AS SELECT colour FROM colours ORDER BY id"
		for _, function := range []string{"swap", "still"} {
			call := "SELECT " + function + "()"
			for _, texts := range [][]string{
				{prepare, call + "; EXECUTE c"}, {prepare + ";" + call, "EXECUTE c"}, {prepare, call, "EXECUTE c"},
			} {
				c := r.session(t)
				var all []pgproto3.FrontendMessage
				for _, text := range texts {
					all = append(all, &pgproto3.Query{String: text})
				}
				c.send(all...)
				got := strings.Join(c.until(len(texts)), "\n")
				if strings.Contains(got, "yranac") || strings.Contains(got, "1-") {
					t.Errorf("%q: got\n%s", texts, got)
				}
				c.query("DEALLOCATE c", "DEALLOCATE", "ZI")
				c.query(prepare, "PREPARE", "ZI")
				c.query("EXECUTE c", "RowDescription", "row red", "row green", "SELECT 2", "ZI")
			}
		}
	})
}
