package pgproxy_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// A probe is a query that reads only: attempts to see masked values, and a twin of
// the kind whose values come from unmasked columns of the same masked table, and
// must be seen as they are.
type probe struct {
	name     string
	attempts []string
	twin     string
	want     string // of the twin: cells joined by commas, rows by semicolons
}

// probeAll makes all probes on one server and two connections, in text and in
// binary.
func probeAll(t *testing.T, r *rig, probes []probe) {
	t.Helper()
	conn, wire := r.connectWatched(t)
	for _, p := range probes {
		t.Run(p.name, func(t *testing.T) {
			for _, sql := range p.attempts {
				for _, m := range modes()[:3] {
					rows, err := m.run(context.Background(), conn, sql)
					if found := wire.leaks(); len(found) > 0 {
						t.Errorf("%s: %q leaked by %q: %q, %v", m.name, found, sql, rows, err)
						wire.forget()
					}
					if conn.IsClosed() {
						conn, wire = r.connectWatched(t)
					}
				}
			}
			p.tryTwin(t, conn)
		})
	}
}

func (p probe) tryTwin(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for _, m := range modes()[:2] {
		rows, err := m.run(context.Background(), conn, p.twin)
		if got := joined(rows); err != nil || got != p.want {
			t.Errorf("%s: %s: got %q, %v, want %q", m.name, p.twin, got, err, p.want)
		}
	}
}

// originSchema adds what the attempts of this file need.
const originSchema = `
CREATE VIEW v_plain AS SELECT id, name, email AS contact FROM people;
CREATE VIEW v_computed AS SELECT id, upper(name) AS loud, reverse(email) AS quiet, length(card) AS digits FROM people;
CREATE VIEW v_joined AS SELECT o.item, p.name, p.card FROM orders o JOIN people p ON p.id = o.person;
CREATE VIEW v_union AS SELECT id, name AS said FROM people UNION ALL SELECT id, email FROM people;
CREATE VIEW v_clean_union AS SELECT id, name AS said FROM people UNION ALL SELECT id, item FROM orders;
CREATE VIEW v_deep AS SELECT id, loud || '!' AS louder, quiet || '!' AS still FROM v_computed;
CREATE VIEW v_renamed (a, b) AS SELECT email, name FROM people;
CREATE VIEW v_swapped AS SELECT name AS email, email AS name, id FROM people;
CREATE VIEW v_star AS SELECT * FROM people;
CREATE VIEW v_counted AS SELECT count(*) AS n, max(name) AS last, max(email) AS top FROM people;
CREATE VIEW v_where AS SELECT g.n AS guess FROM people p, generate_series(7311234560, 7311234569) g(n) WHERE g.n = p.salary;
CREATE VIEW v_lateral AS SELECT p.id, l.x, l.y FROM people p, LATERAL (SELECT p.name AS x, p.email AS y) l;
CREATE VIEW v_cte AS WITH c AS (SELECT id, name, email FROM people) SELECT c.id, c.name, c.email FROM c;
CREATE VIEW v_invoker WITH (security_invoker = on) AS SELECT id, name, email FROM people;
CREATE MATERIALIZED VIEW m_stored AS SELECT id, name || '' AS n, email || '' AS e FROM people;
`

func TestBypassByOrigin(t *testing.T) {
	probeAll(t, newOriginRig(t), []probe{
		{"computed", []string{"SELECT upper(email), left(card, 8) FROM people", "SELECT name || email FROM people", "SELECT format('%s', email) FROM people"},
			"SELECT upper(name), name || '-' || id FROM people WHERE id < 3 ORDER BY id", "ADA,Ada-1;BOB,Bob-2"},
		{"subselect renames", []string{"SELECT name FROM (SELECT email AS name, name AS email FROM people) s", "SELECT upper(s.name) FROM (SELECT email, name FROM people) s(name, email)"},
			"SELECT upper(email) FROM (SELECT email AS name, name AS email FROM people WHERE id = 1) s", "ADA"},
		{"subselect of a star", []string{"SELECT upper(s.email) FROM (SELECT * FROM people) s", "SELECT upper(email) FROM (SELECT people.* FROM people) s", "SELECT upper(s.c) FROM (SELECT * FROM people) s(a, b, c)"},
			"SELECT upper(s.name) FROM (SELECT * FROM people) s WHERE s.id = 1", "ADA"},
		{"star of a star", []string{"SELECT x.email || '' FROM (SELECT * FROM (SELECT * FROM people) a) x", "SELECT email || '' FROM (SELECT * FROM (SELECT p.* FROM people p, orders o) a) x"},
			"SELECT x.name || '' FROM (SELECT * FROM (SELECT * FROM people) a) x WHERE x.id = 1", "Ada"},
		{"star and a twin name", []string{"SELECT s.x || '' FROM (SELECT *, email AS x FROM people) s", "SELECT s.text || '' FROM (SELECT *, email::text FROM orders, people) s", "SELECT s.lower || '' FROM (SELECT *, lower(email) FROM people) s"},
			"SELECT s.x || '' FROM (SELECT *, name AS x FROM people) s WHERE id = 1", "Ada"},
		{"star of a join", []string{"SELECT s.email || '' FROM (SELECT * FROM orders o JOIN people p ON p.id = o.person) s", "SELECT upper(email) FROM (SELECT o.*, p.email FROM orders o, people p) s"},
			"SELECT upper(item) FROM (SELECT o.*, p.name FROM orders o JOIN people p ON p.id = o.person) s WHERE name = 'Ada'", "TEA"},
		{"function of a starred row", []string{"SELECT s.to_jsonb FROM (SELECT * FROM people) s", "SELECT s.row_to_json FROM (SELECT * FROM people) s", "SELECT (s).to_json FROM (SELECT p.* FROM people p) s", "SELECT s.concat || '' FROM (SELECT * FROM people) s"},
			"SELECT to_jsonb(s.name) FROM (SELECT * FROM people) s WHERE id = 1", `"Ada"`},
		{"with", []string{"WITH c AS (SELECT id, email AS e FROM people) SELECT e || '' FROM c", "WITH c(name) AS (SELECT email FROM people) SELECT upper(name) FROM c", "WITH c AS (SELECT * FROM people) SELECT upper(c.email) FROM c"},
			"WITH c AS (SELECT * FROM people) SELECT upper(c.name) FROM c WHERE c.id = 1", "ADA"},
		{"with in with", []string{"WITH a AS (SELECT email AS x FROM people), b AS (SELECT x || '' AS y FROM a) SELECT y FROM b", "WITH a AS (WITH b AS (SELECT email FROM people) SELECT email AS z FROM b) SELECT upper(z) FROM a"},
			"WITH a AS (SELECT name AS x, email FROM people WHERE id = 1), b AS (SELECT x || '' AS y FROM a) SELECT y FROM b", "Ada"},
		{"recursive", []string{"WITH RECURSIVE r(n, x) AS (SELECT 1, ''::text UNION ALL SELECT n + 1, x || p.email FROM r JOIN people p ON p.id = n WHERE n < 3) SELECT x FROM r",
			"WITH RECURSIVE r(n, x, y) AS (SELECT 1, ''::text, ''::text UNION ALL SELECT n + 1, y, p.email FROM r JOIN people p ON p.id = n WHERE n < 4) SELECT x FROM r",
			"WITH RECURSIVE a AS (SELECT x FROM b), b AS (SELECT email AS x FROM people) SELECT upper(x) FROM a", "WITH RECURSIVE r AS (SELECT id, email FROM people UNION SELECT r.id + 10, r.email FROM r WHERE id < 9) SELECT r.email || '' FROM r"},
			"WITH RECURSIVE r(n, x) AS (SELECT 1, ''::text UNION ALL SELECT n + 1, x || p.name FROM r JOIN people p ON p.id = n WHERE n < 3) SELECT x FROM r ORDER BY n", ";Ada;AdaBob"},
		{"recursive search", []string{"WITH RECURSIVE r AS (SELECT id, email FROM people UNION ALL SELECT id + 10, email FROM r WHERE id < 5) SEARCH BREADTH FIRST BY email SET o SELECT o FROM r", "WITH RECURSIVE r AS (SELECT id, email FROM people UNION ALL SELECT id, email FROM r) CYCLE id, email SET c USING path SELECT path FROM r"},
			"WITH RECURSIVE r AS (SELECT id, name FROM people WHERE id = 1 UNION ALL SELECT id + 1, name FROM r WHERE id < 2) SELECT id, name FROM r ORDER BY 1", "1,Ada;2,Ada"},
		{"union", []string{"SELECT name FROM people UNION ALL SELECT email FROM people", "SELECT email FROM people UNION ALL SELECT name FROM people", "SELECT upper(x) FROM (SELECT name FROM people UNION ALL SELECT card FROM people) s(x)", "SELECT email FROM people UNION ALL SELECT 'x'"},
			"SELECT name FROM people WHERE id = 1 UNION ALL SELECT upper(name) FROM people WHERE id = 2 UNION ALL SELECT item FROM orders WHERE id = 1", "Ada;BOB;tea"},
		{"union beside", []string{"SELECT id, email FROM people UNION ALL SELECT id, name FROM people", "SELECT x.* FROM (SELECT id, name FROM people UNION ALL SELECT salary::int, email FROM people WHERE false) x"},
			"SELECT id, 'k' FROM people WHERE id = 1 UNION ALL SELECT person, item FROM orders WHERE id = 2", "1,k;2,jam"},
		{"unions of different width", []string{"SELECT * FROM people_view UNION ALL SELECT id, name, email FROM people", "SELECT * FROM (TABLE people_view UNION TABLE people_view) s"},
			"SELECT x FROM (SELECT id AS x, name AS y FROM people UNION SELECT id, name FROM people) s ORDER BY 1", "1;2;3"},
		{"intersection tells which guess is right", []string{"SELECT a FROM (SELECT v.c AS a, v.c AS b FROM (VALUES ('canary-ada@secret.example'), ('b')) v(c) INTERSECT SELECT v.c, p.email FROM people p, (VALUES ('canary-ada@secret.example'), ('b')) v(c)) s",
			"SELECT 'canary-ada@secret.' || 'example', n FROM (VALUES ('canary-ada@secret.example')) w(n) INTERSECT SELECT 'canary-ada@secret.' || 'example', email FROM people",
			"SELECT v.c, v.c FROM (VALUES ('canary-ada@secret.example'), ('b')) v(c) INTERSECT SELECT v.c, p.email FROM people p, (VALUES ('canary-ada@secret.example'), ('b')) v(c)"},
			"SELECT v.c, v.d FROM (VALUES ('t', 'Ada')) v(c, d) INTERSECT SELECT 't', name FROM people", "t,Ada"},
		{"values", []string{"SELECT x FROM people p, LATERAL (VALUES (p.name), (p.email)) v(x)", "SELECT upper(v.y) FROM people p, LATERAL (VALUES (p.name, p.card)) v(x, y)"},
			"SELECT x FROM people p, LATERAL (VALUES (p.name), (upper(p.name))) v(x) WHERE p.id = 1 ORDER BY 1", "ADA;Ada"},
		{"lateral", []string{"SELECT l.x FROM people p, LATERAL (SELECT p.email || '' AS x) l", "SELECT l.x FROM people p, LATERAL (SELECT s.y AS x FROM (SELECT p.card AS y) s) l", "SELECT upper(l.email) FROM people p, LATERAL (SELECT p.*) l"},
			"SELECT l.x || '' FROM people p, LATERAL (SELECT p.name AS x, p.email AS y) l WHERE p.id = 1", "Ada"},
		{"scalar subselect", []string{"SELECT (SELECT lower(email) FROM people WHERE id = 1)", "SELECT upper((SELECT s.e FROM (SELECT email AS e, name FROM people) s LIMIT 1))"},
			"SELECT (SELECT s.name FROM (SELECT email AS e, name, id FROM people) s WHERE s.id = 1)", "Ada"},
		{"exists", []string{"SELECT CASE WHEN EXISTS (SELECT FROM people WHERE email LIKE 'canary-ada%') THEN 'canary-ada' || '@secret.example' END", "SELECT EXISTS (SELECT 1 FROM people), (SELECT email FROM people LIMIT 1) || ''"},
			"SELECT EXISTS (SELECT email FROM people WHERE id = 1)", "t"},
		{"arrays", []string{"SELECT ARRAY(SELECT email FROM people)", "SELECT (ARRAY[name, email])[2] FROM people", "SELECT array_agg(email) FROM people", "SELECT unnest(ARRAY[email]) FROM people"},
			"SELECT ARRAY(SELECT name FROM people ORDER BY id LIMIT 2), (SELECT (ARRAY[name, name])[2] FROM people WHERE id = 1)", "{Ada,Bob},Ada"},
		{"aggregates", []string{"SELECT string_agg(email, ','), max(card), min(ssn) FROM people", "SELECT count(*), max(email) FROM people GROUP BY id", "SELECT mode() WITHIN GROUP (ORDER BY email) FROM people", "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY salary) FROM people"},
			"SELECT string_agg(name, ',' ORDER BY id), max(name), sum(age) FROM people", "Ada,Bob,Cyd,Cyd,83"},
		{"windows", []string{"SELECT lag(email) OVER (ORDER BY id), first_value(card) OVER (ORDER BY id) FROM people"},
			"SELECT lag(name) OVER (ORDER BY id), upper(first_value(name) OVER (ORDER BY id)) FROM people ORDER BY id OFFSET 1 LIMIT 1", "Ada,ADA"},
		{"json", []string{"SELECT json_build_object('a', name, 'b', email) FROM people", "SELECT to_jsonb(p) FROM people p", "SELECT json_agg(s) FROM (SELECT name, email FROM people) s", "SELECT jsonb_object_agg(id, email) FROM people", "SELECT jsonb_set('{}', '{a}', to_jsonb(email)) FROM people"},
			`SELECT json_build_object('a', name)::text, (SELECT json_agg(s)::text FROM (SELECT name FROM people WHERE id = 1) s) FROM people WHERE id = 1`, `{"a" : "Ada"},[{"name":"Ada"}]`},
		{"rows", []string{"SELECT row(name, email) FROM people", "SELECT p FROM people p", "SELECT s FROM (SELECT email FROM people) s", "SELECT (s).e || '' FROM (SELECT email AS e FROM people) s", "SELECT (SELECT p FROM people p LIMIT 1)"},
			"SELECT row(id, name) FROM people WHERE id = 1", "(1,Ada)"},
		{"case and friends", []string{"SELECT CASE WHEN id = 1 THEN email ELSE name END FROM people", "SELECT CASE WHEN email LIKE 'canary-ada%' THEN 'canary-ada' || '@secret.example' ELSE '' END FROM people", "SELECT coalesce(NULL, email), nullif(email, ''), greatest(email, name) FROM people"},
			"SELECT CASE WHEN id = 1 THEN name ELSE upper(name) END, coalesce(NULL, name), greatest(name, 'A') FROM people WHERE id < 3 ORDER BY id", "Ada,Ada,Ada;BOB,Bob,Bob"},
		{"casts", []string{"SELECT email::varchar(40), card::bigint, salary::text, born::timestamp FROM people", "SELECT CAST(token AS text), profile::text FROM people", "SELECT email::bytea FROM people"},
			"SELECT name::varchar(2), id::text, age::numeric FROM people WHERE id = 1", "Ad,1,41"},
		{"using", []string{"SELECT upper(email) FROM people JOIN logins USING (email)", "SELECT upper(j.email) FROM people JOIN logins USING (email) AS j", "SELECT email FROM (SELECT name AS email FROM people) a FULL JOIN people USING (email)", "SELECT email || '' FROM (SELECT name AS email FROM people) a NATURAL FULL JOIN (SELECT email FROM people) b"},
			"SELECT upper(name) FROM people JOIN (SELECT id FROM orders) o USING (id) WHERE id = 1", "ADA"},
		{"ambiguous names", []string{"SELECT upper(email) FROM orders, people", "SELECT email || '' FROM (SELECT id FROM orders) o, people", "SELECT (SELECT upper(email) FROM orders WHERE orders.id = people.id) FROM people"},
			"SELECT upper(name), item || '' FROM orders, people WHERE people.id = 1 AND orders.id = 1", "ADA,tea"},
		{"functions in FROM", []string{"SELECT x FROM people, unnest(ARRAY[name, email]) x", "SELECT c FROM people, regexp_split_to_table(email, '-') c", "SELECT k.value FROM people, jsonb_each_text(to_jsonb(people)) k", "SELECT x.e FROM people, jsonb_to_record(jsonb_build_object('e', email)) x(e text)"},
			"SELECT x FROM people, unnest(ARRAY[name, upper(name)]) x WHERE people.id = 1 ORDER BY 1", "ADA;Ada"},
		{"xml and json tables", []string{"SELECT t.v FROM people, XMLTABLE('/a' PASSING xmlelement(name a, email) COLUMNS v text PATH '.') t"},
			"SELECT t.v FROM people, XMLTABLE('/a' PASSING xmlelement(name a, name) COLUMNS v text PATH '.') t WHERE people.id = 1", "Ada"},
		{"generated columns", []string{"SELECT email_copy FROM people", "SELECT upper(s.c) FROM (SELECT email_copy AS c FROM people) s"}, "SELECT s.n || '' FROM (SELECT email_copy AS c, name AS n FROM people WHERE id = 1) s", "Ada"},
		{"children and partitions", []string{"SELECT upper(email) FROM vips", "SELECT email || '' FROM events_1", "SELECT tableoid::regclass || email FROM people"},
			"SELECT upper(name) FROM vips", "CYD"},
		{"alias with columns", []string{"SELECT upper(a) FROM people AS t(x, y, a)", "SELECT z || '' FROM (SELECT id, email FROM people) s(y, z)", "SELECT b FROM people p(a, b, c), LATERAL (SELECT p.c AS d) l WHERE l.d > '' UNION ALL SELECT upper(c) FROM people AS p(a, b, c)"},
			"SELECT upper(y) FROM people AS t(x, y, a) WHERE x = 1", "ADA"},
		{"quoted names", []string{`SELECT upper("E-Mail") FROM "People Data"`, `SELECT U&"em\0061il" || '' FROM people`}, `SELECT "Id" + 1 FROM "People Data"`, "2"},
		{"system columns", []string{"SELECT ctid::text || email FROM people"}, "SELECT ctid::text || name FROM people WHERE id = 1", "(0,1)Ada"},
		{"expressions in order", []string{"SELECT email || '' FROM people ORDER BY 1", "SELECT DISTINCT lower(email) FROM people", "SELECT DISTINCT ON (id) email || '' FROM people"},
			"SELECT DISTINCT upper(name) FROM people ORDER BY 1", "ADA;BOB;CYD"},
		{"prepared and executed", []string{"EXECUTE nothing", "FETCH ALL FROM nothing"}, "SELECT upper(name) FROM people WHERE id = (SELECT min(id) FROM people)", "ADA"},
		{"values chosen by masked columns", []string{"SELECT max('canary-ada@secret.example') FROM people WHERE email LIKE 'canary-ada%'", "SELECT g * 1 FROM people p, generate_series(7311234560, 7311234569) g WHERE g = p.salary", "SELECT sum(o.person * 0 + 7311234567) FROM orders o, people p WHERE p.email > 'c' AND p.id = o.id AND o.id = 1"},
			"SELECT upper(name) FROM people WHERE email = 'canary-ada@secret.example'", "ADA"},
		{"sums over rows that masked columns choose", []string{"SELECT count(*) * o.id FROM orders o, generate_series(1, 100) g, people p WHERE p.salary > g GROUP BY o.id", "SELECT 7311234567 + 0 * sum(o.id) FROM orders o, people p WHERE p.salary > o.id"},
			"SELECT sum(o.id) FROM orders o, people p WHERE p.id = o.person", "3"},
	})
}

func TestBypassByViewOrigin(t *testing.T) {
	probeAll(t, newOriginRig(t), []probe{
		{"plain view", []string{"SELECT contact FROM v_plain", "SELECT upper(contact) FROM v_plain", "SELECT * FROM v_plain"}, "SELECT name, upper(name) FROM v_plain WHERE id = 1", "Ada,ADA"},
		{"computed view", []string{"SELECT quiet, digits FROM v_computed", "TABLE v_computed"}, "SELECT loud, reverse(loud) FROM v_computed WHERE id = 1", "ADA,ADA"},
		{"joined view", []string{"SELECT card FROM v_joined", "SELECT item || card FROM v_joined"}, "SELECT item, name FROM v_joined ORDER BY 1", "jam,Bob;tea,Ada"},
		{"view of a union", []string{"SELECT said FROM v_union", "SELECT upper(said) FROM v_union"}, "SELECT said FROM v_clean_union WHERE id = 1 ORDER BY 1", "Ada;tea"},
		{"view of a view", []string{"SELECT still FROM v_deep", "SELECT contact FROM people_nested"}, "SELECT louder FROM v_deep WHERE id = 1", "ADA!"},
		{"renamed view", []string{"SELECT a FROM v_renamed", "SELECT a || b FROM v_renamed"}, "SELECT b || '' FROM v_renamed ORDER BY 1 LIMIT 1", "Ada"},
		{"swapped view", []string{"SELECT name FROM v_swapped", "SELECT upper(name) FROM v_swapped"}, "SELECT email, upper(email) FROM v_swapped WHERE id = 1", "Ada,ADA"},
		{"view of a star", []string{"SELECT email FROM v_star", "SELECT * FROM v_star", "SELECT s FROM v_star s"}, "SELECT name, age + 1 FROM v_star WHERE id = 1", "Ada,42"},
		{"view of counts", []string{"SELECT top FROM v_counted", "SELECT upper(top) FROM v_counted"}, "SELECT n, last FROM v_counted", "3,Cyd"},
		{"view that masked columns choose", []string{"SELECT guess FROM v_where", "SELECT guess + 0 FROM v_where"}, "SELECT name FROM v_plain WHERE contact = 'canary-ada@secret.example'", "Ada"},
		{"lateral view", []string{"SELECT y FROM v_lateral", "SELECT x || y FROM v_lateral"}, "SELECT x, upper(x) FROM v_lateral WHERE id = 1", "Ada,ADA"},
		{"view with a query in WITH", []string{"SELECT email FROM v_cte", "SELECT lower(email) FROM v_cte"}, "SELECT upper(name) FROM v_cte WHERE id = 1", "ADA"},
		{"invoker's view", []string{"SELECT email FROM v_invoker", "SELECT upper(email) FROM v_invoker"}, "SELECT upper(name) FROM v_invoker WHERE id = 1", "ADA"},
		{"stored view", []string{"SELECT e FROM m_stored", "SELECT upper(e) FROM m_stored"}, "SELECT n, upper(n) FROM m_stored WHERE id = 1", "Ada,ADA"},
		{"view of whole rows", []string{"SELECT person FROM people_whole", "SELECT (person).email FROM people_whole", "SELECT (person).email || '' FROM people_whole"}, "SELECT count(*) FROM people_whole", "3"},
		{"view over code", []string{"SELECT said FROM leak_view", "SELECT upper(said) FROM leak_view", "SELECT said FROM leak_xml_view", "SELECT said FROM statistics_view"}, "SELECT upper(item) FROM orders_view WHERE id = 1", "TEA"},
		{"views in queries", []string{"WITH c AS (SELECT * FROM v_swapped) SELECT upper(c.name) FROM c", "SELECT email FROM people_view UNION ALL SELECT name FROM v_plain", "SELECT (SELECT contact FROM v_plain LIMIT 1)", "SELECT row_to_json(v) FROM v_plain v"},
			"WITH c AS (SELECT * FROM v_swapped) SELECT upper(c.email) FROM c WHERE id = 1 UNION ALL SELECT name FROM v_plain WHERE id = 2", "ADA;Bob"},
	})
}

func newOriginRig(t *testing.T) *rig {
	t.Helper()
	return newBypassRig(t, maskedColumns(), originSchema)
}
