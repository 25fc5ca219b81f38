CREATE TABLE client_rows (id int PRIMARY KEY, step text NOT NULL, note text);
CREATE TABLE client_people (id int PRIMARY KEY, name text NOT NULL, email text, born date, score numeric(6,2), tags text[]);
INSERT INTO client_people VALUES
  (1, 'Ada Lovelace', 'ada@example.com', '1815-12-10', 99.50, '{math,engines}'),
  (2, 'Edgar Codd', 'codd@example.org', '1923-08-19', 87.25, '{relations}'),
  (3, 'Grace Hopper', NULL, '1906-12-09', NULL, '{}'),
  (4, 'Žofie Ångström', 'zofie@example.net', NULL, -1.00, NULL);
CREATE FUNCTION client_notice(text) RETURNS int LANGUAGE plpgsql AS
$$ BEGIN RAISE NOTICE 'notice says %', $1 USING DETAIL = 'a detail', HINT = 'a hint'; RETURN length($1); END $$;
