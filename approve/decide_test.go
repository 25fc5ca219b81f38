package approve_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/approve/approvetest"
	"github.com/headgate/gateway/policy"
)

func TestRequestersChainCannotApprove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{})
		req := approvetest.Request(t, "s1", "x") // alice of https://idp, through agent-7
		p, _ := asked(t, e, req)
		for name, tc := range map[string]struct {
			approver policy.Identity
			want     error
		}{
			"the subject":             {policy.Identity{Subject: "alice", Issuer: "https://idp"}, approve.ErrSelf},
			"in other letters":        {policy.Identity{Subject: " Alice", Issuer: "https://idp"}, approve.ErrSelf},
			"without an issuer":       {policy.Identity{Subject: "alice"}, approve.ErrSelf},
			"the agent":               {policy.Identity{Subject: "agent-7", Issuer: "https://idp"}, approve.ErrSelf},
			"the agent of any issuer": {policy.Identity{Subject: "agent-7", Issuer: "https://other"}, approve.ErrSelf},
			"through the agent":       {policy.Identity{Subject: "bob", Issuer: "https://idp", Actors: []policy.Actor{{Subject: "agent-7", Issuer: "x"}}}, approve.ErrSelf},
			"as an actor":             {policy.Identity{Subject: "bob", Issuer: "https://idp", Actors: []policy.Actor{{Subject: "alice"}}}, approve.ErrSelf},
			"nobody":                  {policy.Identity{Issuer: "https://idp"}, approve.ErrUnknown},
			"blank":                   {policy.Identity{Subject: " "}, approve.ErrUnknown},
			"expired":                 {policy.Identity{Subject: "bob", Expires: time.Now()}, approve.ErrUnknown},
			"another alice":           {policy.Identity{Subject: "alice", Issuer: "https://other"}, nil},
		} {
			_, err := e.Get(t.Context(), tc.approver, p.ID)
			if !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", name, err, tc.want)
			}
			if tc.want == nil {
				continue
			}
			if _, err := e.Decide(t.Context(), tc.approver, p.ID, grantOf(req)); !errors.Is(err, tc.want) {
				t.Errorf("%s decides: %v", name, err)
			}
			if list, err := e.List(t.Context(), tc.approver); err != nil || len(list) != 0 {
				t.Errorf("%s sees %d requests, %v", name, len(list), err)
			}
		}
		time.Sleep(time.Hour)
	})
}

func TestEachReasonsGroupsMustBeMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{ApproverGroups: []string{"approvers"}})
		req := approvetest.Request(t, "s1", "x")
		req.Reasons = []policy.Reason{{Rule: "a", Approvers: []string{"dba", "admin"}}, {Rule: "b"}, {Rule: "c", Approvers: []string{"security"}}}
		p, ended := asked(t, e, req)
		for _, groups := range []string{"", "dba", "approvers dba", "approvers security", "dba security", "approvers DBA security"} {
			bob := policy.Identity{Subject: "bob", Groups: strings.Fields(groups)}
			if _, err := e.Decide(t.Context(), bob, p.ID, grantOf(req)); !errors.Is(err, approve.ErrUnknown) {
				t.Errorf("%q: got %v", groups, err)
			}
		}
		bob := policy.Identity{Subject: "bob", Groups: []string{"security", "approvers", "admin"}}
		if _, err := e.Decide(t.Context(), bob, p.ID, grantOf(req)); err != nil {
			t.Errorf("with all groups: %v", err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestDecideRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{MaxScopeUses: 5, MaxScopeFor: time.Hour})
		req := approvetest.Request(t, "s1", "x")
		p, ended := asked(t, e, req)
		digest := req.Digest
		for name, tc := range map[string]struct {
			answer approve.Answer
			want   error
		}{
			"the zero answer":    {approve.Answer{}, approve.ErrDigest},
			"another digest":     {approve.Answer{Grant: true, Digest: strings.Repeat("0", 64)}, approve.ErrDigest},
			"too many uses":      {approve.Answer{Grant: true, Digest: digest, Scope: approve.Scope{Uses: 6}}, approve.ErrScope},
			"too long":           {approve.Answer{Grant: true, Digest: digest, Scope: approve.Scope{For: time.Hour + 1}}, approve.ErrScope},
			"negative uses":      {approve.Answer{Grant: true, Digest: digest, Scope: approve.Scope{Uses: -1}}, approve.ErrScope},
			"negative time":      {approve.Answer{Grant: true, Digest: digest, Scope: approve.Scope{For: -1}}, approve.ErrScope},
			"refusal with scope": {approve.Answer{Digest: digest, Scope: approve.Scope{Uses: 1}}, approve.ErrScope},
		} {
			if _, err := e.Decide(t.Context(), approvetest.Approver(), p.ID, tc.answer); !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", name, err, tc.want)
			}
		}
		for name, reason := range map[string]string{"long reason": strings.Repeat("x", 2001), "reason not UTF-8": "\xff"} {
			if _, err := e.Decide(t.Context(), approvetest.Approver(), p.ID, approve.Answer{Grant: true, Digest: digest, Reason: reason}); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if err := <-ended; !errors.Is(err, approve.ErrExpired) {
			t.Errorf("the call ended with %v", err)
		}
	})
}

func TestWithoutConfigurationAGrantIsOneUseNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, approve.Config{})
		req := approvetest.Request(t, "s1", "x")
		p, _ := asked(t, e, req)
		for _, scope := range []approve.Scope{{Uses: 2}, {For: 1}} {
			a := grantOf(req)
			a.Scope = scope
			if _, err := e.Decide(t.Context(), approvetest.Approver(), p.ID, a); !errors.Is(err, approve.ErrScope) {
				t.Errorf("%+v: %v", scope, err)
			}
		}
		time.Sleep(time.Hour)
	})
}
