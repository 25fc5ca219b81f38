package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/gateway/intercept"
)

// tell plays the whole story. The error says which steps did not show what they
// should.
func (s *stage) tell(ctx context.Context, t *teller) error {
	_, _ = fmt.Fprintln(t.out, "Headgate: an agent, a database, and a gateway between them")
	t.linef("provider", "%s, which signs tokens", s.provider.Issuer())
	t.linef("database", "%s at %s", s.database.version, s.database.address)
	t.linef("gateway", "%s, all that the agent is told of", s.address)
	token, err := s.agentToken(agentAudience)
	if err != nil {
		return err
	}
	s.strangers(ctx, t)
	a, err := connect(ctx, s.url(token))
	if err != nil {
		return fmt.Errorf("the agent could not connect: %w", err)
	}
	s.introduce(t)
	s.read(ctx, t, a)
	s.alias(ctx, t, a)
	s.compute(ctx, t, a)
	s.find(ctx, t, a)
	s.limit(ctx, t, a)
	s.drop(ctx, t, a)
	s.remove(ctx, t, a)
	if err := a.conn.Close(ctx); err != nil {
		return err
	}
	s.replay(ctx, t)
	if err := t.err(); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(t.out, "\nEvery step showed what it should.")
	return nil
}

// strangers shows that a token for somebody else opens nothing.
func (s *stage) strangers(ctx context.Context, t *teller) {
	t.heading("A token that was made for another service opens nothing")
	token, err := s.agentToken("wiki")
	t.checkf(err == nil, "no token: %v", err)
	_, err = connect(ctx, s.url(token))
	e := refusal(err)
	t.linef("gets", "%s: %s", e.Code, e.Message)
	t.checkf(e.Code == "28P01" || e.Code == "28000", "expected to be turned away, got %v", err)
}

func (s *stage) introduce(t *teller) {
	t.heading("The agent connects with its own token in place of a password")
	id := s.witness.identity()
	t.linef("subject", "%s", id.Subject)
	for _, actor := range id.Actors {
		t.linef("acting", "%s", actor.Subject)
	}
	t.linef("groups", "%s", strings.Join(id.Groups, ", "))
	t.linef("issuer", "%s", id.Issuer)
	t.linef("decision", "%s", s.witness.decision())
	t.checkf(id.Subject == "ann@shop.example" && len(id.Actors) == 1 && id.Actors[0].Subject == "support-agent", "the identity is %+v", id)
}

func (s *stage) read(ctx context.Context, t *teller, a *agent) {
	t.heading("It reads. What is sensitive comes back masked")
	rows := s.ask(ctx, t, a, "SELECT id, name, email, card FROM customers ORDER BY id")
	t.checkf(len(rows) == 4 && slices.Equal(rows[1][:2], []string{"1", "Ada Lovelace"}), "expected three customers")
	for _, row := range rows[min(1, len(rows)):] {
		masked := strings.Contains(row[2], "***@") && !strings.HasPrefix(row[2], "ada@") && !strings.Contains(row[3], "1234")
		t.checkf(masked, "%q is not masked", row)
	}
}

func (s *stage) alias(ctx context.Context, t *teller, a *agent) {
	t.heading("Another name for a column changes nothing")
	rows := s.ask(ctx, t, a, "SELECT c.email AS contact, o.item FROM customers AS c JOIN orders AS o ON o.customer_id = c.id WHERE c.id = $1", 1)
	t.checkf(len(rows) == 2 && rows[0][0] == "contact" && rows[1][0] == "a***@lovelace.example" && rows[1][1] == "loom", "got %q", rows)
}

func (s *stage) compute(ctx context.Context, t *teller, a *agent) {
	t.heading("What is computed is masked if it is made of something masked, and only then")
	rows := s.ask(ctx, t, a, "SELECT upper(name) AS loud, upper(email) AS loud_email FROM customers WHERE id = 1")
	t.checkf(len(rows) == 2 && rows[1][0] == "ADA LOVELACE" && !strings.Contains(rows[1][1], "ADA"), "got %q", rows)
}

func (s *stage) find(ctx context.Context, t *teller, a *agent) {
	t.heading("What stands in free text is found by its form")
	rows := s.ask(ctx, t, a, "SELECT body FROM notes ORDER BY id")
	t.checkf(len(rows) == 3 && rows[1][0] == "wants her invoice sent to [email]" && rows[2][0] == "likes the new loom", "got %q", rows)
}

func (s *stage) limit(ctx context.Context, t *teller, a *agent) {
	t.heading("More rows than an agent needs are cut off")
	const sql = "SELECT o.id FROM orders AS o JOIN customers AS c ON c.id > 0"
	t.linef("asks", "%s", sql)
	rows, _, err := a.ask(ctx, sql)
	e := refusal(err)
	t.linef("decision", "%s", s.witness.decision())
	t.linef("gets", "%s: %s", e.Code, e.Message)
	t.linef("", "%s", e.Detail)
	var object intercept.Refusal
	decodeErr := json.Unmarshal([]byte(e.Detail), &object)
	t.checkf(decodeErr == nil && object.Code == intercept.CodeLimitExceeded && len(rows) <= 1+maxRows, "expected to be cut off, got %d rows and %v", len(rows), err)
}

// maxRows is the limit in the policy.
const maxRows = 10

// ask sends a statement that is expected to succeed and tells of it.
func (s *stage) ask(ctx context.Context, t *teller, a *agent, sql string, args ...any) [][]string {
	t.linef("asks", "%s", sql)
	rows, _, err := a.ask(ctx, sql, args...)
	t.linef("decision", "%s", s.witness.decision())
	t.checkf(err == nil, "%v", err)
	t.table(rows)
	return rows
}

func (s *stage) drop(ctx context.Context, t *teller, a *agent) {
	t.heading("It tries to drop a table, and is told why not in a form that it can read")
	const sql = "DROP TABLE orders"
	t.linef("asks", "%s", sql)
	_, _, err := a.ask(ctx, sql)
	e := refusal(err)
	t.linef("decision", "%s", s.witness.decision())
	t.linef("gets", "%s: %s", e.Code, e.Message)
	t.linef("", "%s", e.Detail)
	var object intercept.Refusal
	decodeErr := json.Unmarshal([]byte(e.Detail), &object)
	t.checkf(decodeErr == nil && object.Code == intercept.CodeDenied && object.Rule == "no-schema-changes" && !object.Retryable,
		"expected a refusal by rule no-schema-changes, got %v", err)
	n, err := s.database.count(ctx, "orders")
	t.linef("database", "still has the table, with %d orders", n)
	t.checkf(err == nil && n == 4, "expected 4 orders: %d, %v", n, err)
}

func (s *stage) remove(ctx context.Context, t *teller, a *agent) {
	t.heading("It deletes. That waits until a human says yes to exactly this statement")
	const sql = "DELETE FROM orders WHERE id = 3"
	t.linef("asks", "%s", sql)
	said := make(chan func(), 1)
	go func() { said <- s.approve(ctx, t) }()
	a.notices = nil
	_, tag, err := a.ask(ctx, sql)
	if err != nil {
		t.checkf(false, "%v", err)
		return
	}
	for _, n := range a.notices {
		t.linef("is told", "%s. %s", n.Message, n.Detail)
	}
	t.linef("decision", "%s", s.witness.decision())
	(<-said)()
	t.linef("gets", "%s", tag)
	t.checkf(len(a.notices) == 1 && strings.Contains(a.notices[0].Detail, s.approvals), "expected one notice with the approval's URL")
	n, err := s.database.count(ctx, "orders")
	t.linef("database", "has %d orders left", n)
	t.checkf(err == nil && tag == "DELETE 1" && n == 3, "expected 3 orders: %d, %v", n, err)
}

// approve plays bea, who is told of a request, looks at it and agrees. It returns
// what is to be told of it.
func (s *stage) approve(ctx context.Context, t *teller) func() {
	fail := func(err error) func() { return func() { t.checkf(false, "approving failed: %v", err) } }
	var id string
	select {
	case ticket := <-s.tickets:
		id = ticket.ID
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	token, err := s.approverToken()
	if err != nil {
		return fail(err)
	}
	bea := approver{url: s.approvals, token: token}
	r, err := bea.get(ctx, id)
	if err != nil {
		return fail(err)
	}
	if err := bea.grant(ctx, id, r); err != nil {
		return fail(err)
	}
	return func() {
		t.linef("bea sees", "%s wants to run: %s", r.Principals[0].Subject, r.Command.Text)
		t.linef("", "why she is asked: %s", r.Reasons[0].Message)
		t.linef("bea says", "yes")
	}
}
