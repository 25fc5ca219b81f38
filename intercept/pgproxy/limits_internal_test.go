package pgproxy

import (
	"strings"
	"testing"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
)

// A cancel request may hit the ROLLBACK of the gateway's own: it is repeated, and
// the client, which has had its error, hears nothing of it.
func TestCancelAtARollbackOfTheGateways(t *testing.T) {
	s := detached(t)
	answer := func(messages ...[]byte) string {
		t.Helper()
		var in []byte
		for _, m := range messages {
			in = append(in, m...)
		}
		used, release, err := s.stepServer(in)
		if err != nil || used != len(in) {
			t.Fatalf("used %d of %d, %v", used, len(in), err)
		}
		return string(release)
	}
	tag := func(text string) []byte {
		return appendMessage(nil, msgCommandComplete, func(b []byte) []byte { return appendText(b, text) })
	}
	row := appendMessage(nil, msgDataRow, func(b []byte) []byte { return append(b, 0, 1, 0, 0, 0, 1, 'x') })
	layout := appendMessage(nil, msgRowDescription, func(b []byte) []byte { return append(b, 0, 0) })
	canceled := appendProblem(nil, msgError, problem{severity: severityError, code: queryCanceled, message: "canceling statement due to user request"})
	run := &execution{query: &resolved{traced: []*traced{}}, limit: &policy.Limit{Rows: 1}, verdict: intercept.Verdict{Sequence: 1}}
	s.send(appendQuery(nil, "DELETE FROM t RETURNING a"), entry{kind: msgQuery, run: run, judged: true, verdict: run.verdict, wrapped: true})
	s.nextBatch()
	if got := answer(layout, row, row, row, tag("DELETE 3"), appendReady(nil, statusOpen)); strings.Count(got, "limit_exceeded") != 1 || strings.Contains(got, "DELETE") {
		t.Fatalf("released %q", got)
	}
	if got := answer(canceled, appendReady(nil, 'E')); got != "" {
		t.Errorf("the client heard %q", got)
	}
	if n := strings.Count(string(s.toServer), "ROLLBACK"); n != 2 || s.limited != 1 {
		t.Errorf("%d times rolled back, %d limited", n, s.limited)
	}
	if got := answer(tag("ROLLBACK"), appendReady(nil, statusIdle)); got != string(appendReady(nil, statusIdle)) {
		t.Errorf("the client heard %q", got)
	}
	if s.limited != 0 || s.queue.size != 0 || s.status != statusIdle || s.batch != s.answered+1 {
		t.Errorf("limited %d, %d in the queue, status %c, batch %d, answered %d", s.limited, s.queue.size, s.status, s.batch, s.answered)
	}
	s.stopLimiter()
}
