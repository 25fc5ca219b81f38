package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// anyone lets everybody in, with any proof.
var anyone = identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
	return policy.Identity{Subject: "anyone", Issuer: "test", Method: "static"}, nil
})

func TestSessionsAreInOrder(t *testing.T) {
	r := newRig(t)
	names := []string{"ann", "bob", "cat", "dan"}
	for _, name := range names {
		r.enter("lines", "token-of-"+name)
	}
	var got []string
	ids := map[string]bool{}
	for _, s := range r.Sessions() {
		got = append(got, s.Identity.Subject)
		ids[s.ID] = true
	}
	if strings.Join(got, " ") != strings.Join(names, " ") || len(ids) != len(names) {
		t.Errorf("%q with ids %v", got, ids)
	}
}

func TestRevoke(t *testing.T) {
	all := []string{"lines/ann@test", "lines/bob@test", "lines/ann@other", "more/ann@test", "more/delegate@test"}
	for name, c := range map[string]struct {
		sel  gateway.Selector
		want []string
	}{
		"zero":                     {gateway.Selector{}, nil},
		"issuer alone":             {gateway.Selector{Issuer: "test"}, nil},
		"all":                      {gateway.Selector{All: true}, all},
		"subject":                  {gateway.Selector{Subject: "ann"}, []string{all[0], all[2], all[3]}},
		"subject of an issuer":     {gateway.Selector{Subject: "ann", Issuer: "test"}, []string{all[0], all[3]}},
		"actor":                    {gateway.Selector{Subject: "tool"}, []string{all[4]}},
		"actor of an issuer":       {gateway.Selector{Subject: "tool", Issuer: "tools"}, []string{all[4]}},
		"actor of another":         {gateway.Selector{Subject: "tool", Issuer: "test"}, nil},
		"target":                   {gateway.Selector{Target: "more"}, []string{all[3], all[4]}},
		"target and subject":       {gateway.Selector{Target: "more", Subject: "ann"}, []string{all[3]}},
		"target and issuer":        {gateway.Selector{Target: "lines", Issuer: "other"}, []string{all[2]}},
		"all of an issuer":         {gateway.Selector{All: true, Issuer: "other"}, []string{all[2]}},
		"all of a target":          {gateway.Selector{All: true, Target: "more"}, []string{all[3], all[4]}},
		"nobody":                   {gateway.Selector{Subject: "an"}, nil},
		"session of nobody":        {gateway.Selector{Session: "x"}, nil},
		"session that is unlike":   {gateway.Selector{Session: "x", All: true}, nil},
		"subject that is not here": {gateway.Selector{Subject: "delegate", Target: "lines"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			clients, ends := map[string]*client{}, map[string]<-chan error{}
			for _, who := range all {
				route, subject, _ := strings.Cut(who, "/")
				clients[who], ends[who] = r.enter(route, "token-of-"+subject)
			}
			if n := r.Revoke(c.sel, "stolen laptop"); n != len(c.want) {
				t.Errorf("%d sessions were revoked", n)
			}
			for _, who := range c.want {
				_ = wait(t, ends[who]) // ended in the middle of a read
				if got := clients[who].say("read"); got != "" {
					t.Errorf("%s: %q", who, got)
				}
				delete(clients, who)
			}
			for who, c := range clients {
				if got := c.say("read"); got != "ok read" {
					t.Errorf("%s: %q", who, got)
				}
			}
			if len(r.Sessions()) != len(clients) {
				t.Errorf("%d sessions", len(r.Sessions()))
			}
		})
	}
}

func TestRevokeOneSession(t *testing.T) {
	r := newRig(t)
	_, ended := r.enter("lines", "token-of-ann")
	id := r.Sessions()[0].ID
	other, _ := r.enter("lines", "token-of-ann")
	if n := r.Revoke(gateway.Selector{Session: id}, "stolen laptop"); n != 1 {
		t.Fatalf("%d", n)
	}
	_ = wait(t, ended) // ended in the middle of a read
	if reason, ok := r.recorder.Sealed(id); !ok || reason != intercept.ErrRevoked.Error()+": stolen laptop" {
		t.Errorf("sealed %v: %q", ok, reason)
	}
	if got := other.say("read"); got != "ok read" {
		t.Errorf("%q", got)
	}
}

func TestRecorderThatFailsEndsTheSession(t *testing.T) {
	r := newRig(t)
	c, ended := r.enter("lines", "token-of-ann")
	r.recorder.Fail(errors.New("no space left on device"))
	if got := c.say("read"); got != "refused recorder_failed" && got != "" {
		t.Errorf("%q", got)
	}
	_ = wait(t, ended) // ended in the middle of a read
	if len(r.lines.Received()) != 0 {
		t.Error("it was forwarded all the same")
	}
}
