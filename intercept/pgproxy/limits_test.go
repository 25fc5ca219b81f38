package pgproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

// limiting allows everything within a limit.
func limiting(l policy.Limit) policy.Evaluator {
	return policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		d := policy.Decision{Outcome: policy.Allow, Revision: "1", Limit: &l}
		if in.Command.Action == policy.ActionConnect {
			d.Limit = nil
		}
		return d, nil
	})
}

// answer is what a query answers with rows of one column.
func answer(tag string, rows ...string) []string {
	out := []string{"RowDescription"}
	for _, row := range rows {
		out = append(out, "row "+row)
	}
	return append(out, tag)
}

const (
	allItems  = "SELECT id FROM items ORDER BY id"
	returning = "INSERT INTO items SELECT generate_series(101, 110) RETURNING id"
	overRows  = "ERROR 54000"
)

func TestRowLimitOfQueries(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 3}), setup: itemsSetup})
		c := r.session(t)
		c.query("SELECT id FROM items ORDER BY id LIMIT 3", append(answer("SELECT 3", "1", "2", "3"), "ZI")...)
		c.query(allItems, append(answer(overRows, "1", "2", "3"), "ZI")...)
		c.query("SELECT 1; "+allItems+"; SELECT 2", append(append(answer("SELECT 1", "1"), answer(overRows, "1", "2")...), "ZI")...)
		c.query(returning, append(answer(overRows, "101", "102", "103"), "ZI")...)
		r.wantItems("10")
		c.query(insert+"; "+allItems, append([]string{"INSERT 0 1"}, append(answer(overRows, "1", "2", "3"), "ZI")...)...)
		r.wantItems("10")
		c.query("WITH w AS ("+returning+") SELECT * FROM w", append(answer(overRows, "101", "102", "103"), "ZI")...)
		r.wantItems("10")
		c.query("INSERT INTO items SELECT generate_series(101, 103) RETURNING id", append(answer("INSERT 0 3", "101", "102", "103"), "ZI")...)
		r.wantItems("13")
		c.query("INSERT INTO items SELECT generate_series(201, 209); SELECT 1", append([]string{"INSERT 0 9"}, append(answer("SELECT 1", "1"), "ZI")...)...)
		r.wantItems("22")
		c.query("VACUUM items", "VACUUM", "ZI")
		c.query("INSERT INTO items SELECT 1/(id-1) FROM items RETURNING id", "ERROR 22012", "ZI")
		r.wantItems("22")
	})
}

func TestRowLimitInTransactions(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 3}), setup: itemsSetup})
		c := r.session(t)
		for _, over := range []string{allItems, returning, "SELECT 1; " + allItems} {
			c.query("BEGIN; "+insert, "BEGIN", "INSERT 0 1", "ZT")
			c.send(&pgproto3.Query{String: over})
			if got := c.until(1); !slices.Equal(got[len(got)-2:], []string{overRows, "ZE"}) {
				t.Fatalf("%s: got %q", over, got)
			}
			c.query("SELECT 1", "ERROR 25P02", "ZE")
			c.query("COMMIT", "ROLLBACK", "ZI")
			r.wantItems("10")
		}
		c.query("BEGIN; DECLARE c CURSOR FOR "+allItems, "BEGIN", "DECLARE CURSOR", "ZT")
		c.query("FETCH 2 FROM c", append(answer("FETCH 2", "1", "2"), "ZT")...)
		c.query("FETCH ALL FROM c", append(answer(overRows, "3", "4", "5"), "ZE")...)
		c.query("ROLLBACK", "ROLLBACK", "ZI")
		c.send(pipeline("BEGIN", insert, allItems, &pgproto3.Sync{})...)
		c.expect("ParseComplete", "BindComplete", "BEGIN", "ParseComplete", "BindComplete", "INSERT 0 1", "ParseComplete", "BindComplete", "row 1", "row 2", "row 3", overRows, "ZE")
		c.query("ROLLBACK", "ROLLBACK", "ZI")
		r.wantItems("10")
	})
}

func TestRowLimitInPipelines(t *testing.T) {
	rows := []string{"row 1", "row 2", "row 3", overRows, "ZI"}
	sync := &pgproto3.Sync{}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 3}), setup: itemsSetup})
		c := r.session(t)
		begun := []string{"ParseComplete", "BindComplete"}
		c.send(pipeline(allItems, sync)...)
		c.expect(append(begun, rows...)...)
		c.send(pipeline(insert, allItems, "SELECT 5", sync, "SELECT 6", sync)...)
		c.expect(append(append(ran("INSERT 0 1"), append(begun, rows...)...), append(ran("row 6"), "SELECT 1", "ZI")...)...)
		r.wantItems("10")
		c.send(pipeline(returning, sync, insert, sync)...)
		c.expect(append(append(begun, "row 101", "row 102", "row 103", overRows, "ZI"), append(ran("INSERT 0 1"), "ZI")...)...)
		r.wantItems("11")
		c.send(pipeline(allItems, sync, allItems, sync)...)
		c.expect(append(append(begun, rows...), append(begun, rows...)...)...)
		c.query("SELECT 1", append(answer("SELECT 1", "1"), "ZI")...)
		// Without a Sync the error comes by itself.
		c.send(pipeline(returning, &pgproto3.Flush{})...)
		for _, want := range []string{"ParseComplete", "BindComplete", "row 101", "row 102", "row 103", overRows} {
			if got := short(c.next()); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
		c.send(pipeline(insert, sync)...)
		c.expect("ZI")
		r.wantItems("11")
	})
}

func TestRowLimitIsOfThePortal(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 3}), setup: itemsSetup})
		c := r.session(t)
		c.send(&pgproto3.Parse{Query: allItems}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 2},
			&pgproto3.Execute{Portal: "p", MaxRows: 2}, &pgproto3.Execute{Portal: "p", MaxRows: 2}, &pgproto3.Sync{})
		c.expect("ParseComplete", "BindComplete", "row 1", "row 2", "PortalSuspended", "row 3", overRows, "ZI")
		c.send(&pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 3}, &pgproto3.Sync{})
		c.expect("BindComplete", "row 1", "row 2", "row 3", "PortalSuspended", "ZI")
	})
}

// A cancel request that comes when the server is done hits nothing else.
func TestLimitHitsNothingElse(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 3}), setup: itemsSetup})
		c := r.session(t)
		for range 25 {
			c.send(pipeline(allItems, &pgproto3.Sync{}, "SELECT 7 FROM pg_sleep(0.005)", &pgproto3.Sync{}, &pgproto3.Query{String: allItems}, &pgproto3.Query{String: "SELECT 8 FROM pg_sleep(0.005)"})...)
			got := strings.Join(c.until(4), " ")
			if !strings.Contains(got, "row 7") || !strings.Contains(got, "row 8") || strings.Count(got, overRows) != 2 {
				t.Fatalf("got %s", got)
			}
		}
	})
}

func TestByteLimit(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		for _, p := range []policy.Evaluator{limiting(policy.Limit{Bytes: 100_000}), maskingWithin(policy.Limit{Bytes: 100_000})} {
			r := newRig(t, rigConfig{driver: d, policy: p, setup: "CREATE TABLE t (a text, b text); INSERT INTO t SELECT repeat('x', 30000), 'y' FROM generate_series(1, 5)"})
			c := r.session(t)
			c.send(&pgproto3.Query{String: "SELECT a, b FROM t"})
			got := c.until(1)
			if len(got) != 6 || len(got[3]) < 30000 || got[4] != overRows || got[5] != "ZI" {
				t.Fatalf("%d messages, the last %.20q", len(got), got[len(got)-2:])
			}
			c.query("SELECT repeat('x', 40000000) FROM t LIMIT 1", "RowDescription", overRows, "ZI")
			c.send(pipeline("SELECT repeat('x', 40000000)", &pgproto3.Sync{})...)
			c.expect("ParseComplete", "BindComplete", overRows, "ZI")
			c.query("SELECT 1", append(answer("SELECT 1", "1"), "ZI")...)
		}
	})
}

// maskingWithin is limiting with a mask on t.b.
func maskingWithin(l policy.Limit) policy.Evaluator {
	return policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Limit: &l, Masks: []policy.Mask{{Table: "public.t", Column: "b", Method: "redact"}}}, nil
	})
}

// What the server is still at is stopped.
func TestEndlessAnswerIsStopped(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 2})})
		c := r.session(t)
		for _, m := range [][]pgproto3.FrontendMessage{
			{&pgproto3.Query{String: "SELECT generate_series(1, 2000000000)"}}, pipeline("SELECT generate_series(1, 2000000000)", &pgproto3.Sync{}),
		} {
			c.send(m...)
			got := c.until(1)
			if !slices.Equal(got[len(got)-4:], []string{"row 1", "row 2", overRows, "ZI"}) {
				t.Fatalf("got %q", got)
			}
		}
		var results []string
		for _, e := range r.recorder.Entries(r.recorder.Sessions()[0]) {
			if e.Type == record.TypeResult && bytes.Contains(e.Payload, []byte("limit exceeded")) {
				results = append(results, string(e.Payload))
			}
		}
		if len(results) != 2 || !strings.Contains(results[0], `"failure":"54000","rows":2,`) {
			t.Errorf("recorded %q", results)
		}
	})
}

func TestStatementTime(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Timeout: 60 * time.Millisecond}), setup: itemsSetup})
		c := r.session(t)
		const long = "SELECT id FROM items, pg_sleep(60)"
		c.send(&pgproto3.Query{String: long})
		var refused *pgproto3.ErrorResponse
		for refused == nil {
			refused, _ = c.next().(*pgproto3.ErrorResponse)
		}
		if refused.Code != "57014" || !strings.HasPrefix(refused.Detail, `{"code":"limit_exceeded"`) || !strings.Contains(refused.Detail, "60ms") {
			t.Errorf("%+v", refused)
		}
		c.expect("ZI")
		c.query(insert+"; "+long, "INSERT 0 1", "RowDescription", "ERROR 57014", "ZI")
		c.query("BEGIN; "+insert, "BEGIN", "INSERT 0 1", "ZT")
		c.query(long, "RowDescription", "ERROR 57014", "ZE")
		c.query("COMMIT", "ROLLBACK", "ZI")
		c.send(pipeline(insert, long, insert, &pgproto3.Sync{}, "SELECT 6", &pgproto3.Sync{})...)
		c.expect(append(append(ran("INSERT 0 1"), "ParseComplete", "BindComplete", "ERROR 57014", "ZI"), append(ran("row 6"), "SELECT 1", "ZI")...)...)
		r.wantItems("10")
		for range 10 { // each has its own time
			c.query("SELECT 1 FROM pg_sleep(0.01)", append(answer("SELECT 1", "1"), "ZI")...)
		}
	})
}

func TestClientsOwnTimeoutStays(t *testing.T) {
	r := newRig(t, rigConfig{policy: limiting(policy.Limit{Timeout: time.Hour})})
	c := r.session(t)
	c.query("SET statement_timeout = '20ms'", "SET", "ZI")
	c.send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
	for {
		if e, ok := c.next().(*pgproto3.ErrorResponse); ok {
			if e.Code != "57014" || e.Message != "canceling statement due to statement timeout" || e.Detail != "" {
				t.Errorf("%+v", e)
			}
			break
		}
	}
	c.expect("ZI")
}

func TestRateOfCommands(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{CommandsPerMinute: 2}), setup: itemsSetup})
		c := r.session(t)
		c.query("SELECT 1", append(answer("SELECT 1", "1"), "ZI")...)
		c.send(pipeline(insert, insert, &pgproto3.Sync{})...)
		c.expect(append(ran("INSERT 0 1"), "ParseComplete", "ERROR 53400", "ZI")...)
		c.query("SELECT 1", "ERROR 53400", "ZI")
		r.wantItems("10")
		r.session(t).query("SELECT 1", append(answer("SELECT 1", "1"), "ZI")...) // another session
	})
}

// What a statement did where nothing can take it back is told.
func TestEffectThatStands(t *testing.T) {
	r := newRig(t, rigConfig{policy: limiting(policy.Limit{Bytes: 100}), setup: itemsSetup +
		"; CREATE PROCEDURE p(INOUT a text) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO items VALUES (77); COMMIT; a := repeat('x', 1000); END $$"})
	c := r.session(t)
	c.send(&pgproto3.Query{String: "CALL p('a')"})
	for {
		if e, ok := c.next().(*pgproto3.ErrorResponse); ok {
			if e.Code != "54000" || !strings.Contains(e.Message, "what the statement did stands") {
				t.Errorf("%+v", e)
			}
			break
		}
	}
	c.expect("ZI")
	r.wantItems("11")
}

// A constraint that is checked at the end of a transaction is checked where the
// gateway has put one around a Query, and the client is told.
func TestDeferredConstraintUnderLimit(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 3}), setup: itemsSetup +
			"; CREATE TABLE u (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "INSERT INTO u VALUES (1), (1) RETURNING id"})
		got := c.until(1)
		if !slices.Equal(got[len(got)-2:], []string{"ERROR 23505", "ZI"}) {
			t.Errorf("got %q", got)
		}
		if rows := r.pg.Query("SELECT count(*) FROM u"); fmt.Sprint(rows) != "[[0]]" {
			t.Errorf("%v rows", rows)
		}
		c.query("INSERT INTO u VALUES (1), (2) RETURNING id", append(answer("INSERT 0 2", "1", "2"), "ZI")...)
	})
}

// A cancel request that hits the COMMIT which the gateway has put behind a Query
// ends as it would have ended without.
func TestCancelAtTheEndOfAWrappedQuery(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 3}), setup: itemsSetup + `;
CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION doze()`})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "INSERT INTO items VALUES (77) RETURNING id"})
		r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep' AND query = 'COMMIT'", "1")
		r.cancelRequest(t, c.key.ProcessID, c.key.SecretKey)
		c.expect(append(answer("INSERT 0 1", "77"), "ERROR 57014", "ZI")...)
		r.wantItems("10")
		c.query("SELECT 1", append(answer("SELECT 1", "1"), "ZI")...)
	})
}
