package pgproxy_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

// A copying is a way to get at masked values by COPY. The twin, without TO
// STDOUT, must give want.
type copying struct {
	name       string
	steps      []string
	twin, want string
}

func copyings() []copying {
	return []copying{
		{"table", []string{"COPY people TO STDOUT", "COPY public.people TO STDOUT (FORMAT csv)", "COPY ONLY people TO STDOUT", "COPY people TO STDOUT (FORMAT binary)"},
			"COPY orders TO STDOUT", "1\t1\ttea\n2\t2\tjam\n"},
		{"columns", []string{"COPY people (email) TO STDOUT", "COPY people (id, card, ssn, salary) TO STDOUT CSV HEADER", "COPY people (email, email) TO STDOUT"},
			"COPY (SELECT id, name FROM people ORDER BY id) TO STDOUT", "1\tAda\n2\tBob\n3\tCyd\n"},
		{"query", []string{"COPY (SELECT email FROM people) TO STDOUT", "COPY (SELECT p.* FROM people p) TO STDOUT", "COPY (TABLE people) TO STDOUT", "COPY (VALUES ((SELECT email FROM people LIMIT 1))) TO STDOUT"},
			"COPY (VALUES (1, 'a')) TO STDOUT", "1\ta\n"},
		{"query with tricks in its text", []string{"COPY (SELECT ')' AS x, email FROM people) TO STDOUT", "COPY (SELECT email FROM people /* ) ( */) TO STDOUT", "COPY (SELECT $$)$$, email FROM people -- )\n) TO STDOUT", `COPY (SELECT 1 AS ")", email FROM people) TO STDOUT`, "COPY/*(*/(SELECT 1 AS id, email FROM people) TO STDOUT"},
			"COPY/*(*/(SELECT ')' /* ( */ AS \"(\") TO STDOUT", ")\n"},
		{"alias", []string{"COPY (SELECT email AS id, card AS name FROM people) TO STDOUT", "COPY (SELECT a FROM people AS t(z, a, b, c)) TO STDOUT", "COPY (SELECT x.c FROM people AS x(a, b, c)) TO STDOUT"},
			"COPY (SELECT b FROM people AS t(a, b) ORDER BY a LIMIT 1) TO STDOUT", "Ada\n"},
		{"computed", []string{"COPY (SELECT upper(email), reverse(email), email || '!' FROM people) TO STDOUT", "COPY (SELECT encode(email::bytea, 'base64') FROM people) TO STDOUT CSV", "COPY (SELECT salary + 0, balance * 1 FROM people) TO STDOUT (FORMAT binary)"},
			"COPY (SELECT upper(name) FROM people WHERE id = 1) TO STDOUT", "ADA\n"},
		{"whole rows", []string{"COPY (SELECT p FROM people p) TO STDOUT", "COPY (SELECT to_json(p) FROM people p) TO STDOUT", "COPY (SELECT ROW(p.*)::text FROM people p) TO STDOUT CSV"},
			"COPY (SELECT o FROM orders o WHERE id = 1) TO STDOUT", "(1,1,tea)\n"},
		{"aggregates", []string{"COPY (SELECT string_agg(email, ',') FROM people) TO STDOUT", "COPY (SELECT array_agg(card) FROM people) TO STDOUT", "COPY (SELECT max(salary) FROM people) TO STDOUT (FORMAT binary)"},
			"COPY (SELECT string_agg(item, ',' ORDER BY id) FROM orders) TO STDOUT", "tea,jam\n"},
		{"views", []string{"COPY (SELECT * FROM people_view) TO STDOUT", "COPY (TABLE people_nested) TO STDOUT", "COPY (SELECT * FROM people_whole) TO STDOUT", "COPY people_stored TO STDOUT", "COPY (TABLE leak_view) TO STDOUT", "COPY (TABLE statistics_view) TO STDOUT"},
			"COPY (SELECT item FROM orders_view ORDER BY id) TO STDOUT", "tea\njam\n"},
		{"children and parents", []string{"COPY vips TO STDOUT", "COPY (SELECT email FROM ONLY vips) TO STDOUT", "COPY events_1 TO STDOUT", "COPY (TABLE events) TO STDOUT", "COPY logins TO STDOUT"},
			"COPY (SELECT id FROM events) TO STDOUT", "1\n"},
		{"generated column", []string{"COPY people (email_copy) TO STDOUT", "COPY (SELECT email_copy FROM people) TO STDOUT"}, "COPY (SELECT name FROM vips) TO STDOUT", "Cyd\n"},
		{"quoted names", []string{`COPY "People Data" TO STDOUT`, `COPY "People Data" ("E-Mail") TO STDOUT CSV`, `COPY U&"People\0020Data" TO STDOUT`}, `COPY "People Data" ("Id") TO STDOUT`, "1\n"},
		{"unions", []string{"COPY (SELECT item FROM orders UNION ALL SELECT email FROM people) TO STDOUT", "COPY (SELECT 'x' UNION SELECT card FROM people) TO STDOUT"}, "COPY (SELECT 'a' UNION ALL SELECT 'b') TO STDOUT", "a\nb\n"},
		{"with and lateral", []string{"COPY (WITH x AS (SELECT email FROM people) TABLE x) TO STDOUT", "COPY (SELECT l.* FROM orders o, LATERAL (SELECT email FROM people WHERE id = o.person) l) TO STDOUT"},
			"COPY (WITH x AS (SELECT name FROM people WHERE id = 2) TABLE x) TO STDOUT", "Bob\n"},
		{"one character for each row", []string{"COPY (SELECT substr(email, g, 1) FROM people, generate_series(1, 25) g WHERE id = 1 ORDER BY g) TO STDOUT", "COPY (SELECT ascii(substr(email, g, 1)) FROM people, generate_series(1, 25) g WHERE id = 1 ORDER BY g) TO STDOUT"},
			"COPY (SELECT substr(item, g, 1) FROM orders, generate_series(1, 3) g WHERE id = 1 ORDER BY g) TO STDOUT", "t\ne\na\n"},
		{"formats that disguise", []string{"COPY people (email) TO STDOUT (DELIMITER 'a')", "COPY people (email) TO STDOUT (FORMAT csv, QUOTE 'n', ESCAPE 'c')", "COPY people (email) TO STDOUT (FORMAT csv, DELIMITER '@', FORCE_QUOTE *)", "COPY people (email) TO STDOUT (NULL 'canary-ada@secret.example')", "COPY people (email) TO STDOUT (NULL 'x')", "COPY people (email) TO STDOUT (ENCODING 'LATIN1')", "COPY people (email) TO STDOUT (ENCODING 'UTF8', HEADER)"},
			"COPY orders (item) TO STDOUT (FORMAT csv, FORCE_QUOTE *, HEADER)", "item\n\"tea\"\n\"jam\"\n"},
		{"returning", []string{"COPY (UPDATE people SET age = age RETURNING email) TO STDOUT", "COPY (DELETE FROM logins RETURNING email) TO STDOUT", "COPY (INSERT INTO logins VALUES (9, NULL) RETURNING (SELECT email FROM people LIMIT 1)) TO STDOUT"},
			"COPY (UPDATE orders SET item = item WHERE id = 1 RETURNING item) TO STDOUT", "tea\n"},
		{"functions", []string{"COPY (SELECT leak()) TO STDOUT", "COPY (SELECT * FROM leak_rows()) TO STDOUT", "COPY (SELECT query_to_xml('SELECT email FROM people', true, true, '')) TO STDOUT", "COPY (SELECT 1 <~> 2) TO STDOUT", "COPY (SELECT lower(1)) TO STDOUT"},
			"COPY (SELECT abs(-1)) TO STDOUT", "1\n"},
		{"statistics", []string{"COPY (SELECT most_common_vals FROM pg_stats) TO STDOUT", "COPY pg_statistic TO STDOUT", "COPY (SELECT histogram_bounds::text FROM pg_stats WHERE tablename = 'people') TO STDOUT"}, "COPY (SELECT count(*) FROM pg_class WHERE relname = 'orders') TO STDOUT", "1\n"},
		{"among other statements", []string{"SELECT 1; COPY people TO STDOUT; SELECT 2", "BEGIN; COPY people (email) TO STDOUT; COMMIT", "COPY orders TO STDOUT; COPY people TO STDOUT", "ALTER TABLE people DROP age, ADD age2 int; COPY people TO STDOUT", "BEGIN; ALTER TABLE people DROP id; ALTER TABLE people ADD id2 int", "ROLLBACK; COPY people TO STDOUT"}, "COPY (SELECT 1) TO STDOUT", "1\n"},
		{"prepared and shadowed", []string{"PREPARE p AS SELECT email FROM people", "COPY (EXECUTE p) TO STDOUT", "CREATE TEMP TABLE orders AS SELECT email FROM people", "COPY orders TO STDOUT", "COPY pg_temp.orders TO STDOUT"}, "COPY (SELECT item FROM public.orders WHERE id = 1) TO STDOUT", "tea\n"},
		{"after a rename", []string{"ALTER TABLE people RENAME email TO open", "COPY people (open) TO STDOUT", "COPY people TO STDOUT"}, "COPY other.people TO STDOUT", "1\topen@public.example\n"},
		{"files and programs", []string{"COPY people TO '/tmp/headgate_loot'", "COPY (SELECT email FROM people) TO PROGRAM 'cat'", "COPY notes (body) FROM PROGRAM 'psql -c ...'", "COPY notes (body) FROM '/etc/hostname'", "TABLE notes"}, "COPY notes TO STDOUT", ""},
		{"errors", []string{"COPY (SELECT email::int FROM people) TO STDOUT", "COPY (SELECT 1 / (salary - salary) FROM people) TO STDOUT", "COPY people (nothing) TO STDOUT", "COPY (SELECT ('x' || email)::numeric FROM people) TO STDOUT CSV"}, "COPY (SELECT 2) TO STDOUT", "2\n"},
		{"NULLs that tell", []string{"COPY (SELECT CASE WHEN email LIKE 'canary-ada%' THEN 'canary-ada@secret.example' END FROM people) TO STDOUT", "COPY (SELECT nullif(email, 'x') FROM people) TO STDOUT CSV"}, "COPY (SELECT CASE WHEN id = 1 THEN item END FROM orders ORDER BY id) TO STDOUT", "tea\n\\N\n"},
		{"explained and declared", []string{"EXPLAIN ANALYZE COPY people TO STDOUT", "DECLARE c CURSOR FOR SELECT email FROM people", "COPY (FETCH ALL c) TO STDOUT"}, "COPY (SELECT 3) TO STDOUT", "3\n"},
	}
}

func TestBypassByCopy(t *testing.T) {
	for _, d := range []driver{onReactor, overTLS} {
		stage := &stage{t: t, policy: maskedColumns(), driver: d}
		stage.renew()
		for _, c := range copyings() {
			t.Run(c.name, func(t *testing.T) { c.try(t, stage) })
		}
	}
}

func (c copying) try(t *testing.T, s *stage) {
	for i, m := range modes()[:3] {
		if i > 0 && s.driver != onReactor {
			break // what is judged is the same
		}
		r := s.set()
		conn, wire := r.connectWatched(t)
		for _, step := range c.steps {
			if _, err := m.run(t.Context(), conn, step); err == nil && i == 0 {
				t.Logf("%q passed", step)
			}
			if found := append(wire.leaks(), copiedDown(wire)...); len(found) > 0 {
				t.Errorf("%s: %q leaked by %q", m.name, found, step)
			}
		}
		_ = conn.Close(t.Context())
	}
	conn, wire := s.set().connectWatched(t)
	var got bytes.Buffer
	if _, err := conn.PgConn().CopyTo(t.Context(), &got, c.twin); err != nil || got.String() != c.want {
		t.Errorf("%s: got %q, %v, want %q", c.twin, &got, err, c.want)
	}
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked by %q", found, c.twin)
	}
}

// copiedDown returns the canaries among what a client gets if it puts the rows of
// COPY behind each other, with numbers as the characters that they are codes of.
func copiedDown(w *wire) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var down strings.Builder
	for stream := w.got; len(stream) >= 5; {
		size := int(uint32(stream[1])<<24|uint32(stream[2])<<16|uint32(stream[3])<<8|uint32(stream[4])) + 1
		if size > len(stream) || size < 5 {
			break
		}
		if stream[0] == 'd' {
			down.WriteString(character(strings.TrimSuffix(string(stream[5:size]), "\n")))
		}
		stream = stream[size:]
	}
	for name, needles := range canaries() {
		for _, needle := range needles {
			if strings.Contains(down.String(), needle) {
				return []string{name + " in rows of COPY"}
			}
		}
	}
	return nil
}

// The attempts above leak without masks, so that their silence means something.
func TestCopyingsLeakWithoutMasks(t *testing.T) {
	r := newRig(t, rigConfig{setup: bypassSchema, proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}})
	leaking := 0
	for _, c := range copyings()[:16] {
		conn, wire := r.connectWatched(t)
		for _, step := range c.steps {
			_, _ = runSimple(t.Context(), conn, step)
		}
		if len(wire.leaks())+len(copiedDown(wire)) > 0 {
			leaking++
		}
	}
	if leaking < 14 {
		t.Errorf("%d groups of 16 leak where nothing is masked", leaking)
	}
}
