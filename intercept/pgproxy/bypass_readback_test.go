package pgproxy_test

import "testing"

// What is put away in another shape, and read from there, is masked or refused like
// the column that it came from.
func TestBypassByReadingBack(t *testing.T) {
	tryAll(t, []attempt{
		{"tables of odd types", []string{"CREATE TABLE loot AS SELECT email::bytea AS b, salary::bit(64) AS n, born::text::xml AS x FROM people", "CREATE TABLE loot AS SELECT ARRAY[email] AS a, int8range(salary, salary, '[]') AS r FROM people", "CREATE TABLE loot AS SELECT p FROM people p",
			"CREATE TABLE loot AS SELECT to_tsvector('simple', email) AS v FROM people", "CREATE TABLE loot (a text[], r int8range)", "INSERT INTO loot SELECT ARRAY[email], int8range(salary, NULL) FROM people", "TABLE loot", "SELECT unnest(a), lower(r) FROM loot", "SELECT p FROM loot", "SELECT convert_from(b, 'UTF8'), n::int8, x FROM loot"},
			"CREATE TABLE fine AS SELECT ARRAY[item] AS a FROM orders", ""},
		{"rows in columns", []string{"CREATE TABLE loot (p people)", "INSERT INTO loot SELECT p FROM people p", "INSERT INTO loot VALUES ((SELECT p FROM people p LIMIT 1))", "SELECT (p).email FROM loot", "SELECT p::text FROM loot", "CREATE TABLE loot2 (ps people[])", "INSERT INTO loot2 SELECT array_agg(p) FROM people p", "SELECT (ps[1]).email FROM loot2"},
			"CREATE TABLE fine (o orders)", ""},
		{"domains over rows", []string{"CREATE DOMAIN whole AS people", "CREATE TABLE loot (w whole)", "INSERT INTO loot SELECT p::whole FROM people p", "SELECT (w).email FROM loot", "SELECT (p::whole).email FROM people p", "SELECT p::whole FROM people p", "SELECT (ROW(p.*)::people).email FROM people p", "SELECT ARRAY[p]::people[] FROM people p", "SELECT (ARRAY[p]::whole[])[1] FROM people p"},
			"CREATE DOMAIN line AS orders", ""},
		{"values in a domain's constraint", []string{"CREATE DOMAIN guess AS text CHECK (value <> 'canary-ada@secret.example')", "SELECT email::guess FROM people", "CREATE DOMAIN other AS text CHECK (length(value) < 3)", "SELECT email::other FROM people", "SELECT 1 FROM people WHERE email::other IS NULL", "INSERT INTO notes (body) SELECT email::other FROM people"},
			"CREATE DOMAIN fine AS text CHECK (value <> '')", ""},
		{"defaults and checks", []string{"CREATE TABLE loot (id int, x text DEFAULT leak())", "INSERT INTO loot VALUES (1) RETURNING x", "SELECT x FROM loot", "ALTER TABLE orders ADD COLUMN y text DEFAULT leak()", "SELECT y FROM orders", "ALTER TABLE orders ALTER COLUMN item SET DEFAULT leak()", "INSERT INTO orders (id) VALUES (70) RETURNING item", "SELECT item FROM orders", "CREATE TABLE checked (x text CHECK (x < leak()))", "INSERT INTO checked VALUES ('zz')", "ALTER TABLE people ADD CHECK (email < 'd')", "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef"},
			"CREATE TABLE fine (x text DEFAULT 'y')", ""},
		{"views of odd types", []string{"CREATE VIEW loot AS SELECT ARRAY[email] AS a, ROW(card) AS r, to_jsonb(p) AS j FROM people p", "SELECT a[1], r::text, j->>'email' FROM loot", "CREATE MATERIALIZED VIEW stored AS SELECT encode(email::bytea, 'hex') AS h FROM people", "SELECT h FROM stored", "REFRESH MATERIALIZED VIEW people_stored", "SELECT contact FROM people_stored", "CREATE RECURSIVE VIEW rec (x) AS SELECT email FROM people UNION SELECT x FROM rec", "SELECT x FROM rec"},
			"CREATE VIEW fine AS SELECT ARRAY[item] AS a FROM orders", ""},
		{"foreign keys", []string{"CREATE TABLE loot (email text REFERENCES people (email))", "INSERT INTO loot VALUES ('nobody')", "INSERT INTO loot SELECT email FROM people", "SELECT email FROM loot", "INSERT INTO logins VALUES (9, 'nobody') RETURNING email", "DELETE FROM people WHERE id = 1 RETURNING email", "UPDATE people SET email = 'x' WHERE id = 1 RETURNING *", "UPDATE logins SET id = 5 RETURNING logins"},
			"UPDATE orders SET person = person WHERE id = 1 RETURNING id", "1"},
		{"upsert returning", []string{"INSERT INTO people (id, name, email) VALUES (1, 'x', 'y') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING email", "INSERT INTO people (id, email) VALUES (1, 'y') ON CONFLICT (id) DO UPDATE SET name = people.email RETURNING name", "INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE people.email > 'c' RETURNING people", "INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO NOTHING RETURNING *"},
			"INSERT INTO orders VALUES (1, 1, 'x') ON CONFLICT (id) DO UPDATE SET item = orders.item RETURNING item", "tea"},
		{"returning of old and merged rows", []string{"UPDATE people SET email = 'x' FROM (SELECT id, email AS old FROM people) o WHERE o.id = people.id RETURNING o.old", "UPDATE people SET email = 'x' RETURNING old.email", "UPDATE people SET email = 'x' RETURNING WITH (OLD AS o) o.email", "WITH d AS (DELETE FROM logins RETURNING *) SELECT email FROM d", "WITH u AS (UPDATE people SET age = age RETURNING *) SELECT u::text FROM u",
			"MERGE INTO people p USING orders o ON o.person = p.id WHEN MATCHED THEN UPDATE SET age = 5 RETURNING p.email", "MERGE INTO people p USING orders o ON o.person = p.id WHEN MATCHED THEN UPDATE SET name = p.email", "SELECT name FROM people"},
			"WITH u AS (UPDATE orders SET item = item WHERE id = 2 RETURNING *) SELECT item FROM u", "jam"},
		{"cursors that are held", []string{"DECLARE held CURSOR WITH HOLD FOR SELECT ARRAY[email], ROW(card), to_jsonb(p) FROM people p", "FETCH ALL held", "FETCH RELATIVE 0 FROM held", "DECLARE bin BINARY CURSOR WITH HOLD FOR SELECT salary, int8range(salary, NULL), born FROM people", "FETCH ALL bin", "MOVE FORWARD 1 IN held", "SELECT statement FROM pg_cursors", "CLOSE ALL"},
			"BEGIN; DECLARE c CURSOR FOR SELECT ARRAY[item] FROM orders ORDER BY id; FETCH 1 FROM c", "{tea}"},
		{"statistics", []string{"CREATE STATISTICS st (mcv) ON email, card FROM people", "CREATE STATISTICS se ON (upper(email)), (reverse(card)) FROM people", "ANALYZE people", "SELECT stxdmcv::text FROM pg_statistic_ext_data", "SELECT m.* FROM pg_statistic_ext_data, pg_mcv_list_items(stxdmcv) m", "SELECT most_common_vals FROM pg_stats_ext", "SELECT histogram_bounds::text FROM pg_stats_ext_exprs", "SELECT s FROM pg_stats_ext s", "SELECT stxdexpr::text FROM pg_statistic_ext_data", "SELECT most_common_freqs, n_distinct, correlation, avg_width FROM pg_stats WHERE tablename = 'people'"},
			"SELECT stxname FROM pg_statistic_ext WHERE false", ""},
		{"the log of writes", []string{"SELECT pg_walfile_name(pg_current_wal_lsn())", "SELECT pg_read_binary_file('pg_wal/' || pg_walfile_name(pg_current_wal_lsn()))", "SELECT pg_logical_emit_message(true, 'x', (SELECT email FROM people LIMIT 1))", "SELECT lsn, data FROM pg_logical_slot_peek_binary_changes('s', NULL, NULL)", "CREATE PUBLICATION loot FOR TABLE people", "SELECT rowfilter FROM pg_publication_tables"},
			"SELECT pubname FROM pg_publication WHERE pubname = 'none'", ""},
		{"comments, labels and names", []string{"CREATE TABLE loot AS SELECT 1 AS \"canary\" FROM people WHERE email > 'c'", "SELECT format('CREATE TABLE %I ()', email) FROM people", "SELECT quote_ident(email) FROM people", "CREATE TYPE loot AS ENUM ('x')", "SELECT enum_range(NULL::loot)", "SELECT col_description(1, 1), email FROM people", "SELECT to_regtype(email), to_regclass(card) FROM people"},
			"CREATE TYPE fine AS ENUM ('x')", ""},
		{"SQL/JSON", []string{"SELECT json_object('k': email) FROM people", "SELECT json_array(email, card) FROM people", "SELECT json_arrayagg(email) FROM people", "SELECT json_objectagg(id: email) FROM people", "SELECT json_scalar(email) FROM people", "SELECT json_serialize(profile) FROM people", "SELECT json(email) FROM people", "SELECT * FROM people, JSON_TABLE(profile, '$' COLUMNS (note text PATH '$.note')) j", "SELECT json_query(profile, '$.note') FROM people", "SELECT json_value(profile, '$.note') FROM people", "SELECT json_exists(profile, '$.note') FROM people", "SELECT profile IS JSON OBJECT FROM people"},
			"SELECT json_build_object('k', item)->>'k' FROM orders WHERE id = 1", "tea"},
		{"large objects and bytes", []string{"SELECT lo_from_bytea(0, convert_to(email, 'UTF8')) FROM people", "SELECT lo_put(lo_create(0), 0, photo) FROM people", "SELECT lo_get(oid) FROM pg_largeobject_metadata", "SELECT convert_from(data, 'UTF8') FROM pg_largeobject", "SELECT l::text FROM pg_largeobject l"},
			"SELECT count(*) FROM pg_largeobject", "0"},
	})
}
