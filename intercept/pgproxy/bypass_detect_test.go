package pgproxy_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

const detectSchema = `
CREATE EXTENSION IF NOT EXISTS citext;
CREATE TYPE mood AS ENUM ('fine', 'dora@secret.example');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN remark AS text;
CREATE TABLE tickets (id int PRIMARY KEY, body text, short varchar(40), fixed char(60), label name, doc json, docb jsonb, page xml,
	tags text[], parts pair, moods mood, extra citext, raw bytea, words tsvector, note remark, docs jsonb[], amount numeric, at timestamptz, ref uuid, digest text);
INSERT INTO tickets VALUES
	(1, 'call dora@secret.example, card 4000056655665556', 'dora@secret.example', 'dora@secret.example', 'dora@secret.example',
	 '{"from": "dora@secret.example", "card": 4000056655665556, "deep": [{"x": "\u0064ora\u0040secret.example"}]}', '{"from": "dora@secret.example", "dora@secret.example": 1}',
	 '<p m="dora@secret.example">4000056655665556</p>', '{plain,"dora@secret.example","a \"b\" dora@secret.example"}', ROW(1, 'dora@secret.example'), 'dora@secret.example',
	 'dora@secret.example', 'dora@secret.example', to_tsvector('simple', 'dora@secret.example'), 'ssn 219-09-9999', ARRAY['{"a": "dora@secret.example"}'::jsonb], 5.5, '2024-01-05 10:11:12+00', '550e8400-e29b-41d4-a716-446655440000', md5('x')),
	(2, 'nothing to see in v1.2.3.4', 'plain', 'plain', 'plain', '{"a": [1, "b\n"]}', '{"a": 1}', '<p>plain</p>', '{plain,"a \"b\""}', ROW(2, 'plain'), 'fine',
	 'plain', '\x00ff', to_tsvector('simple', 'plain'), 'plain', ARRAY['{"a": 1}'::jsonb], 6.5, '2024-01-06 10:11:12+00', '550e8400-e29b-41d4-a716-446655440001', md5('y'));
CREATE TABLE more (LIKE tickets);
CREATE VIEW tickets_view AS SELECT id, body AS text FROM tickets;
CREATE TABLE keys (id int, body text);
INSERT INTO keys VALUES (1, 'export AWS_KEY=AKIAZQ3DRSTUVWXY2345 and ghp_zq3drstuvwxyzabcdefghijklmnopqrs0123'), (2, 'postgres://bob:zq3-pass@db/x'), (3, 'password=zq3-hunter'),
	(4, E'-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAAZQ3DRSTUVWXY\n-----END OPENSSH PRIVATE KEY-----'), (5, 'DE89370400440532013000'), (6, '+14155552671 from 198.51.100.77'),
	(7, 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ6cTMifQ.zq3-signature_zq3-signature_zq3-signature'), (8, 'the key is in S3, sha da39a3ee5e6b4b0d3255bfef95601890afd80709');
CREATE FUNCTION shout() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'dora@secret.example'; RAISE EXCEPTION 'card 4000056655665556' USING DETAIL = 'dora@secret.example', HINT = '219-09-9999'; END $$;
CREATE FUNCTION whisper() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'mail is dora@secret.example'; RETURN 1; END $$;
CREATE TABLE checked (body text CHECK (body NOT LIKE '%@%'), id int UNIQUE);
`

// detectNeedles are what must not come out.
func detectNeedles() []string {
	return []string{"dora@secret.example", "ora\\u0040secret", "4000056655665556", "219-09-9999", "ZQ3DRSTUVWXY", "zq3drstuvw", "zq3-", "DE8937040044", "4155552671", "198.51.100.77", "eyJzdWIiOiJ6cTMifQ", "646f72614073656372"}
}

func detecting(table, method string, kinds ...string) policy.Evaluator {
	return policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: []policy.Mask{{Table: table, Column: "*", Method: method, Detect: kinds, Keep: 4}}}, nil
	})
}

func newDetectRig(t testing.TB, p policy.Evaluator) *rig {
	t.Helper()
	return newRig(t, rigConfig{policy: p, proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789"), PassNotifications: true}, setup: detectSchema})
}

func (w *wire) detected() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	for _, needle := range detectNeedles() {
		if strings.Contains(string(w.got), needle) {
			found = append(found, needle)
		}
	}
	return found
}

// TestBypassDetection tries to get at what is detected in text; the twins must come
// as the server sends them.
func TestBypassDetection(t *testing.T) {
	r := newDetectRig(t, detecting("*.*", "redact", "all"))
	for _, a := range []attempt{
		{"text", []string{"SELECT body FROM tickets"}, "SELECT body FROM tickets WHERE id = 2", "nothing to see in v1.2.3.4"},
		{"varchar", []string{"SELECT short FROM tickets"}, "SELECT short FROM tickets WHERE id = 2", "plain"},
		{"char", []string{"SELECT fixed FROM tickets"}, "SELECT rtrim(fixed) FROM tickets WHERE id = 2", "plain"},
		{"name", []string{"SELECT label FROM tickets"}, "SELECT label FROM tickets WHERE id = 2", "plain"},
		{"json", []string{"SELECT doc FROM tickets", "SELECT doc -> 'deep' FROM tickets", "SELECT doc ->> 'from' FROM tickets"}, "SELECT doc FROM tickets WHERE id = 2", `{"a": [1, "b\n"]}`},
		{"jsonb", []string{"SELECT docb FROM tickets", "SELECT doc::jsonb FROM tickets"}, "SELECT docb FROM tickets WHERE id = 2", `{"a": 1}`},
		{"json keys", []string{"SELECT json_object_agg(short, id) FROM tickets", "SELECT jsonb_object_keys(docb) FROM tickets"}, "SELECT json_object_agg('x', id) FROM tickets WHERE id = 2", `{ "x" : 2 }`},
		{"json builders", []string{"SELECT row_to_json(k) FROM keys k", "SELECT json_agg(body) FROM tickets", "SELECT jsonb_build_object('b', body) FROM tickets", "SELECT to_jsonb(t) FROM (SELECT body, doc, tags FROM tickets) t"}, "SELECT json_build_object('b', short) FROM tickets WHERE id = 2", `{"b" : "plain"}`},
		{"xml", []string{"SELECT page FROM tickets", "SELECT xmlelement(name x, body) FROM tickets"}, "SELECT page FROM tickets WHERE id = 2", "<p>plain</p>"},
		{"array", []string{"SELECT tags FROM tickets", "SELECT array_agg(body) FROM tickets", "SELECT ARRAY[short, body] FROM tickets", "SELECT unnest(tags) FROM tickets"}, "SELECT tags FROM tickets WHERE id = 2", `{plain,"a \"b\""}`},
		{"array of jsonb", []string{"SELECT docs FROM tickets"}, "SELECT docs FROM tickets WHERE id = 2", `{"{\"a\": 1}"}`},
		{"array of citext", []string{"SELECT ARRAY[extra] FROM tickets"}, "SELECT ARRAY[extra] FROM tickets WHERE id = 2", "{plain}"},
		{"composite", []string{"SELECT parts FROM tickets", "SELECT ROW(short, 1) FROM tickets", "SELECT ROW(1, ROW(short)) FROM tickets"}, "SELECT parts FROM tickets WHERE id = 2", "(2,plain)"},
		{"array of composites", []string{"SELECT array_agg(parts) FROM tickets"}, "SELECT array_agg(parts) FROM tickets WHERE id = 2", `{"(2,plain)"}`},
		{"whole row", []string{"SELECT t FROM (SELECT id, body, short, doc, tags, parts FROM tickets) t", "SELECT t FROM tickets_view t"}, "SELECT k FROM keys k WHERE id = 8", `(8,"the key is in S3, sha da39a3ee5e6b4b0d3255bfef95601890afd80709")`},
		{"long field of a composite", []string{"SELECT ROW(rpad('4000056655665556 ', 49, 'x.')) FROM tickets", "SELECT ROW(rpad('4000056655665556 ', 54, 'x.')) FROM tickets"}, "SELECT ROW(rpad('1 ', 9, 'x.'))", "(\"1 x.x.x.x\")"},
		{"enum", []string{"SELECT moods FROM tickets"}, "SELECT moods FROM tickets WHERE id = 2", "fine"},
		{"citext", []string{"SELECT extra FROM tickets"}, "SELECT extra FROM tickets WHERE id = 2", "plain"},
		{"domain", []string{"SELECT note FROM tickets", "SELECT body::remark FROM tickets"}, "SELECT note FROM tickets WHERE id = 2", "plain"},
		{"bytea", []string{"SELECT raw FROM tickets", "SELECT convert_to(body, 'UTF8') FROM tickets", "SET bytea_output = 'escape'", "SELECT raw FROM tickets"}, "SELECT raw FROM tickets WHERE id = 2", `\x00ff`},
		{"tsvector", []string{"SELECT words FROM tickets", "SELECT to_tsvector('simple', body) FROM tickets"}, "SELECT words FROM tickets WHERE id = 2", "'plain':1"},
		{"computed", []string{"SELECT upper(body), lower(body) FROM tickets", "SELECT substr(body, 6) FROM tickets", "SELECT trim(short) || '' FROM tickets", "SELECT left(body, 30) FROM tickets"}, "SELECT upper(short) FROM tickets WHERE id = 2", "PLAIN"},
		{"concatenated", []string{"SELECT 'x' || short || 'y' FROM tickets", "SELECT concat(id, short, id) FROM tickets", "SELECT format('%s;%s', id, body) FROM tickets", "SELECT string_agg(body, ',') FROM tickets", "SELECT 'card:' || 4000056655665556"}, "SELECT short || '-' || id FROM tickets WHERE id = 2", "plain-2"},
		{"joined from parts", []string{"SELECT 'dora' || '@' || 'secret.example'", "SELECT '4000' || '056655665556'"}, "SELECT 'a' || '@' || 'b'", "a@b"},
		{"views", []string{"SELECT text FROM tickets_view", "SELECT * FROM tickets_view", "SELECT v FROM tickets_view v"}, "SELECT text FROM tickets_view WHERE id = 2", "nothing to see in v1.2.3.4"},
		{"set operations", []string{"SELECT body FROM tickets UNION SELECT short FROM tickets", "SELECT 'x' UNION ALL SELECT short FROM tickets"}, "SELECT short FROM tickets WHERE id = 2 UNION SELECT 'plain'", "plain"},
		{"sub-selects and CTEs", []string{"SELECT (SELECT body FROM tickets LIMIT 1)", "WITH c AS (SELECT body b FROM tickets) SELECT b FROM c", "SELECT x FROM tickets, LATERAL (SELECT body AS x) l"}, "WITH c AS (SELECT 'b' AS b) SELECT b FROM c", "b"},
		{"cursors", []string{"BEGIN", "DECLARE c CURSOR FOR SELECT body FROM tickets", "FETCH ALL FROM c", "COMMIT"}, "SELECT 1", "1"},
		{"prepared", []string{"PREPARE p AS SELECT body FROM tickets", "EXECUTE p"}, "SELECT 2", "2"},
		{"stored elsewhere", []string{"CREATE TEMP TABLE loot AS SELECT body FROM tickets", "SELECT body FROM loot", "INSERT INTO more SELECT * FROM tickets", "SELECT body FROM more", "INSERT INTO more (id, body) VALUES (3, 'dora@secret.example') RETURNING body", "UPDATE more SET short = 'dora@secret.example' RETURNING short"}, "SELECT 3", "3"},
		{"procedural", []string{"DO $$ BEGIN RAISE NOTICE '%', (SELECT body FROM tickets LIMIT 1); END $$", "SELECT query_to_xml('SELECT body FROM tickets', true, true, '')"}, "SELECT 4", "4"},
		{"errors", []string{"SELECT body::int FROM tickets", "SELECT short::date FROM tickets", "SELECT shout()", "SELECT short::uuid FROM tickets", "SELECT ('{' || short)::json FROM tickets", "INSERT INTO checked VALUES ('dora@secret.example', 1)", "INSERT INTO checked SELECT short, 1 FROM tickets WHERE id = 1", "SELECT 'dora@secret.example'::int"}, "SELECT '5'::int", "5"},
		{"notices", []string{"SELECT whisper()"}, "SELECT 6", "6"},
		{"notifications", []string{"LISTEN l", "SELECT pg_notify('l', body) FROM tickets", "NOTIFY l, 'dora@secret.example'", "SELECT 1"}, "SELECT 7", "7"},
		{"settings", []string{"SELECT set_config('application_name', short, false) FROM tickets WHERE id = 1", "SHOW application_name", "SELECT current_setting('application_name')"}, "SELECT set_config('application_name', 'psql', false)", "psql"},
		{"statements of others", []string{"SELECT 'dora@secret.example' AS x", "SELECT query FROM pg_stat_activity", "SELECT * FROM pg_prepared_statements"}, "SELECT 8", "8"},
		{"statistics", []string{"SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename = 'tickets'", "SELECT consrc FROM (SELECT pg_get_constraintdef(oid) AS consrc FROM pg_constraint) c"}, "SELECT 9", "9"},
		{"copy", []string{"COPY tickets TO STDOUT", "COPY (SELECT body FROM tickets) TO STDOUT", "COPY keys TO STDOUT (FORMAT csv)", "COPY tickets (body, short) TO STDOUT (FORMAT binary)"}, "SELECT 10", "10"},
		{"explain", []string{"EXPLAIN VERBOSE SELECT * FROM tickets WHERE short = 'dora@secret.example'", "EXPLAIN (FORMAT json) SELECT 1 FROM tickets WHERE short = 'dora@secret.example'"}, "EXPLAIN (COSTS off) SELECT 1", "Result"},
		{"secrets", []string{"SELECT body FROM keys", "SELECT k FROM keys k", "SELECT json_agg(k) FROM keys k", "SELECT array_agg(body) FROM keys"}, "SELECT body FROM keys WHERE id = 8", "the key is in S3, sha da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{"other types", []string{"SELECT * FROM tickets"}, "SELECT amount, at AT TIME ZONE 'UTC', ref, digest FROM tickets WHERE id = 2", "6.5,2024-01-06 10:11:12,550e8400-e29b-41d4-a716-446655440001,415290769594460e2e485922904f345d"},
	} {
		t.Run(a.name, func(t *testing.T) {
			for _, m := range modes() {
				t.Run(m.name, func(t *testing.T) { a.tryDetection(t, r, m) })
			}
		})
	}
}

func (a attempt) tryDetection(t *testing.T, r *rig, m mode) {
	conn, wire := r.connectWatched(t)
	for _, step := range a.steps {
		rows, err := m.run(t.Context(), conn, step)
		t.Logf("%s: %q %v", step, rows, err)
		if found := wire.detected(); len(found) > 0 {
			t.Errorf("%q leaked by %q", found, step)
			break
		}
	}
	_ = conn.Close(context.Background())
	if found := wire.detected(); len(found) > 0 {
		t.Errorf("%q leaked in the end", found)
	}
	a.tryTwin(t, r, m)
}

// What is found is replaced in place, by the rule's method.
func TestDetectionByMethod(t *testing.T) {
	for _, c := range []struct {
		table, method string
		kinds         []string
		want          string
	}{
		{"*.*", "redact", []string{"email", "card"}, "call [email], card [card]"},
		{"*.*", "redact", []string{"card"}, "call dora@secret.example, card [card]"},
		{"*.*", "partial", []string{"card"}, "call dora@secret.example, card ************5556"},
		{"*.*", "email", []string{"all"}, "call d***@secret.example, card [card]"},
		{"*.*", "null", []string{"email"}, ""},
		{"public.tickets", "redact", []string{"email"}, "call [email], card 4000056655665556"},
		{"public.keys", "redact", []string{"email"}, "call dora@secret.example, card 4000056655665556"},
	} {
		r := newDetectRig(t, detecting(c.table, c.method, c.kinds...))
		conn := r.connect(t)
		for _, m := range modes()[:2] {
			rows, err := m.run(t.Context(), conn, "SELECT body FROM tickets WHERE id = 1")
			if err != nil || joined(rows) != c.want {
				t.Errorf("%+v, %s: got %q, %v", c, m.name, joined(rows), err)
			}
		}
	}
}

// Messages keep what is readable of them, instead of being withheld.
func TestDetectionLeavesMessagesReadable(t *testing.T) {
	r := newDetectRig(t, detecting("*.*", "redact", "all"))
	conn := r.connect(t)
	_, err := runSimple(t.Context(), conn, "SELECT short::int FROM tickets WHERE id = 1")
	if want := `ERROR: invalid input syntax for type integer: "[email]" (SQLSTATE 22P02)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := runSimple(t.Context(), conn, "INSERT INTO keys VALUES (9, 'ada@secret.example')"); err != nil {
		t.Error(err)
	}
	r.pg.Exec("DO $$ BEGIN ASSERT (SELECT body FROM keys WHERE id = 9) = 'ada@secret.example'; END $$")
}

// A policy with an unknown kind must not let anything through.
func TestUnknownDetectorRefuses(t *testing.T) {
	r := newDetectRig(t, detecting("*.*", "redact", "emial"))
	conn, wire := r.connectWatched(t)
	if _, err := runSimple(t.Context(), conn, "SELECT body FROM tickets"); err == nil || slices.Contains(wire.detected(), "dora@secret.example") {
		t.Errorf("got %v, %q", err, wire.detected())
	}
}
