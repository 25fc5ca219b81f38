package pgproxy_test

import (
	"fmt"
	"strings"
	"testing"
)

// maskedQueries are queries whose column x is masked.
func maskedQueries() []string {
	return []string{
		"SELECT email AS x FROM people", "SELECT p.card AS x FROM people p", "SELECT email AS x FROM people_view", "SELECT c AS x FROM people AS t(a, b, c)",
		"SELECT p::text AS x FROM people p", "SELECT email AS x FROM vips", "SELECT email_copy AS x FROM people", "SELECT (SELECT max(email) FROM people) AS x",
		"SELECT email AS x FROM events", `SELECT "E-Mail" AS x FROM "People Data"`, "SELECT leak() AS x", "SELECT contact AS x FROM people_stored",
		"SELECT email AS x FROM people p JOIN logins l USING (email)", "SELECT substr(email, 1, 12) AS x FROM ONLY people", "SELECT ssn AS x FROM people WHERE ssn IS NOT NULL",
	}
}

// wrappers make a query with a column x of one, put in place of "$".
func wrappers() []string {
	return []string{
		"SELECT x FROM ($) s", "SELECT s.* FROM ($) s", "SELECT s::text AS x FROM ($) s", "SELECT (s).x AS x FROM ($) s", "SELECT x FROM ($) people", "SELECT people.x FROM ($) people",
		"WITH c AS ($) SELECT x FROM c", "WITH c(y) AS MATERIALIZED ($) SELECT max(y) AS x FROM c", "WITH people AS ($) SELECT x FROM people", "WITH s AS ($), orders AS (SELECT 'o'::text AS x) SELECT s.x FROM s, orders",
		"WITH RECURSIVE r(x, n) AS (SELECT x, 1 FROM ($) s UNION ALL SELECT x, n + 1 FROM r WHERE n < 2) SELECT x FROM r",
		"SELECT (SELECT x FROM ($) t ORDER BY 1 DESC LIMIT 1) AS x", "SELECT (SELECT x FROM ($) t ORDER BY 1 DESC LIMIT 1) AS x FROM (SELECT 'o' AS x) o", "SELECT (SELECT t.x FROM ($) t LIMIT 1) AS x FROM (SELECT 'o' AS x) t",
		"SELECT (SELECT y FROM ($) t(y) LIMIT 1) AS x FROM (VALUES ('o')) o(y)", "SELECT (SELECT t::text FROM ($) t LIMIT 1) AS x",
		"SELECT x FROM (SELECT 'o' AS y) o CROSS JOIN ($) s", "SELECT x FROM (SELECT 'o'::text AS x) o FULL JOIN ($) s USING (x)", "SELECT x FROM (VALUES ('o')) o(x) RIGHT JOIN ($) s USING (x)", "SELECT x FROM (VALUES ('o')) o(x) NATURAL RIGHT JOIN ($) s",
		"SELECT u.x FROM (VALUES ('o')) o(x) RIGHT JOIN ($) s USING (x) AS u", "SELECT j.x FROM ((VALUES (1)) v(z) CROSS JOIN ($) s) AS j", "SELECT j.a AS x FROM ((VALUES ('v')) v(x) CROSS JOIN ($) s(y)) AS j(b, a)", "SELECT a AS x FROM ((VALUES ('v')) v(x) CROSS JOIN ($) s(y)) AS j(b, a)",
		"SELECT j::text AS x FROM ((VALUES (1)) v(z) CROSS JOIN ($) s) AS j", "SELECT l.x FROM (VALUES (1)) v(z), LATERAL ($) l", "SELECT l.x FROM ($) s, LATERAL (SELECT s.x) l", "SELECT l.x FROM ($) s(y), LATERAL (VALUES (y)) l(x)", "SELECT l.x FROM (VALUES ('v')) v(x) CROSS JOIN LATERAL ($) l",
		"SELECT x FROM ($) s UNION ALL SELECT 'u'", "SELECT 'u' AS x UNION ALL SELECT x FROM ($) s", "SELECT x FROM (VALUES ('u')) u(x) WHERE false UNION SELECT x FROM ($) s", "SELECT x FROM ($) s INTERSECT SELECT x FROM ($) t", "SELECT x FROM ($) s EXCEPT SELECT 'u'",
		"SELECT coalesce(NULL, x) AS x FROM ($) s", "SELECT CASE WHEN true THEN x END AS x FROM ($) s", "SELECT row_to_json(s)->>'x' AS x FROM ($) s", "SELECT (array_agg(x))[1] AS x FROM ($) s", "SELECT unnest(array_agg(x)) AS x FROM ($) s",
		"SELECT f.x FROM ($) s, unnest(ARRAY[s.x]) f(x)", "SELECT f AS x FROM ($) s, concat(s.x) f", "SELECT string_agg(x, '') OVER () AS x FROM ($) s", "SELECT first_value(x) OVER w AS x FROM ($) s WINDOW w AS ()", "SELECT x FROM ($) s GROUP BY x HAVING count(*) > 0", "SELECT DISTINCT ON (x) x FROM ($) s",
		"SELECT t.x FROM ($) s, jsonb_to_record(jsonb_build_object('x', s.x)) AS t(x text)", "SELECT (xpath('/a/text()', xmlelement(name a, x)))[1]::text AS x FROM ($) s", "SELECT x FROM (SELECT * FROM (VALUES (1)) v, ($) s) AS t(z, x)", "SELECT ARRAY($)::text AS x",
		"SELECT max(x) FILTER (WHERE x > '') AS x FROM ($) s", "SELECT greatest(x, '') AS x FROM ($) s", "SELECT x::varchar::text COLLATE \"C\" AS x FROM ($) s", "SELECT format('%s', VARIADIC ARRAY[x]) AS x FROM ($) s", "SELECT (ARRAY[x, x])[1:1]::text AS x FROM ($) s",
		"SELECT x FROM ($) s WHERE EXISTS (SELECT s.x)", "SELECT y AS x FROM (SELECT x, x AS y FROM ($) s) t", "SELECT x FROM ROWS FROM (json_to_recordset((SELECT json_agg(s) FROM ($) s)) AS (x text)) r",
	}
}

// Every pair of wrappers is put around a masked query, and around one that is not
// masked, which must come through as it is.
func TestBypassByCombination(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	r.pg.Exec("DROP FUNCTION lower(int) CASCADE")
	conn, wire := r.connectWatched(t)
	queries, all := maskedQueries(), wrappers()
	n, failed := 0, 0
	for _, outer := range all {
		for _, inner := range all {
			sql := strings.ReplaceAll(outer, "$", strings.ReplaceAll(inner, "$", queries[n%len(queries)]))
			n++
			_, err := runSimple(t.Context(), conn, sql)
			if state := sqlState(err); state != "" && state != "42804" && state != "42883" {
				t.Fatalf("%s: %v", sql, err)
			}
			if found := wire.leaks(); len(found) > 0 {
				t.Fatalf("%q leaked by %s", found, sql)
			}
			wire.forget()
			if err != nil {
				failed++ // types that do not fit
			}
		}
	}
	if failed > n/10 {
		t.Errorf("%d of %d queries failed", failed, n)
	}
}

func TestCombinationsOfTheUnmasked(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	r.pg.Exec("DROP FUNCTION lower(int) CASCADE")
	conn, _ := r.connectWatched(t)
	for _, outer := range wrappers() {
		for _, query := range []string{"SELECT item AS x FROM orders", "SELECT item AS x FROM orders_view"} {
			sql := strings.ReplaceAll(outer, "$", query)
			rows, err := runSimple(t.Context(), conn, sql)
			if want := r.pg.Query(sql); err != nil || fmt.Sprint(rows) != fmt.Sprint(want) {
				t.Errorf("%s: got %q, %v, want %q", sql, rows, err, want)
			}
		}
	}
}
