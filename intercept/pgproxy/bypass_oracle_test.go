package pgproxy_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/gateway/policy"
)

// unfiltered masks columns and refuses statements that they filter, as the policy
// library does.
func unfiltered() policy.Evaluator {
	masks := maskedColumns()
	return policy.EvaluatorFunc(func(ctx context.Context, in *policy.Input) (policy.Decision, error) {
		for _, e := range in.Command.Effects {
			if strings.HasSuffix(e.Name, "people") && slices.ContainsFunc(e.Filtered, isMasked) {
				return policy.Decision{Outcome: policy.Deny, Revision: "1", Reasons: []policy.Reason{{Rule: "masked-filter"}}}, nil
			}
		}
		return masks.Evaluate(ctx, in)
	})
}

func isMasked(column string) bool {
	return slices.Contains([]string{"email", "card", "salary", "profile", "*"}, column)
}

// What rows there are, and how many, can tell a value. No mask can hide that, so
// the policy must be told of every column that has a say in it.
func TestOraclesAreSeenByThePolicy(t *testing.T) {
	r := newBypassRig(t, unfiltered())
	conn := r.connect(t)
	for _, sql := range []string{
		"SELECT id FROM people WHERE email LIKE 'canary%'", "SELECT id FROM people ORDER BY salary", "SELECT count(*) FROM people GROUP BY email", "SELECT id FROM people GROUP BY id, name HAVING max(email) > 'c'",
		"SELECT count(*) FILTER (WHERE email > 'c') FROM people", "SELECT count(DISTINCT email) FROM people", "SELECT rank() OVER (ORDER BY salary) FROM people", "SELECT DISTINCT ON (email) id FROM people", "SELECT DISTINCT email FROM people",
		"SELECT EXISTS (SELECT 1 FROM people WHERE email = 'x')", "SELECT (SELECT count(*) FROM generate_series(1, 255) g WHERE g <= ascii(p.email)) FROM people p",
		"SELECT v.x FROM (VALUES ('c'), ('d')) v(x) JOIN people p ON v.x = left(p.email, 1)", "SELECT g FROM people p, generate_series(1, 255) g WHERE g = ascii(p.email)", "SELECT 1 FROM people NATURAL JOIN logins", "SELECT 1 FROM people JOIN logins USING (email)",
		"SELECT 1 FROM generate_series(1, 10) LIMIT (SELECT ascii(email) FROM people LIMIT 1)", "SELECT 1 FROM people, generate_series(1, ascii(email))", "SELECT 1 FROM people p, LATERAL (SELECT 1 WHERE p.email > 'c') l",
		"SELECT generate_series(1, ascii(email)) FROM people", "SELECT unnest(string_to_array(email, NULL)) FROM people", "SELECT 1 FROM people, jsonb_each(profile)", "SELECT regexp_split_to_table(card, '') FROM people",
		"WITH x AS (SELECT id FROM people WHERE email > 'c') SELECT count(*) FROM x", "UPDATE people SET age = 1 WHERE email > 'c'", "DELETE FROM people WHERE salary = 7", "SELECT id FROM people p ORDER BY p", "SELECT id FROM people WHERE people::text LIKE '%canary%'",
		"SELECT id FROM people AS t(id, b, c) WHERE c > 'c'", "SELECT 1 FROM (SELECT email AS e FROM people) s WHERE e > 'c'", "SELECT sum(1) OVER (PARTITION BY email) FROM people",
	} {
		_, err := runSimple(t.Context(), conn, sql)
		if sqlState(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{"SELECT email FROM people WHERE id = 1 ORDER BY name", "SELECT count(*) FROM people WHERE age > 40", "SELECT p.email, o.item FROM people p JOIN orders o ON o.person = p.id",
		"SELECT email FROM (SELECT id, email FROM people) s WHERE id = 1", "WITH x AS (SELECT id, email FROM people) SELECT email FROM x WHERE id = 1 ORDER BY id", "SELECT e FROM (SELECT id, name AS e FROM people UNION ALL SELECT id, email FROM people) s WHERE id = 1"} {
		if rows, err := runSimple(t.Context(), conn, sql); err != nil || len(rows) == 0 {
			t.Errorf("%s: %q, %v", sql, rows, err)
		}
	}
}
