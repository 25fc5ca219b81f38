package pgproxy_test

import (
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

// namingSchema has code that makes names of what it reads, as reports with a column for
// each value do. What changes the session is declared VOLATILE, as it has to be.
const namingSchema = `
CREATE FUNCTION pivot() RETURNS refcursor STABLE LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'report'; BEGIN
	OPEN c FOR EXECUTE format('SELECT 1 AS %I', (SELECT email FROM people WHERE id = 1)); RETURN c; END $$;
CREATE FUNCTION name_cursor(said text) RETURNS refcursor LANGUAGE plpgsql AS $$ DECLARE c refcursor := said; BEGIN OPEN c FOR SELECT 1; RETURN c; END $$;
CREATE FUNCTION tune(said text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('LISTEN %I', said); PERFORM pg_notify(said, ''); RETURN 1; END $$;
CREATE FUNCTION prepare_named(said text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('PREPARE named AS SELECT 1 AS %I', said); RETURN 1; END $$;
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
	} {
		t.Run(a.name, func(t *testing.T) {
			r := newRig(t, rigConfig{policy: maskedColumns(), proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}, setup: bypassSchema + namingSchema})
			for _, m := range modes()[:3] {
				t.Run(m.name, func(t *testing.T) { a.try(t, r, m) })
			}
		})
	}
}
