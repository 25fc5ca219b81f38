SELECT count(*) FROM people
SELECT count(*), max(age), min(age), avg(age) FROM people
SELECT name, count(*) FROM people GROUP BY name ORDER BY 2 DESC, 1
SELECT p.name, count(o.id) AS n, sum(o.id) FROM people p LEFT JOIN orders o ON o.person = p.id GROUP BY p.id, p.name ORDER BY n DESC, 1
SELECT p.id, p.name, o.item FROM people p INNER JOIN orders o ON o.person = p.id WHERE o.item = 'tea' LIMIT 1000
SELECT "people"."id", "people"."name" FROM "people" WHERE "people"."id" = 1 LIMIT 1
SELECT "t0"."id", "t0"."name" FROM (SELECT * FROM "people" LIMIT 2) AS "t0" ORDER BY 1
SELECT id, name FROM people WHERE id IN (1, 2) ORDER BY id
SELECT id, name FROM people WHERE name ILIKE '%d%' ORDER BY id OFFSET 0 LIMIT 10
SELECT EXISTS (SELECT 1 FROM people WHERE id = 1)
SELECT 1 AS one FROM people WHERE name = 'Ada' LIMIT 1
SELECT id, name, row_number() OVER (ORDER BY name) AS rn FROM people ORDER BY rn
SELECT id, name, lag(name) OVER (ORDER BY id) FROM people ORDER BY id
SELECT id, CASE WHEN age > 41 THEN 'old' ELSE 'young' END AS bucket FROM people ORDER BY id
SELECT CASE WHEN age > 41 THEN 'old' ELSE 'young' END AS bucket, count(*) FROM people GROUP BY 1 ORDER BY 1
SELECT date_trunc('month', now()) = date_trunc('month', now()), count(*) FROM people
SELECT string_agg(name, ', ' ORDER BY name) FROM people
SELECT array_agg(DISTINCT name ORDER BY name) FROM people
SELECT json_build_object('id', id, 'name', name) FROM people WHERE id = 1
SELECT json_agg(json_build_object('id', id, 'name', name) ORDER BY id) FROM people
SELECT coalesce(json_agg(t), '[]') FROM (SELECT id, name FROM people ORDER BY id) t
SELECT row_to_json(t) FROM (SELECT id, name FROM people WHERE id = 1) t
SELECT to_jsonb(t) FROM (SELECT p.id, p.name, (SELECT count(*) FROM orders o WHERE o.person = p.id) AS orders FROM people p WHERE id = 1) t
WITH recent AS (SELECT id, name FROM people WHERE age > 0) SELECT r.name, o.item FROM recent r JOIN orders o ON o.person = r.id ORDER BY 1
WITH a AS (SELECT person, count(*) AS n FROM orders GROUP BY 1) SELECT p.name, coalesce(a.n, 0) FROM people p LEFT JOIN a ON a.person = p.id ORDER BY 1
SELECT name FROM people UNION SELECT item FROM orders ORDER BY 1
SELECT id, name FROM people WHERE id NOT IN (SELECT person FROM orders) ORDER BY 1
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY age) FROM people
SELECT name || ' (' || age || ')' FROM people WHERE id = 1
SELECT lower(name), upper(name), length(name), substr(name, 1, 2) FROM people WHERE id = 1
SELECT count(*) FILTER (WHERE age > 41), count(DISTINCT name) FROM people
SELECT d.n, p.name FROM generate_series(1, 3) AS d(n) LEFT JOIN people p ON p.id = d.n ORDER BY 1
SELECT name, age, age::float / sum(age) OVER () FROM people WHERE id = 1
SELECT min(id), max(id) FROM people HAVING count(*) > 0
SELECT tableoid::regclass, count(*) FROM people GROUP BY 1 ORDER BY 1
SELECT pg_size_pretty(pg_total_relation_size('people')) IS NOT NULL
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'people' ORDER BY ordinal_position
SELECT n_live_tup >= 0, relname FROM pg_stat_user_tables WHERE relname = 'people'
SELECT id, name FROM people WHERE email = 'canary-ada@secret.example'
SELECT id, name FROM people ORDER BY email LIMIT 1
SELECT id, name FROM people WHERE email IS NOT NULL ORDER BY id
SELECT p.name, (SELECT string_agg(o.item, ',') FROM orders o WHERE o.person = p.id) FROM people p ORDER BY 1
SELECT p.name, l.item FROM people p CROSS JOIN LATERAL (SELECT item FROM orders o WHERE o.person = p.id LIMIT 1) l ORDER BY 1
SELECT DISTINCT name FROM people ORDER BY 1
SELECT * FROM (SELECT id, name, age FROM people) AS anon_1 ORDER BY 1 LIMIT 1
SELECT count(*) AS count_1 FROM (SELECT id, name FROM people) AS anon_1
SELECT count(*) FROM (SELECT * FROM people) x
SELECT o.* FROM orders o JOIN people p ON p.id = o.person ORDER BY 1
SELECT o.*, p.name FROM orders o JOIN people p ON p.id = o.person ORDER BY 1
SELECT orders.*, (SELECT name FROM people WHERE people.id = orders.person) FROM orders ORDER BY 1
SELECT 'people' AS tbl, count(*) FROM people UNION ALL SELECT 'orders', count(*) FROM orders ORDER BY 1
SELECT max(greatest(id, age)) FROM people
SELECT bool_or(age > 41), every(id > 0) FROM people
SELECT id, ARRAY[id, age] FROM people WHERE id = 1
SELECT id, age BETWEEN 1 AND 41 FROM people ORDER BY id
SELECT (SELECT max(id) FROM orders) AS m, name FROM people ORDER BY 2
SELECT o.item, p.name FROM orders o, people p WHERE p.id = o.person AND p.age = (SELECT min(age) FROM people) ORDER BY 1
SELECT to_char(now(), 'YYYY') = to_char(now(), 'YYYY') AS y, name FROM people ORDER BY 2
SELECT name, rank() OVER (PARTITION BY age ORDER BY id) FROM people ORDER BY 1
SELECT grouping(name), name, count(*) FROM people GROUP BY ROLLUP (name) ORDER BY 1, 2
SELECT id::text, name::varchar(2) FROM people WHERE id = 1
SELECT current_date IS NOT NULL, id FROM people WHERE id = 1
SELECT NULL AS x, 'a' AS lit, 1 AS n, id FROM people WHERE id = 1
SELECT max(id) + 1 FROM people
SELECT nullif(name, 'Ada') FROM people ORDER BY id
SELECT unnest(ARRAY[1,2]), name FROM people WHERE id = 1
SELECT id FROM people p WHERE EXISTS (SELECT 1 FROM orders o WHERE o.person = p.id) ORDER BY 1
SELECT v.id, v.name FROM people_view v ORDER BY 1
SELECT t.name, s.total FROM people t JOIN (SELECT person, count(*) total FROM orders GROUP BY person) s ON s.person = t.id ORDER BY 1
SELECT name FROM people WHERE id = ANY (ARRAY[1, 2]) ORDER BY 1
SELECT * FROM (VALUES (1, 'x'), (2, 'y')) AS v(id, label) JOIN people USING (id) WHERE false
SELECT v.label, p.name FROM (VALUES (1, 'x'), (2, 'y')) AS v(id, label) JOIN people p USING (id) ORDER BY 1
SELECT id, name FROM people JOIN vips USING (id, name) ORDER BY 1
