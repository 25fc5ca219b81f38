package pgproxy_test

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/policy"
)

// login sends a startup packet and the token, up to the notice that a human is
// asked.
func (r *rig) login(t *testing.T) *rawClient {
	t.Helper()
	c := r.dial(t)
	c.bytes(startupPacket(3<<16, "user", "agent"))
	if _, ok := c.next().(*pgproto3.AuthenticationCleartextPassword); !ok {
		t.Fatal("no password is asked for")
	}
	c.send(&pgproto3.PasswordMessage{Password: token})
	if _, ok := c.next().(*pgproto3.NoticeResponse); !ok {
		t.Fatal("no notice")
	}
	return c
}

func TestClientLeavesWhileItsConnectionWaits(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		left := make(chan struct{})
		r := newRig(t, rigConfig{driver: d, policy: asking(policy.VerbConnect), approver: approve.ApproverFunc(
			func(ctx context.Context, _ approve.Request, pending func(approve.Pending)) (approve.Grant, error) {
				pending(approve.Pending{ID: "a1"})
				<-ctx.Done()
				close(left)
				return approve.Grant{}, ctx.Err()
			})})
		_ = r.login(t).conn.Close()
		<-left
	})
}

// What a client sends before it is let in is done when it is.
func TestClientSpeaksWhileItsConnectionWaits(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		granted := make(chan struct{})
		r := newRig(t, rigConfig{driver: d, policy: asking(policy.VerbConnect), approver: approve.ApproverFunc(
			func(_ context.Context, req approve.Request, pending func(approve.Pending)) (approve.Grant, error) {
				pending(approve.Pending{ID: "a1"})
				<-granted
				return approve.Grant{ID: "a1", Digest: req.Digest, Approver: policy.Identity{Subject: "human", Issuer: "test"}}, nil
			})})
		c := r.login(t)
		c.send(&pgproto3.Query{String: "SELECT 1"}, &pgproto3.Query{String: "SELECT 2"})
		close(granted)
		got := c.until(3)
		if want := append(append(answer("SELECT 1", "1"), "ZI"), append(answer("SELECT 1", "2"), "ZI")...); len(got) < len(want) ||
			!slices.Equal(got[len(got)-len(want):], want) {
			t.Errorf("got %q", got)
		}
		c.query("SELECT 3", append(answer("SELECT 1", "3"), "ZI")...)
	})
}
