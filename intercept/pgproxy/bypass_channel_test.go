package pgproxy_test

import "testing"

func TestBypassByMessages(t *testing.T) {
	tryAll(t, []attempt{
		{"conversion error", []string{"SELECT email::int FROM people", "SELECT card::date FROM people", "SELECT 1 FROM people WHERE email::int = 1", "SELECT id FROM people ORDER BY email::int", "SELECT ssn::uuid FROM people", "SELECT (email || '')::jsonb FROM people",
			"SELECT email::regclass FROM people", "SELECT to_regclass(email), email::regtype FROM people", "SELECT current_setting(email) FROM people", "SELECT has_table_privilege(email, 'select') FROM people", "SELECT count(*) FROM people GROUP BY email::int", "SELECT exists (SELECT 1 FROM people WHERE email::int > 0)",
			"UPDATE people SET age = 1 WHERE email::int = 1", "DELETE FROM people WHERE email::int = 1", "SELECT format(email, 1) FROM people", "SELECT generate_series(1, 2) LIMIT (SELECT email::int FROM people LIMIT 1)", "INSERT INTO notes (body) SELECT 'x' FROM people WHERE email::int = 1"},
			"SELECT '1'::int", "1"},
		{"constraint details", []string{"UPDATE people SET age = -1 WHERE id = 1", "UPDATE people SET id = NULL WHERE id = 1", "UPDATE people SET id = 2 WHERE id = 1", "DELETE FROM people WHERE id = 1", "UPDATE people_view SET id = NULL WHERE id = 1", "INSERT INTO people (id, email) SELECT 70, 'canary' || '-ada@secret.example'",
			"CREATE UNIQUE INDEX ON logins (email, (id - id))", "ALTER TABLE people ADD CONSTRAINT c CHECK (age < 0)", "ALTER TABLE logins ADD CONSTRAINT c FOREIGN KEY (email) REFERENCES other.people (id)", "ALTER TABLE people ALTER COLUMN email TYPE int USING email::int", "CREATE INDEX ON people ((email::int))",
			"ALTER TABLE people ADD EXCLUDE USING btree (age WITH =)", "MERGE INTO people p USING orders o ON o.person = p.id WHEN MATCHED THEN UPDATE SET age = -1", "TRUNCATE people"},
			"UPDATE orders SET id = id WHERE id = 1 RETURNING id", "1"},
		{"deferred constraints", []string{"ALTER TABLE logins ADD CONSTRAINT d UNIQUE (email) DEFERRABLE INITIALLY DEFERRED", "BEGIN", "INSERT INTO logins (id) VALUES (3)", "UPDATE logins SET email = 'canary-' || 'ada@secret.example'", "SET CONSTRAINTS ALL IMMEDIATE", "COMMIT"}, "BEGIN; ALTER TABLE orders ADD CONSTRAINT late UNIQUE (item) DEFERRABLE INITIALLY DEFERRED; SET CONSTRAINTS ALL IMMEDIATE; COMMIT", ""},
		{"raised by functions", []string{"SELECT leak_loudly()", "SELECT leak_failing()", "SELECT count(*) FROM generate_series(1, 1) WHERE leak_loudly() = 1", "SELECT id FROM orders WHERE leak_failing() = 1", "INSERT INTO notes (id) SELECT leak_loudly()", "EXPLAIN ANALYZE SELECT leak_loudly()"}, "SELECT 1", "1"},
		{"notice and notification of a trigger", []string{"LISTEN shout", "UPDATE people SET name = 'shout' WHERE id = 1", "SELECT 1", "UPDATE people SET name = 'shout' WHERE id = 2 RETURNING id", "SELECT 2"}, "SELECT 3", "3"},
		{"notification", []string{"LISTEN me", "SELECT pg_notify('me', email) FROM people", "SELECT 1", "SELECT 1 FROM people WHERE pg_notify('me', card) IS NULL", "SELECT 1"}, "SELECT pg_notify('me', 'x') IS NULL", "f"},
		{"settings", []string{"SELECT set_config('application_name', email, false) FROM people", "SELECT set_config('my.x', (SELECT email FROM people LIMIT 1), false)", "SELECT current_setting('my.x')", "SHOW application_name", "SELECT set_config('DateStyle', email, false) FROM people",
			"UPDATE pg_settings SET setting = (SELECT email FROM people LIMIT 1) WHERE name = 'application_name'", "SHOW application_name"}, "SELECT set_config('application_name', 'psql', false)", "psql"},
		{"locks", []string{"SELECT pg_advisory_lock(salary) FROM people WHERE id = 1", "SELECT ((classid::int8 << 32) | objid::int8)::text FROM pg_locks WHERE locktype = 'advisory'", "SELECT id FROM people WHERE pg_try_advisory_lock(salary)", "SELECT ((classid::int8 << 32) | objid::int8)::text FROM pg_locks WHERE locktype = 'advisory'"},
			"SELECT pg_try_advisory_xact_lock(1)", "t"},
		{"explain", []string{"EXPLAIN ANALYZE VERBOSE SELECT email FROM people", "EXPLAIN VERBOSE SELECT leak()", "EXPLAIN (FORMAT json, ANALYZE) SELECT * FROM people WHERE email > 'a'", "EXPLAIN SELECT * FROM pg_stats WHERE most_common_vals::text > ''", "EXPLAIN ANALYZE SELECT email::int FROM people", "EXPLAIN VERBOSE SELECT 1 <~> 2"},
			"EXPLAIN (COSTS off) SELECT 1", "Result"},
		{"debug messages", []string{"SET client_min_messages = debug5", "SET debug_print_plan = on", "SET debug_print_parse = on", "SET log_statement_stats = on", "SELECT email FROM people", "SELECT leak()", "SELECT 1 WHERE leak_failing() = 1"}, "SELECT 1", "1"},
		{"decoding of the log", []string{"SELECT pg_create_logical_replication_slot('s', 'test_decoding')", "UPDATE people SET age = 5", "SELECT data FROM pg_logical_slot_get_changes('s', NULL, NULL)", "SELECT * FROM pg_logical_slot_peek_changes('s', NULL, NULL)", "SELECT pg_logical_emit_message(false, 'x', email) FROM people"}, "SELECT count(*) FROM pg_replication_slots", "0"},
		{"copy", []string{"COPY people TO STDOUT", "COPY (SELECT email FROM people) TO STDOUT", "COPY people (email) TO STDOUT (FORMAT csv)", "COPY people TO STDOUT (FORMAT binary)", "COPY people TO '/tmp/loot'", "COPY people TO PROGRAM 'cat'"}, "SELECT 1", "1"},
	})
}

func TestErrorsOfTheTextStayReadable(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	conn, _ := r.connectWatched(t)
	for _, m := range modes() {
		_, err := m.run(t.Context(), conn, "SELECT emial FROM people")
		if got := sqlState(err); got != "42703" || err.Error() != `ERROR: column "emial" does not exist (SQLSTATE 42703)` {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
