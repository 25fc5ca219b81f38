package approve_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/approve/approvetest"
	"github.com/headgate/gateway/policy"
)

func engine(t *testing.T, cfg approve.Config) *approve.Engine {
	t.Helper()
	e, err := approve.NewEngine(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestMemoryStore(t *testing.T) {
	approvetest.RunStore(t, func(*testing.T) approve.Store { return approve.NewMemoryStore() })
}

func TestEngine(t *testing.T) {
	approvetest.Run(t, func(t *testing.T) approvetest.Fixture {
		t.Helper()
		e := engine(t, approve.Config{MaxScopeUses: 3})
		return approvetest.Fixture{Approver: e, MaxUses: 3, Decide: func(id, digest string, granted bool, scope approve.Scope) error {
			_, err := e.Decide(context.Background(), approvetest.Approver(), id, approve.Answer{Grant: granted, Digest: digest, Scope: scope})
			return err
		}}
	})
}

func TestNewEngineRefuses(t *testing.T) {
	for name, cfg := range map[string]approve.Config{
		"negative duration": {DefaultExpiry: -1},
		"negative bound":    {MaxPendingPerSession: -1},
	} {
		if e, err := approve.NewEngine(cfg); err == nil || e != nil {
			t.Errorf("%s: got %v, %v", name, e, err)
		}
	}
}

// asked starts a call in a synctest bubble and returns it once it waits.
func asked(t *testing.T, e *approve.Engine, req approve.Request) (approve.Pending, <-chan error) {
	t.Helper()
	var p approve.Pending
	ended := make(chan error, 1)
	go func() {
		_, err := e.Approve(t.Context(), req, func(got approve.Pending) { p = got })
		ended <- err
	}()
	synctest.Wait()
	if p.ID == "" {
		t.Fatal("the call does not wait")
	}
	return p, ended
}

func grantOf(req approve.Request) approve.Answer {
	return approve.Answer{Grant: true, Digest: req.Digest}
}

func TestPendingSaysWhereAndUntilWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var told []string
		e := engine(t, approve.Config{
			URL:       func(id string) string { return "https://approve.example/" + id },
			MaxExpiry: time.Hour,
			Notify:    func(_ context.Context, tk approve.Ticket) { told = append(told, tk.ID) },
		})
		first, ended1 := asked(t, e, approvetest.Request(t, "s1", "x"))
		if first.URL != "https://approve.example/"+first.ID || !first.Expires.Equal(start.Add(5*time.Minute)) || len(first.ID) < 26 {
			t.Errorf("got %+v", first)
		}
		time.Sleep(time.Minute)
		req := approvetest.Request(t, "s1", "x")
		req.Expires = time.Minute
		joined, ended2 := asked(t, e, req)
		if joined.ID != first.ID || !joined.Expires.Equal(start.Add(2*time.Minute)) {
			t.Errorf("the second call waits for %+v", joined)
		}
		req = approvetest.Request(t, "s1", "y")
		req.Expires = 1000 * time.Hour
		long, ended3 := asked(t, e, req)
		if !long.Expires.Equal(start.Add(61 * time.Minute)) {
			t.Errorf("the wait is not bounded: %v", long.Expires)
		}
		if len(told) != 2 || told[0] != first.ID || told[1] != long.ID {
			t.Errorf("told of %v", told)
		}
		for end, minutes := range map[<-chan error]time.Duration{ended2: 2, ended1: 5, ended3: 61} {
			if err := <-end; !errors.Is(err, approve.ErrExpired) {
				t.Errorf("after %d minutes: %v", minutes, err)
			}
		}
		if now := time.Since(start); now != 61*time.Minute {
			t.Errorf("the last call waited for %v", now)
		}
	})
}

func TestGrantStandsForItsScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{MaxScopeUses: 10, MaxScopeFor: time.Hour})
		req := approvetest.Request(t, "s1", "x")
		p, ended := asked(t, e, req)
		a := grantOf(req)
		a.Scope = approve.Scope{Uses: 3, For: time.Minute}
		if _, err := e.Decide(t.Context(), approvetest.Approver(), p.ID, a); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		grant, err := e.Approve(t.Context(), req, func(approve.Pending) { t.Error("a standing grant does not wait") })
		if err != nil || grant.ID != p.ID || grant.Scope != a.Scope {
			t.Errorf("got %+v, %v", grant, err)
		}
		if _, err := e.Revoke(t.Context(), approvetest.Approver(), p.ID); err != nil {
			t.Fatal(err)
		}
		req.Expires = time.Second
		if _, err := e.Approve(t.Context(), req, nil); !errors.Is(err, approve.ErrExpired) {
			t.Errorf("after the revocation: %v", err)
		}
	})
}

// A text that means something else in another session needs a grant of its own.
func TestStandingGrantIsForTheSameMeaning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{MaxScopeUses: 10, MaxScopeFor: time.Hour})
		meaning := func(session, table string) approve.Request {
			req := approvetest.Request(t, session, "EXECUTE p")
			req.Input.Command.Facts = &policy.Facts{Effects: []policy.Effect{{Verb: policy.VerbDelete, Kind: "table", Name: table}}}
			req.Digest, _ = policy.ActionDigest(req.Input, req.Revision)
			return req
		}
		req := meaning("s1", "scratch")
		p, ended := asked(t, e, req)
		a := grantOf(req)
		a.Scope = approve.Scope{Uses: 3, For: time.Hour}
		if _, err := e.Decide(t.Context(), approvetest.Approver(), p.ID, a); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if _, err := e.Approve(t.Context(), meaning("s2", "scratch"), nil); err != nil {
			t.Errorf("the same meaning: %v", err)
		}
		if _, err := e.Approve(t.Context(), meaning("s2", "orders"), nil); !errors.Is(err, approve.ErrExpired) {
			t.Errorf("another meaning: %v", err)
		}
	})
}

func TestExactlyAsManyCallsPassAsThereAreUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{MaxScopeUses: 50, MaxScopeFor: time.Hour, MaxPendingPerPrincipal: 200, MaxPendingPerSession: 200})
		req := approvetest.Request(t, "s1", "x")
		p, ended := asked(t, e, req)
		a := grantOf(req)
		a.Scope = approve.Scope{Uses: 38, For: time.Minute}
		if _, err := e.Decide(t.Context(), approvetest.Approver(), p.ID, a); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		var passed, expired atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				switch _, err := e.Approve(t.Context(), req, nil); {
				case err == nil:
					passed.Add(1)
				case errors.Is(err, approve.ErrExpired):
					expired.Add(1)
				}
			})
		}
		wg.Wait()
		if passed.Load() != 37 || expired.Load() != 63 {
			t.Errorf("%d passed, %d expired", passed.Load(), expired.Load())
		}
	})
}

func TestOneOfManyWaitingGetsOneUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{})
		req := approvetest.Request(t, "s1", "x")
		p, first := asked(t, e, req)
		_, second := asked(t, e, req)
		if _, err := e.Decide(t.Context(), approvetest.Approver(), p.ID, grantOf(req)); err != nil {
			t.Fatal(err)
		}
		errs := []error{<-first, <-second}
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("got %v", errs)
		}
		if err := errors.Join(errs...); !errors.Is(err, approve.ErrUsedUp) || !errors.Is(err, approve.ErrRefused) {
			t.Errorf("got %v", err)
		}
	})
}

func TestUnreviewableRequestsAreRefused(t *testing.T) {
	e := engine(t, approve.Config{MaxCommandBytes: 10})
	for name, change := range map[string]func(*policy.Input){
		"no session":       func(in *policy.Input) { in.Session = nil },
		"no session id":    func(in *policy.Input) { in.Session = &policy.Session{} },
		"no subject":       func(in *policy.Input) { in.Identity.Subject = " " },
		"no command":       func(in *policy.Input) { in.Command = nil },
		"too long":         func(in *policy.Input) { in.Command.Text = "12345678901" },
		"too long params":  func(in *policy.Input) { in.Command.Params = []policy.Param{{Value: "1234567890"}} },
		"params not UTF-8": func(in *policy.Input) { in.Command.Params = []policy.Param{{Value: "\xff"}} },
		"actor not UTF-8":  func(in *policy.Input) { in.Identity.Actors[0].Subject = "\xff" },
		"effect not UTF-8": func(in *policy.Input) { in.Command.Facts = &policy.Facts{Effects: []policy.Effect{{Name: "\xff"}}} },
		"column not UTF-8": func(in *policy.Input) {
			in.Command.Facts = &policy.Facts{Effects: []policy.Effect{{Filtered: []string{"\xff"}}}}
		},
		"opaque not UTF-8": func(in *policy.Input) { in.Command.Facts = &policy.Facts{Opaque: []string{"\xff"}} },
		"label not UTF-8":  func(in *policy.Input) { in.Target.Labels = map[string]string{"a": "\xff"} },
	} {
		req := approvetest.Request(t, "s1", "x")
		change(req.Input)
		req.Digest, _ = policy.ActionDigest(req.Input, req.Revision)
		if _, err := e.Approve(t.Context(), req, func(approve.Pending) { t.Errorf("%s: waits", name) }); !errors.Is(err, approve.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*approve.Request){
		"digest of another action": func(r *approve.Request) { r.Input.Command.Text = "y" },
		"another revision":         func(r *approve.Request) { r.Revision = "r2" },
		"no digest":                func(r *approve.Request) { r.Digest = "" },
		"no input":                 func(r *approve.Request) { r.Input = nil },
	} {
		req := approvetest.Request(t, "s1", "x")
		change(&req)
		if _, err := e.Approve(t.Context(), req, func(approve.Pending) { t.Errorf("%s: waits", name) }); !errors.Is(err, approve.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{MaxPendingPerSession: 2, MaxPendingPerPrincipal: 3, MaxPending: 4})
		ask := func(subject, session, text string) error {
			req := approvetest.Request(t, session, text)
			req.Input.Identity.Subject = subject
			req.Digest, _ = policy.ActionDigest(req.Input, req.Revision)
			ended := make(chan error, 1)
			go func() { _, err := e.Approve(t.Context(), req, nil); ended <- err }()
			synctest.Wait()
			select {
			case err := <-ended:
				return err
			default:
				return nil
			}
		}
		for i, step := range []struct {
			subject, session string
			fits             bool
		}{
			{"alice", "s1", true}, {"alice", "s1", true}, {"alice", "s1", false},
			{"alice", "s2", true}, {"alice", "s3", false},
			{"carol", "s4", true}, {"dave", "s5", false},
		} {
			err := ask(step.subject, step.session, fmt.Sprint(i))
			if step.fits != (err == nil) || err != nil && !errors.Is(err, approve.ErrOverloaded) {
				t.Errorf("step %d: %v", i, err)
			}
		}
		time.Sleep(time.Hour) // the calls end
	})
}

func TestPanickingCallbackGivesItsPlaceUp(t *testing.T) {
	store := approve.NewMemoryStore()
	e := engine(t, approve.Config{Store: store})
	func() {
		defer func() { _ = recover() }()
		_, _ = e.Approve(t.Context(), approvetest.Request(t, "s1", "x"), func(approve.Pending) { panic("pending") })
	}()
	if left, err := store.List(t.Context(), time.Now()); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// brokenStore fails where it is told to.
type brokenStore struct {
	approve.Store
	open, wait, redeem error
}

var errStore = errors.New("store is down")

func (s brokenStore) Open(ctx context.Context, t approve.Ticket, l approve.Limits) (approve.Ticket, approve.Opening, error) {
	if s.open != nil {
		return t, approve.Redeemed, s.open
	}
	return s.Store.Open(ctx, t, l)
}

func (s brokenStore) Wait(context.Context, string) error { return s.wait }

func (s brokenStore) Redeem(_ context.Context, id string, _ time.Time) (approve.Ticket, error) {
	return approve.Ticket{ID: id, State: approve.StateGranted}, s.redeem
}

func TestFailingStoreNeverGrants(t *testing.T) {
	for name, s := range map[string]brokenStore{
		"Open":   {open: errStore},
		"Wait":   {wait: errStore},
		"Redeem": {redeem: errStore},
	} {
		s.Store = approve.NewMemoryStore()
		e := engine(t, approve.Config{Store: s})
		grant, err := e.Approve(t.Context(), approvetest.Request(t, "s1", "x"), nil)
		if !errors.Is(err, errStore) || grant.ID != "" {
			t.Errorf("%s: got %q, %v", name, grant.ID, err)
		}
	}
}

func TestRefusalQuotesWhatTheApproverWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{})
		req := approvetest.Request(t, "s1", "x")
		p, ended := asked(t, e, req)
		if _, err := e.Decide(t.Context(), approvetest.Approver(), p.ID, approve.Answer{Digest: req.Digest, Reason: "no\x1b[2J"}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, approve.ErrRefused) || !strings.Contains(err.Error(), `"no\x1b[2J"`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNilApproverFuncRefuses(t *testing.T) {
	if _, err := approve.ApproverFunc(nil).Approve(t.Context(), approve.Request{}, nil); !errors.Is(err, approve.ErrRefused) {
		t.Errorf("got %v", err)
	}
}
