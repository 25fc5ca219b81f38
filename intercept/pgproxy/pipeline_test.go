package pgproxy_test

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/policy"
)

const insert, remove = "INSERT INTO items VALUES (99)", "DELETE FROM items"

// ran is what a statement of insert or remove answers if it runs.
func ran(tag string) []string { return []string{"ParseComplete", "BindComplete", tag} }

func TestRefusalAtEachPosition(t *testing.T) {
	inserts := []string{"INSERT INTO items VALUES (101)", "INSERT INTO items VALUES (102)", "INSERT INTO items VALUES (103)"}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: denying(policy.VerbDelete), setup: itemsSetup})
		for flush := range 2 {
			for at := range 4 {
				c := r.session(t)
				var messages []pgproto3.FrontendMessage
				var want []string
				for i, sql := range slices.Insert(slices.Clone(inserts), at, remove) {
					messages = append(messages, extended(sql)...)
					if flush == 1 {
						messages = append(messages, &pgproto3.Flush{})
					}
					if i < at {
						want = append(want, ran("INSERT 0 1")...)
					}
				}
				c.send(append(messages, &pgproto3.Sync{})...)
				c.expect(append(want, "ERROR 42501", "ZI")...)
				r.wantItems("10")
				c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
			}
		}
	})
}

func TestRefusalAmongSyncs(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: denying(policy.VerbDelete), setup: itemsSetup})
		c := r.session(t)
		sync := &pgproto3.Sync{}
		c.send(pipeline(insert, sync, remove, "INSERT INTO items VALUES (100)", sync, "SELECT 5", sync)...)
		want := append(ran("INSERT 0 1"), "ZI", "ERROR 42501", "ZI", "ParseComplete", "BindComplete", "row 5", "SELECT 1", "ZI")
		c.expect(want...)
		r.wantItems("11")
	})
}

func TestErrorBeforeRefusalIsTheServers(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: denying(policy.VerbDelete), setup: itemsSetup})
		c := r.session(t)
		c.send(pipeline("SELECT 1/count(*) FROM items WHERE id < 0", remove, &pgproto3.Sync{}, "SELECT 6", &pgproto3.Sync{})...)
		c.expect("ParseComplete", "BindComplete", "ERROR 22012", "ZI", "ParseComplete", "BindComplete", "row 6", "SELECT 1", "ZI")
		c.send(pipeline("SELECT nothing", insert, insert, &pgproto3.Query{String: "SELECT 7"}, &pgproto3.Sync{})...)
		c.expect("ERROR 42703", "ZI")
		r.wantItems("10")
		c.query("SELECT 8", "RowDescription", "row 8", "SELECT 1", "ZI")
	})
}

func TestRefusedQueryBehindPipeline(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: denying(policy.VerbDelete), setup: itemsSetup})
		c := r.session(t)
		c.send(pipeline(insert, &pgproto3.Query{String: remove}, "SELECT 5", &pgproto3.Sync{})...)
		c.expect(append(ran("INSERT 0 1"), "ERROR 42501", "ZI", "ParseComplete", "BindComplete", "row 5", "SELECT 1", "ZI")...)
		r.wantItems("10")
		c.query("BEGIN; "+insert, "BEGIN", "INSERT 0 1", "ZT")
		c.query("SELECT 1; "+remove, "ERROR 42501", "ZE")
		c.query("SELECT 1", "ERROR 25P02", "ZE")
		c.query("COMMIT", "ROLLBACK", "ZI")
		r.wantItems("10")
	})
}

func TestStatementReusedBehindReady(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: masking("public.people.email:redact"),
			setup: `CREATE TABLE people (id int, email text); INSERT INTO people VALUES (1, 'ada@example.org'), (2, 'bob@example.org')`})
		c := r.session(t)
		c.send(&pgproto3.Parse{Name: "s", Query: "SELECT id, email FROM people ORDER BY id"},
			&pgproto3.Describe{ObjectType: 'S', Name: "s"}, &pgproto3.Describe{ObjectType: 'S', Name: "s"}, &pgproto3.Sync{})
		c.expect("ParseComplete", "ParameterDescription", "RowDescription", "ParameterDescription", "RowDescription", "ZI")
		masked := []string{"BindComplete", "row 1,[redacted]", "row 2,[redacted]", "SELECT 2", "ZI"}
		for range 3 {
			c.send(&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{}, &pgproto3.Sync{})
			c.expect(masked...)
		}
		c.send(&pgproto3.Bind{PreparedStatement: "s", DestinationPortal: "a"}, &pgproto3.Describe{ObjectType: 'P', Name: "a"},
			&pgproto3.Describe{ObjectType: 'P', Name: "a"}, &pgproto3.Execute{Portal: "a", MaxRows: 1},
			&pgproto3.Execute{Portal: "a"}, &pgproto3.Sync{})
		c.expect("BindComplete", "RowDescription", "RowDescription", "row 1,[redacted]", "PortalSuspended", "row 2,[redacted]", "SELECT 1", "ZI")
	})
}

func TestPortalsAcrossBatches(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		for _, p := range []policy.Evaluator{allowAll(), masking("public.items.name:redact")} {
			r := newRig(t, rigConfig{driver: d, policy: p, setup: itemsSetup})
			c := r.session(t)
			c.query("BEGIN", "BEGIN", "ZT")
			c.send(&pgproto3.Parse{Query: "SELECT id FROM items ORDER BY id"}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Sync{})
			c.expect("ParseComplete", "BindComplete", "ZT")
			for _, row := range []string{"row 1", "row 2"} {
				c.send(&pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{})
				c.expect(row, "PortalSuspended", "ZT")
			}
			c.send(&pgproto3.Execute{Portal: "p", MaxRows: 7}, &pgproto3.Flush{}, &pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{})
			c.expect("row 3", "row 4", "row 5", "row 6", "row 7", "row 8", "row 9", "PortalSuspended", "row 10", "SELECT 1", "ZT")
			c.query("SAVEPOINT a", "SAVEPOINT", "ZT")
			c.send(&pgproto3.Bind{DestinationPortal: "q", PreparedStatement: "gone"}, &pgproto3.Sync{})
			c.expect("ERROR 26000", "ZE")
			c.send(&pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{})
			c.expect("ERROR 25P02", "ZE")
			c.query("ROLLBACK", "ROLLBACK", "ZI")
			c.send(&pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{})
			c.expect("ERROR 34000", "ZI")
		}
	})
}

// A portal that was bound before its transaction failed is described by the
// gateway itself before it runs; that error is the client's to see.
func TestErrorOfHiddenDescribe(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: masking("public.items.name:redact"), setup: itemsSetup})
		c := r.session(t)
		c.query("BEGIN", "BEGIN", "ZT")
		c.send(&pgproto3.Parse{Query: "SELECT name FROM items ORDER BY id"}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Sync{})
		c.expect("ParseComplete", "BindComplete", "ZT")
		c.query("SAVEPOINT a", "SAVEPOINT", "ZT")
		c.query("SELECT 1/0", "ERROR 22012", "ZE")
		c.send(&pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{})
		c.expect("ERROR 25P02", "ZE")
		c.query("ROLLBACK TO a", "ROLLBACK", "ZT")
		c.send(&pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{})
		c.expect("row [redacted]", "PortalSuspended", "ZT") // as the portal is older than the savepoint
	})
}

func TestUncarriedMessages(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: itemsSetup})
		c := r.session(t)
		for _, sql := range []string{"SET backslash_quote = on", "SET ROLE pg_monitor", "SELECT set_config('role', 'pg_monitor', false)"} {
			c.query(sql, "ERROR 0A000", "ZI")
			c.send(pipeline(sql, &pgproto3.Sync{})...)
			c.expect("ERROR 0A000", "ZI")
		}
		c.send(&pgproto3.CopyData{Data: []byte("1\tx\n")}, &pgproto3.CopyDone{}, &pgproto3.CopyFail{Message: "no"})
		c.send(&pgproto3.FunctionCall{Function: 1, ResultFormatCode: 0})
		c.expect("ERROR 42883", "ZI")
		c.query("IDENTIFY_SYSTEM", "ERROR 42601", "ZI")
		c.query("START_REPLICATION 0/0", "ERROR 42601", "ZI")
		c.query("", "EmptyQueryResponse", "ZI")
		c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		r.wantItems("10")
	})
}

func TestLibpqPipeline(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: denying(policy.VerbDelete), setup: itemsSetup})
		conn := r.connect(t).PgConn()
		p := conn.StartPipeline(ctx)
		p.SendPrepare("get", "SELECT name FROM items WHERE id = $1", nil)
		p.SendQueryPrepared("get", [][]byte{[]byte("1")}, nil, nil)
		p.SendPipelineSync()
		p.SendQueryParams(remove, nil, nil, nil, nil)
		p.SendQueryPrepared("get", [][]byte{[]byte("2")}, nil, nil)
		p.SendPipelineSync()
		p.SendQueryPrepared("get", [][]byte{[]byte("3")}, nil, nil)
		if err := p.Sync(); err != nil {
			t.Fatal(err)
		}
		var names []string
		refusals := 0
		for {
			results, err := p.GetResults()
			if results == nil && err == nil {
				break
			}
			if sqlState(err) == "42501" {
				refusals++
			}
			if reader, ok := results.(*pgconn.ResultReader); ok {
				for reader.NextRow() {
					names = append(names, string(reader.Values()[0]))
				}
				_, _ = reader.Close()
			}
		}
		if err := p.Close(); err != nil && sqlState(err) != "42501" {
			t.Fatal(err)
		}
		if !slices.Equal(names, []string{"item 1", "item 3"}) || refusals != 1 {
			t.Fatalf("got %q and %d refusals", names, refusals)
		}
	})
}
