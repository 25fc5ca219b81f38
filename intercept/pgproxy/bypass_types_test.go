package pgproxy_test

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

// twoSecrets are two tables of one shape, and with one plain column. What masks hide
// differs in every way: content, length, order, number of elements, NULLs.
const twoSecrets = `CREATE TYPE pair AS (a text, b int); CREATE DOMAIN pairs AS pair; CREATE TYPE grade AS ENUM ('low', 'high', 'canary-top');
CREATE TABLE first (id int PRIMARY KEY, plain text, s text, n int8, m numeric, d date, at timestamptz, j jsonb, jj json, b bytea, tags text[], r int4range, v tsvector, p pair, ps pair[], pd pairs, g grade, x xml, bits bit varying, ip inet, t boolean, pt point, iv interval);
CREATE TABLE second (LIKE first); CREATE TABLE third (id int, plain text);
INSERT INTO first VALUES
 (1, 'one', 'canary-long-value', 7311234567, 884177.3391, '1971-03-14', '1971-03-14 10:00+00', '{"k": "canary-json", "l": [1, 2, 3]}', '{"k": "canary-json"}', 'canary-photo', '{canary-a,canary-b,canary-c}', '[5,9)', 'canary:1 word:2', '(canary-p,7)', '{"(canary-p,7)"}', '(canary-p,7)', 'canary-top', '<a>canary</a>', '10110', '198.51.100.7', true, '(1,2)', '3 days'),
 (2, 'two', 'canary-a', 3, 1.5, '2020-01-01', '2020-01-01 10:00+00', '"canary"', '[1]', 'c', '{}', 'empty', 'canary', NULL, NULL, NULL, 'low', NULL, '1', '::1', false, '(0,0)', '1 year'),
 (3, 'three', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO second VALUES
 (1, 'one', 'zzzz', -5, -0.25, '0044-03-15 BC', 'infinity', '[1, {"k": 2}]', '{"z": 5}', '\x00ff', '{x}', '(,9)', 'other', '(,)', '{}', NULL, 'low', '<b/>', '0', '10.0.0.0/8', false, '(9,9)', '-1 day'),
 (2, 'two', 'a', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '(z,1)', '{"(z,1)","(y,2)"}', '(z,1)', NULL, '<c>d</c>', NULL, NULL, NULL, NULL, NULL),
 (3, 'three', 'b', 9000000000000, 12345678901234567890.5, '2999-12-31', '2999-12-31 00:00+00', '{}', 'null', '\xdeadbeef', '{NULL,y}', '[1,1000)', 'a b c', NULL, NULL, '(y,3)', 'high', '<d/>', '111111111', '192.0.2.1', true, '(3,4)', '0');
INSERT INTO third VALUES (1, 'one'), (2, 'two');`

// A measure computes something of masked columns of the table T. It must tell nothing
// of them: the answer is the same whichever of two tables it is asked about. The twin
// computes the same kind of thing of what has no mask, and must give want.
type measure struct {
	name     string
	attempts []string
	twin     string
	want     string
	since    int // the major version of the server that knows the syntax
}

func measures() []measure {
	return []measure{
		{"lengths", []string{"length(s)", "octet_length(s)", "bit_length(s)", "char_length(s || '')", "pg_column_size(s)", "pg_column_size(T.*)", "pg_column_size(T)", "length(b)", "bit_length(bits)", "length(s::bytea)", "scale(m)", "min_scale(m)"}, "length(plain)", "3;3;5", 0},
		{"digests", []string{"md5(s)", "sha256(b)", "sha512(s::bytea)", "hashtext(s)", "hashtextextended(s, 0)", "hashint8(n)", "hash_numeric(m)", "hash_array(tags)", "jsonb_hash(j)", "encode(sha224(convert_to(s, 'UTF8')), 'hex')", "uuid_hash(md5(s)::uuid)", "hash_range(r)", "hashinet(ip)"}, "md5(plain) = md5('one')", "t;f;f", 0},
		{"comparisons", []string{"s = 'canary-a'", "s > 'm'", "s <> ''", "s BETWEEN 'a' AND 'c'", "s IN ('canary-a', 'b')", "s = ANY (ARRAY['canary-a'])", "s LIKE 'canary%'", "s ~ '^canary'", "s SIMILAR TO 'c%'", "s ILIKE 'C%'", "starts_with(s, 'canary')", "s ^@ 'c'", "ROW(s, 1) < ROW('m', 2)", "ROW(id, s) = ROW(1, 'x')", "(s, n) > ('a', 1)", "s IS DISTINCT FROM 'canary-a'", "s COLLATE \"C\" < 'm'", "bttextcmp(s, 'm')"}, "plain > 'p'", "f;t;t", 0},
		{"presence", []string{"s IS NULL", "s IS NOT NULL", "num_nulls(s, n)", "num_nonnulls(VARIADIC ARRAY[s])", "p IS NULL", "p IS NOT NULL", "T IS NULL", "T IS NOT NULL", "ROW(s, n) IS NULL", "coalesce(s, 'none') = 'none'", "t IS TRUE", "t IS NOT UNKNOWN", "s || 'x' IS NULL", "isfinite(at)", "x IS DOCUMENT"}, "plain IS NULL", "f;f;f", 0},
		{"choices", []string{"CASE WHEN s > 'b' THEN 1 ELSE 2 END", "CASE s WHEN 'canary-a' THEN 'yes' END", "coalesce(s, plain)", "nullif(plain, s)", "nullif(s, 'a')", "greatest(s, plain)", "least(n, 5)", "CASE WHEN t THEN plain END", "(ARRAY['a', 'b'])[1 + (n > 4)::int]", "(ARRAY[plain])[(n % 2)::int]", "CASE WHEN s IS NULL THEN plain ELSE plain || '' END"}, "greatest(plain, 'p')", "p;two;three", 0},
		{"parts of texts", []string{"left(s, 1)", "substr(s, 2, 1)", "ascii(s)", "strpos(s, 'a')", "position('a' IN s)", "split_part(s, '-', 2)", "overlay(s PLACING '' FROM 3)", "regexp_match(s, '.')", "regexp_count(s, 'a')", "regexp_instr(s, 'a')", "regexp_substr(s, 'a')", "translate(s, 'abc', 'xyz')", "repeat(plain, length(s))", "lpad(plain, length(s))", "rpad(s, 3)", "btrim(s, 'c')", "quote_nullable(s)", "format('%1$s', s)", "format('%s', VARIADIC ARRAY[s])", "concat_ws(',', plain, s)", "to_hex(n)", "chr((n % 90)::int + 33)", "normalize(s)", "s IS NORMALIZED", "unistr(s)", "initcap(s)", "starts_with(plain, left(s, 1))", "parse_ident(s, false)"}, "overlay(plain PLACING 'X' FROM 1)", "Xne;Xwo;Xhree", 0},
		{"bytes", []string{"get_byte(b, 0)", "get_bit(b, 1)", "set_byte(b, 0, 1)", "encode(b, 'base64')", "encode(b, 'escape')", "convert_to(s, 'UTF8')", "convert_from(b, 'LATIN1')", "substring(b FROM 1 FOR 1)", "position('c'::bytea IN b)", "b || '\\x00'", "get_bit(bits, 0)", "bits::bit(3)", "bit_count(b)", "btrim(b, 'c')", "trim('c'::bytea FROM b)"}, "get_byte(plain::bytea, 0)", "111;116;116", 0},
		{"numbers", []string{"n % 7", "sign(n)", "abs(m)", "m::int8 % 3", "width_bucket(m, 0, 1000000, 10)", "trunc(m)", "log(abs(m) + 1)", "n::bit(8)", "n::text", "n::numeric / 3", "-n", "@ n", "n & 1", "n << 1", "gcd(n, 12)", "n::money", "to_char(m, '9.9EEEE')", "to_char(n % 9, 'RN')", "random() * 0 + n", "div(m, 2)", "n::float4", "m = 1.5", "numeric_send(m)", "int8send(n)", "n::text::name", "n BETWEEN 1 AND 5", "mod(n, 2)", "power(m, 0) * n"}, "width_bucket(id, 0, 10, 5)", "1;2;2", 0},
		{"dates", []string{"extract(year FROM d)", "date_part('dow', d)", "age(d, '2000-01-01')", "date_trunc('year', at)", "to_char(d, 'YYYY')", "d - '2000-01-01'::date", "d + 1", "at AT TIME ZONE 'UTC'", "date_bin('1 day', at, '2000-01-01')", "justify_days(iv)", "iv * 2", "d > '2000-01-01'", "(d, d) OVERLAPS ('1970-01-01', '2000-01-01')", "make_date(extract(year FROM d)::int, 1, 1)", "to_json(d)", "d::timestamp::text", "d::text", "isfinite(d)", "timezone('UTC', at)"}, "to_char(id * '1 day'::interval, 'DD')", "01;02;03", 0},
		{"documents", []string{"j->>'k'", "j->0", "j #>> '{l,0}'", "j['k']", "j ? 'k'", "j ?| ARRAY['k']", "j @> '{\"k\": 2}'", "j @? '$.k'", "j @@ '$.k == 2'", "jsonb_typeof(j)", "json_typeof(jj)", "jsonb_path_exists(j, '$.l[*]')", "jsonb_path_query_array(j, '$.*')", "jsonb_path_query_first(j, '$.k')", "jsonb_path_match(j, 'exists($.k)')", "jsonb_strip_nulls(j)", "j - 'k'", "j #- '{k}'", "j || '{}'", "jsonb_set(j, '{z}', '1')", "jsonb_insert(j, '{z}', '1')", "jsonb_pretty(j)", "j::text", "jj::text", "to_jsonb(s)", "jsonb_build_object('a', s)", "json_build_array(n, m)", "to_json(T)", "row_to_json(T)", "jsonb_populate_record(NULL::pair, jsonb_build_object('a', s))", "(json_populate_record(NULL::pair, json_build_object('a', s))).a", "jsonb_object(tags, tags)", "array_to_json(tags)", "json_object(ARRAY['a'], ARRAY[s])", "j = '{}'", "jsonb_cmp(j, '{}')", "jsonb_concat(j, j)"}, "jsonb_build_object('a', plain)->>'a'", "one;two;three", 0},
		{"arrays", []string{"cardinality(tags)", "array_length(tags, 1)", "array_ndims(tags)", "array_dims(tags)", "array_upper(tags, 1)", "tags[1]", "tags[1:1]", "array_position(tags, 'x')", "array_positions(tags, 'x')", "array_to_string(tags, ',')", "array_to_string(tags, ',', '*')", "'x' = ANY (tags)", "tags @> ARRAY['x']", "tags && ARRAY['x']", "tags || 'y'::text", "array_append(tags, 'z')", "array_remove(tags, 'x')", "array_replace(tags, 'x', 'y')", "array_cat(tags, tags)", "trim_array(tags, 1)", "ARRAY[s]", "ARRAY[[s, s]]", "string_to_array(s, '-')", "string_to_array(s, NULL)", "array_fill(plain, ARRAY[coalesce(cardinality(tags), 0)])", "ps[1]", "(ps[1]).a", "cardinality(ps)", "ps::text", "tags::text", "tags = '{x}'", "array_prepend(plain, tags)"}, "cardinality(ARRAY[plain, 'x'])", "2;2;2", 0},
		{"rows", []string{"(p).a", "(p).b", "p::text", "(pd).a", "pd::text", "p = ROW('x', 1)::pair", "ROW(s, n)", "ROW(p)", "(ROW(s, n)::pair).a", "(SELECT q FROM (SELECT s) q)", "T::text", "T", "(T).s || ''", "(SELECT T)", "ROW(T.*)", "record_out(T)::text", "row_to_json(p)", "(ARRAY[T])[1].s || ''", "(ARRAY[p])[1].a", "to_jsonb(ps)", "p IS DISTINCT FROM NULL", "record_send(T)", "(p, id)"}, "ROW(id, plain)", "(1,one);(2,two);(3,three)", 0},
		{"ranges", []string{"lower(r)", "upper(r)", "isempty(r)", "lower_inc(r)", "upper_inf(r)", "r @> 5", "r && '[1,3)'", "r * '[1,100)'", "r << '[100,200)'", "range_merge(r, '[1,2)')", "multirange(r)", "int4multirange(r)::text", "range_merge(multirange(r))", "r::text", "r = 'empty'", "r -|- '[9,10)'", "int8range(n, NULL, '[)') IS NULL", "isempty(int4range(id, id + cardinality(tags)))"}, "lower(int4range(id, 9))", "1;2;3", 0},
		{"text search", []string{"to_tsvector('simple', s)", "to_tsquery('simple', 'canary') @@ v", "ts_rank(v, 'canary')", "ts_rank_cd(v, 'canary')", "length(v)", "numnode(plainto_tsquery('simple', s))", "ts_headline('simple', s, 'canary')", "strip(v)", "tsvector_to_array(v)", "v::text", "v || v", "setweight(v, 'A')", "ts_delete(v, 'word')", "ts_filter(v, '{a}')", "phraseto_tsquery('simple', s)", "websearch_to_tsquery('simple', s)", "querytree(plainto_tsquery('simple', s))", "array_to_tsvector(tags)", "ts_lexize('simple', s)", "v = 'other'", "to_tsvector('simple', j)"}, "to_tsvector('simple', plain)", "'one':1;'two':1;'three':1", 0},
		{"XML", []string{"xmlelement(name a, s)", "xmlforest(s, n)", "xmlconcat(x, x)", "xmlcomment(s)", "xmlpi(name a, s)", "xmlroot(x, VERSION '1.0')", "xmlserialize(CONTENT x AS text)", "xpath('/a/text()', x)", "xpath_exists('/a', x)", "xmlexists('/a' PASSING x)", "xml_is_well_formed(s)", "xml_is_well_formed_content(s)", "xmlparse(CONTENT s)", "x::text", "xmlelement(name a, xmlattributes(s AS b))"}, "xmlelement(name a, plain)", "<a>one</a>;<a>two</a>;<a>three</a>", 0},
		{"addresses and shapes", []string{"host(ip)", "family(ip)", "masklen(ip)", "network(ip)", "ip + 1", "ip << '10.0.0.0/8'", "abbrev(ip)", "broadcast(ip)", "ip & '255.0.0.0'", "inet_same_family(ip, '::1')", "inet_merge(ip, ip)", "pt[0]", "pt <-> '(0,0)'", "circle(pt, 1)", "pt ~= '(0,0)'", "area(circle(pt, 1))", "slope(pt, '(1,1)')", "box(pt)", "set_masklen(ip, 8)", "hostmask(ip)", "text(ip)"}, "abbrev('10.0.0.1/32'::inet)", "10.0.0.1;10.0.0.1;10.0.0.1", 0},
		{"enums and casts", []string{"g::text", "g > 'low'", "enum_range(NULL, g)", "enum_range(g)", "enum_first(g)", "s::char(3)", "s::\"char\"", "s::name", "s::varchar(2)", "CAST(s AS bytea)", "g IS NULL", "t::int", "t::text", "textsend(s)", "textin(textout(s))", "enum_out(g)", "n::oid", "pg_typeof(CASE WHEN s > 'm' THEN 1 END)", "s::cstring", "quote_literal(g)", "g = 'low'"}, "plain::name", "one;two;three", 0},
		{"sub-selects", []string{"(SELECT s)", "EXISTS (SELECT WHERE s > 'm')", "ARRAY(SELECT s)", "(SELECT count(*) FROM generate_series(1, length(s)))", "(SELECT plain WHERE s > 'm')", "(SELECT string_agg(c, '') FROM regexp_split_to_table(s, '') c)", "s = ALL (SELECT 'x')", "s IN (SELECT plain)", "(VALUES (s))", "(WITH q AS (SELECT s) TABLE q)", "(SELECT max(q.s) FROM T q WHERE q.id <= T.id)", "(SELECT third.plain FROM third WHERE third.id = cardinality(tags))", "(SELECT 1 LIMIT cardinality(tags))", "(SELECT plain OFFSET n)", "(SELECT min(o) FROM unnest(tags) WITH ORDINALITY u(e, o))"}, "(SELECT third.plain FROM third WHERE third.id = T.id)", "one;two;", 0},
		{"windows", []string{"row_number() OVER (ORDER BY s)", "rank() OVER (ORDER BY n)", "dense_rank() OVER (ORDER BY s DESC)", "percent_rank() OVER (ORDER BY n)", "cume_dist() OVER (ORDER BY m)", "ntile(2) OVER (ORDER BY s)", "lag(plain) OVER (ORDER BY s)", "lead(s) OVER (ORDER BY id)", "first_value(plain) OVER (ORDER BY s)", "last_value(s) OVER ()", "nth_value(plain, 2) OVER (ORDER BY n)", "count(*) OVER (PARTITION BY s IS NULL)", "sum(id) OVER (ORDER BY s)", "max(plain) OVER (PARTITION BY s > 'm')", "count(*) OVER (ORDER BY n RANGE BETWEEN 1 PRECEDING AND CURRENT ROW)", "string_agg(plain, '') OVER (ORDER BY s)", "count(s) OVER ()", "count(*) FILTER (WHERE s > 'm') OVER ()", "array_agg(id) OVER (ORDER BY d)"}, "lag(plain) OVER (ORDER BY id)", ";one;two", 0},
		{"aggregates", []string{"SELECT count(s) FROM T", "SELECT count(DISTINCT s) FROM T", "SELECT count(*) FILTER (WHERE s > 'm') FROM T", "SELECT sum(n), avg(m), stddev(n), variance(m) FROM T", "SELECT min(s), max(d), max(ip) FROM T", "SELECT bool_and(t), bool_or(t), every(s > 'a') FROM T", "SELECT bit_and(n), bit_or(n), bit_xor(n) FROM T", "SELECT string_agg(plain, ',' ORDER BY s) FROM T", "SELECT array_agg(id ORDER BY n) FROM T", "SELECT (array_agg(id ORDER BY s))[1] FROM T", "SELECT json_agg(id ORDER BY s) FROM T", "SELECT json_object_agg(id, s) FROM T", "SELECT corr(n, id), regr_slope(n, id), regr_count(n, id), covar_pop(m, id) FROM T", "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM T", "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY s) FROM T", "SELECT percentile_disc(ARRAY[0, 1]) WITHIN GROUP (ORDER BY n) FROM T", "SELECT mode() WITHIN GROUP (ORDER BY s) FROM T", "SELECT rank('m') WITHIN GROUP (ORDER BY s) FROM T", "SELECT cume_dist('m') WITHIN GROUP (ORDER BY s) FROM T", "SELECT dense_rank(5) WITHIN GROUP (ORDER BY n) FROM T", "SELECT xmlagg(x ORDER BY id) FROM T", "SELECT range_agg(r) FROM T", "SELECT range_intersect_agg(r) FROM T", "SELECT max(id) FILTER (WHERE s IS NULL) FROM T", "SELECT sum(id * (s > 'm')::int) FROM T", "SELECT array_agg(tags) IS NULL FROM T WHERE id = 1", "SELECT count((s, n)) FROM T", "SELECT count(DISTINCT (s, n)) FROM T"}, "SELECT string_agg(plain, ',' ORDER BY id), count(plain) FROM T", "one,two,three,3", 0},
		{"groups", []string{"SELECT max(id) FROM T GROUP BY GROUPING SETS ((s), ()) ORDER BY 1 LIMIT 1", "SELECT grouping(s) FROM T GROUP BY ROLLUP (s) ORDER BY 1 DESC LIMIT 1", "SELECT count(*) FROM T GROUP BY CUBE (s) ORDER BY 1 DESC LIMIT 1", "SELECT s, count(*) FROM T WHERE id = 1 GROUP BY s", "SELECT count(*) FROM T HAVING max(s) > 'm' OR true", "SELECT id, upper(s) FROM T GROUP BY id, s ORDER BY id", "SELECT bool_or(s > 'm') FROM T GROUP BY id ORDER BY id"}, "SELECT grouping(plain) FROM T GROUP BY ROLLUP (plain) ORDER BY 1 DESC LIMIT 1", "1", 0},
		{"functions in FROM", []string{"SELECT max(c) FROM T, regexp_split_to_table(s, '') c", "SELECT max(e) FROM T, unnest(tags) e", "SELECT count(*) FROM T, jsonb_each(jsonb_build_object('a', j)) e", "SELECT max(k) FROM T, jsonb_object_keys(j) k WHERE jsonb_typeof(j) = 'object'", "SELECT max(q.a) FROM T, jsonb_to_record(jsonb_build_object('a', j)) q(a text)", "SELECT max(q.a) FROM T, json_to_recordset(json_build_array(json_build_object('a', jj))) q(a text)", "SELECT max(q.a) FROM T, jsonb_populate_recordset(NULL::pair, jsonb_build_array(jsonb_build_object('a', j))) q", "SELECT max(q.v) FROM T, XMLTABLE('//text()' PASSING x COLUMNS v text PATH '.') q", "SELECT max(q) FROM T, generate_series(1, length(s)) q", "SELECT max(word) FROM T, ts_parse('default', s) AS q(tokid, word)", "SELECT max(lexemes::text) FROM T, ts_debug('simple', s)", "SELECT max(q::text) FROM T, unnest(v) q", "SELECT max(q.x) FROM T, LATERAL (SELECT s AS x UNION ALL SELECT plain) q", "SELECT max(q) FROM T, string_to_table(s, '-') q", "SELECT max(q::text) FROM T, jsonb_path_query(j, '$.**') q", "SELECT max(q::text) FROM T, regexp_matches(s, '.', 'g') q", "SELECT count(*) FROM T, generate_subscripts(tags, 1) q", "SELECT max(q.a) FROM T, unnest(ps) q", "SELECT max(q.o) FROM T, unnest(tags) WITH ORDINALITY q(e, o)", "SELECT max(a), max(e) FROM T, ROWS FROM (unnest(tags), generate_series(1, 2)) q(a, e)"}, "SELECT max(c) FROM T, regexp_split_to_table(plain, '') c", "w", 0},
		{"samples, locks, sets", []string{"SELECT s || '' FROM T TABLESAMPLE bernoulli (100) ORDER BY id", "SELECT upper(s) FROM T TABLESAMPLE system (100) REPEATABLE (1) ORDER BY id", "SELECT n + 1 FROM T ORDER BY id FOR UPDATE", "SELECT s < 'm' FROM T ORDER BY id FETCH FIRST 2 ROWS WITH TIES", "SELECT count(*) FROM (SELECT s FROM T UNION SELECT 'canary-a') q", "SELECT count(*) FROM (SELECT s FROM T INTERSECT SELECT 'canary-a') q", "SELECT count(*) FROM (SELECT s FROM T EXCEPT SELECT 'canary-a') q", "SELECT count(*) FROM (SELECT DISTINCT s FROM T) q", "SELECT max(plain) FROM (SELECT DISTINCT ON (s) plain FROM T ORDER BY s, id) q", "SELECT max(plain) FROM (SELECT plain FROM T ORDER BY s LIMIT 1) q", "SELECT max(id) FROM (SELECT id FROM T ORDER BY n NULLS LAST OFFSET 2) q", "SELECT count(*) FROM T JOIN third ON third.plain = T.s", "SELECT max(third.id) FROM T JOIN third ON third.id = cardinality(T.tags)", "SELECT count(*) FROM T NATURAL JOIN (SELECT 'canary-a' AS s) q"}, "SELECT plain FROM T TABLESAMPLE bernoulli (100) ORDER BY id", "one;two;three", 0},
		{"recursion", []string{"WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r, T WHERE T.id = 1 AND i < length(s)) SELECT max(i) FROM r", "WITH q AS MATERIALIZED (SELECT * FROM T) SELECT max(s) FROM q", "WITH q(x1, x2, x3) AS (SELECT * FROM T) SELECT x3 || '' FROM q ORDER BY x1", "WITH q AS (SELECT s, row_number() OVER (ORDER BY s) AS i FROM T) SELECT i FROM q WHERE s IS NOT NULL OR true"}, "WITH q(x1, x2) AS (SELECT * FROM T) SELECT x2 FROM q ORDER BY x1", "one;two;three", 0},
		{"newer syntax", []string{"JSON_QUERY(j, '$.k')", "JSON_VALUE(j, '$.k')", "JSON_EXISTS(j, '$.k')", "s IS JSON", "s IS NOT JSON ARRAY", "JSON_OBJECT('a': s)", "JSON_ARRAY(s, n)", "JSON_SCALAR(s)", "JSON_SERIALIZE(j)", "array_shuffle(ARRAY[s])", "to_bin(n)", "to_oct(n)", "crc32(b)", "crc32c(s::bytea)", "casefold(s)", "reverse(b)", "date_add(at, iv)", "pg_input_is_valid(s, 'int')", "(pg_input_error_info(s, 'int')).message", "erf(m::float8)", "uuid_extract_version(md5(s)::uuid)", "SELECT any_value(s ORDER BY s) FROM T", "SELECT JSON_ARRAYAGG(id ORDER BY s) FROM T", "SELECT JSON_OBJECTAGG(id: s) FROM T", "SELECT max(q.v) FROM T, JSON_TABLE(j, '$' COLUMNS (v text PATH '$.k')) q"},
			"array_shuffle(ARRAY[plain])", "{one};{two};{three}", 18},
	}
}

// measuredColumns are those that have masks.
const measuredColumns = "s n m d at j jj b tags r v p ps pd g x bits ip t pt iv"

// TestBypassByMeasure asks everything of both tables. An error may depend on a value,
// as docs/limits.md says.
func TestBypassByMeasure(t *testing.T) {
	var rules []string
	for column := range strings.FieldsSeq(measuredColumns) {
		rules = append(rules, "public.first."+column+":redact", "public.second."+column+":redact")
	}
	for version, options := range servers() {
		r := newRig(t, rigConfig{policy: masking(rules...), proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}, setup: twoSecrets, pg: options})
		conn, wire := r.connectWatched(t)
		for _, m := range measures() {
			if m.since <= r.pg.Major {
				t.Run(version+"/"+m.name, func(t *testing.T) { m.measure(t, conn, wire) })
			}
		}
	}
}

func (m measure) measure(t *testing.T, conn *pgx.Conn, wire *wire) {
	failed := 0
	for _, expression := range m.attempts {
		for _, how := range modes()[:3] {
			same, err := measured(t, conn, how, expression)
			if !same || strings.Contains(string(wire.take()), "canary") {
				t.Errorf("%s: %s tells the tables apart", how.name, expression)
			}
			if err != nil && how.name == "simple" {
				failed++
				t.Logf("%s: %v", expression, err)
			}
		}
	}
	if failed > len(m.attempts)/4 {
		t.Errorf("%d of %d fail", failed, len(m.attempts))
	}
	for _, table := range []string{"first", "second"} {
		rows, err := runSimple(context.Background(), conn, asked(m.twin, table))
		if err != nil || joined(rows) != m.want {
			t.Errorf("%s: got %q, %v, want %q", m.twin, joined(rows), err, m.want)
		}
	}
}

// TestMeasuresTellWithoutMasks holds that it means something if they don't.
func TestMeasuresTellWithoutMasks(t *testing.T) {
	r := newRig(t, rigConfig{setup: twoSecrets})
	conn := r.connect(t)
	all, silent := 0, 0
	for _, m := range measures() {
		for _, expression := range m.attempts {
			all++
			if same, err := measured(t, conn, modes()[0], expression); same && err == nil {
				silent++
				t.Logf("tells nothing: %s", expression)
			}
		}
	}
	if all < 350 || silent > all/10 {
		t.Errorf("%d of %d tell nothing", silent, all)
	}
}

// measured asks for an expression of both tables. It reports whether the answers are
// the same, as far as there are any, and an error of either.
func measured(t *testing.T, conn *pgx.Conn, how mode, expression string) (same bool, err error) {
	t.Helper()
	first, err := how.run(t.Context(), conn, asked(expression, "first"))
	second, err2 := how.run(t.Context(), conn, asked(expression, "second"))
	if err != nil || err2 != nil {
		return true, cmp.Or(err, err2)
	}
	same = fmt.Sprintf("%q", first) == fmt.Sprintf("%q", second)
	if !same {
		t.Logf("%s gives %.60q and %.60q", expression, first, second)
	}
	return same, nil
}

// asked is a query of a table: of all rows where there is an expression only.
func asked(text, table string) string {
	if !strings.HasPrefix(text, "SELECT ") && !strings.HasPrefix(text, "WITH ") {
		text = "SELECT " + text + " FROM T ORDER BY id"
	}
	return replaceWord(text, "T", table)
}

// replaceWord replaces a word where it stands by itself.
func replaceWord(text, word, by string) string {
	return regexp.MustCompile(`\b`+word+`\b`).ReplaceAllLiteralString(text, by)
}
