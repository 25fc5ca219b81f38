package pgproxy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

// fieldSchema has code that was there before the gateway and says what it is given in
// every field of an error or notice that code can choose.
const fieldSchema = bypassSchemaOfFields + `;
CREATE FUNCTION shout_in(field text, said text) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN
	CASE field
	WHEN 'message' THEN RAISE EXCEPTION USING MESSAGE = said; WHEN 'detail' THEN RAISE EXCEPTION USING MESSAGE = 'm', DETAIL = said; WHEN 'hint' THEN RAISE EXCEPTION USING MESSAGE = 'm', HINT = said;
	WHEN 'column' THEN RAISE EXCEPTION USING MESSAGE = 'm', COLUMN = said; WHEN 'constraint' THEN RAISE EXCEPTION USING MESSAGE = 'm', CONSTRAINT = said; WHEN 'datatype' THEN RAISE EXCEPTION USING MESSAGE = 'm', DATATYPE = said;
	WHEN 'table' THEN RAISE EXCEPTION USING MESSAGE = 'm', TABLE = said; WHEN 'schema' THEN RAISE EXCEPTION USING MESSAGE = 'm', SCHEMA = said; WHEN 'state' THEN RAISE EXCEPTION USING MESSAGE = 'm', ERRCODE = upper(substr(regexp_replace(said, '[^a-z]', '', 'g'), 7, 5));
	WHEN 'query' THEN EXECUTE 'SELECT ' || quote_literal(said) || '::int'; WHEN 'where' THEN EXECUTE 'SELECT 1/0 -- ' || said; WHEN 'object' THEN EXECUTE 'SELECT * FROM ' || quote_ident(said); WHEN 'assert' THEN ASSERT false, said;
	WHEN 'class' THEN RAISE EXCEPTION USING MESSAGE = 'm', ERRCODE = (ARRAY['22012', '23505', '23503', '40001'])[1 + ascii(said) % 4];
	WHEN 'notice' THEN RAISE NOTICE USING MESSAGE = said, DETAIL = said, HINT = said, COLUMN = said, CONSTRAINT = said, DATATYPE = said, TABLE = said, SCHEMA = said, ERRCODE = upper(substr(regexp_replace(said, '[^a-z]', '', 'g'), 7, 5));
	WHEN 'warning' THEN RAISE WARNING '%', said; WHEN 'info' THEN RAISE INFO '%', said; WHEN 'log' THEN RAISE LOG '%', said; WHEN 'debug' THEN RAISE DEBUG '%', said;
	ELSE NULL; END CASE;
	RETURN 1; END $$;
CREATE TABLE watched (id int, email text); INSERT INTO watched VALUES (1, 'canary-ada@secret.example');
CREATE FUNCTION shout_of_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM shout_in(TG_ARGV[0], NEW.email); RETURN NEW; END $$`

const bypassSchemaOfFields = `CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE, salary int8 CHECK (salary > 0), photo bytea);
INSERT INTO people VALUES (1, 'canary-ada@secret.example', 7311234567, 'canary-photo'), (2, 'canary-bob@secret.example', 7322345678, 'canary-photo');
CREATE TABLE logins (email text REFERENCES people (email)); CREATE TABLE fine (id int PRIMARY KEY, name text CHECK (name <> 'bad'))`

// fieldsByCode are the names of the fields as shout_in takes them.
func fieldsByCode() []string {
	return []string{"message", "detail", "hint", "column", "constraint", "datatype", "table", "schema", "state", "query", "where", "object", "assert", "class", "notice", "warning", "info", "log", "debug"}
}

// fieldsShown are all fields of an error but those that say where in the server's source
// it was raised, with what code may make of them under masks.
func fieldsShown(e *pgconn.PgError) map[string]string {
	return map[string]string{"detail": e.Detail, "hint": e.Hint, "query": e.InternalQuery, "where": e.Where, "column": e.ColumnName, "constraint": e.ConstraintName, "datatype": e.DataTypeName,
		"table": e.TableName, "schema": e.SchemaName, "file": e.File, "routine": e.Routine}
}

// TestBypassByFields has code say masked values in each field. Of what code can choose,
// nothing comes through: the SQLSTATE of a RAISE is P0001. The twin is the same code
// called with what has no mask by a session without masks, which is told everything.
func TestBypassByFields(t *testing.T) {
	r := newRig(t, rigConfig{policy: masking("public.people.email:redact", "public.people.salary:redact", "public.people.photo:redact", "public.watched.email:redact"),
		proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}, setup: fieldSchema})
	conn, wire := r.connectWatched(t)
	if _, err := runSimple(t.Context(), conn, "SET client_min_messages = debug1"); err != nil {
		t.Fatal(err)
	}
	for _, field := range fieldsByCode() {
		r.pg.Exec("CREATE OR REPLACE TRIGGER shout BEFORE UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION shout_of_row('" + field + "')")
		for _, sql := range []string{"SELECT shout_in('" + field + "', email) FROM people", "SELECT 1 FROM people WHERE shout_in('" + field + "', email) > 1", "UPDATE watched SET id = id", "SELECT count(*) FROM generate_series(1, 2) WHERE shout_in('" + field + "', (SELECT max(email) FROM people)) > 1"} {
			for _, m := range modes()[:3] {
				_, err := m.run(t.Context(), conn, sql)
				wantNothing(t, field+", "+m.name+": "+sql, err)
				if state := sqlState(err); (field == "state" || field == "class") && state != "P0001" {
					t.Errorf("%s, %s: SQLSTATE %s", field, sql, state)
				}
				if found := wire.leaks(); len(found) > 0 {
					t.Errorf("%s: %q leaked by %s: %v", field, found, sql, err)
				}
				if got := string(wire.take()); strings.Contains(got, "ADASE") {
					t.Errorf("%s: %q tells a part by its SQLSTATE", sql, got)
				}
			}
		}
	}
	if strings.Contains(string(recorded(r)), "ADASE") {
		t.Error("the record has a part of a value")
	}
	plain := newRig(t, rigConfig{setup: fieldSchema})
	free := plain.connect(t)
	for _, field := range fieldsByCode()[:9] {
		_, err := runSimple(t.Context(), free, "SELECT shout_in('"+field+"', 'canary-ada@secret.example')")
		if got := fmt.Sprintf("%+v", asError(err)); !strings.Contains(got, "canary-ada") && !strings.Contains(got, "ADASE") {
			t.Errorf("%s: without masks: %s", field, got)
		}
	}
}

func asError(err error) pgconn.PgError {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return *e
	}
	return pgconn.PgError{}
}

// wantNothing wants an error to say nothing that code can choose.
func wantNothing(t *testing.T, how string, err error) {
	t.Helper()
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return
	}
	for field, value := range fieldsShown(e) {
		if value != "" {
			t.Errorf("%s: %s is %q", how, field, value)
		}
	}
}

// TestServersOwnNamesStay is the benign twin: the names and the SQLSTATE of what the
// server itself reports under masks.
func TestServersOwnNamesStay(t *testing.T) {
	r := newRig(t, rigConfig{policy: masking("public.people.email:redact", "public.people.salary:redact"), setup: fieldSchema + `;
CREATE FUNCTION insert_fine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fine VALUES (7, 'bad'); RETURN NEW; END $$;
CREATE TRIGGER insert_fine BEFORE UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION insert_fine();
CREATE FUNCTION divide(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / n; END $$`})
	conn := r.connect(t)
	for sql, want := range map[string][4]string{
		"UPDATE people SET salary = -1":                                           {"23514", "people", "", "people_salary_check"},
		"UPDATE people SET id = NULL":                                             {"23502", "people", "id", ""},
		"INSERT INTO people (id, email, salary) VALUES (1, 'x', 1)":               {"23505", "people", "", "people_pkey"},
		"INSERT INTO logins VALUES ('nobody')":                                    {"23503", "logins", "", "logins_email_fkey"},
		"UPDATE watched SET id = 2 RETURNING email":                               {"23514", "fine", "", "fine_name_check"},
		"SELECT divide(0), email FROM people":                                     {"22012", "", "", ""},
		"SELECT email::int FROM people":                                           {"22P02", "", "", ""},
		"SELECT shout_in('state', 'canaryadasecret'), email FROM people":          {"P0001", "", "", ""},
		"INSERT INTO fine SELECT 1, 'x' FROM people RETURNING (SELECT 1 / (1-1))": {"22012", "", "", ""},
	} {
		_, err := runSimple(t.Context(), conn, sql)
		e, ok := errors.AsType[*pgconn.PgError](err)
		if !ok {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if got := [4]string{e.Code, e.TableName, e.ColumnName, e.ConstraintName}; got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
}
