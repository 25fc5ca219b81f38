package approvetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/approve"
)

// RunStore runs the suite of approve.Store. open returns an empty store that
// goes by the times it is given; clean up with t.Cleanup.
func RunStore(t *testing.T, open func(t *testing.T) approve.Store) {
	t.Helper()
	for name, test := range map[string]func(*storeTest){
		"OneUse":            (*storeTest).oneUse,
		"Join":              (*storeTest).join,
		"UsesOfTheWaiting":  (*storeTest).usesOfTheWaiting,
		"Standing":          (*storeTest).standing,
		"SessionScope":      (*storeTest).sessionScope,
		"ApproverGroups":    (*storeTest).approverGroups,
		"ApproverIsAsker":   (*storeTest).approverIsAsker,
		"JoinGroups":        (*storeTest).joinGroups,
		"Uncollected":       (*storeTest).uncollected,
		"Reserved":          (*storeTest).reserved,
		"Refuse":            (*storeTest).refuse,
		"Digest":            (*storeTest).digest,
		"Expiry":            (*storeTest).expiry,
		"Withdraw":          (*storeTest).withdraw,
		"Revoke":            (*storeTest).revoke,
		"RevokeUncollected": (*storeTest).revokeUncollected,
		"Limits":            (*storeTest).limits,
		"List":              (*storeTest).list,
		"Wait":              (*storeTest).wait,
		"Unknown":           (*storeTest).unknown,
		"RedeemRace":        (*storeTest).redeemRace,
		"OpenRace":          (*storeTest).openRace,
		"DecideRace":        (*storeTest).decideRace,
		"LimitsRace":        (*storeTest).limitsRace,
	} {
		t.Run(name, func(t *testing.T) {
			test(&storeTest{T: t, store: open(t), now: time.Unix(1_700_000_000, 0).UTC()})
		})
	}
}

type storeTest struct {
	*testing.T
	store approve.Store
	now   time.Time
}

var wide = approve.Limits{Total: 10_000, PerPrincipal: 10_000, PerSession: 10_000}

// open brings in a call and checks what became of it.
func (t *storeTest) open(id, session, text string, want approve.Opening) approve.Ticket {
	t.Helper()
	got, opening, err := t.store.Open(t.Context(), ticket(t, id, session, text, t.now), wide)
	if err != nil || opening != want {
		t.Fatalf("Open(%s): got opening %d, %v, want %d", id, opening, err, want)
	}
	return got
}

func (t *storeTest) ruling(of approve.Ticket, scope approve.Scope) approve.Ruling {
	return approve.Ruling{Granted: true, Digest: of.Request.Digest, Reason: "fine", Scope: scope, Approver: Approver(), At: t.now}
}

func (t *storeTest) grant(of approve.Ticket, scope approve.Scope) {
	t.Helper()
	got, err := t.store.Decide(t.Context(), of.ID, t.ruling(of, scope))
	if err != nil || got.State != approve.StateGranted || got.Ruling.Approver.Subject != "bob" {
		t.Fatalf("Decide: got %v %v, %v", got.State, got.Ruling.Approver.Subject, err)
	}
}

func (t *storeTest) redeem(id string, want error) {
	t.Helper()
	if _, err := t.store.Redeem(t.Context(), id, t.now); !errors.Is(err, want) {
		t.Errorf("Redeem(%s): got %v, want %v", id, err, want)
	}
}

func (t *storeTest) state(id string, want approve.State) {
	t.Helper()
	got, err := t.store.Get(t.Context(), id, t.now)
	if err != nil || got.State != want {
		t.Errorf("Get(%s): got %q, %v, want %q", id, got.State, err, want)
	}
}

func (t *storeTest) oneUse() {
	a := t.open("a", "s1", "x", approve.Added)
	t.state("a", approve.StatePending)
	t.grant(a, approve.Scope{})
	t.redeem("a", nil)
	t.state("a", approve.StateUsed)
	t.redeem("a", approve.ErrUsedUp)
	t.open("b", "s1", "x", approve.Added) // nothing is left over for the next one
	if _, err := t.store.Decide(t.Context(), "a", t.ruling(a, approve.Scope{})); !errors.Is(err, approve.ErrDecided) {
		t.Errorf("deciding twice: %v", err)
	}
}

func (t *storeTest) join() {
	a := t.open("a", "s1", "x", approve.Added)
	if got := t.open("b", "s1", "x", approve.Joined); got.ID != "a" || got.Waiting != 2 {
		t.Errorf("joined %s with %d waiting", got.ID, got.Waiting)
	}
	t.open("c", "s2", "x", approve.Added) // another session
	t.open("d", "s1", "y", approve.Added) // another action
	t.grant(a, approve.Scope{})
	t.redeem("a", nil)
	t.redeem("a", approve.ErrUsedUp)
}

func (t *storeTest) usesOfTheWaiting() {
	a := t.open("a", "s1", "x", approve.Added)
	t.open("b", "s1", "x", approve.Joined)
	if got, err := t.store.Decide(t.Context(), "a", t.ruling(a, approve.Scope{Uses: 5})); err != nil || got.UsesLeft != 2 {
		t.Errorf("a grant to two waiting calls has %d uses, %v", got.UsesLeft, err)
	}
	t.open("late", "s1", "x", approve.Added) // was not waiting
	t.redeem("a", nil)
	t.redeem("a", nil)
	t.redeem("a", approve.ErrUsedUp)
	t.state("a", approve.StateUsed)
}

func (t *storeTest) standing() {
	a := t.open("a", "s1", "x", approve.Added)
	t.grant(a, approve.Scope{Uses: 3, For: time.Minute})
	t.redeem("a", nil)
	t.open("b", "s1", "y", approve.Added) // another action
	got := t.open("c", "s2", "x", approve.Redeemed)
	if got.ID != "a" || got.UsesLeft != 1 || got.Ruling.Reason != "fine" {
		t.Errorf("redeemed %s with %d left, reason %q", got.ID, got.UsesLeft, got.Ruling.Reason)
	}
	t.now = t.now.Add(time.Minute - 1)
	t.open("d", "s1", "x", approve.Redeemed)
	t.state("a", approve.StateUsed)
	t.open("e", "s1", "x", approve.Added)

	f := t.open("f", "s1", "z", approve.Added)
	t.grant(f, approve.Scope{Uses: 3, For: time.Minute})
	t.redeem("f", nil)
	t.now = t.now.Add(time.Minute)
	t.open("g", "s1", "z", approve.Added) // lapsed
	t.state("f", approve.StateUsed)
}

func (t *storeTest) sessionScope() {
	a := t.open("a", "s1", "x", approve.Added)
	t.grant(a, approve.Scope{Uses: 3, For: time.Minute, Session: true})
	t.redeem("a", nil)
	t.open("b", "s2", "x", approve.Added)
	t.open("c", "s1", "x", approve.Redeemed)
}

// uncollected checks that uses without a duration end with those who waited.
func (t *storeTest) uncollected() {
	a := t.open("a", "s1", "x", approve.Added)
	t.open("b", "s1", "x", approve.Joined)
	t.grant(a, approve.Scope{Uses: 2})
	for _, want := range []approve.State{approve.StateGranted, approve.StateUsed} {
		if err := t.store.Leave(t.Context(), "a", t.now); err != nil {
			t.Fatalf("Leave: %v", err)
		}
		t.state("a", want)
	}
}

// reserved checks that a newcomer does not take what a waiting call needs.
func (t *storeTest) reserved() {
	a := t.open("a", "s1", "x", approve.Added)
	t.grant(a, approve.Scope{For: time.Minute})
	t.open("b", "s1", "x", approve.Added)
	t.redeem("a", nil)
}

func (t *storeTest) refuse() {
	a := t.open("a", "s1", "x", approve.Added)
	t.open("b", "s1", "x", approve.Joined)
	no := t.ruling(a, approve.Scope{})
	no.Granted = false
	if got, err := t.store.Decide(t.Context(), "a", no); err != nil || got.State != approve.StateRefused {
		t.Fatalf("Decide: %v, %v", got.State, err)
	}
	got, err := t.store.Redeem(t.Context(), "a", t.now)
	if !errors.Is(err, approve.ErrRefused) || got.Ruling.Reason != "fine" {
		t.Errorf("Redeem: %q, %v", got.Ruling.Reason, err)
	}
	t.redeem("a", approve.ErrRefused)
	if _, err := t.store.Decide(t.Context(), "a", t.ruling(a, approve.Scope{})); !errors.Is(err, approve.ErrDecided) {
		t.Errorf("granting what was refused: %v", err)
	}
}

func (t *storeTest) digest() {
	a := t.open("a", "s1", "x", approve.Added)
	r := t.ruling(a, approve.Scope{})
	r.Digest = Request(t, "s1", "y").Digest
	if _, err := t.store.Decide(t.Context(), "a", r); !errors.Is(err, approve.ErrDigest) {
		t.Errorf("Decide: %v", err)
	}
	t.state("a", approve.StatePending)
}

func (t *storeTest) expiry() {
	a := t.open("a", "s1", "x", approve.Added)
	t.now = t.now.Add(time.Minute)
	if _, err := t.store.Decide(t.Context(), "a", t.ruling(a, approve.Scope{})); !errors.Is(err, approve.ErrExpired) {
		t.Errorf("Decide: %v", err)
	}
	t.state("a", approve.StateExpired)
	t.redeem("a", approve.ErrExpired)

	b := t.open("b", "s1", "x", approve.Added) // does not join the expired one
	t.redeem("b", approve.ErrExpired)          // has waited long enough, before the ticket's end
	t.state("b", approve.StateWithdrawn)
	if _, err := t.store.Decide(t.Context(), "b", t.ruling(b, approve.Scope{})); !errors.Is(err, approve.ErrWithdrawn) {
		t.Errorf("Decide: %v", err)
	}
}

func (t *storeTest) withdraw() {
	a := t.open("a", "s1", "x", approve.Added)
	t.open("b", "s1", "x", approve.Joined)
	for _, want := range []approve.State{approve.StatePending, approve.StateWithdrawn} {
		if err := t.store.Leave(t.Context(), "a", t.now); err != nil {
			t.Fatalf("Leave: %v", err)
		}
		t.state("a", want)
	}
	if _, err := t.store.Decide(t.Context(), "a", t.ruling(a, approve.Scope{For: time.Minute})); !errors.Is(err, approve.ErrWithdrawn) {
		t.Errorf("Decide: %v", err)
	}
	t.open("c", "s1", "x", approve.Added)
}

func (t *storeTest) revoke() {
	a := t.open("a", "s1", "x", approve.Added)
	if _, err := t.store.Revoke(t.Context(), "a", Approver(), t.now); !errors.Is(err, approve.ErrDecided) {
		t.Errorf("Revoke of a pending ticket: %v", err)
	}
	t.grant(a, approve.Scope{Uses: 3, For: time.Minute})
	t.redeem("a", nil)
	got, err := t.store.Revoke(t.Context(), "a", Approver(), t.now)
	if err != nil || got.State != approve.StateRevoked || got.RevokedBy == nil || got.RevokedBy.Subject != "bob" {
		t.Errorf("Revoke: %v, %v", got.State, err)
	}
	t.open("b", "s1", "x", approve.Added)
	if _, err := t.store.Revoke(t.Context(), "a", Approver(), t.now); !errors.Is(err, approve.ErrDecided) {
		t.Errorf("Revoke again: %v", err)
	}
}

// revokeUncollected takes back a grant that a waiting call has not had yet.
func (t *storeTest) revokeUncollected() {
	a := t.open("a", "s1", "x", approve.Added)
	t.grant(a, approve.Scope{})
	if _, err := t.store.Revoke(t.Context(), "a", Approver(), t.now); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	t.redeem("a", approve.ErrRevoked)
}

func (t *storeTest) limits() {
	for name, limits := range map[string]approve.Limits{
		"total":     {Total: 2, PerPrincipal: 9, PerSession: 9},
		"principal": {Total: 9, PerPrincipal: 2, PerSession: 9},
		"session":   {Total: 9, PerPrincipal: 9, PerSession: 2},
	} {
		open := func(id, text string) error {
			_, _, err := t.store.Open(t.Context(), ticket(t, name+id, "s1", text, t.now), limits)
			return err
		}
		if err := errors.Join(open("1", "x"), open("2", "x")); err != nil { // the second joins
			t.Fatalf("%s: within the limit: %v", name, err)
		}
		for _, text := range []string{"x", "y"} {
			if err := open("3", text); !errors.Is(err, approve.ErrOverloaded) {
				t.Errorf("%s: beyond the limit: %v", name, err)
			}
		}
		for range 2 {
			if err := t.store.Leave(t.Context(), name+"1", t.now); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, _, err := t.store.Open(t.Context(), ticket(t, "stale", "s1", "x", t.now), approve.Limits{Total: 1, PerPrincipal: 1, PerSession: 1})
	t.now = t.now.Add(time.Minute)
	_, _, err2 := t.store.Open(t.Context(), ticket(t, "next", "s1", "y", t.now), approve.Limits{Total: 1, PerPrincipal: 1, PerSession: 1})
	if err != nil || err2 != nil {
		t.Errorf("an expired ticket takes a place: %v, %v", err, err2)
	}
}

func (t *storeTest) list() {
	a := t.open("a", "s1", "a", approve.Added)
	t.now = t.now.Add(time.Second)
	t.open("b", "s1", "b", approve.Added)
	t.now = t.now.Add(time.Second)
	c := t.open("c", "s1", "c", approve.Added)
	t.grant(a, approve.Scope{Uses: 2, For: time.Hour})
	t.redeem("a", nil)
	t.grant(c, approve.Scope{})
	t.redeem("c", nil)
	t.listed("a granted, b pending, ")
	t.now = t.now.Add(time.Minute)
	t.listed("a granted, ")
	t.now = t.now.Add(time.Hour)
	t.listed("")
}

func (t *storeTest) listed(want string) {
	t.Helper()
	tickets, err := t.store.List(t.Context(), t.now)
	var got strings.Builder
	for _, tk := range tickets {
		fmt.Fprintf(&got, "%s %s, ", tk.ID, tk.State)
	}
	if err != nil || got.String() != want {
		t.Errorf("List: got %q, %v, want %q", got.String(), err, want)
	}
}

func (t *storeTest) wait() {
	a := t.open("a", "s1", "x", approve.Added)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := t.store.Wait(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a context that is done: %v", err)
	}
	answered := make(chan error, 3)
	for range 3 {
		go func() { answered <- t.store.Wait(t.Context(), "a") }()
	}
	t.grant(a, approve.Scope{})
	for range 3 {
		if err := <-answered; err != nil {
			t.Errorf("Wait: %v", err)
		}
	}
	if err := t.store.Wait(t.Context(), "a"); err != nil {
		t.Errorf("Wait for what is decided: %v", err)
	}
}

func (t *storeTest) unknown() {
	ctx := t.Context()
	_, decide := t.store.Decide(ctx, "none", approve.Ruling{At: t.now})
	_, revoke := t.store.Revoke(ctx, "none", Approver(), t.now)
	_, redeem := t.store.Redeem(ctx, "none", t.now)
	_, get := t.store.Get(ctx, "none", t.now)
	for name, err := range map[string]error{
		"Decide": decide, "Revoke": revoke, "Redeem": redeem, "Get": get,
		"Wait": t.store.Wait(ctx, "none"), "Leave": t.store.Leave(ctx, "none", t.now),
	} {
		if !errors.Is(err, approve.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
