package pgproxy_test

import "testing"

func TestBypassByRelation(t *testing.T) {
	tryAll(t, []attempt{
		{"view", []string{"SELECT * FROM people_view", "SELECT email AS x FROM people_view", "SELECT name FROM people_view WHERE name = (SELECT email FROM people_view LIMIT 1)"},
			"SELECT * FROM orders_view ORDER BY 1", "1,tea;2,jam"},
		{"view of a view", []string{"SELECT contact FROM people_nested", "SELECT contact || '' FROM people_nested", "SELECT n FROM people_nested n"}, "SELECT count(*) FROM people_nested", "3"},
		{"view of whole rows", []string{"SELECT person FROM people_whole", "SELECT (person).email FROM people_whole", "SELECT (w.person).* FROM people_whole w"}, "SELECT count(*) FROM people_whole", "3"},
		{"materialised view", []string{"SELECT contact FROM people_stored", "SELECT * FROM people_stored", "TABLE people_stored"}, "SELECT count(*) FROM people_stored", "3"},
		{"view over code", []string{"SELECT * FROM leak_view", "SELECT said FROM leak_view"}, "SELECT count(*) FROM leak_view", "1"},
		{"view over code that runs SQL", []string{"SELECT * FROM leak_xml_view", "SELECT said::text FROM leak_xml_view"}, "SELECT count(*) FROM leak_xml_view", "1"},
		{"view over statistics", []string{"SELECT said FROM statistics_view"}, "SELECT count(*) > 0 FROM statistics_view", "t"},
		{"child", []string{"SELECT email FROM vips", "SELECT * FROM vips", "SELECT v FROM vips v"}, "SELECT name, perk FROM vips", "Cyd,"},
		{"parent", []string{"SELECT h FROM humans h", "SELECT * FROM humans", "SELECT (SELECT to_json(p) FROM people p WHERE p.tableoid = h.tableoid LIMIT 1) FROM humans h"},
			"SELECT name FROM humans ORDER BY id", "Ada;Bob;Cyd"},
		{"partition", []string{"SELECT email FROM events_1", "SELECT * FROM events", "SELECT e::text FROM events_1 e"}, "SELECT id FROM events_1", "1"},
		{"function", []string{"SELECT leak()", "SELECT * FROM leak()", "SELECT email FROM leak_rows()", "SELECT * FROM leak_rows()", "SELECT (leak_rows()).email", "SELECT public.leak()", `SELECT "leak"()`},
			"SELECT upper('tea')", "TEA"},
		{"function in place of a built-in one", []string{"SELECT lower(1)", "SELECT x FROM lower(2) x", "SELECT lower(id) FROM orders"}, "SELECT upper('a')", "A"},
		{"operator", []string{"SELECT 1 <~> 2", "SELECT id <~> 1 FROM orders", "SELECT 1 OPERATOR(public.<~>) 2", "SELECT (SELECT 1 <~> 1)"}, "SELECT 1 < 2", "t"},
		{"procedure", []string{"CALL leak_call('')", "DO $$ BEGIN RAISE NOTICE '%', leak(); END $$"}, "SELECT proname FROM pg_proc WHERE proname = 'leak_call'", "leak_call"},
		{"statistics", []string{"SELECT * FROM pg_stats WHERE tablename = 'people'", "SELECT most_common_vals::text FROM pg_stats", "SELECT histogram_bounds::text FROM pg_stats", "SELECT stavalues1::text FROM pg_statistic", "SELECT s::text FROM pg_stats s"},
			"SELECT reltuples FROM pg_class WHERE relname = 'orders'", "2"},
		{"activity of others", []string{"SELECT 'canary-ada' FROM people WHERE email = 'canary-ada@secret.example' AND false", "SELECT query FROM pg_stat_activity", "SELECT a FROM pg_stat_activity a", "SELECT left(query, 500) FROM pg_stat_activity"},
			"SELECT count(*) > 0 FROM pg_stat_activity", "t"},
		{"files and objects", []string{"SELECT pg_read_file(pg_relation_filepath('people'))", "SELECT encode(pg_read_binary_file(pg_relation_filepath('people')), 'escape')", "SELECT lo_get(1)"}, "SELECT pg_relation_size('orders') > 0", "t"},
		{"functions that run SQL", []string{"SELECT query_to_xml('SELECT email FROM people', true, true, '')", "SELECT table_to_xml('people', true, true, '')", "SELECT database_to_xml(true, true, '')",
			"SELECT schema_to_xml('public', true, true, '')", "SELECT * FROM xpath('//email', table_to_xml('people', true, true, ''))", "SELECT * FROM ts_stat('SELECT to_tsvector(email) FROM people')"},
			"SELECT xpath('/a/text()', '<a>tea</a>')", "{tea}"},
		{"dblink", []string{"CREATE EXTENSION dblink", "SELECT * FROM dblink('dbname=' || current_database(), 'SELECT email FROM people') AS t(x text)", "SELECT * FROM public.dblink('dbname=' || current_database(), 'SELECT email FROM people') AS t(x text)"}, "SELECT count(*) FROM pg_extension WHERE extname = 'plpgsql'", "1"},
		{"toast and sequences", []string{"SELECT * FROM people, tickets"}, "SELECT last_value FROM tickets", "1"},
	})
}

func TestUnmaskedWorkGoesOn(t *testing.T) {
	tryAll(t, []attempt{
		{"counts", nil, "SELECT count(*), count(name), count(DISTINCT name) FROM people", "3,3,3"},
		{"exists", nil, "SELECT EXISTS (SELECT 1 FROM people WHERE id = 1)", "t"},
		{"by key", nil, "SELECT id, name, age FROM people WHERE id = 1", "1,Ada,41"},
		{"join", nil, "SELECT o.item, p.name FROM orders o LEFT JOIN people p ON p.id = o.person ORDER BY o.id", "tea,Ada;jam,Bob"},
		{"star over an unmasked table", nil, "SELECT o.* FROM orders o JOIN people p ON p.id = o.person ORDER BY 1", "1,1,tea;2,2,jam"},
		{"subquery in FROM", nil, "SELECT s.name FROM (SELECT * FROM people WHERE id = 1) s", "Ada"},
		{"computed from the unmasked", nil, "SELECT upper(item), person * 2 FROM orders ORDER BY id", "TEA,2;JAM,4"},
		{"session", nil, "SELECT current_user = session_user, current_schema(), current_setting('server_encoding')", "t,public,UTF8"},
		{"show", nil, "SHOW server_encoding", "UTF8"},
		{"columns of a table", nil, "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders' ORDER BY ordinal_position", "id;person;item"},
		{"tables", nil, "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'other' AND pg_catalog.pg_table_is_visible(c.oid) = false", "people"},
		{"types", nil, "SELECT t.oid, t.typname FROM pg_type t WHERE typname = 'int4'", "23,int4"},
		{"explain", nil, "EXPLAIN (COSTS off) SELECT item FROM orders WHERE person = 5", "Seq Scan on orders;  Filter: (person = 5)"},
		{"with", nil, "WITH a AS (SELECT id FROM people WHERE id < 3) SELECT count(*) FROM a", "2"},
		{"grouped", nil, "SELECT age, count(*) FROM people WHERE age IS NOT NULL GROUP BY age ORDER BY age", "41,1;42,1"},
		{"insert", nil, "INSERT INTO notes (body) SELECT name FROM people WHERE id = 1 RETURNING body", "Ada"},
		{"insert into the masked", nil, "INSERT INTO people (id, name, email) VALUES (9, 'Eve', 'eve@new.example') ON CONFLICT (id) DO UPDATE SET email = excluded.email RETURNING id", "9"},
		{"update the masked", nil, "UPDATE people SET email = 'dan@new.example', age = coalesce(age, 0) + 0 WHERE id = 2 RETURNING id, name", "2,Bob"},
		{"delete from the masked", nil, "WITH d AS (DELETE FROM people WHERE id = 9 RETURNING name) SELECT count(*) >= 0 FROM d", "t"},
	})
}
