package pgproxy_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

func (r *rig) revokeAll(t testing.TB) {
	t.Helper()
	if n := r.gateway.Revoke(gateway.Selector{All: true}, "test"); n == 0 {
		t.Fatal("there was no session to revoke")
	}
}

// wantFarewell checks that the session ends with a word, and its server
// connection with it.
func (r *rig) wantFarewell(t testing.TB, c *rawClient) {
	t.Helper()
	got := c.end()
	if len(got) == 0 || got[len(got)-1] != "FATAL 57P01" {
		t.Fatalf("got %q", got)
	}
	r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", "0")
}

func TestTokenExpires(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, verifier: identity.VerifierFunc(func(ctx context.Context, p identity.Proof) (policy.Identity, error) {
			id, err := verifyToken(ctx, p)
			id.Expires = time.Now().Add(500 * time.Millisecond)
			return id, err
		})})
		idle := r.session(t)
		busy := r.session(t)
		busy.send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
		r.wantFarewell(t, busy)
		r.wantFarewell(t, idle)
	})
}

func TestRevoke(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
		r.eventually(t, sleepers, "1")
		r.revokeAll(t)
		r.wantFarewell(t, c)
		if last := r.lastOutput(); !strings.Contains(last, "57P01") || !strings.Contains(last, "revoked") {
			t.Errorf("the last words are not in the record: %q", last)
		}
	})
}

// lastOutput is what was released last, as it was recorded.
func (r *rig) lastOutput() string {
	last := ""
	for _, e := range r.recorder.Entries(r.recorder.Sessions()[0]) {
		if e.Type == record.TypeOutput {
			last = string(e.Payload)
		}
	}
	return last
}

func TestRevokeOfOneThatDoesNotRead(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting()})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"})
		r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientWrite'", "1")
		start := time.Now()
		r.revokeAll(t)
		r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", "0")
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("it took %v", took)
		}
		for len(r.gateway.Sessions()) > 0 {
			if time.Since(start) > 5*time.Second {
				t.Fatal("the session is still there")
			}
		}
	})
}

// shifting is a policy whose revision moves and that then denies connecting.
type shifting struct{ moved atomic.Bool }

func (s *shifting) Revision() string {
	if s.moved.Load() {
		return "2"
	}
	return "1"
}

func (s *shifting) Evaluate(_ context.Context, in *policy.Input) (policy.Decision, error) {
	d := policy.Decision{Outcome: policy.Allow, Revision: s.Revision()}
	if d.Revision == "2" && in.Command.Action == policy.ActionConnect {
		d.Outcome = policy.Deny
	}
	return d, nil
}

func TestPolicyNoLongerAllowsConnecting(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		p := new(shifting)
		r := newRig(t, rigConfig{driver: d, policy: p})
		c := r.session(t)
		c.query("BEGIN", "BEGIN", "ZT")
		c.send(&pgproto3.Parse{Query: "SELECT 'secret'"}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Sync{})
		c.expect("ParseComplete", "BindComplete", "ZT")
		p.moved.Store(true)
		c.send(&pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{}) // judged before, asked again
		for _, m := range c.end() {
			if m == "row secret" {
				t.Fatal("a statement ran under a policy that denies the connection")
			}
		}
		r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", "0")
	})
}

func TestShutdown(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		busy := r.session(t)
		busy.send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
		r.eventually(t, sleepers, "1")
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.gateway.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		r.wantFarewell(t, c)
		r.wantFarewell(t, busy)
		if n := len(r.gateway.Sessions()); n != 0 {
			t.Fatalf("%d sessions are left", n)
		}
	})
}
