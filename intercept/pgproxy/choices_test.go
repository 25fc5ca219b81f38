package pgproxy_test

import (
	"context"
	"testing"

	"github.com/headgate/gateway/policy"
)

// choosing masks as maskedColumns does, with choices for e-mail addresses.
func choosing(filter, untraced string) policy.Evaluator {
	masks := []policy.Mask{
		{Table: "public.people", Column: "email", Method: "redact", Filter: filter, Untraced: untraced},
		{Table: "public.people", Column: "card", Method: "redact"},
	}
	return policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: masks}, nil
	})
}

func TestFilterIsRefusedByChoice(t *testing.T) {
	r := newBypassRig(t, choosing(policy.MaskRefuse, ""), originSchema)
	conn := r.connect(t)
	for _, sql := range []string{
		"SELECT id FROM people WHERE email LIKE 'c%'", "SELECT id FROM people ORDER BY email", "SELECT count(*) FROM people GROUP BY email", "SELECT id FROM people GROUP BY id HAVING max(email) > 'c'",
		"SELECT p.id FROM people p JOIN logins l ON l.email = p.email", "SELECT 1 FROM people JOIN logins USING (email)", "SELECT 1 FROM people NATURAL JOIN logins", "SELECT DISTINCT email FROM people",
		"SELECT count(DISTINCT email) FROM people", "SELECT count(*) FILTER (WHERE email > 'c') FROM people", "SELECT rank() OVER (ORDER BY email) FROM people", "SELECT id FROM (SELECT id, email AS e FROM people) s WHERE e > 'c'",
		"SELECT id FROM (SELECT * FROM people) s WHERE s.email > 'c'", "WITH c AS (SELECT * FROM people) SELECT id FROM c ORDER BY email", "SELECT id FROM v_plain WHERE contact > 'c'", "SELECT id FROM v_computed WHERE quiet > 'c'", "SELECT id FROM v_deep ORDER BY still",
		"SELECT id FROM people UNION SELECT length(email) FROM people", "SELECT id, email FROM people UNION ALL SELECT id, email FROM people ORDER BY 2", "SELECT email FROM people UNION ALL SELECT name FROM people ORDER BY email", "SELECT email FROM people INTERSECT SELECT 'x'",
		"SELECT id FROM people WHERE email_copy > 'c'", "SELECT id FROM vips WHERE email > 'c'", "SELECT id FROM people p WHERE p::text LIKE '%x%'", "SELECT id FROM people p ORDER BY p", "UPDATE people SET age = 1 WHERE email = 'x'", "DELETE FROM people WHERE email = 'x'",
		"SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM people p WHERE p.email = o.item)", "PREPARE p AS SELECT id FROM people WHERE email = 'x'", "EXPLAIN ANALYZE SELECT id FROM people WHERE email = 'x'", "SELECT id FROM (SELECT p.* FROM people p) s WHERE s.to_jsonb::text LIKE '%x%'",
		"WITH RECURSIVE b AS (SELECT x FROM a WHERE x > 'c'), a AS (SELECT email AS x FROM people) SELECT count(*) FROM b", "SELECT 1 FROM people, LATERAL generate_series(1, length(email)) g",
	} {
		_, err := runSimple(t.Context(), conn, sql)
		if sqlState(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for sql, want := range map[string]string{
		"SELECT email, name FROM people WHERE id = 1 ORDER BY name":                                                                    "[redacted],Ada",
		"SELECT id FROM people WHERE card > '0' ORDER BY name LIMIT 1":                                                                 "1",
		"SELECT name FROM (SELECT * FROM people) s WHERE s.id = 1":                                                                     "Ada",
		"WITH c AS (SELECT id, name, email FROM people) SELECT name FROM c WHERE id = 1":                                               "Ada",
		"SELECT name, contact FROM v_plain WHERE name = 'Ada'":                                                                         "Ada,[redacted]",
		"SELECT upper(name) FROM people JOIN orders USING (id) WHERE item = 'tea'":                                                     "ADA",
		"SELECT name FROM people UNION SELECT item FROM orders ORDER BY 1 LIMIT 1":                                                     "Ada",
		"SELECT id, email FROM people WHERE id = 1 UNION ALL SELECT 2, NULL ORDER BY 1":                                                "1,[redacted];2,[redacted]",
		"WITH RECURSIVE r AS (SELECT id FROM people WHERE id = 1 UNION SELECT id + 1 FROM r WHERE id < 2) SELECT id FROM r ORDER BY 1": "1;2",
	} {
		if rows, err := runSimple(t.Context(), conn, sql); err != nil || joined(rows) != want {
			t.Errorf("%s: %q, %v, want %q", sql, joined(rows), err, want)
		}
	}
}

// Whether the rows that are there satisfy a constraint tells of their values.
func TestConstraintsFilter(t *testing.T) {
	r := newBypassRig(t, choosing(policy.MaskRefuse, ""))
	conn := r.connect(t)
	for _, sql := range []string{
		"ALTER TABLE people ADD CHECK (email > 'canary-b')", "ALTER TABLE people ADD CONSTRAINT k CHECK (id < 9 OR email_copy > 'x') NOT VALID", "ALTER TABLE people ADD COLUMN x int CHECK (email > 'c')", "ALTER TABLE people ADD EXCLUDE USING btree (left(email, 1) WITH =)",
		"ALTER TABLE people ADD EXCLUDE (id WITH =) WHERE (email > 'c')", "ALTER TABLE people ADD UNIQUE (id, email)", "ALTER TABLE notes ADD FOREIGN KEY (body) REFERENCES people (email)", "ALTER TABLE people ADD FOREIGN KEY (email) REFERENCES people (email)",
	} {
		if _, err := runSimple(t.Context(), conn, sql); sqlState(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{"ALTER TABLE people ADD CHECK (age < 200)", "ALTER TABLE people ADD UNIQUE (id, name)", "ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES people (id)", "ALTER TABLE orders ADD EXCLUDE USING btree (id WITH =) WHERE (item > 'c')"} {
		if _, err := runSimple(t.Context(), conn, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestUntracedIsRefusedByChoice(t *testing.T) {
	r := newBypassRig(t, choosing("", policy.MaskRefuse), originSchema)
	conn, wire := r.connectWatched(t)
	for _, sql := range []string{ // which shows before they are sent
		"SELECT leak() || name FROM people", "SELECT id <~> id FROM people", "SELECT name || leak_of(name) FROM people", "SELECT CASE WHEN id = 1 THEN leak() END FROM people", "SELECT (SELECT leak())",
		"SELECT generate_series(1, 3) + id FROM people WHERE email > 'c'", "SELECT 1 + count(*) FROM people WHERE email > 'c'",
	} {
		for _, m := range modes()[:3] {
			if _, err := m.run(t.Context(), conn, sql); sqlState(err) != "42501" || conn.IsClosed() {
				t.Errorf("%s: %s: %v", m.name, sql, err)
			}
		}
	}
	for _, sql := range []string{ // which the server may yet trace, and does not
		"SELECT leak()", "SELECT leak_of(name) FROM people", "SELECT (row(p.*)::people).email::varchar(3) FROM people p", "SELECT x FROM (SELECT leak() AS x) s", "SELECT person FROM people_whole", "SELECT said FROM leak_view",
	} {
		for _, m := range modes()[:3] {
			c, w := r.connectWatched(t)
			if rows, err := m.run(t.Context(), c, sql); err == nil {
				t.Errorf("%s: %s: %q", m.name, sql, rows)
			}
			if found := w.leaks(); len(found) > 0 {
				t.Errorf("%s: %q leaked by %q", m.name, found, sql)
			}
		}
	}
	for sql, want := range map[string]string{
		"SELECT email, upper(name), length(email) FROM people WHERE id = 1":                          "[redacted],ADA,0",
		"SELECT count(*) FROM people":                                                                "3",
		"SELECT * FROM orders WHERE id = 1":                                                          "1,1,tea",
		"SELECT loud FROM v_computed WHERE id = 1":                                                   "ADA",
		"SELECT name FROM people WHERE id = 1 UNION ALL SELECT item || 'x' FROM orders WHERE id = 1": "Ada;teax",
	} {
		rows, err := runSimple(t.Context(), conn, sql)
		if err != nil || joined(rows) != want {
			t.Errorf("%s: %q, %v, want %q", sql, joined(rows), err, want)
		}
	}
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked", found)
	}
}

// A statement that was described before it is bound is refused by its layout: the
// session goes on.
func TestUntracedIsRefusedWhenDescribed(t *testing.T) {
	r := newBypassRig(t, choosing("", policy.MaskRefuse))
	conn := r.connect(t)
	if _, err := conn.PgConn().Prepare(t.Context(), "s", "SELECT leak_of(name) FROM people", nil); err != nil {
		t.Fatal(err)
	}
	if result := conn.PgConn().ExecPrepared(t.Context(), "s", nil, nil, nil).Read(); sqlState(result.Err) != "42501" {
		t.Errorf("got %q, %v", result.Rows, result.Err)
	}
	if rows, err := runSimple(t.Context(), conn, "SELECT name FROM people WHERE id = 1"); err != nil || joined(rows) != "Ada" {
		t.Errorf("afterwards: %q, %v", rows, err)
	}
}

// Policies are told what is known of the functions that are called.
func TestPolicySeesCalls(t *testing.T) {
	seen := map[string]policy.SQLCall{}
	r := newBypassRig(t, policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Command.Facts != nil && in.Command.SQL != nil {
			for _, s := range in.Command.SQL.Statements {
				for _, c := range s.Calls {
					seen[c.Name] = c
				}
			}
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	}), "CREATE FUNCTION as_owner() RETURNS int LANGUAGE sql SECURITY DEFINER IMMUTABLE AS 'SELECT 1';")
	conn := r.connect(t)
	for _, sql := range []string{"SELECT upper('x'), now(), random(), leak(), store('x'), lower('X'), public.as_owner(), pg_catalog.md5('x')", "SELECT nowhere()"} {
		_, _ = runSimple(t.Context(), conn, sql)
	}
	for _, want := range []policy.SQLCall{
		{Name: "upper", Volatility: "immutable", Builtin: true}, {Name: "now", Volatility: "stable", Builtin: true}, {Name: "random", Volatility: "volatile", Builtin: true},
		{Name: "leak", Volatility: "stable"}, {Name: "store", Volatility: "volatile"}, {Name: "lower", Volatility: "stable"},
		{Name: "public.as_owner", Volatility: "immutable", SecurityDefiner: true}, {Name: "md5", Volatility: "immutable", Builtin: true}, {Name: "nowhere"},
	} {
		if got := seen[want.Name]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}
