package pgproxy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

const cursorTables = `CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'canary-1'), (2, 'canary-2');
CREATE TABLE colours (id int, colour text); INSERT INTO colours VALUES (1, 'red'), (2, 'green');`

const cursorSetup = cursorTables + `
CREATE FUNCTION swap() RETURNS int LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'c'; BEGIN CLOSE c; OPEN c FOR SELECT reverse(name) FROM items; RETURN 1; END $$;
CREATE FUNCTION still() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$`

// A function that is still at work when a FETCH is sent behind it can put another
// cursor in the place of the one that the FETCH was judged by. The benign twin calls
// one that leaves the cursor alone, and the cursor is then found again by the next.
func TestBypassByCursors(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: masking("public.items.name:redact"), setup: cursorSetup})
		for _, function := range []string{"swap", "still"} {
			for _, way := range []string{"one by one", "queries", "batch", "batches", "one text"} {
				got := fetchBehind(t, r, function, way)
				if text := strings.Join(got, "\n"); strings.Contains(text, "yranac") || strings.Contains(text, "1-") {
					t.Errorf("%s, %s: got\n%s", function, way, text)
				}
			}
		}
		r = newRig(t, rigConfig{driver: d, setup: cursorSetup})
		for _, way := range []string{"one by one", "queries", "batch", "batches", "one text"} {
			if got := fetchBehind(t, r, "still", way); !slices.Contains(got, "row red") {
				t.Errorf("without masks, %s: got %q", way, got)
			}
		}
	})
}

// fetchBehind declares a cursor, calls a function, and reads a row.
func fetchBehind(t *testing.T, r *rig, function, way string) []string {
	t.Helper()
	c := r.session(t)
	c.query("BEGIN", "BEGIN", "ZT")
	c.query("DECLARE c CURSOR FOR SELECT colour FROM colours ORDER BY id", "DECLARE CURSOR", "ZT")
	call, fetch := "SELECT "+function+"()", "FETCH c"
	switch way {
	case "one by one":
		c.send(&pgproto3.Query{String: call})
		got := c.until(1)
		c.send(&pgproto3.Query{String: fetch})
		return append(got, c.until(1)...)
	case "queries":
		c.send(&pgproto3.Query{String: call}, &pgproto3.Query{String: fetch})
		return c.until(2)
	case "batch":
		c.send(pipeline(extended(call), extended(fetch), &pgproto3.Sync{})...)
		return c.until(1)
	case "one text":
		c.send(&pgproto3.Query{String: call + ";" + fetch})
		return c.until(1)
	default:
		c.send(pipeline(extended(call), &pgproto3.Sync{}, extended(fetch), &pgproto3.Sync{})...)
		return c.until(2)
	}
}
