package pgproxy_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/gateway/policy"
)

const constraintSchema = `
CREATE DOMAIN address AS text; CREATE DOMAIN work_address AS address; CREATE DOMAIN code AS text; CREATE DOMAIN other.address AS text;
CREATE TYPE pair AS (a code, b int);
CREATE TABLE mails (id int, sender work_address, subject code); INSERT INTO mails VALUES (1, 'canary-mail@secret.example', 'tea');
CREATE TABLE boxes (id int, p pair);
CREATE TABLE by_address (id int, email text) PARTITION BY RANGE (email);
CREATE TABLE by_address_rest PARTITION OF by_address DEFAULT;
CREATE TABLE by_id (id int, email text) PARTITION BY LIST (id);
CREATE TABLE by_expression (id int, email text) PARTITION BY RANGE (left(email, 1));
CREATE TABLE part (id int, email text); INSERT INTO part VALUES (1, 'canary-part@secret.example');
CREATE INDEX ON people (age);
`

// constraining masks columns that must not decide anything.
func constraining() policy.Evaluator {
	var masks []policy.Mask
	for _, name := range []string{"people.email", "mails.sender", "part.email", "by_address.email", "by_id.email", "by_expression.email", "boxes.p"} {
		table, column, _ := strings.Cut(name, ".")
		masks = append(masks, policy.Mask{Table: "public." + table, Column: column, Method: "redact", Filter: policy.MaskRefuse})
	}
	return policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: masks}, nil
	})
}

// Whether rows that are there satisfy a condition tells of their values, however the
// condition is put. Each attempt has a twin about other columns, which must work.
func TestBypassByConditionsOfDefinitions(t *testing.T) {
	r := newBypassRig(t, constraining(), constraintSchema)
	conn, wire := r.connectWatched(t)
	for name, c := range map[string]struct{ attempts, twins []string }{
		"check of a domain": {
			[]string{"ALTER DOMAIN work_address ADD CHECK (VALUE < 'canary-n')", "ALTER DOMAIN public.work_address ADD CONSTRAINT k CHECK (VALUE > 'c') NOT VALID", "ALTER DOMAIN address ADD CHECK (VALUE < 'canary-n')", "ALTER DOMAIN public.address VALIDATE CONSTRAINT k", "ALTER DOMAIN code ADD CHECK (VALUE < 'x')"},
			[]string{"ALTER DOMAIN other.address ADD CONSTRAINT k CHECK (VALUE < 'x') NOT VALID", "ALTER DOMAIN other.address VALIDATE CONSTRAINT k", "ALTER DOMAIN address DROP CONSTRAINT IF EXISTS k", "ALTER DOMAIN address SET DEFAULT 'x'"},
		},
		"NULL in a domain": {[]string{"ALTER DOMAIN work_address SET NOT NULL", "ALTER DOMAIN address SET NOT NULL"}, []string{"ALTER DOMAIN other.address SET NOT NULL", "ALTER DOMAIN address DROP NOT NULL"}},
		"NULL in a column": {[]string{"ALTER TABLE people ALTER email SET NOT NULL", "ALTER TABLE mails ALTER COLUMN sender SET NOT NULL, ALTER id SET NOT NULL"}, []string{"ALTER TABLE mails ALTER id SET NOT NULL", "ALTER TABLE people ALTER email DROP NOT NULL"}},
		"type of a column": {
			[]string{"ALTER TABLE part ALTER email TYPE varchar(20)", "ALTER TABLE part ALTER email TYPE other.address", "ALTER TABLE part ALTER email TYPE int USING 1", "ALTER TABLE mails ALTER sender TYPE code"},
			[]string{"ALTER TABLE mails ALTER id TYPE bigint", "ALTER TABLE mails ALTER subject TYPE varchar(20)"},
		},
		"bounds of a partition": {
			[]string{"ALTER TABLE by_address ATTACH PARTITION part FOR VALUES FROM ('a') TO ('canary-q')", "CREATE TABLE p1 PARTITION OF by_address FOR VALUES FROM ('canary-a') TO ('canary-q')", "ALTER TABLE by_expression ATTACH PARTITION part FOR VALUES FROM ('c') TO ('d')"},
			[]string{"ALTER TABLE by_id ATTACH PARTITION part FOR VALUES IN (1)", "CREATE TABLE p2 PARTITION OF by_id FOR VALUES IN (2)"},
		},
		"row security": {
			[]string{"CREATE POLICY p ON people USING (email > 'c')", "CREATE POLICY p ON people FOR UPDATE WITH CHECK (people.email > 'c')", "CREATE POLICY p ON orders USING (EXISTS (SELECT FROM people WHERE email > 'c'))", "ALTER POLICY p ON people USING (email LIKE 'c%')", "CREATE POLICY p ON people USING (people::text LIKE '%c%')"},
			[]string{"CREATE POLICY p ON people USING (age > 1)", "CREATE POLICY p ON orders USING (person IN (SELECT id FROM people))", "ALTER POLICY p ON people USING (name = 'Ada')"},
		},
		"indexes": {
			[]string{"CREATE INDEX ON people (age) WHERE email > 'c'", "CREATE INDEX ON people ((1 / (ascii(email) - 99)))", "CREATE UNIQUE INDEX ON part (left(email, 3))", "CREATE INDEX CONCURRENTLY ON people (age) WHERE email > 'c'"},
			[]string{"CREATE INDEX ON people (age) WHERE name > 'c'", "CREATE INDEX ON people (age) INCLUDE (email)"},
		},
		"statistics":  {[]string{"CREATE STATISTICS s ON (1 / (ascii(email) - 99)), age FROM people", "CREATE STATISTICS s ON (left(email, 1)) FROM people"}, []string{"CREATE STATISTICS s ON (age / 2), name FROM people", "CREATE STATISTICS s2 ON email, age FROM people; ANALYZE people"}},
		"order":       {[]string{"CLUSTER people USING people_email_key", "CLUSTER VERBOSE public.people USING people_email_key", "ALTER TABLE people CLUSTER ON people_email_key"}, []string{"CLUSTER orders USING orders_pkey", "ALTER TABLE orders CLUSTER ON orders_pkey", "ALTER TABLE people SET WITHOUT CLUSTER"}},
		"publication": {[]string{"CREATE PUBLICATION p FOR TABLE people WHERE (email > 'c')"}, []string{"CREATE PUBLICATION p2 FOR TABLE orders WHERE (item > 'c')"}},
	} {
		for _, sql := range c.attempts {
			if _, err := runSimple(t.Context(), conn, sql); sqlState(err) != "42501" {
				t.Errorf("%s: %s: %v", name, sql, err)
			}
		}
		for _, sql := range c.twins {
			if _, err := runSimple(t.Context(), conn, sql); err != nil {
				t.Errorf("%s: %s: %v", name, sql, err)
			}
		}
	}
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked", found)
	}
}

// What is new in the catalogue by a session's own statement is known to its next.
func TestBypassByDomainMadeBefore(t *testing.T) {
	r := newBypassRig(t, constraining(), constraintSchema)
	conn := r.connect(t)
	for _, sql := range []string{"CREATE DOMAIN fresh AS text", "CREATE DOMAIN above AS fresh", "ALTER TABLE mails ADD COLUMN extra above", "ALTER DOMAIN fresh ADD CHECK (VALUE < 'x')"} {
		if _, err := runSimple(t.Context(), conn, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	r.pg.Exec("ALTER TABLE mails ALTER sender TYPE above")
	for _, sql := range []string{"CREATE TABLE reason_to_look (id int)", "SELECT 1 FROM reason_to_look"} {
		if _, err := runSimple(t.Context(), conn, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if _, err := runSimple(t.Context(), conn, "ALTER DOMAIN fresh ADD CHECK (VALUE < 'y')"); sqlState(err) != "42501" {
		t.Error(err)
	}
}

// The policy is told what a definition's condition looks at.
func TestConditionsOfDefinitionsAreSeenByThePolicy(t *testing.T) {
	var seen []policy.Effect
	r := newBypassRig(t, policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Command.Facts != nil {
			seen = append(seen, in.Command.Effects...)
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	}), constraintSchema)
	conn := r.connect(t)
	for sql, want := range map[string]policy.Effect{
		"ALTER DOMAIN address ADD CHECK (VALUE < 'canary-n')":                  {Name: "public.mails", Filtered: []string{"sender"}},
		"ALTER TABLE by_address ATTACH PARTITION part FOR VALUES IN ('x')":     {Name: "public.part", Filtered: []string{"email"}},
		"CREATE TABLE p1 PARTITION OF by_address FOR VALUES FROM (1) TO (2)":   {Name: "public.by_address", Filtered: []string{"email"}},
		"CREATE POLICY p ON people USING (email > 'c')":                        {Name: "public.people", Filtered: []string{"email"}},
		"ALTER TABLE people ALTER salary SET NOT NULL, ALTER age SET NOT NULL": {Name: "public.people", Filtered: []string{"salary", "age"}},
	} {
		seen = nil
		_, _ = runSimple(t.Context(), conn, sql) // what it says is not the point
		if !slices.ContainsFunc(seen, func(e policy.Effect) bool {
			return e.Verb == policy.VerbRead && e.Kind == "table" && e.Name == want.Name && slices.Equal(e.Filtered, want.Filtered)
		}) {
			t.Errorf("%s: %+v", sql, seen)
		}
	}
}

// Statistics hold values, those that the server was told to keep too.
func TestBypassByExtendedStatistics(t *testing.T) {
	r := newBypassRig(t, maskedColumns(), "CREATE STATISTICS kept (mcv) ON name, email, card FROM people; CREATE STATISTICS made ON (upper(email)), (reverse(card)) FROM people; CREATE STATISTICS plain (mcv) ON person, item FROM orders; INSERT INTO orders SELECT g, 1, 'tea' FROM generate_series(10, 200) g; INSERT INTO people (id, name, email, card) SELECT g, 'Ada', 'canary-' || g % 3 || '@secret.example' || repeat('x', g), '4111222233334444' FROM generate_series(100, 200) g; ANALYZE;")
	probeAll(t, r, []probe{{"extended statistics", []string{
		"SELECT * FROM pg_stats_ext", "SELECT * FROM pg_stats_ext_exprs", "SELECT stxdmcv FROM pg_statistic_ext_data", "SELECT stxdexpr::text FROM pg_statistic_ext_data", "SELECT m.* FROM pg_statistic_ext_data d, pg_mcv_list_items(d.stxdmcv) m",
		"SELECT (unnest(stxdexpr)).* FROM pg_statistic_ext_data", "SELECT array_to_string(most_common_vals, ',') FROM pg_stats_ext", "SELECT histogram_bounds::text FROM pg_stats_ext_exprs", "SELECT row_to_json(s) FROM pg_stats_ext s", "COPY (SELECT * FROM pg_stats_ext) TO STDOUT",
	}, "SELECT item FROM orders WHERE id = 1", "tea"}})
}
