package pgproxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/policy"
)

// A stretch is an attempt to get more out of one command than its limit allows, or
// to have a command that failed on its limit leave something behind. Each message
// of the client's is sent in turn, up to the ReadyForQuery that it brings about.
type stretch struct {
	name string
	sent [][]pgproto3.FrontendMessage
}

func queries(sqls ...string) [][]pgproto3.FrontendMessage {
	var out [][]pgproto3.FrontendMessage
	for _, sql := range sqls {
		out = append(out, []pgproto3.FrontendMessage{&pgproto3.Query{String: sql}})
	}
	return out
}

func batch(parts ...any) [][]pgproto3.FrontendMessage {
	return [][]pgproto3.FrontendMessage{append(pipeline(parts...), &pgproto3.Sync{})}
}

func stretches() []stretch {
	portal := func(most ...uint32) [][]pgproto3.FrontendMessage {
		out := []pgproto3.FrontendMessage{&pgproto3.Parse{Query: allItems}, &pgproto3.Bind{DestinationPortal: "p"}}
		for _, n := range most {
			out = append(out, &pgproto3.Execute{Portal: "p", MaxRows: n})
		}
		return [][]pgproto3.FrontendMessage{append(out, &pgproto3.Sync{})}
	}
	prepared := []pgproto3.FrontendMessage{&pgproto3.Parse{Name: "s", Query: allItems}, &pgproto3.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{1}}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}}
	return []stretch{
		{"a query", queries(allItems)},
		{"several statements", queries("SELECT 1; SELECT 2; SELECT 3; SELECT 4; SELECT 5")},
		{"UNION ALL", queries("SELECT 1 UNION ALL (" + allItems + ")")},
		{"a function of rows", queries("SELECT generate_series(1, 1000000)")},
		{"VALUES", queries("VALUES (1), (2), (3), (4), (5)")},
		{"SHOW ALL", queries("SHOW ALL")},
		{"EXPLAIN", queries("EXPLAIN VERBOSE SELECT * FROM items a JOIN items b USING (id) JOIN items c USING (id)")},
		{"FETCH of much", queries("BEGIN; DECLARE c CURSOR FOR "+allItems, "FETCH ALL FROM c")},
		{"FETCH several times in one text", queries("BEGIN; DECLARE c CURSOR FOR "+allItems, "FETCH 2 FROM c; FETCH 2 FROM c; FETCH 2 FROM c")},
		{"EXECUTE", queries("PREPARE q AS "+allItems, "EXECUTE q")},
		{"INSERT RETURNING", queries("INSERT INTO items SELECT generate_series(500, 510) RETURNING id")},
		{"UPDATE RETURNING", queries("UPDATE items SET id = id + 1000 RETURNING id")},
		{"DELETE RETURNING", queries("DELETE FROM items RETURNING id")},
		{"a writing CTE", queries("WITH d AS (DELETE FROM items RETURNING id) SELECT * FROM d")},
		{"a write before a long answer", queries("DELETE FROM items WHERE id < 5; " + allItems)},
		{"a write behind a long answer", queries(allItems + "; DELETE FROM items")},
		{"a write in a transaction", queries("BEGIN; DELETE FROM items WHERE id > 5", allItems, "SELECT 1 FROM items", "COMMIT")},
		{"RELEASE of a savepoint", queries("BEGIN; DELETE FROM items WHERE id > 5; SAVEPOINT s", allItems, "RELEASE s", "COMMIT")},
		{"the extended protocol", batch(allItems)},
		{"a portal in small pieces", portal(1, 1, 1, 1, 1, 1)},
		{"a portal of which more is asked", portal(2, 0)},
		{"a prepared statement in binary", [][]pgproto3.FrontendMessage{prepared}},
		{"a pipeline with a write before", batch("DELETE FROM items WHERE id > 5", allItems)},
		{"a pipeline with a write behind", batch(allItems, "DELETE FROM items")},
		{"a pipeline with RETURNING", batch("DELETE FROM items RETURNING id")},
		{"a pipeline that says COMMIT", batch("BEGIN", "DELETE FROM items WHERE id > 5", allItems, "COMMIT")},
		{"a function that writes", queries("SELECT eat(id) FROM items")},
		{"a function that writes, extended", batch("SELECT eat(id) FROM items")},
		{"RETURNING in a transaction", queries("BEGIN", "DELETE FROM items RETURNING id", "COMMIT")},
		{"an endless answer", queries("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r")},
	}
}

const stretchSetup = itemsSetup + `;
CREATE FUNCTION eat(i int) RETURNS int VOLATILE LANGUAGE sql AS 'DELETE FROM items WHERE id = i RETURNING i'`

// TestLimitsHold: no command gives more rows than its limit, and none that failed
// leaves anything behind. The twin is the same under a limit that is wide enough,
// and answers as if there were none.
func TestLimitsHold(t *testing.T) {
	const most = 3
	eachDriver(t, func(t *testing.T, d driver) {
		narrow := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: most, Bytes: 1 << 20}), setup: stretchSetup})
		wide := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 1000, Bytes: 1 << 20, Timeout: time.Hour}), setup: stretchSetup})
		free := newRig(t, rigConfig{driver: d, setup: stretchSetup})
		for _, a := range stretches() {
			t.Run(a.name, func(t *testing.T) {
				refused := false
				for i, got := range narrow.stretch(t, a) {
					rows := slices.DeleteFunc(slices.Clone(got), func(m string) bool { return !strings.HasPrefix(m, "row ") })
					if len(rows) > most {
						t.Errorf("message %d gave %d rows", i, len(rows))
					}
					refused = refused || slices.Contains(got, overRows)
				}
				if !refused {
					t.Error("nothing was refused")
				}
				narrow.wantItems("10")
				if strings.Contains(a.name, "endless") || strings.Contains(a.name, "function of rows") {
					return // there is no limit that is wide enough
				}
				if got, want := fmt.Sprint(wide.stretch(t, a)), fmt.Sprint(free.stretch(t, a)); got != want {
					t.Errorf("the twin got\n%s\nwant\n%s", got, want)
				}
				if got, want := wide.pg.Query("SELECT count(*) FROM items"), free.pg.Query("SELECT count(*) FROM items"); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("the twin left %v, want %v", got, want)
				}
				for _, r := range []*rig{wide, free} {
					r.pg.Exec("TRUNCATE items; INSERT INTO items SELECT generate_series(1, 10)")
				}
			})
		}
	})
}

// stretch sends an attempt and returns what each of its messages is answered.
func (r *rig) stretch(t *testing.T, a stretch) [][]string {
	t.Helper()
	c := r.session(t)
	defer c.conn.Close()
	var all [][]string
	for _, m := range a.sent {
		c.send(m...)
		all = append(all, c.until(1))
	}
	c.send(&pgproto3.Terminate{})
	c.end()
	return all
}
