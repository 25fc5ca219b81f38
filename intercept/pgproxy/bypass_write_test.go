package pgproxy_test

import "testing"

func TestBypassByStoring(t *testing.T) {
	tryAll(t, []attempt{
		{"returning", []string{"UPDATE people SET age = age RETURNING email AS name", "INSERT INTO people (id, email) SELECT 50, 'x' RETURNING (SELECT email FROM people LIMIT 1)", "UPDATE people_view SET name = name RETURNING email", "UPDATE orders SET item = item FROM people p WHERE p.id = person RETURNING p.email, p",
			"DELETE FROM orders USING people p WHERE p.id = person RETURNING p.card"}, "UPDATE other.people SET id = id RETURNING email", "open@public.example"},
		{"insert select", []string{"INSERT INTO notes (body) SELECT email FROM people", "INSERT INTO notes (body) VALUES ((SELECT email FROM people LIMIT 1))", "INSERT INTO notes (body) TABLE leak_view", "INSERT INTO notes (body) SELECT email FROM people_view",
			"INSERT INTO notes (body) SELECT email_copy FROM people", "INSERT INTO notes (body) SELECT leak()", "INSERT INTO notes (body) SELECT substr(email, 1, 10) FROM ONLY people", "WITH x AS (SELECT * FROM people) INSERT INTO notes (body) SELECT x.email FROM x", "SELECT body FROM notes", "TABLE notes"},
			"INSERT INTO notes (body) SELECT item FROM orders WHERE id = 1 RETURNING body", "tea"},
		{"insert select filtered", []string{"INSERT INTO notes (body) SELECT p::text FROM people p", "INSERT INTO notes (body) SELECT to_json(people) FROM people", "SELECT * FROM notes"}, "INSERT INTO notes (body) SELECT o::text FROM orders o WHERE id = 1 RETURNING body", "(1,1,tea)"},
		{"update set", []string{"UPDATE notes SET body = (SELECT email FROM people LIMIT 1)", "UPDATE orders SET item = email FROM people p WHERE p.id = person", "UPDATE people SET name = email", "UPDATE people SET (name, age) = (SELECT email, 1)", "UPDATE people_view SET name = email", "SELECT * FROM orders, notes", "SELECT name FROM people"},
			"UPDATE people SET name = upper(name) WHERE id = 2 RETURNING name", "BOB"},
		{"upsert and merge", []string{"INSERT INTO orders SELECT id, 1, 'x' FROM people ON CONFLICT (id) DO UPDATE SET item = (SELECT email FROM people LIMIT 1)", "INSERT INTO people (id, name, email) SELECT id, name, 'z' || id FROM people ON CONFLICT (id) DO UPDATE SET name = people.email",
			"MERGE INTO orders o USING people p ON p.id = o.person WHEN MATCHED THEN UPDATE SET item = p.email", "MERGE INTO notes n USING people p ON false WHEN NOT MATCHED THEN INSERT (body) VALUES (p.email)", "TABLE orders", "TABLE notes", "SELECT name FROM people"},
			"MERGE INTO orders o USING people p ON p.id = o.person WHEN MATCHED THEN UPDATE SET item = p.name", ""},
		{"create table as", []string{"CREATE TABLE loot AS SELECT email FROM people", "SELECT email INTO loot FROM people", "CREATE TABLE loot AS TABLE people", "SELECT * INTO TEMP loot FROM people_view", "CREATE MATERIALIZED VIEW loot AS SELECT email FROM people", "SELECT * FROM loot"},
			"CREATE TABLE fine AS SELECT id, name FROM people", ""},
		{"create view", []string{"CREATE VIEW loot AS SELECT email FROM people", "CREATE VIEW loot AS SELECT leak()", "CREATE TEMP VIEW orders AS SELECT email AS item FROM people", "CREATE OR REPLACE VIEW orders_view AS SELECT id, email FROM people", "SELECT * FROM loot", "SELECT item FROM orders", "SELECT * FROM orders_view"},
			"CREATE VIEW fine AS SELECT id, item FROM orders", ""},
		{"create function", []string{"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT email FROM people LIMIT 1'", "CREATE FUNCTION abs(text) RETURNS text LANGUAGE sql AS 'SELECT email FROM people LIMIT 1'", "CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT email FROM people LIMIT 1; END", "SELECT f()", "SELECT abs('x'::text)"}, "DROP FUNCTION IF EXISTS same(int)", ""},
		{"temporary table", []string{"CREATE TEMP TABLE people AS SELECT * FROM public.people", "CREATE TEMP TABLE orders AS SELECT * FROM people", "SELECT email FROM people", "SELECT * FROM orders", "SELECT email FROM public.people"},
			"CREATE TEMP TABLE fine (id int)", ""},
		{"rename column", []string{"ALTER TABLE people RENAME COLUMN email TO open", "SELECT open FROM people", "ALTER TABLE people RENAME name TO n", "SELECT * FROM people"}, "ALTER TABLE orders RENAME COLUMN item TO thing", ""},
		{"rename table", []string{"ALTER TABLE people RENAME TO persons", "SELECT * FROM persons", "ALTER TABLE people SET SCHEMA other", "SELECT * FROM other.people", "ALTER SCHEMA public RENAME TO p2", "SELECT * FROM p2.people"}, "ALTER TABLE orders RENAME TO orders2", ""},
		{"rename in a transaction", []string{"BEGIN", "ALTER TABLE people RENAME COLUMN email TO open", "SELECT open FROM people", "ROLLBACK", "BEGIN", "ALTER TABLE orders RENAME TO o2", "ALTER TABLE people RENAME TO orders", "SELECT email FROM orders", "COMMIT", "SELECT email FROM orders"}, "BEGIN; ALTER TABLE notes RENAME TO n2; SELECT count(*) FROM n2", "0"},
		{"rename in one text", []string{"ALTER TABLE orders RENAME TO o2; ALTER TABLE people RENAME TO orders; SELECT email FROM orders", "BEGIN; DROP TABLE orders; CREATE VIEW orders AS SELECT * FROM people; SELECT * FROM orders; COMMIT"}, "ALTER TABLE notes RENAME TO n2; SELECT count(*) FROM n2", "0"},
		{"detach", []string{"ALTER TABLE events DETACH PARTITION events_1", "SELECT * FROM events_1", "ALTER TABLE vips NO INHERIT people", "SELECT * FROM vips"}, "ALTER TABLE orders ADD COLUMN extra int", ""},
		{"generated column", []string{"ALTER TABLE people ADD COLUMN open text GENERATED ALWAYS AS (email) STORED", "SELECT open FROM people", "ALTER TABLE people ALTER COLUMN name TYPE text USING email", "SELECT name FROM people"}, "ALTER TABLE orders ADD COLUMN g text GENERATED ALWAYS AS (item || '!') STORED", ""},
		{"rules and triggers", []string{"INSERT INTO inbox VALUES (1)", "CREATE RULE r AS ON INSERT TO notes DO ALSO SELECT email FROM people", "INSERT INTO notes (body) VALUES ('x')", "CREATE TRIGGER t AFTER INSERT ON notes EXECUTE FUNCTION shout()"},
			"INSERT INTO notes (body) VALUES ('x') RETURNING body", "x"},
		{"function that stores", []string{"SELECT store(email) FROM people", "SELECT 1 FROM people WHERE store(email) > 0", "SELECT id FROM people ORDER BY store(email)", "SELECT store((SELECT card FROM people LIMIT 1))", "TABLE notes"}, "SELECT item FROM orders WHERE store('x') > 0 AND id = 1", "tea"},
		{"prepared insert", []string{"PREPARE p AS INSERT INTO notes (body) SELECT email FROM people", "EXECUTE p", "PREPARE q AS SELECT email FROM people", "CREATE TABLE loot AS EXECUTE q", "EXPLAIN ANALYZE EXECUTE p", "EXPLAIN ANALYZE CREATE TABLE loot AS EXECUTE q", "TABLE notes", "TABLE loot"}, "PREPARE t AS INSERT INTO notes (body) VALUES ('fine') RETURNING body; EXECUTE t", "fine"},
		{"sequence", []string{"SELECT setval('tickets', salary) FROM people WHERE id = 1", "SELECT last_value FROM tickets", "SELECT currval('tickets')", "SELECT 1 FROM people WHERE setval('tickets', salary) > 0", "SELECT nextval('tickets')"}, "SELECT nextval('tickets') > 0", "t"},
		{"large object", []string{"SELECT lo_from_bytea(4711, email::bytea) FROM people WHERE id = 1", "SELECT lo_get(4711)", "SELECT data FROM pg_largeobject", "SELECT convert_from(lo_get(4711), 'utf8')"}, "SELECT convert_from('\\x66696e65'::bytea, 'UTF8')", "fine"},
		{"system catalogue", []string{"UPDATE pg_attribute SET attname = 'open' WHERE attrelid = 'people'::regclass AND attname = 'email'", "SELECT open FROM people", "UPDATE pg_class SET relname = 'open' WHERE oid = 'people'::regclass", "SELECT * FROM open"}, "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum = 1", "id"},
		{"comment", []string{"DO $$ BEGIN EXECUTE format('COMMENT ON TABLE orders IS %L', (SELECT email FROM people LIMIT 1)); END $$", "SELECT obj_description('orders'::regclass)"}, "COMMENT ON TABLE orders IS 'fine'", ""},
	})
}
