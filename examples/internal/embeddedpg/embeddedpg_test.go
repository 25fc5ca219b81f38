package embeddedpg_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/examples/internal/embeddedpg"
	"github.com/headgate/gateway/internal/testserver"
)

const script = `
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, email text UNIQUE, credit numeric(10,2), born date, active boolean);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers (id), note text);
INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com', 12.5, '1815-12-10', true), (2, 'Bob', NULL, 3, NULL, false);
INSERT INTO orders VALUES (10, 1, 'first'), (11, 1, 'it''s');`

func start(t *testing.T) *embeddedpg.Server {
	t.Helper()
	s, err := embeddedpg.Start(embeddedpg.Config{User: "app", Password: "s3cret", Database: "shop", Script: script})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, s *embeddedpg.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(deadline(t), "postgres://app:s3cret@"+s.Addr()+"/shop?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return fmt.Sprint(err)
}

func modes() []pgx.QueryExecMode {
	return []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	}
}

func TestQueryModes(t *testing.T) {
	conn, ctx := connect(t, start(t)), deadline(t)
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			for range 2 {
				var name, credit string
				var email *string
				var born *time.Time
				var active bool
				err := conn.QueryRow(ctx, "SELECT name, email, credit::text, born, active FROM customers WHERE id = $1", mode, 1).Scan(&name, &email, &credit, &born, &active)
				if err != nil {
					t.Fatal(err)
				}
				if name != "Ada" || *email != "ada@example.com" || born.Format(time.DateOnly) != "1815-12-10" || !active {
					t.Error(name, *email, born, active)
				}
			}
			var count int
			if err := conn.QueryRow(ctx, "SELECT count(*) FROM customers WHERE id <= $1", mode, 2).Scan(&count); err != nil || count != 2 {
				t.Error(count, err)
			}
			var total float64
			if err := conn.QueryRow(ctx, "SELECT credit FROM customers WHERE name = $1", mode, "Ada").Scan(&total); err != nil || total != 12.5 {
				t.Error(total, err)
			}
			tag, err := conn.Exec(ctx, "UPDATE orders SET note = $1 WHERE customer_id = $2", mode, "x", 1)
			if err != nil || tag.String() != "UPDATE 2" {
				t.Error(tag, err)
			}
			if _, err := conn.Exec(ctx, "SELECT absent FROM customers", mode); code(err) != "42703" {
				t.Error(err)
			}
		})
	}
}

func TestColumnsAreTraced(t *testing.T) {
	conn, ctx := connect(t, start(t)), deadline(t)
	var oid uint32
	if err := conn.QueryRow(ctx, "SELECT oid FROM pg_catalog.pg_class WHERE relname = 'customers'").Scan(&oid); err != nil || oid < 16384 {
		t.Fatal(oid, err)
	}
	for sql, want := range map[string][]uint16{
		"SELECT email AS contact, c.id, lower(email) FROM customers c":          {3, 1, 0},
		"SELECT x.e FROM (SELECT email e FROM public.customers) AS x":           {3},
		"WITH c AS (SELECT born, 1 one FROM customers) SELECT one, born FROM c": {0, 5},
		"SELECT email FROM customers UNION SELECT note FROM orders":             {0},
	} {
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range rows.FieldDescriptions() {
			if f.TableAttributeNumber != want[i] || (want[i] != 0) != (f.TableOID == oid) {
				t.Errorf("%s: column %d is %d of %d", sql, i, f.TableAttributeNumber, f.TableOID)
			}
		}
		rows.Close()
	}
}

func TestCatalogueFollowsTheSchema(t *testing.T) {
	conn, ctx := connect(t, start(t)), deadline(t)
	const columns = `SELECT group_concat(a.attname) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relname = 'fresh'`
	for _, step := range []struct{ sql, want string }{
		{"CREATE TABLE fresh (a int, b text)", "a,b"},
		{"ALTER TABLE fresh ADD COLUMN c text", "a,b,c"},
		{"ALTER TABLE fresh DROP COLUMN a", "b,c"},
		{"BEGIN; DROP TABLE fresh; ROLLBACK", "b,c"},
		{"DROP TABLE fresh", ""},
	} {
		if _, err := conn.Exec(ctx, step.sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(step.sql, err)
		}
		var got *string
		if err := conn.QueryRow(ctx, columns).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got == nil {
			got = new(string)
		}
		if *got != step.want {
			t.Errorf("%s: %q, want %q", step.sql, *got, step.want)
		}
	}
}

// A gateway asks such things when it connects.
func TestGatewayCatalogueQueries(t *testing.T) {
	conn, ctx := connect(t, start(t)), deadline(t)
	results, err := conn.PgConn().Exec(ctx, `SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f');
		SELECT a.attrelid, a.attnum, a.attname FROM pg_catalog.pg_attribute a
		JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND c.relkind IN ('r', 'v', 'm', 'p', 'f');
		SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits;
		SELECT DISTINCT r.ev_class, d.refclassid, d.refobjid FROM pg_catalog.pg_depend d
		JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid WHERE d.classid = 2618 AND d.refclassid IN (1259, 1255) AND r.ev_type = '1';
		SELECT current_user; SHOW search_path`).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 6 || len(results[0].Rows) < 10 || len(results[1].Rows) < 40 || len(results[2].Rows)+len(results[3].Rows) != 0 {
		t.Errorf("%d results: %d relations, %d columns", len(results), len(results[0].Rows), len(results[1].Rows))
	}
	if got := string(results[4].Rows[0][0]) + "|" + string(results[5].Rows[0][0]); got != `app|"$user", public` {
		t.Error(got)
	}
}

// What a gateway asks along another search path is answered, and the path ends with
// the transaction.
func TestCatalogueAlongAnotherPath(t *testing.T) {
	conn, ctx := connect(t, start(t)), deadline(t)
	results, err := conn.PgConn().Exec(ctx, `SELECT set_config('search_path', 'pg_catalog', true);
		SELECT current_setting('search_path');
		SELECT count(*) FROM pg_catalog.pg_namespace WHERE pg_catalog.has_schema_privilege(oid, 'USAGE');
		SELECT coalesce((SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'), '');
		SELECT pg_catalog.format_type(oid, NULL) FROM pg_catalog.pg_type WHERE oid = 23;
		SELECT count(*) FROM pg_catalog.pg_type t WHERE t.oid IN (SELECT pg_catalog.unnest(p.proargtypes) FROM pg_catalog.pg_proc p);
		SELECT count(*), bool_and(o.oid > 0) FROM pg_catalog.pg_operator o;
		SELECT rolname FROM pg_catalog.pg_roles`).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, string(r.Rows[0][0]))
	}
	if want := []string{"pg_catalog", "pg_catalog", "2", `"$user", public`, "integer", "0", "0", "app"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	var path string
	if err := conn.QueryRow(ctx, "SHOW search_path").Scan(&path); err != nil || path != `"$user", public` {
		t.Error(path, err)
	}
}

func TestTransactions(t *testing.T) {
	conn, ctx := connect(t, start(t)), deadline(t)
	status := func(want byte) {
		t.Helper()
		if got := conn.PgConn().TxStatus(); got != want {
			t.Errorf("status %c, want %c", got, want)
		}
	}
	run := func(sql, want string) {
		t.Helper()
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); code(err) != want {
			t.Errorf("%s: %v, want %s", sql, err, want)
		}
	}
	count := func(want int) {
		t.Helper()
		var got int
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&got); err != nil || got != want {
			t.Errorf("%d orders, want %d (%v)", got, want, err)
		}
	}
	ok := code(nil)
	run("BEGIN", ok)
	status('T')
	run("SAVEPOINT one", ok)
	run("DELETE FROM orders", ok)
	count(0)
	run("headgate refused a statement here", "42601")
	status('E')
	run("SELECT 1", "25P02")
	run("ROLLBACK TO SAVEPOINT one", ok)
	status('T')
	count(2)
	run("bad", "42601")
	run("COMMIT", ok)
	status('I')
	run("DELETE FROM orders; bad", "42601")
	count(2)
	run("DELETE FROM orders; SELECT nope", "42703")
	count(2)
	run("DELETE FROM orders WHERE id = 10; COMMIT; SELECT nope", "42703")
	count(1)
	status('I')
}

func TestPipelineIsOneTransaction(t *testing.T) {
	conn, ctx := connect(t, start(t)), deadline(t)
	batch := &pgx.Batch{}
	batch.Queue("DELETE FROM orders WHERE id = $1", 10)
	batch.Queue("INSERT INTO orders VALUES (11, 1, 'twice')")
	batch.Queue("DELETE FROM orders")
	if err := conn.SendBatch(ctx, batch).Close(); code(err) != "23505" {
		t.Error(err)
	}
	var n int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&n); err != nil || n != 2 {
		t.Error(n, err)
	}
}

func TestErrors(t *testing.T) {
	conn, ctx := connect(t, start(t)), deadline(t)
	for sql, want := range map[string]string{
		"SELECT * FROM nowhere": "42P01",
		"SELECT nofunction()":   "42883",
		"SELEC 1":               "42601",
		"INSERT INTO customers (id, name) VALUES (1, 'x')":  "23505",
		"INSERT INTO customers (id, name) VALUES (9, NULL)": "23502",
		"INSERT INTO orders VALUES (1, 77, '')":             "23503",
		"CREATE TABLE orders (a int)":                       "42P07",
		"DELETE FROM pg_catalog.pg_class":                   "42501",
		"DROP TABLE pg_catalog.pg_class":                    "42501",
		"SELECT * FROM pragma_database_list":                "42501",
		"SET search_path = other":                           "0A000",
		"SET standard_conforming_strings = off":             "0A000",
		"SHOW nothing":                                      "42704",
		`SELECT "nocolumn"`:                                 "42703",
	} {
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); code(err) != want {
			t.Errorf("%s: %v, want %s", sql, err, want)
		}
	}
}

func TestPortalIsSuspended(t *testing.T) {
	hijacked, err := connect(t, start(t)).PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hijacked.Conn.Close() }()
	f := hijacked.Frontend
	f.Send(&pgproto3.Parse{Query: "SELECT id FROM orders ORDER BY id"})
	f.Send(&pgproto3.Bind{DestinationPortal: "p"})
	for range 3 {
		f.Send(&pgproto3.Execute{Portal: "p", MaxRows: 1})
	}
	f.Send(&pgproto3.Execute{Portal: "none"})
	f.Send(&pgproto3.Execute{Portal: "p"}) // skipped
	f.Send(&pgproto3.Sync{})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		message, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := message.(type) {
		case *pgproto3.DataRow:
			got = append(got, string(m.Values[0]))
		case *pgproto3.PortalSuspended:
			got = append(got, "suspended")
		case *pgproto3.CommandComplete:
			got = append(got, string(m.CommandTag))
		case *pgproto3.ErrorResponse:
			got = append(got, m.Code)
		case *pgproto3.ReadyForQuery:
			if all := strings.Join(got, " "); all != "10 suspended 11 suspended SELECT 0 34000" || m.TxStatus != 'I' {
				t.Error(all, m.TxStatus)
			}
			return
		}
	}
}

func TestLoginIsChecked(t *testing.T) {
	s := start(t)
	for url, want := range map[string]string{
		"postgres://app:wrong@%s/shop?sslmode=disable":                        "28P01",
		"postgres://other:s3cret@%s/shop?sslmode=disable":                     "28P01",
		"postgres://app:s3cret@%s/other?sslmode=disable":                      "3D000",
		"postgres://app:s3cret@%s/shop?sslmode=disable&search_path=elsewhere": "0A000",
	} {
		if _, err := pgx.Connect(deadline(t), fmt.Sprintf(url, s.Addr())); code(err) != want {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
}

func TestCancel(t *testing.T) {
	conn, ctx := connect(t, start(t)), deadline(t)
	if err := conn.PgConn().CancelRequest(ctx); err != nil {
		t.Error(err) // harmless when nothing runs
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	failure := make(chan error, 1)
	pg := conn.PgConn()
	go func() {
		_, err := pg.Exec(running, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n").ReadAll()
		failure <- err
	}()
	for {
		if err := pg.CancelRequest(ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-failure:
			if code(err) != "57014" {
				t.Error(err)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestPsql(t *testing.T) {
	psql := testserver.Command(t, "psql")
	host, port, err := net.SplitHostPort(start(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(deadline(t), psql, "-X", "-v", "ON_ERROR_STOP=1", "-c", "SELECT id, email AS contact, credit FROM customers ORDER BY id", "-c", "SHOW server_version")
	cmd.Env = []string{"PGHOST=" + host, "PGPORT=" + port, "PGUSER=app", "PGPASSWORD=s3cret", "PGDATABASE=shop", "PGSSLMODE=disable"}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ada@example.com |  12.50") || !strings.Contains(string(out), "17.0") {
		t.Errorf("%v\n%s", err, out)
	}
}
