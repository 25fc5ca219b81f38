package pgproxy_test

import (
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

// namingSchema has code that makes names of what it reads, as reports with a column for
// each value do. Some of it is declared STABLE, which is a lie.
const namingSchema = `
CREATE FUNCTION pivot() RETURNS refcursor STABLE LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'report'; BEGIN
	OPEN c FOR EXECUTE format('SELECT 1 AS %I', (SELECT email FROM people WHERE id = 1)); RETURN c; END $$;
CREATE FUNCTION name_cursor(said text) RETURNS refcursor LANGUAGE plpgsql AS $$ DECLARE c refcursor := said; BEGIN OPEN c FOR SELECT 1; RETURN c; END $$;
CREATE FUNCTION tune(said text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('LISTEN %I', said); PERFORM pg_notify(said, ''); RETURN 1; END $$;
CREATE FUNCTION prepare_named(said text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('PREPARE named AS SELECT 1 AS %I', said); RETURN 1; END $$;
CREATE FUNCTION log_in(who int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('my.email', email, false), set_config('application_name', email, false) FROM people WHERE id = who; RETURN 1; END $$;
CREATE FUNCTION honest(said text) RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN set_config('my.email', said, false); END $$;
CREATE FUNCTION stable_cursor(said text) RETURNS refcursor STABLE LANGUAGE plpgsql AS $$ DECLARE c refcursor := said; BEGIN OPEN c FOR SELECT 1; RETURN c; END $$;
CREATE FUNCTION rename_app(said text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('application_name', said, false); RETURN 1; END $$`

// TestBypassByNames has names of columns, cursors, channels and settings carry values.
func TestBypassByNames(t *testing.T) {
	for _, a := range []attempt{
		{"columns of a cursor", []string{"BEGIN", "SELECT pivot()", "FETCH ALL FROM report", "ROLLBACK"}, "BEGIN; DECLARE report CURSOR FOR SELECT item AS thing FROM orders ORDER BY id; FETCH 1 FROM report", "tea"},
		{"columns of a cursor in one text", []string{"BEGIN; SELECT pivot(); FETCH ALL FROM report; ROLLBACK"}, "SELECT item AS thing FROM orders WHERE id = 1", "tea"},
		{"names of cursors", []string{"BEGIN", "SELECT name_cursor(email) FROM people", "SELECT name FROM pg_cursors", "ROLLBACK"}, "SELECT 1", "1"},
		{"channels", []string{"SELECT tune(email) FROM people WHERE id = 1", "SELECT 1", "SELECT 1 FROM people WHERE tune(email) > 0", "SELECT pg_listening_channels()", "SELECT 1"}, "LISTEN mine; NOTIFY mine; SELECT 2", "2"},
		{"columns of a prepared statement", []string{"SELECT prepare_named(email) FROM people WHERE id = 1", "EXECUTE named", "SELECT statement FROM pg_prepared_statements"}, "PREPARE mine AS SELECT item AS thing FROM orders WHERE id = 1; EXECUTE mine", "tea"},
		{"settings", []string{"SELECT rename_app(email) FROM people", "SHOW application_name", "SELECT 1"}, "SET application_name = 'fine'; SHOW application_name", "fine"},
		{"settings by code", []string{"SELECT log_in(1)", "SELECT current_setting('my.email')", "SHOW my.email", "SHOW application_name", "SHOW ALL", "SELECT setting FROM pg_settings WHERE name IN ('my.email', 'application_name')", "SELECT upper(current_setting('MY.EMAIL', true))", "SELECT current_setting('my.' || 'email')", "SELECT setting FROM pg_show_all_settings()",
			"INSERT INTO notes (body) SELECT current_setting('my.email')", "TABLE notes", "PREPARE q AS SELECT current_setting('my.email')", "EXECUTE q", "BEGIN; DECLARE c CURSOR FOR SELECT current_setting('my.email'); FETCH c; COMMIT", "SELECT log_in(1); SHOW my.email", "COPY (SELECT current_setting('my.email')) TO STDOUT", "SELECT reset_val FROM pg_settings s", "SELECT format('%s', current_setting('my.email'))"},
			"SELECT current_setting('server_encoding'), current_setting('lock_timeout')", "UTF8,0"},
		{"settings by code that lies", []string{"SELECT honest(email) FROM people WHERE id = 1", "SHOW my.email", "SELECT current_setting('my.email')"}, "SET my.plain = 'fine'; SHOW my.plain", "fine"},
		{"names of cursors by code that lies", []string{"BEGIN", "SELECT stable_cursor(email) FROM people WHERE id = 1", "SELECT name FROM pg_cursors", "SELECT c::text FROM pg_cursors c", "SELECT name FROM pg_cursor()", "ROLLBACK"}, "SELECT name FROM pg_cursors WHERE false", ""},
	} {
		t.Run(a.name, func(t *testing.T) {
			r := newRig(t, rigConfig{policy: maskedColumns(), proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}, setup: bypassSchema + namingSchema})
			for _, m := range modes()[:3] {
				t.Run(m.name, func(t *testing.T) { a.try(t, r, m) })
			}
		})
	}
}

// TestStateStaysReadableBehindCode: what can't hold a value is told as before.
func TestStateStaysReadableBehindCode(t *testing.T) {
	r := newBypassRig(t, maskedColumns(), namingSchema)
	conn := r.connect(t)
	for _, c := range [][2]string{
		{"SHOW my.email", ""}, {"SELECT current_setting('application_name') = ''", "t"}, {"SELECT log_in(1)", "0"},
		{"SHOW transaction_isolation", "read committed"}, {"SELECT current_setting('server_encoding'), current_schema()", "UTF8,public"}, {"SHOW DateStyle", "ISO, MDY"},
		{"INSERT INTO notes (body) VALUES ('x') RETURNING body", "x"}, {"SELECT item FROM orders WHERE id = 1", "tea"}, {"SHOW application_name", "[redacted]"},
	} {
		if rows, err := runSimple(t.Context(), conn, c[0]); joined(rows) != c[1] || err != nil && c[1] != "" {
			t.Errorf("%s: got %q, %v, want %q", c[0], joined(rows), err, c[1])
		}
	}
}

// TestBypassByStateOfPreparedStatements reads settings by statements and portals that
// were made before the code ran which has changed them.
func TestBypassByStateOfPreparedStatements(t *testing.T) {
	r := newBypassRig(t, maskedColumns(), namingSchema)
	conn, wire := r.connectWatched(t)
	for name, sql := range map[string]string{"setting": "SELECT current_setting('my.email', true)", "shown": "SHOW application_name", "twin": "SELECT current_setting('server_encoding')"} {
		if _, err := conn.PgConn().Prepare(t.Context(), name, sql, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{"", "SELECT log_in(1)"} {
		if _, err := runSimple(t.Context(), conn, sql); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"setting": "", "shown": "", "twin": "UTF8"} {
			result := conn.PgConn().ExecPrepared(t.Context(), name, nil, nil, nil).Read()
			if got := joined(cells(result.Rows)); result.Err != nil || want != "" && got != want {
				t.Errorf("%s behind %q: got %q, %v", name, sql, got, result.Err)
			}
		}
	}
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked", found)
	}
}
