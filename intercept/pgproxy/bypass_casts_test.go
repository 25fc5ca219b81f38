package pgproxy_test

import (
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy/secret"
)

// castSchema has casts whose functions read what is masked. pathSchema stands before it.
const castSchema = `
CREATE TYPE loot AS (v text);
CREATE DOMAIN loot_domain AS loot;
CREATE TYPE mood AS ENUM ('glad');
CREATE TABLE moods (id int, mood mood, was mood[]); INSERT INTO moods VALUES (1, 'glad', '{glad}');
CREATE TYPE calm AS ENUM ('calm'); CREATE TABLE calms (calm calm); INSERT INTO calms VALUES ('calm');
CREATE VIEW moods_view AS SELECT mood AS m FROM moods;
CREATE FUNCTION to_loot(text) RETURNS loot LANGUAGE sql STABLE AS 'SELECT ROW(email)::loot FROM public.people ORDER BY id LIMIT 1';
CREATE FUNCTION of_order(orders) RETURNS varchar LANGUAGE sql STABLE AS 'SELECT email::varchar FROM public.people ORDER BY id LIMIT 1';
CREATE FUNCTION of_mood(mood) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM public.people ORDER BY id LIMIT 1';
CREATE FUNCTION of_calm(calm) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''very calm''';
CREATE CAST (text AS loot) WITH FUNCTION to_loot(text);
CREATE CAST (orders AS varchar) WITH FUNCTION of_order(orders);
CREATE CAST (mood AS text) WITH FUNCTION of_mood(mood) AS IMPLICIT;
CREATE CAST (calm AS text) WITH FUNCTION of_calm(calm) AS IMPLICIT;
CREATE TYPE evil.text AS (v pg_catalog.text);
CREATE FUNCTION evil.to_text(int) RETURNS evil.text LANGUAGE sql STABLE AS 'SELECT ROW(email)::evil.text FROM public.people ORDER BY id LIMIT 1';
CREATE CAST (int AS evil.text) WITH FUNCTION evil.to_text(int);
`

func castAttempts() []attempt {
	const plain = "SELECT item::text FROM notes_of_orders"
	return []attempt{
		{"to a type", []string{"SELECT 'a'::text::loot", "SELECT ('a'::text::loot).v", "SELECT item::loot FROM orders", "SELECT CAST(item AS loot) FROM orders", "SELECT ('a'::text::loot)::text", "SELECT 'a'::text::public.loot"}, plain, "tea"},
		{"to a domain and an array", []string{"SELECT 'a'::text::loot_domain", "SELECT ARRAY['a'::text]::loot[]", "SELECT ARRAY['a'::text]::_loot", "SELECT ('{a}'::text[]::loot[])[1]"}, plain, "tea"},
		{"of a row", []string{"SELECT o::varchar FROM orders o", "SELECT o::varchar || '' FROM orders o", "SELECT ROW(1, 1, 'a')::orders::varchar", "SELECT (NULL::orders)::varchar", "SELECT CAST(s AS varchar) FROM (SELECT o FROM orders o) s(s)"},
			"SELECT item::varchar FROM notes_of_orders", "tea"},
		{"unasked", []string{"SELECT upper(mood) FROM moods", "SELECT lower(m) FROM moods_view", "SELECT upper('glad'::mood)", "SELECT upper(x) FROM moods, unnest(was) x", "SELECT mood || 'a'::text FROM moods", "SELECT length(mood) FROM moods", "SELECT upper(max(mood)) FROM moods"}, "SELECT upper(calm) FROM calms", "VERY CALM"},
		{"kept", []string{"INSERT INTO notes (body) SELECT mood FROM moods", "INSERT INTO notes (body) VALUES (1 <~> 1)", "INSERT INTO notes (body) VALUES ('glad'::mood)", "INSERT INTO notes (body) VALUES (('a'::text::loot).v) RETURNING body", "CREATE TABLE kept AS SELECT 'a'::text::loot",
			"UPDATE notes SET body = ('a'::text::loot).v", "SELECT body FROM notes", "SELECT * FROM kept"}, "SELECT count(body) FROM notes", "0"},
		{"searched for first", []string{"SET search_path = evil, pg_catalog, public", "SELECT 1::text", "SELECT id::text FROM public.orders", "SELECT (1::text).v", "SELECT 1::evil.text"}, plain, "tea"},
		{"where it decides", []string{"SELECT id FROM orders WHERE (item::loot).v LIKE 'canary%'", "EXPLAIN ANALYZE SELECT 'a'::text::loot", "COPY (SELECT 'a'::text::loot) TO STDOUT", "PREPARE c AS SELECT 'a'::text::loot", "EXECUTE c"}, plain, "tea"},
	}
}

// A function that the server calls for a cast is a call like others, be its name in the
// text or not.
func TestBypassByCasts(t *testing.T) {
	const twin = "CREATE TABLE notes_of_orders AS SELECT item FROM orders WHERE id = 1;"
	eachVersion(t, func(t *testing.T, options []testserver.Option) {
		r := newRig(t, rigConfig{
			pg: options, policy: maskedColumns(), setup: forEveryVersion(bypassSchema) + pathSchema + castSchema + twin,
			proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")},
		})
		for _, a := range castAttempts() {
			for _, m := range modes()[:3] {
				t.Run(a.name+"/"+m.name, func(t *testing.T) { a.try(t, r, m) })
			}
		}
	})
}
