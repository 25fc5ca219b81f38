package pgproxy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/policy"
)

// desk is an engine with a human behind it.
type desk struct {
	t      testing.TB
	engine *approve.Engine
	asked  chan approve.Ticket
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t, asked: make(chan approve.Ticket, 10)}
	engine, err := approve.NewEngine(approve.Config{
		URL:    func(id string) string { return "https://approve.example/" + id },
		Notify: func(_ context.Context, ticket approve.Ticket) { d.asked <- ticket },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.engine = engine
	return d
}

// ticket waits until a human is asked.
func (d *desk) ticket() approve.Ticket {
	d.t.Helper()
	select {
	case ticket := <-d.asked:
		return ticket
	case <-time.After(patience):
		d.t.Fatal("nobody was asked")
		return approve.Ticket{}
	}
}

func (d *desk) decide(ticket approve.Ticket, grant bool) error {
	_, err := d.engine.Decide(context.Background(), policy.Identity{Subject: "human", Issuer: "test"}, ticket.ID,
		approve.Answer{Grant: grant, Digest: ticket.Request.Digest})
	return err
}

func (d *desk) rig(driver driver) *rig {
	return newRig(d.t, rigConfig{driver: driver, policy: asking(policy.VerbDelete), approver: d.engine, setup: itemsSetup})
}

func TestApprovalIsAskedForAloud(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		desk := newDesk(t)
		r := desk.rig(d)
		c := r.session(t)
		c.send(&pgproto3.Query{String: remove})
		notice, ok := c.next().(*pgproto3.NoticeResponse)
		ticket := desk.ticket()
		if !ok || !strings.Contains(notice.Message, ticket.ID) || !strings.Contains(notice.Detail, "https://approve.example/"+ticket.ID) || notice.Hint == "" {
			t.Fatalf("got %+v, ticket %s", notice, ticket.ID)
		}
		r.wantItems("10")
		other := r.session(t) // others go on meanwhile
		other.query("SELECT count(*) FROM items", "RowDescription", "row 10", "SELECT 1", "ZI")
		if err := desk.decide(ticket, true); err != nil {
			t.Fatal(err)
		}
		c.expect("DELETE 10", "ZI")
		r.wantItems("0")
		c.send(&pgproto3.Query{String: remove}) // one grant, one use
		if err := desk.decide(desk.ticket(), false); err != nil {
			t.Fatal(err)
		}
		c.expect("notice 01000", "ERROR 42501", "ZI")
	})
}

// What a human agreed to was found by the catalogue of its time.
func TestApprovalOfAnotherCatalogue(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		desk := newDesk(t)
		r := desk.rig(d)
		c, other := r.session(t), r.connect(t)
		c.send(&pgproto3.Query{String: remove})
		ticket := desk.ticket()
		for _, sql := range []string{"ALTER TABLE items RENAME TO kept", "CREATE TABLE items (LIKE kept)"} {
			if _, err := other.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		if err := desk.decide(ticket, true); err != nil {
			t.Fatal(err)
		}
		c.expect("notice 01000", "ERROR 42501", "ZI")
		c.send(&pgproto3.Query{String: remove}) // now by the new one
		if err := desk.decide(desk.ticket(), true); err != nil {
			t.Fatal(err)
		}
		c.expect("notice 01000", "DELETE 0", "ZI")
	})
}

func TestApprovalRefused(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		desk := newDesk(t)
		r := desk.rig(d)
		conn := r.connect(t)
		go func() {
			if err := desk.decide(desk.ticket(), false); err != nil {
				t.Error(err)
			}
		}()
		_, err := conn.Exec(context.Background(), remove)
		if got := refusalOf(t, err); !strings.HasPrefix(got, `{"code":"approval_refused","rule":"no-delete"`) || sqlState(err) != "42501" {
			t.Fatalf("got %s", got)
		}
		if err := conn.Ping(context.Background()); err != nil {
			t.Fatal(err)
		}
		r.wantItems("10")
	})
}

func TestApprovalExpires(t *testing.T) {
	soon := policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		d := policy.Decision{Outcome: policy.Allow, Revision: "1"}
		if strings.HasPrefix(in.Command.Text, "DELETE") {
			d.Outcome, d.Reasons = policy.Ask, []policy.Reason{{Rule: "ask", Message: "ask", Expires: time.Millisecond}}
		}
		return d, nil
	})
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: soon, approver: newDesk(t).engine, setup: itemsSetup})
		conn := r.connect(t)
		_, err := conn.Exec(context.Background(), remove)
		if got := refusalOf(t, err); !strings.HasPrefix(got, `{"code":"approval_expired","rule":"ask"`) || !strings.Contains(got, `"retryable":true`) {
			t.Fatalf("got %s", got)
		}
		r.wantItems("10")
	})
}

func TestApprovalWithdrawnByDisconnect(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		a := newWaitingApprover()
		r := newRig(t, rigConfig{driver: d, policy: asking(policy.VerbDelete), approver: a, setup: itemsSetup})
		c := r.session(t)
		c.send(&pgproto3.Query{String: remove})
		<-a.asked
		_ = c.conn.Close()
		<-a.left
		r.wantItems("10")
		desk := newDesk(t) // and with the engine: the answer comes too late
		r = desk.rig(d)
		c = r.session(t)
		c.send(&pgproto3.Query{String: remove})
		ticket := desk.ticket()
		_ = c.conn.Close()
		r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", "0")
		if err := desk.decide(ticket, true); err == nil {
			t.Fatal("a withdrawn request was granted")
		}
		r.wantItems("10")
	})
}

func TestApprovalEndsWithTheSession(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		a := newWaitingApprover()
		r := newRig(t, rigConfig{driver: d, policy: asking(policy.VerbDelete), approver: a, setup: itemsSetup})
		c := r.session(t)
		c.send(&pgproto3.Query{String: remove})
		<-a.asked
		r.revokeAll(t)
		<-a.left
		if got := c.end(); len(got) < 2 || got[len(got)-1] != "FATAL 57P01" {
			t.Fatalf("got %q", got)
		}
		r.wantItems("10")
	})
}

func TestMessagesBehindApproval(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		for _, grant := range []bool{true, false} {
			desk := newDesk(t)
			r := desk.rig(d)
			c := r.session(t)
			sync := &pgproto3.Sync{}
			c.send(pipeline("SELECT 1", remove, "SELECT 2", sync)...)
			ticket := desk.ticket()
			c.send(pipeline("SELECT 3", sync, &pgproto3.Query{String: "SELECT 4"})...)
			c.send(&pgproto3.Query{String: "SELECT length('" + strings.Repeat("x", 300_000) + "')"})
			if err := desk.decide(ticket, grant); err != nil {
				t.Fatal(err)
			}
			var got []string
			for m := range c.messages() {
				if m == "row 300000" {
					break
				}
				if strings.HasPrefix(m, "row") || strings.HasPrefix(m, "DELETE") || strings.HasPrefix(m, "ERROR") || m == "ZI" {
					got = append(got, m)
				}
			}
			want := "row 1 DELETE 10 row 2 ZI row 3 ZI row 4 ZI"
			if !grant {
				want = "row 1 ERROR 42501 ZI row 3 ZI row 4 ZI"
			}
			if strings.Join(got, " ") != want {
				t.Fatalf("got %q, want %s", got, want)
			}
		}
	})
}

// What fails while the statement behind it is being judged makes the server skip
// that one, whatever the verdict.
func TestFailureDuringJudgement(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		gate := make(chan struct{})
		slow := policy.EvaluatorFunc(func(ctx context.Context, in *policy.Input) (policy.Decision, error) {
			if in.Command.Text == remove {
				<-gate
			}
			return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
		})
		r := newRig(t, rigConfig{driver: d, policy: slow, setup: itemsSetup})
		c := r.session(t)
		c.send(pipeline("SELECT 1/length(pg_sleep(0.2)::text)", remove, &pgproto3.Query{String: remove}, &pgproto3.Sync{},
			"SELECT 5", &pgproto3.Sync{})...)
		for m := range c.messages() {
			if m == "ERROR 22012" {
				break
			}
		}
		close(gate)
		c.expect("ZI", "ParseComplete", "BindComplete", "row 5", "SELECT 1", "ZI")
		r.wantItems("10")
	})
}
