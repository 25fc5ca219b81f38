package approvetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headgate/gateway/approve"
)

// A Fixture is an approver and the human behind it.
type Fixture struct {
	Approver approve.Approver
	// Decide answers a pending request as a human would, with the digest and the
	// scope. An error says that it can't be decided any more.
	Decide func(id, digest string, granted bool, scope approve.Scope) error
	// MaxUses is the widest Scope.Uses that Decide can give; zero means one.
	MaxUses int
}

// Run runs the suite of approve.Approver. open returns an approver that nothing
// waits for; clean up with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Fixture){
		"Grant":   testGrant,
		"Refuse":  testRefuse,
		"Expire":  testExpire,
		"Cancel":  testCancel,
		"Done":    testDone,
		"Zero":    testZero,
		"OneUse":  testOneUse,
		"Uses":    testUses,
		"Nothing": testNilPending,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

type outcome struct {
	grant approve.Grant
	err   error
}

// ask starts a call and returns what it waits for and how it ends.
func ask(ctx context.Context, t *testing.T, f Fixture, req approve.Request) (approve.Pending, <-chan outcome) {
	t.Helper()
	waits, ended := make(chan approve.Pending, 2), make(chan outcome, 1)
	var calls atomic.Int64
	go func() {
		grant, err := f.Approver.Approve(ctx, req, func(p approve.Pending) {
			if calls.Add(1) > 1 {
				t.Error("pending was called twice")
			}
			waits <- p
		})
		if err != nil && grant.ID+grant.Digest != "" {
			t.Errorf("an error came with the grant %q", grant.ID)
		}
		ended <- outcome{grant, err}
	}()
	select {
	case p := <-waits:
		if p.ID == "" || p.Expires.IsZero() {
			t.Errorf("pending without an id or an end: %+v", p)
		}
		return p, ended
	case o := <-ended:
		t.Fatalf("Approve did not wait: %v", o.err)
	}
	return approve.Pending{}, nil
}

func testGrant(t *testing.T, f Fixture) {
	req := Request(t, "s1", "DROP TABLE x")
	p, ended := ask(t.Context(), t, f, req)
	if err := f.Decide(p.ID, req.Digest, true, approve.Scope{}); err != nil {
		t.Fatalf("Decide: %v", err)
	}
	o := <-ended
	if o.err != nil || o.grant.Digest != req.Digest || o.grant.ID == "" || o.grant.Approver.Subject == "" || o.grant.GrantedAt.IsZero() {
		t.Errorf("got %+v, %v", o.grant, o.err)
	}
}

func testRefuse(t *testing.T, f Fixture) {
	req := Request(t, "s1", "DROP TABLE x")
	p, ended := ask(t.Context(), t, f, req)
	if err := f.Decide(p.ID, req.Digest, false, approve.Scope{}); err != nil {
		t.Fatalf("Decide: %v", err)
	}
	if o := <-ended; !errors.Is(o.err, approve.ErrRefused) {
		t.Errorf("got %v", o.err)
	}
}

func testExpire(t *testing.T, f Fixture) {
	req := Request(t, "s1", "DROP TABLE x")
	req.Expires = 20 * time.Millisecond
	p, ended := ask(t.Context(), t, f, req)
	if o := <-ended; !errors.Is(o.err, approve.ErrExpired) {
		t.Errorf("got %v", o.err)
	}
	if err := f.Decide(p.ID, req.Digest, true, approve.Scope{}); err == nil {
		t.Error("an expired request could be granted")
	}
}

func testCancel(t *testing.T, f Fixture) {
	req := Request(t, "s1", "DROP TABLE x")
	ctx, cancel := context.WithCancel(t.Context())
	p, ended := ask(ctx, t, f, req)
	cancel()
	if o := <-ended; !errors.Is(o.err, context.Canceled) {
		t.Errorf("got %v", o.err)
	}
	if err := f.Decide(p.ID, req.Digest, true, approve.Scope{}); err == nil {
		t.Error("a withdrawn request could be granted")
	}
}

func testDone(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Approver.Approve(ctx, Request(t, "s1", "x"), func(approve.Pending) { t.Error("a call that is over waits") })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func testZero(t *testing.T, f Fixture) {
	if _, err := f.Approver.Approve(t.Context(), approve.Request{}, nil); err == nil {
		t.Error("the zero request was granted")
	}
}

// testOneUse grants once and asks again.
func testOneUse(t *testing.T, f Fixture) {
	testGrant(t, f)
	req := Request(t, "s1", "DROP TABLE x")
	p, ended := ask(t.Context(), t, f, req)
	if err := f.Decide(p.ID, req.Digest, false, approve.Scope{}); err != nil {
		t.Fatalf("Decide: %v", err)
	}
	if o := <-ended; !errors.Is(o.err, approve.ErrRefused) {
		t.Errorf("got %v", o.err)
	}
}

// testUses has more calls than uses wait for one answer, or for one each.
func testUses(t *testing.T, f Fixture) {
	const calls = 8
	uses := min(max(1, f.MaxUses), 3)
	req := Request(t, "s1", "DROP TABLE x")
	waits := make(chan approve.Pending, calls)
	var had atomic.Int64
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			_, err := f.Approver.Approve(t.Context(), req, func(p approve.Pending) { waits <- p })
			switch {
			case err == nil:
				had.Add(1)
			case !errors.Is(err, approve.ErrRefused):
				t.Errorf("Approve: %v", err)
			}
		})
	}
	pending := map[string]bool{}
	for range calls {
		pending[(<-waits).ID] = true
	}
	granted := false
	for id := range pending {
		if err := f.Decide(id, req.Digest, !granted, scopeFor(!granted, uses)); err != nil {
			t.Errorf("Decide: %v", err)
		}
		granted = true
	}
	wg.Wait()
	want := int64(uses)
	if len(pending) == calls {
		want = 1 // each waited for an answer of its own
	}
	if had.Load() != want {
		t.Errorf("%d of %d calls had one of %d uses", had.Load(), calls, uses)
	}
}

func scopeFor(granted bool, uses int) approve.Scope {
	if !granted {
		return approve.Scope{}
	}
	return approve.Scope{Uses: uses}
}

func testNilPending(t *testing.T, f Fixture) {
	req := Request(t, "s1", "DROP TABLE x")
	req.Expires = time.Millisecond
	if _, err := f.Approver.Approve(t.Context(), req, nil); !errors.Is(err, approve.ErrExpired) {
		t.Errorf("got %v", err)
	}
}
