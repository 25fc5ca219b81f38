package pgproxy_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/headgate/gateway/policy"
)

// detectingWithin searches every text, within a limit.
func detectingWithin(l policy.Limit) policy.Evaluator {
	return policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		masks := []policy.Mask{{Table: "*.*", Column: "*", Method: "redact", Detect: []string{"all"}}}
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Limit: &l, Masks: masks}, nil
	})
}

// Rows in which something is found and rows that go through as they are come in
// the server's order, whichever follow which, and up to the limit.
func TestSearchedRowsInTurn(t *testing.T) {
	const most = 4000
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: detectingWithin(policy.Limit{Rows: most}), setup: "CREATE TABLE t (id int)"})
		for _, every := range []int{1, 2, 7} {
			sql := fmt.Sprintf("SELECT CASE i %% %d WHEN 0 THEN 'ada' || i || '@secret.example' ELSE 'plain ' || i END FROM generate_series(1, %d) i", every, most)
			var want []string
			for i := 1; i <= most; i++ {
				value := fmt.Sprintf("plain %d", i)
				if i%every == 0 {
					value = "[email]"
				}
				want = append(want, value)
			}
			c := r.session(t)
			c.query(sql, append(answer(fmt.Sprintf("SELECT %d", most), want...), "ZI")...)
			for _, last := range []string{"bob@secret.example", "plain"} {
				c.query(sql+" UNION ALL SELECT '"+last+"'", append(answer(overRows, want...), "ZI")...)
			}
		}
	})
}
