package credsource_test

import (
	"testing"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy"
)

func key(t *testing.T, req credsource.Request) string {
	t.Helper()
	k, err := credsource.ByIdentity(req)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func full() credsource.Request {
	req := request("alice", "db")
	req.Session = "s1"
	req.Identity.Groups = []string{"dev"}
	req.Identity.Claims = map[string]any{"tenant": "one", "jti": "1", "exp": 1}
	req.Identity.Actors = []policy.Actor{{Subject: "agent"}}
	req.Identity.Expires = time.Unix(1, 0)
	req.Decision = &policy.Decision{Outcome: policy.Allow, Labels: map[string]string{"role": "read"}, Revision: "r1"}
	return req
}

func TestByIdentityTellsRightsApart(t *testing.T) {
	seen := map[string]string{key(t, full()): "the original", key(t, credsource.Request{}): "nothing"}
	for name, change := range map[string]func(*credsource.Request){
		"subject":         func(r *credsource.Request) { r.Identity.Subject = "bob" },
		"issuer":          func(r *credsource.Request) { r.Identity.Issuer = "https://other" },
		"method":          func(r *credsource.Request) { r.Identity.Method = "mtls" },
		"groups":          func(r *credsource.Request) { r.Identity.Groups = []string{"dev", "admin"} },
		"claims":          func(r *credsource.Request) { r.Identity.Claims["tenant"] = "two" },
		"actor":           func(r *credsource.Request) { r.Identity.Actors[0].Subject = "agent2" },
		"no actor":        func(r *credsource.Request) { r.Identity.Actors = nil },
		"target":          func(r *credsource.Request) { r.Target.Name = "other" },
		"target's label":  func(r *credsource.Request) { r.Target.Labels = map[string]string{"env": "prod"} },
		"decision":        func(r *credsource.Request) { r.Decision.Labels["role"] = "write" },
		"no decision":     func(r *credsource.Request) { r.Decision = nil },
		"no identity":     func(r *credsource.Request) { r.Identity = nil },
		"joined subjects": func(r *credsource.Request) { r.Identity.Subject = `alice","issuer":"https://other` },
	} {
		req := full()
		change(&req)
		k := key(t, req)
		if other, ok := seen[k]; ok {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[k] = name
	}
}

func TestByIdentitySharesAcrossTokensAndSessions(t *testing.T) {
	req := full()
	req.Session = "s2"
	req.Identity.Claims["jti"], req.Identity.Claims["exp"] = "2", 2
	req.Identity.Expires = time.Unix(2, 0)
	req.Decision.Revision = "r2"
	if key(t, req) != key(t, full()) {
		t.Error("a new token of the same principal has a new key")
	}
	if req.Identity.Claims["jti"] != "2" {
		t.Error("the request was changed")
	}
}

func TestByIdentityRefusesWhatItCannotTellApart(t *testing.T) {
	for name, subject := range map[string]string{"not UTF-8": "a\xff"} {
		if _, err := credsource.ByIdentity(request(subject, "db")); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := credsource.ByIdentity(request("a\ufffd", "db")); err != nil {
		t.Errorf("a replacement character is text like any other: %v", err)
	}
	req := full()
	req.Identity.Claims["f"] = func() {}
	if _, err := credsource.ByIdentity(req); err == nil {
		t.Error("claims without a JSON form: no error")
	}
}

func TestByTarget(t *testing.T) {
	a, errA := credsource.ByTarget(request("alice", "db"))
	b, errB := credsource.ByTarget(request("bob", "db"))
	if a != b || errA != nil || errB != nil {
		t.Errorf("got %q %v, %q %v", a, errA, b, errB)
	}
	if _, err := credsource.ByTarget(credsource.Request{}); err == nil {
		t.Error("without a target: no error")
	}
}

func TestIdentitiesDoNotShareByDefault(t *testing.T) {
	inner := newStore("one")
	r := rotating(t, credsource.RotatingConfig{Source: inner})
	for _, subject := range []string{"alice", "bob", "alice"} {
		release(t, get(t, r, request(subject, "db")))
	}
	wantCount(t, "fetches", inner.count(), 2)
	if _, err := r.Credential(t.Context(), request("a\xff", "db")); err == nil {
		t.Error("a request without a key got a credential")
	}
}
