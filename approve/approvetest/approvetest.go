// Package approvetest holds the suites that every approver and every approval
// store must pass.
package approvetest

import (
	"testing"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/policy"
)

// Request returns a request of alice's agent to run text in the session, with the
// digest that belongs to it.
func Request(t testing.TB, session, text string) approve.Request {
	t.Helper()
	in := &policy.Input{
		Identity: &policy.Identity{
			Subject: "alice", Issuer: "https://idp", Groups: []string{"dev"},
			Actors: []policy.Actor{{Subject: "agent-7"}},
		},
		Target:  &policy.Target{Name: "orders", Protocol: "postgres"},
		Session: &policy.Session{ID: session},
		Command: &policy.Command{Action: policy.ActionQuery, Text: text},
	}
	digest, err := policy.ActionDigest(in, "r1")
	if err != nil {
		t.Fatal(err)
	}
	return approve.Request{
		Digest: digest, Input: in, Revision: "r1",
		Reasons: []policy.Reason{{Rule: "no-ddl", Message: "changes the schema"}},
	}
}

// Approver is an identity that may decide about what Request returns.
func Approver() policy.Identity {
	return policy.Identity{Subject: "bob", Issuer: "https://idp", Groups: []string{"dba"}}
}

// ticket returns a pending ticket with one call waiting.
func ticket(t testing.TB, id, session, text string, now time.Time) approve.Ticket {
	t.Helper()
	return approve.Ticket{
		ID: id, Request: Request(t, session, text), State: approve.StatePending, Waiting: 1,
		Created: now, Expires: now.Add(time.Minute),
	}
}
