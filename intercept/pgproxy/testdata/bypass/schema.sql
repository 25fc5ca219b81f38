CREATE TABLE humans (id int, name text);
CREATE TABLE people (
	id int PRIMARY KEY, name text, email text UNIQUE, card text, ssn text, salary int8, balance numeric,
	born date, profile jsonb, token uuid, photo bytea, age int CHECK (age >= 0),
	email_copy text GENERATED ALWAYS AS (lower(email)) STORED
) INHERITS (humans);
INSERT INTO people (id, name, email, card, ssn, salary, balance, born, profile, token, photo, age) VALUES
	(1, 'Ada', 'canary-ada@secret.example', '4111222233334444', '987-65-4321', 7311234567, 884177.3391,
	 '1971-03-14', '{"note": "canary-json"}', '5eca0ca1-1111-4bad-8bad-aaaabbbbcccc', 'canary-photo', 41),
	(2, 'Bob', 'canary-bob@secret.example', '5555666677778888', '876-54-3210', 7322345678, 995288.4402,
	 '1972-04-15', '{"note": "canary-json"}', '5eca0ca1-2222-4bad-8bad-aaaabbbbcccc', 'canary-photo', 42);
CREATE TABLE vips (perk text) INHERITS (people);
INSERT INTO vips (id, name, email) VALUES (3, 'Cyd', 'canary-cyd@secret.example');
CREATE TABLE events (id int, email text) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
INSERT INTO events VALUES (1, 'canary-event@secret.example');
CREATE TABLE logins (id int, email text REFERENCES people (email));
INSERT INTO logins VALUES (1, 'canary-ada@secret.example');
CREATE TABLE "People Data" ("Id" int, "E-Mail" text);
INSERT INTO "People Data" VALUES (1, 'canary-mixed@secret.example');

CREATE TABLE orders (id int PRIMARY KEY, person int, item text);
INSERT INTO orders VALUES (1, 1, 'tea'), (2, 2, 'jam');
CREATE TABLE notes (id serial, body text);
CREATE TABLE inbox (id int);
CREATE RULE gossip AS ON INSERT TO inbox DO ALSO SELECT email FROM people;
CREATE SCHEMA other;
CREATE TABLE other.people (id int, email text);
INSERT INTO other.people VALUES (1, 'open@public.example');
CREATE SEQUENCE tickets;

CREATE VIEW people_view AS SELECT id, name, email FROM people;
CREATE VIEW people_nested AS SELECT id, email AS contact FROM people_view;
CREATE VIEW people_whole AS SELECT p AS person FROM people p;
CREATE MATERIALIZED VIEW people_stored AS SELECT id, email || '' AS contact FROM people;
CREATE VIEW orders_view AS SELECT id, item FROM orders;

CREATE FUNCTION leak() RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION leak_rows() RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT * FROM people';
CREATE FUNCTION leak_plus(int, int) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM people ORDER BY id LIMIT 1';
CREATE OPERATOR <~> (LEFTARG = int, RIGHTARG = int, FUNCTION = leak_plus);
CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION leak_loudly() RETURNS int LANGUAGE plpgsql AS
	$$ BEGIN RAISE NOTICE '%', (SELECT email FROM people LIMIT 1); RETURN 1; END $$;
CREATE FUNCTION leak_failing() RETURNS int LANGUAGE plpgsql AS
	$$ BEGIN RAISE EXCEPTION '%', (SELECT email FROM people LIMIT 1); END $$;
CREATE FUNCTION leak_of(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION leak_of_row(orders) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION json_value(text, text) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION json_exists(text, text) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION store(v text) RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO notes (body) VALUES (v) RETURNING id';
CREATE PROCEDURE leak_call(INOUT v text) LANGUAGE plpgsql AS $$ BEGIN v := (SELECT email FROM people LIMIT 1); END $$;
CREATE VIEW leak_view AS SELECT leak() AS said;
CREATE VIEW leak_xml_view AS SELECT query_to_xml('SELECT email FROM people', true, true, '') AS said;
CREATE VIEW statistics_view AS SELECT starelid, stavalues1::text AS said FROM pg_statistic;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN RAISE NOTICE '%', NEW.email; PERFORM pg_notify('shout', NEW.email); RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE UPDATE ON people FOR EACH ROW WHEN (NEW.name = 'shout') EXECUTE FUNCTION shout();
ANALYZE;
