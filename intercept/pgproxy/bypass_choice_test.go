package pgproxy_test

import "testing"

// spelled are parts of a query that picks the characters of an e-mail address out
// of constants.
const (
	letters = "(SELECT chr(n) FROM generate_series(32, 126) n) v(c)"
	spelled = "string_agg(v.c, '' ORDER BY s.i) FROM people p, generate_series(1, 30) s(i), " + letters + " WHERE v.c = substr(p.email, s.i, 1) AND p.id = 1"
)

// The server takes x.f for f(x) where x has no column f.
func TestBypassByNotation(t *testing.T) {
	tryAll(t, []attempt{
		{"SQL text", []string{"SELECT ('select to_tsvector(''simple'', email) from people'::text).ts_stat", "SELECT x.ts_stat FROM concat('select to_tsvector(''simple'', email) from people') x",
			"SELECT (x.ts_stat).word FROM (SELECT 'select to_tsvector(''simple'', email) from people'::text) AS x(y), LATERAL (SELECT x.y AS z) l", "SELECT (l.z).ts_stat FROM (SELECT 'select to_tsvector(''simple'', email) from people'::text AS z) l"},
			"SELECT (s.d).item FROM (SELECT o AS d FROM orders o WHERE id = 1) s", "tea"},
		{"function of a value", []string{"SELECT ('x'::text).leak_of", "SELECT s.leak_of FROM concat('x') s", "SELECT (s.y).leak_of FROM (SELECT 'x'::text AS y) s", "SELECT (SELECT 'x'::text).leak_of", "SELECT upper(('x'::text).leak_of)", "SELECT 1 WHERE ('x'::text).leak_of > 'a' AND false UNION SELECT ascii(('x'::text).leak_of)"},
			"SELECT s.y FROM (SELECT 'x'::text AS y) s", "x"},
		{"function of a row", []string{"SELECT o.leak_of_row FROM orders o", "SELECT orders.leak_of_row FROM orders", "SELECT (o).leak_of_row FROM orders o", "SELECT s.leak_of_row FROM (SELECT * FROM orders) s"},
			"SELECT o.item, (o).id FROM orders o WHERE o.id = 1", "tea,1"},
		{"function of a masked row", []string{"SELECT p.to_jsonb FROM people p", "SELECT p.to_json FROM people p", "SELECT people.row_to_json FROM people", "SELECT (p).to_jsonb FROM people p", "SELECT p.concat FROM people p"},
			"SELECT p.name, p.ctid FROM people p WHERE p.id = 1", "Ada,(0,1)"},
		{"stored", []string{"INSERT INTO notes (body) SELECT p.to_jsonb FROM people p", "INSERT INTO notes (body) SELECT to_jsonb FROM people p, LATERAL (SELECT p.to_jsonb) l", "UPDATE notes SET body = (SELECT p.to_json FROM people p LIMIT 1)", "TABLE notes"},
			"INSERT INTO notes (body) SELECT o.item FROM orders o WHERE o.id = 1 RETURNING body", "tea"},
	})
}

// Constants that rows choose between spell a value out.
func TestBypassByChoice(t *testing.T) {
	tryAll(t, []attempt{
		{"aggregated", []string{"SELECT " + spelled, "WITH x AS (SELECT " + spelled + ") SELECT * FROM x", "SELECT * FROM (SELECT " + spelled + ") x(y)", "SELECT (SELECT " + spelled + ")"},
			"SELECT string_agg(v.c, '') FROM (VALUES ('a'), ('b')) v(c), people p WHERE p.id = 1", "ab"},
		{"rows of constants", []string{"SELECT v.c FROM (VALUES ('canary-ada@secret.example'), ('b')) v(c) JOIN people p ON p.email = v.c", "SELECT v.c FROM people p JOIN (VALUES ('canary-ada@secret.example'), ('b')) v(c) ON v.c = p.email", "SELECT v.* FROM (VALUES ('canary-ada@secret.example')) v(c) WHERE v.c IN (SELECT email FROM people)",
			"SELECT d.n FROM people p JOIN generate_series(7311234560, 7311234569) d(n) ON d.n = p.salary", "SELECT c FROM unnest(ARRAY['canary-ada@secret.example', 'b']) c WHERE EXISTS (SELECT FROM people WHERE email = c)"},
			"SELECT v.c, p.name FROM (VALUES (1), (9)) v(c) JOIN people p ON p.id = v.c", "1,Ada"},
		{"expressions", []string{"SELECT (SELECT 'canary-ada@secret.example' WHERE p.email LIKE 'canary-ada%') FROM people p", "SELECT coalesce((SELECT 'canary-ada@secret.example' WHERE p.email > 'c'), 'x') FROM people p", "SELECT max('canary-ada@secret.example') FILTER (WHERE email > 'c') FROM people",
			"SELECT first_value('canary-ada@secret.example'::text) OVER (PARTITION BY email) FROM people"},
			"SELECT (SELECT 'x' WHERE p.id = 1) FROM people p ORDER BY p.id LIMIT 1", "x"},
		{"set operations", []string{"SELECT 'canary-ada@secret.example' FROM people WHERE email > 'c' UNION ALL SELECT 'b' FROM people WHERE email > 'd'", "SELECT 'canary-ada@secret.example' INTERSECT SELECT email FROM people"}, "SELECT 'a' FROM people WHERE id = 1 UNION ALL SELECT 'b'", "a;b"},
		{"counts", []string{"SELECT (SELECT count(*) FROM generate_series(1, p.salary / 1000000) g WHERE g > 7305) * 0 + 7311234567 FROM people p WHERE p.id = 1", "SELECT 7311234567 + 0 * count(*) FROM people WHERE email > 'c'", "SELECT sum(7311234567) FROM people WHERE email LIKE 'canary-ada%'"},
			"SELECT count(*), sum(1) FROM people WHERE id < 3", "2,2"},
		{"order", []string{"SELECT generate_series(7311234560, 7311234569) FROM people WHERE id = 1 ORDER BY abs(generate_series(7311234560, 7311234569) - salary) LIMIT 1"}, "SELECT generate_series(1, 2) FROM people WHERE id = 1 ORDER BY 1", "1;2"},
		{"names", []string{"SELECT nullif FROM (SELECT nullif(email, '') FROM people) c, generate_series(1, 1) g", "SELECT c.nullif FROM (SELECT nullif(email, '') FROM people) c, (SELECT 'x' AS nullif) g", `SELECT system_user FROM (SELECT email FROM people) x("system_user")`},
			"SELECT nullif FROM (SELECT nullif(item, '') FROM orders WHERE id = 1) c", "tea"},
		{"words of the grammar", []string{"SELECT json_value('{}', '$.a')", "SELECT json_exists('{}', '$.a')", "SELECT * FROM (SELECT json_value('{}', '$.a')) x(y)"}, `SELECT '{"a": 1}'::jsonb->>'a'`, "1"},
		{"returning", []string{"UPDATE people SET age = age RETURNING (SELECT v.c FROM (VALUES ('canary-ada@secret.example'), ('b')) v(c) WHERE v.c = people.email)", "DELETE FROM orders USING people p RETURNING (SELECT v.c FROM (VALUES ('canary-ada@secret.example')) v(c) WHERE v.c = p.email)"},
			"UPDATE orders SET item = item WHERE id = 1 RETURNING (SELECT v.c FROM (VALUES ('a')) v(c))", "a"},
		{"stored", []string{"INSERT INTO notes (body) SELECT " + spelled, "INSERT INTO notes (body) SELECT v.c FROM people p JOIN (VALUES ('canary-ada@secret.example')) v(c) ON v.c = p.email", "INSERT INTO notes (body) VALUES ((SELECT " + spelled + "))", "CREATE TABLE loot AS SELECT " + spelled, "PREPARE p AS INSERT INTO notes (body) SELECT " + spelled, "EXECUTE p",
			"TABLE notes", "TABLE loot"},
			"INSERT INTO notes (body) SELECT id FROM people WHERE id = 1 RETURNING body", "1"},
		{"stored by updates", []string{"UPDATE people SET name = v.c FROM (VALUES ('canary-ada@secret.example'), ('b')) v(c) WHERE v.c = email", "UPDATE people SET name = (SELECT v.c FROM (VALUES ('canary-ada@secret.example'), ('b')) v(c) WHERE v.c = email)", "UPDATE orders SET item = 'x' FROM people p WHERE p.email > 'c'", "MERGE INTO notes n USING people p ON false WHEN NOT MATCHED AND p.email > 'c' THEN INSERT (body) VALUES ('canary-ada@secret.' || 'example')", "SELECT name FROM people", "TABLE notes"},
			"UPDATE people SET name = 'Eda' WHERE email = 'canary-ada@secret.example'", ""},
		{"plans", []string{"EXPLAIN ANALYZE SELECT 1 FROM people p, generate_series(1, p.salary / 1000000) g WHERE p.id = 1", "EXPLAIN SELECT leak()", "EXPLAIN VERBOSE SELECT ('x'::text).leak_of", "EXPLAIN SELECT * FROM leak_view", "EXPLAIN (ANALYZE, VERBOSE) SELECT email FROM people WHERE leak() > 'a'"},
			"EXPLAIN (COSTS off) SELECT email FROM logins WHERE id = 7", "Seq Scan on logins;  Filter: (id = 7)"},
	})
}

func TestBypassByStoredDeletes(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	conn := r.connect(t)
	for _, sql := range []string{
		"DELETE FROM notes USING people p WHERE p.email = body", "DELETE FROM notes WHERE body NOT IN (SELECT email FROM people)", "UPDATE notes SET body = 'hit' WHERE body IN (SELECT email FROM people)",
		"WITH x AS (SELECT id FROM people WHERE email > 'c') DELETE FROM notes USING x", "DROP TABLE orders CASCADE", "TRUNCATE orders CASCADE",
	} {
		if _, err := runSimple(t.Context(), conn, sql); sqlState(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{
		"UPDATE orders SET item = 'x' WHERE id = 2", "UPDATE people SET name = 'x' WHERE id = 1", "UPDATE people SET name = 'x' WHERE email = 'a@b'", "DELETE FROM notes WHERE id IN (SELECT id FROM people)",
		"INSERT INTO people (id, name, email) VALUES (7, 'Fay', 'fay@new.example') ON CONFLICT (email) DO UPDATE SET name = excluded.name", "TRUNCATE notes", "DELETE FROM people WHERE email = 'nobody@new.example'",
	} {
		if _, err := runSimple(t.Context(), conn, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
