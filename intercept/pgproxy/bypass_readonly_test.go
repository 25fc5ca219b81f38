package pgproxy_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/opa"
)

// readingOnly allows what only reads, by the rules of a careful policy: the
// session's own state may change, and nothing may be opaque.
func readingOnly() policy.Evaluator {
	return policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		deny := policy.Decision{Outcome: policy.Deny, Revision: "1", Reasons: []policy.Reason{{Rule: "read-only", Message: "agents read only"}}}
		if len(in.Command.Opaque) > 0 {
			return deny, nil
		}
		for _, e := range in.Command.Effects {
			if !reading(e) {
				return deny, nil
			}
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	})
}

func reading(e policy.Effect) bool {
	outside := slices.Contains([]string{"file", "large object", "server"}, e.Kind)
	own := slices.Contains([]string{"transaction", "cursor", "statement"}, e.Kind)
	return e.Verb == policy.VerbRead && !outside || e.Verb == policy.VerbConnect || own
}

// readOnlyAttempts are ways to change something. What could change is compared.
func readOnlyAttempts() []attempt {
	return []attempt{
		{"plain", []string{"INSERT INTO notes (body) VALUES ('x')", "UPDATE orders SET item = 'x'", "DELETE FROM orders", "TRUNCATE orders CASCADE", "MERGE INTO orders o USING people p ON true WHEN MATCHED THEN DELETE"}, "SELECT item FROM orders WHERE id = 1", "tea"},
		{"last of many", []string{"SELECT 1; DELETE FROM orders", "SELECT 1;;; -- x\nDELETE FROM orders;", "BEGIN; DELETE FROM orders; COMMIT", "/* a /* b */ */ DELETE FROM orders", "SELECT 1 -- \rDELETE\r; DELETE FROM orders", "SELECT ';'; DELETE FROM orders"}, "SELECT 1; SELECT 2", "2"},
		{"in with", []string{"WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d", "WITH d AS MATERIALIZED (DELETE FROM orders) SELECT 1", "WITH RECURSIVE a AS (SELECT 1), d AS NOT MATERIALIZED (UPDATE orders SET item = 'x' RETURNING 1) SELECT * FROM a",
			"SELECT (SELECT 1) FROM (SELECT 1) s WHERE EXISTS (SELECT 1); WITH x AS (INSERT INTO notes (body) VALUES ('x') RETURNING 1) TABLE x", "WITH d AS (MERGE INTO orders o USING people p ON true WHEN MATCHED THEN DELETE) SELECT 1"}, "WITH a AS MATERIALIZED (SELECT 1 AS x) SELECT x FROM a", "1"},
		{"explain", []string{"EXPLAIN ANALYZE DELETE FROM orders", "EXPLAIN (ANALYZE) DELETE FROM orders", "EXPLAIN (ANALYZE 1, COSTS off) DELETE FROM orders", `EXPLAIN ("analyze") DELETE FROM orders`, "EXPLAIN (ANALYZE on) DELETE FROM orders", "EXPLAIN ANALYSE DELETE FROM orders", "EXPLAIN (ANALYZE false, ANALYZE true) DELETE FROM orders", "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1"}, "EXPLAIN (COSTS off) SELECT 1", "Result"},
		{"prepared", []string{"PREPARE p AS DELETE FROM orders", "EXECUTE p", "EXPLAIN ANALYZE EXECUTE p", "PREPARE q AS SELECT 1; DEALLOCATE q; PREPARE q AS DELETE FROM orders; EXECUTE q", "EXECUTE q", "CREATE TABLE loot AS EXECUTE p", "EXPLAIN (ANALYZE) CREATE TABLE loot AS EXECUTE p"}, "PREPARE p AS SELECT 1; EXECUTE p", "1"},
		{"tables from queries", []string{"SELECT * INTO loot FROM orders", "SELECT 1 INTO TEMP loot", "CREATE TABLE loot AS TABLE orders", "CREATE TEMP TABLE loot (a int)", "CREATE TABLE loot (LIKE orders)", "SELECT 1 AS a INTO loot UNION SELECT 2"}, "SELECT 1 UNION SELECT 2 ORDER BY 1", "1;2"},
		{"definitions", []string{"CREATE RULE r AS ON SELECT TO notes DO INSTEAD SELECT 1", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM orders RETURNING 1'", "DROP TABLE notes", "ALTER TABLE orders ADD COLUMN x int", "ALTER TABLE orders RENAME TO x", "CREATE INDEX ON orders (item)", "COMMENT ON TABLE orders IS 'x'",
			"CREATE VIEW v AS SELECT 1", "REFRESH MATERIALIZED VIEW people_stored", "CREATE SEQUENCE s", "CREATE TRIGGER t BEFORE DELETE ON orders EXECUTE FUNCTION shout()", "CREATE EXTENSION dblink", "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO public", "SECURITY LABEL ON TABLE orders IS 'x'", "REASSIGN OWNED BY CURRENT_USER TO pg_monitor"}, "SELECT 1", "1"},
		{"rights", []string{"GRANT ALL ON orders TO PUBLIC", "REVOKE ALL ON orders FROM PUBLIC", "GRANT pg_read_all_data TO PUBLIC", "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC", "CREATE ROLE loot", "ALTER ROLE CURRENT_USER SET work_mem = '1MB'", "SET ROLE pg_monitor", "ALTER TABLE orders OWNER TO pg_monitor", "CREATE POLICY p ON orders"}, "SELECT has_table_privilege('orders', 'select')", "t"},
		{"code", []string{"DO 'BEGIN DELETE FROM orders; END'", "DO LANGUAGE plpgsql $x$ BEGIN DELETE FROM orders; END $x$", "CALL leak_call('')", "SELECT store('x')", "SELECT * FROM store('x')", "SELECT public.store('x')", "SELECT 1 WHERE store('x') > 0", "SELECT 1 ORDER BY store('x')", "SELECT count(*) FILTER (WHERE store('x') > 0)", "VALUES (store('x'))", "SELECT 1 LIMIT store('x')",
			"SELECT 1 FROM orders GROUP BY store('x')", "SELECT item FROM orders TABLESAMPLE bernoulli (store('x'))", "DECLARE c CURSOR WITH HOLD FOR SELECT store('x')", "SELECT unistr(store('x')::text)", "EXECUTE nothing(store('x'))", "SELECT CASE WHEN true THEN store('x') END", "SELECT row_number() OVER (ORDER BY store('x'))"}, "SELECT initcap('x')", "X"},
		{"code behind names of built-in things", []string{"SELECT lower('x'::name, 1)", "SELECT 5 <!> 6", "SELECT upper(7)", "SELECT x FROM upper(8) x", "SELECT (SELECT 1 <!> 1)"}, "SELECT 5 < 6, reverse('ab')", "t,ba"},
		{"functions with effects", []string{"SELECT nextval('tickets')", "SELECT setval('tickets', 500)", "SELECT pg_notify('a', 'b')", "SELECT lo_create(1)", "SELECT lo_from_bytea(0, 'x')", "SELECT query_to_xml('DELETE FROM orders RETURNING 1', true, true, '')", "SELECT pg_advisory_lock(1)", "SELECT set_config('work_mem', '1MB', false)", "SELECT pg_terminate_backend(0)", "SELECT pg_reload_conf()", "SELECT pg_file_write('x', 'y', true)", "SELECT pg_stat_reset()", "SELECT pg_create_restore_point('x')",
			"SELECT pg_switch_wal()", "SELECT lo_import('/etc/passwd')", "SELECT lo_export(1, '/tmp/x')", "SELECT pg_read_file('/etc/passwd')", "SELECT pg_logical_emit_message(true, 'a', 'b')", "SELECT pg_replication_origin_create('x')", "SELECT pg_export_snapshot()"}, "SELECT last_value FROM tickets", "1"},
		{"locks", []string{"LOCK TABLE orders", "SELECT * FROM orders FOR UPDATE", "SELECT * FROM orders FOR KEY SHARE", "WITH x AS (SELECT * FROM orders FOR UPDATE) SELECT * FROM x", "SELECT * FROM (SELECT * FROM orders FOR NO KEY UPDATE) s"}, "SELECT count(*) FROM orders", "2"},
		{"upkeep and more", []string{"VACUUM", "ANALYZE orders", "REINDEX TABLE orders", "CLUSTER", "CHECKPOINT", "LOAD 'x'", "NOTIFY a, 'b'", "DISCARD ALL", "ALTER SYSTEM SET work_mem = '1MB'", "COPY orders FROM STDIN", "COPY orders TO PROGRAM 'cat'", "UPDATE pg_settings SET setting = 'x'", "RESET ALL", "SET work_mem = '1MB'", "PREPARE TRANSACTION 'x'"}, "SHOW work_mem", "4MB"},
		{"view that rewrites", []string{"INSERT INTO inbox VALUES (5)", "UPDATE orders_view SET item = 'x'", "DELETE FROM orders_view", "SELECT * FROM storing_view", "SELECT count(*) FROM storing_view, orders", "SELECT 1 FROM storing_nested"}, "SELECT count(*) FROM orders_view", "2"},
	}
}

// everything is what a write would change.
const everything = `SELECT (SELECT string_agg(o::text, ',' ORDER BY o.id) FROM orders o), (SELECT count(*) FROM notes), (SELECT last_value FROM tickets),
	(SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_rewrite), (SELECT count(*) FROM pg_roles),
	(SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_description), (SELECT string_agg(relacl::text, ',' ORDER BY oid) FROM pg_class WHERE oid >= 16384),
	(SELECT count(*) FROM pg_attribute), (SELECT count(*) FROM pg_db_role_setting), (SELECT count(*) FROM pg_replication_origin), (SELECT count(*) FROM inbox), (SELECT count(*) FROM people)`

func TestBypassReadOnly(t *testing.T) { tryReadOnly(t, readingOnly()) }

// The policy library lets an agent of no group read only.
func TestBypassPolicyLibrary(t *testing.T) {
	library, err := opa.New(t.Context(), opa.Config{Dir: "../../examples/policies"})
	if err != nil {
		t.Fatal(err)
	}
	tryReadOnly(t, library)
}

func tryReadOnly(t *testing.T, p policy.Evaluator) {
	t.Helper()
	r := newBypassRig(t, p)
	r.pg.Exec(`CREATE FUNCTION upper(int) RETURNS text LANGUAGE sql AS 'INSERT INTO notes (body) VALUES (''x'') RETURNING body';
		CREATE FUNCTION deleting(int, int) RETURNS bigint LANGUAGE sql AS 'WITH d AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM d';
		CREATE OPERATOR <!> (LEFTARG = int, RIGHTARG = int, FUNCTION = deleting);
		CREATE VIEW storing_view AS SELECT store('x') AS x; CREATE VIEW storing_nested AS SELECT x FROM storing_view`)
	before := fmt.Sprint(r.pg.Query(everything))
	for _, a := range readOnlyAttempts() {
		t.Run(a.name, func(t *testing.T) {
			for i, m := range modes() {
				if i%2 == 1 {
					continue // the judgement is the same in each; every other one is enough
				}
				conn := r.connect(t)
				for _, step := range a.steps {
					_, err := m.run(t.Context(), conn, step)
					if after := fmt.Sprint(r.pg.Query(everything)); after != before {
						t.Fatalf("%s: %q changed something: %v\n%s\n%s", m.name, step, err, before, after)
					}
					_, _ = conn.PgConn().Exec(t.Context(), "ROLLBACK").ReadAll()
				}
				_ = conn.Close(t.Context())
			}
			rows, err := runSimple(t.Context(), r.connect(t), a.twin)
			if err != nil || joined(rows) != a.want {
				t.Errorf("%s: got %q, %v, want %q", a.twin, joined(rows), err, a.want)
			}
		})
	}
}
