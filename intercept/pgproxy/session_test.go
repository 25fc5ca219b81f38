package pgproxy_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headgate/gateway/policy"
)

func TestPgxQueryModes(t *testing.T) { eachDriver(t, testPgxQueryModes) }

func testPgxQueryModes(t *testing.T, d driver) {
	r := newRig(t, rigConfig{driver: d})
	r.pg.Exec(`CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 100) i`)
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			conn := r.connect(t)
			for i := 1; i <= 3; i++ {
				var name string
				if err := conn.QueryRow(ctx, "SELECT name FROM items WHERE id = $1", mode, i).Scan(&name); err != nil {
					t.Fatal(err)
				}
				if want := fmt.Sprintf("item %d", i); name != want {
					t.Fatalf("got %q, want %q", name, want)
				}
			}
			if _, err := conn.Exec(ctx, "SELECT no_such_column FROM items", mode); sqlState(err) != "42703" {
				t.Fatalf("got %v, want the server's error", err)
			}
			if _, err := conn.Exec(ctx, "UPDATE items SET name = name WHERE id = $1", mode, 1); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRefusalKeepsTransactionState(t *testing.T) { eachDriver(t, testRefusalKeepsTransactionState) }

func testRefusalKeepsTransactionState(t *testing.T, d driver) {
	r := newRig(t, rigConfig{driver: d, policy: denying(policy.VerbDefine, policy.VerbDelete)})
	r.pg.Exec(`CREATE TABLE items (id int)`)
	ctx := context.Background()
	conn := r.connect(t)
	if _, err := conn.Exec(ctx, "DROP TABLE items"); sqlState(err) != "42501" {
		t.Fatalf("got %v, want a refusal", err)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "INSERT INTO items VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(ctx, "DELETE FROM items")
	if got, want := refusalOf(t, err), `{"code":"policy_denied","rule":"no-delete","reason":"delete is not for agents","retryable":false}`; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if _, err := tx.Exec(ctx, "SELECT 1"); sqlState(err) != "25P02" {
		t.Fatalf("got %v, want an aborted transaction", err)
	}
	if err := tx.Commit(ctx); err == nil {
		t.Fatal("a failed transaction committed")
	}
	var n int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM items").Scan(&n); err != nil || n != 0 {
		t.Fatalf("%d rows, %v", n, err)
	}
}

func TestRefusalInPipelineRollsBack(t *testing.T) { eachDriver(t, testRefusalInPipelineRollsBack) }

func testRefusalInPipelineRollsBack(t *testing.T, d driver) {
	r := newRig(t, rigConfig{driver: d, policy: denying(policy.VerbDelete)})
	r.pg.Exec(`CREATE TABLE items (id int)`)
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			conn := r.connect(t)
			batch := new(pgx.Batch)
			batch.Queue("INSERT INTO items VALUES (1)")
			batch.Queue("DELETE FROM items")
			batch.Queue("INSERT INTO items VALUES (2)")
			config := conn.Config()
			config.DefaultQueryExecMode = mode
			conn, err := pgx.ConnectConfig(ctx, config)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			if err := conn.SendBatch(ctx, batch).Close(); sqlState(err) != "42501" {
				t.Fatalf("got %v, want a refusal", err)
			}
			var n int
			if err := conn.QueryRow(ctx, "SELECT count(*) FROM items").Scan(&n); err != nil || n != 0 {
				t.Fatalf("%d rows left, want none; %v", n, err)
			}
		})
	}
}

func TestMaskedColumns(t *testing.T) { eachDriver(t, testMaskedColumns) }

func testMaskedColumns(t *testing.T, d driver) {
	r := newRig(t, rigConfig{driver: d, policy: masking("public.people.email:email", "public.people.card:redact")})
	r.pg.Exec(`CREATE TABLE people (id int8 PRIMARY KEY, email text, card text);
		INSERT INTO people VALUES (1, 'ada@example.org', '4111111111111111')`)
	ctx := context.Background()
	for _, sql := range []string{
		"SELECT id, email, card FROM people",
		"SELECT id, email AS contact, card AS c FROM people p",
		"SELECT p.* FROM people p WHERE id = 1",
		"SELECT id, lower(email), card || '' FROM people",
		"SELECT 1::int8, (SELECT email FROM people), 'x' || (SELECT card FROM people)",
		"SELECT 1::int8, email, card FROM people UNION ALL SELECT 2, email, card FROM people",
	} {
		for _, mode := range []pgx.QueryExecMode{
			pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
			pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
		} {
			t.Run(mode.String()+"/"+sql, func(t *testing.T) {
				conn := r.connect(t)
				for range 2 {
					rows, err := conn.Query(ctx, sql, mode)
					if err != nil {
						t.Fatal(err)
					}
					for rows.Next() {
						for _, v := range rows.RawValues() {
							if got := string(v); got == "ada@example.org" || got == "4111111111111111" {
								t.Errorf("canary %q released", got)
							}
						}
					}
					if err := rows.Err(); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}
