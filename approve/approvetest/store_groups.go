package approvetest

import (
	"testing"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/policy"
)

// asking returns a ticket whose reasons ask one group each, "" for nobody.
func asking(t testing.TB, id string, now time.Time, groups ...string) approve.Ticket {
	t.Helper()
	tk := ticket(t, id, "s1", "x", now)
	tk.Request.Reasons = nil
	for _, g := range groups {
		r := policy.Reason{Rule: "r"}
		if g != "" {
			r.Approvers = []string{"nobody", g}
		}
		tk.Request.Reasons = append(tk.Request.Reasons, r)
	}
	return tk
}

func (t *storeTest) openTicket(tk approve.Ticket, want approve.Opening) approve.Ticket {
	t.Helper()
	got, opening, err := t.store.Open(t.Context(), tk, wide)
	if err != nil || opening != want {
		t.Fatalf("Open(%s): got opening %d, %v, want %d", tk.ID, opening, err, want)
	}
	return got
}

// approverGroups asks for the same action, but for other approvers, after a grant
// of one in the group dba.
func (t *storeTest) approverGroups() {
	a := t.open("a", "s1", "x", approve.Added)
	t.grant(a, approve.Scope{Uses: 9, For: time.Minute})
	t.redeem("a", nil)
	t.openTicket(asking(t, "b", t.now, "dba", ""), approve.Redeemed)
	t.openTicket(asking(t, "c", t.now, "dba", "dba"), approve.Redeemed)
	t.openTicket(asking(t, "d", t.now, "security"), approve.Added)
	t.openTicket(asking(t, "e", t.now, "dba", "security"), approve.Added)
	t.openTicket(asking(t, "f", t.now), approve.Redeemed)
}

// approverIsAsker has the approver in the chain of a later request, as an actor of
// whom the issuer is not told.
func (t *storeTest) approverIsAsker() {
	a := t.open("a", "s1", "x", approve.Added)
	r := t.ruling(a, approve.Scope{Uses: 9, For: time.Minute})
	r.Approver = policy.Identity{Subject: "agent-7", Issuer: "https://other"}
	if _, err := t.store.Decide(t.Context(), "a", r); err != nil {
		t.Fatalf("Decide: %v", err)
	}
	t.redeem("a", nil)
	t.open("b", "s1", "x", approve.Added)
}

// joinGroups has calls that ask other groups not wait for the same answer.
func (t *storeTest) joinGroups() {
	t.openTicket(asking(t, "a", t.now, "dba"), approve.Added)
	t.openTicket(asking(t, "b", t.now, "security"), approve.Added)
	for _, want := range []string{"dba", "security"} {
		id := map[string]string{"dba": "a", "security": "b"}[want]
		if got := t.openTicket(asking(t, "late-"+id, t.now, want), approve.Joined); got.ID != id {
			t.Errorf("a call that asks %s joined %s", want, got.ID)
		}
	}
	t.openTicket(asking(t, "c", t.now, "dba", "security"), approve.Added)
}
