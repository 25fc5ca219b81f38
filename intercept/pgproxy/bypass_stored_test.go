package pgproxy_test

import "testing"

// What is stored need not be a value: a key and a bound tell as much.
func TestBypassBySubscripts(t *testing.T) {
	r := newBypassRig(t, maskedColumns(), "ALTER TABLE people ADD COLUMN meta jsonb, ADD COLUMN tags text[]; CREATE VIEW with_meta AS SELECT id, email, meta FROM people")
	conn, wire := r.connectWatched(t)
	for _, sql := range []string{
		"UPDATE people SET meta[email] = '1'", "UPDATE with_meta SET meta[email] = '1'", "UPDATE people SET meta['a'][card] = '1'", "UPDATE people SET tags[ascii(email)] = 'x'", "UPDATE people SET tags[1:ascii(email)] = '{x}'",
		"INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET meta[people.email] = '1'", "INSERT INTO people (id, meta[(SELECT max(email) FROM people)]) VALUES (9, '1')", "UPDATE orders SET item = item WHERE false; UPDATE people SET meta[email] = '1'",
		"MERGE INTO people p USING orders o ON p.id = o.person WHEN MATCHED THEN UPDATE SET meta[p.email] = '1'", "UPDATE people SET meta[(SELECT max(email) FROM logins)] = '1'", "EXPLAIN ANALYZE UPDATE people SET meta[email] = '1'",
	} {
		if _, err := runSimple(t.Context(), conn, sql); sqlState(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked", found)
	}
	for _, sql := range []string{"UPDATE people SET meta['a'] = '1', tags[2] = 'x' WHERE email = 'canary-ada@secret.example'", "UPDATE people SET tags[age] = 'y' WHERE id = 2", "INSERT INTO people (id, tags[3]) VALUES (8, 'z')"} {
		if _, err := runSimple(t.Context(), conn, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	rows, err := runSimple(t.Context(), conn, "SELECT id, meta, tags FROM people WHERE tags IS NOT NULL ORDER BY id")
	if want := `1,{"a": 1},[2:2]={x};2,,[42:42]={y};8,,[3:3]={z}`; err != nil || joined(rows) != want {
		t.Errorf("got %q, %v, want %q", joined(rows), err, want)
	}
}

// A generated column has the masks of what it is generated from, until it is no
// longer generated.
func TestBypassByEndOfGeneration(t *testing.T) {
	r := newBypassRig(t, maskedColumns(), "CREATE TABLE made (a int, b int GENERATED ALWAYS AS (a + 1) STORED); INSERT INTO made VALUES (1)")
	conn, wire := r.connectWatched(t)
	for _, sql := range []string{"ALTER TABLE people ALTER COLUMN email_copy DROP EXPRESSION", "ALTER TABLE people ALTER email_copy DROP EXPRESSION IF EXISTS, ADD COLUMN more int"} {
		if _, err := runSimple(t.Context(), conn, sql); sqlState(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := runSimple(t.Context(), conn, "ALTER TABLE made ALTER b DROP EXPRESSION"); err != nil {
		t.Error(err)
	}
	if rows, err := runSimple(t.Context(), conn, "TABLE made"); err != nil || joined(rows) != "1,2" {
		t.Errorf("got %q, %v", rows, err)
	}
	if _, err := runSimple(t.Context(), conn, "SELECT email_copy FROM people"); err != nil || len(wire.leaks()) > 0 {
		t.Errorf("%v, %q leaked", err, wire.leaks())
	}
}

// No step may have counted up: canaries do not show small numbers.
func TestSequencesDoNotCountMaskedValues(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	conn := r.connect(t)
	for _, sql := range []string{
		"SELECT nextval('tickets') FROM people p, generate_series(1, ascii(p.email)) g WHERE p.id = 1", "SELECT CASE WHEN email LIKE 'c%' THEN nextval('tickets') END FROM people",
		"SELECT id FROM people WHERE email > 'c' AND nextval('tickets') > 0", "WITH x AS (SELECT nextval('tickets') FROM people WHERE email > 'c') SELECT 1", "EXPLAIN ANALYZE SELECT nextval('tickets') FROM people WHERE email > 'c'",
		"INSERT INTO people (id) SELECT nextval('tickets') + 500 FROM people WHERE email > 'c'", "INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET age = 1 RETURNING CASE WHEN people.email > 'c' THEN nextval('tickets') END",
	} {
		if _, err := runSimple(t.Context(), conn, sql); sqlState(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if got := joined(r.pg.Query("SELECT is_called FROM tickets")); got != "f" {
		t.Errorf("is_called is %q", got)
	}
	for sql, want := range map[string]string{
		"SELECT nextval('tickets') > 0, name FROM people WHERE id = 1":                                              "t,Ada",
		"INSERT INTO people (id, email) VALUES (nextval('tickets') * 100, 'eve@new.example') RETURNING name, email": ",e***@new.example",
	} {
		if rows, err := runSimple(t.Context(), conn, sql); err != nil || joined(rows) != want {
			t.Errorf("%s: got %q, %v, want %q", sql, joined(rows), err, want)
		}
	}
}

// The memory that a plan has used tells how long computed values were.
func TestPlansDoNotMeasureMaskedValues(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	conn := r.connect(t)
	const explain = "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) "
	for _, sql := range []string{
		"SELECT * FROM (SELECT id, repeat('x', ascii(email) * 1024) FROM people OFFSET 0) s ORDER BY id", "SELECT id, repeat('x', ascii(email) * 1024) FROM people ORDER BY id",
		"WITH s AS MATERIALIZED (SELECT id, repeat('x', ascii(email) * 1024) FROM people) SELECT id FROM s ORDER BY id", "SELECT id, CASE WHEN email > 'c' THEN repeat('x', 1024) END FROM people ORDER BY id",
		"SELECT id, (SELECT repeat('x', ascii(p.email) * 1024)) FROM people p ORDER BY id", "SELECT id FROM people p, repeat('x', ascii(p.email) * 1024) ORDER BY id",
	} {
		rows, err := runSimple(t.Context(), conn, explain+sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		for _, row := range rows {
			if row[0] != "[redacted]" {
				t.Errorf("%s: %q", sql, row)
			}
		}
	}
	for _, sql := range []string{"SELECT * FROM people WHERE id = 1", "SELECT id, email FROM people ORDER BY id", "SELECT name, count(*) FROM people GROUP BY 1", "SELECT upper(item) FROM (SELECT item FROM orders) o"} {
		rows, err := runSimple(t.Context(), conn, explain+sql)
		if want := r.pg.Query(explain + sql); err != nil || joined(rows) != joined(want) {
			t.Errorf("%s: got %q, %v, want %q", sql, rows, err, want)
		}
	}
}
