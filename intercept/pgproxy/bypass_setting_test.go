package pgproxy_test

import (
	"context"
	"testing"
)

// settingAttempts would change how the server reads SQL, finds names or who it
// takes the session for. Each has a twin that changes something harmless the same way.
func settingAttempts() []attempt {
	return []attempt{
		{"set", []string{"SET standard_conforming_strings = off", "SET standard_conforming_strings TO '0'", "SET standard_conforming_strings = f", "set SESSION Standard_Conforming_Strings to No"}, "SET statement_timeout = 0", ""},
		{"set to the default", []string{"SET search_path TO DEFAULT, other", "SET ROLE 'postgres'", "SET role = pg_monitor"}, "SET search_path TO DEFAULT", ""},
		{"set local", []string{"BEGIN; SET LOCAL backslash_quote = on; COMMIT", "SET LOCAL search_path = other", "SET LOCAL ROLE pg_monitor"}, "BEGIN; SET LOCAL lock_timeout = 1; COMMIT", ""},
		{"quoted names", []string{`SET "search_path" = other`, `SET U&"s\0065arch_path" = other`, `SET "role" = pg_monitor`}, `SET "lock_timeout" = 0`, ""},
		{"schema", []string{"SET SCHEMA 'other'", "SET SCHEMA E'ot\\150er'"}, "SET TIME ZONE 'UTC'", ""},
		{"names", []string{"SET NAMES 'SQL_ASCII'", "SET client_encoding TO 'GBK'", "SET NAMES 'BIG5'", "SELECT set_config('client_encoding', 'SJIS', false)"}, "SET NAMES 'UTF8'", ""},
		{"set_config", []string{"SELECT set_config('search_path', 'other', false)", "SELECT set_config('SEARCH_PATH', 'other', true)", "SELECT pg_catalog.set_config('role', 'pg_monitor', false)", "SELECT set_config(E'search\\137path', 'other', false)", "SELECT set_config($$backslash_quote$$, 'on', false)"},
			"SELECT set_config('lock_timeout', '0', false)", "0"},
		{"set_config computed", []string{"SELECT set_config('search' || '_path', 'other', false)", "SELECT set_config(v, 'other', false) FROM (VALUES ('search_path')) n(v)", "SELECT set_config(setting_name => 'search_path', new_value => 'other', is_local => false)", "SELECT set_config(VARIADIC ARRAY['search_path', 'other', 'f'])", "SELECT set_config(name, 'other', false) FROM pg_settings WHERE name = 'search_path'"},
			"SELECT set_config('application_name', 'twin', false)", "twin"},
		{"set_config out of sight", []string{"SELECT count(*) FROM orders WHERE set_config('search_path', 'other', false) > ''", "SELECT 1 ORDER BY set_config('search_path', 'other', false)", "SELECT * FROM set_config('search_path', 'other', false)", "VALUES (set_config('role', 'pg_monitor', false))", "SELECT (SELECT set_config('search_path', 'other', false))", "SELECT ('search_path'::text).set_config", "WITH c AS (SELECT set_config('search_path', 'other', false) AS x) SELECT x FROM c",
			"INSERT INTO notes (body) VALUES (set_config('search_path', 'other', false))", "SELECT CASE WHEN true THEN set_config('search_path', 'other', false) END", "EXPLAIN ANALYZE SELECT set_config('search_path', 'other', false)"},
			"SELECT CASE WHEN true THEN set_config('lock_timeout', '0', true) END", "0"},
		{"prepared", []string{"PREPARE p AS SELECT set_config('search_path', 'other', false)", "EXECUTE p", "PREPARE q(text) AS SELECT set_config($1, 'other', false)", "EXECUTE q('search_path')", "DEALLOCATE ALL"}, "PREPARE t AS SELECT set_config('lock_timeout', '0', false); EXECUTE t; DEALLOCATE t", ""},
		{"in a cursor", []string{"BEGIN; DECLARE c CURSOR FOR SELECT set_config('search_path', 'other', false); FETCH c; COMMIT"}, "BEGIN; DECLARE c CURSOR FOR SELECT item FROM orders WHERE id = 1; FETCH c; COMMIT", ""},
		{"session authorization", []string{"SET SESSION AUTHORIZATION pg_monitor", "SET SESSION AUTHORIZATION 'postgres'", "SET LOCAL SESSION AUTHORIZATION pg_monitor", "SET session_authorization = pg_monitor"}, "RESET SESSION AUTHORIZATION", ""},
		{"pg_settings", []string{"UPDATE pg_settings SET setting = 'other' WHERE name = 'search_path'", "UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name LIKE 'standard_con%'", "WITH u AS (UPDATE pg_settings SET setting = 'other' WHERE name = 'search_path' RETURNING name) SELECT * FROM u", "MERGE INTO pg_settings s USING (VALUES (1)) v ON s.name = 'search_path' WHEN MATCHED THEN UPDATE SET setting = 'other'"},
			"SELECT setting FROM pg_settings WHERE name = 'standard_conforming_strings'", "on"},
		{"for later sessions", []string{"ALTER ROLE CURRENT_USER SET search_path = other", "ALTER USER CURRENT_USER SET standard_conforming_strings = off", "ALTER ROLE ALL IN DATABASE postgres SET backslash_quote = on", "ALTER SYSTEM SET standard_conforming_strings = off", "ALTER DATABASE postgres SET client_encoding = 'SJIS'", "ALTER ROLE CURRENT_USER SET role = pg_monitor"},
			"ALTER ROLE CURRENT_USER SET lock_timeout = 0", ""},
		{"code", []string{"DO $$ BEGIN PERFORM set_config('search_path', 'other', false); END $$", "DO LANGUAGE plpgsql 'BEGIN SET search_path = other; END'", "CREATE FUNCTION turn() RETURNS text LANGUAGE sql AS $$ SELECT set_config('search_path', 'other', false) $$", "SELECT turn()"}, "SELECT length('turn')", "4"},
		{"resets", []string{"RESET ALL; SET search_path = other", "DISCARD ALL; SET ROLE pg_monitor"}, "RESET ALL", ""},
		{"writing values", []string{"SET search_path = pg_temp, other"}, "SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'iso_8601'; SET bytea_output = 'escape'; SET xmloption = document; SET extra_float_digits = 0", ""},
		{"snapshots", []string{"BEGIN; SET TRANSACTION SNAPSHOT '00000003-0000001B-1'; SET search_path = other; COMMIT"}, "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; COMMIT", ""},
	}
}

// What is read, by whom and where stays as it was, and canaries stay out.
func TestBypassBySettings(t *testing.T) {
	const inForce = "SELECT current_setting('standard_conforming_strings'), current_setting('backslash_quote'), current_setting('client_encoding')," +
		" current_user = session_user, current_setting('role'), (SELECT count(*) FROM pg_db_role_setting)"
	r := newBypassRig(t, maskedColumns())
	before := r.pg.Query(inForce)
	want := joined(before)
	for _, a := range settingAttempts() {
		t.Run(a.name, func(t *testing.T) {
			conn, wire := r.connectWatched(t)
			for _, sql := range append(a.steps, "SELECT '\\' || email || '\\' FROM people", "SELECT email FROM people") {
				_, err := runSimple(context.Background(), conn, sql)
				if conn.IsClosed() {
					t.Fatalf("%s ended the session: %v", sql, err)
				}
				if conn.PgConn().TxStatus() != 'I' {
					_, _ = runSimple(context.Background(), conn, "ROLLBACK")
				}
				if got, err := runSimple(context.Background(), conn, inForce); err != nil || joined(got) != want {
					t.Fatalf("after %s: %q, %v, want %q", sql, joined(got), err, want)
				}
			}
			got, err := runSimple(context.Background(), conn, a.twin)
			if err != nil || a.want != "" && joined(got) != a.want {
				t.Errorf("%s: %q, %v, want %q", a.twin, joined(got), err, a.want)
			}
			if found := wire.leaks(); len(found) > 0 {
				t.Errorf("%q leaked", found)
			}
			_ = conn.Close(context.Background())
			r.pg.Exec("ALTER ROLE CURRENT_USER RESET ALL")
		})
	}
}

// Masked values stay valid for their types however the server writes values.
func TestMasksHoldInEveryStyle(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	conn, wire := r.connectWatched(t)
	for _, set := range []string{"SET DateStyle = 'ISO'", "SET DateStyle = 'SQL, DMY'", "SET DateStyle = 'German'", "SET DateStyle = 'Postgres'", "SET bytea_output = 'escape'", "SET IntervalStyle = 'sql_standard'", "SET xmloption = 'content'", "SET extra_float_digits = -3", "SET lc_monetary = 'C'"} {
		if _, err := runSimple(t.Context(), conn, set); err != nil {
			t.Errorf("%s: %v", set, err)
		}
		for _, m := range modes()[:3] {
			rows, err := m.run(t.Context(), conn, "SELECT id, name, born, photo, token, salary, upper(name), born + 1, photo || photo FROM people ORDER BY id")
			if err != nil || len(rows) != 3 || m.text && (rows[0][1] != "Ada" || rows[0][6] != "ADA") {
				t.Errorf("%s: %s: %q, %v", set, m.name, rows, err)
			}
		}
	}
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked", found)
	}
}
