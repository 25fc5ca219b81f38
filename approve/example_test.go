package approve_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/policy"
)

func exampleRequest() approve.Request {
	in := &policy.Input{
		Identity: &policy.Identity{Subject: "alice", Issuer: "https://idp.example"},
		Target:   &policy.Target{Name: "orders", Protocol: "postgres"},
		Session:  &policy.Session{ID: "s1"},
		Command:  &policy.Command{Action: policy.ActionQuery, Text: "DROP TABLE old_orders"},
	}
	digest, err := policy.ActionDigest(in, "r1")
	if err != nil {
		panic(err) // the input above is complete
	}
	return approve.Request{Digest: digest, Input: in, Revision: "r1"}
}

func ExampleNewEngine() {
	engine, err := approve.NewEngine(approve.Config{MaxScopeUses: 5})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	req := exampleRequest()
	grant, err := engine.Approve(ctx, req, func(p approve.Pending) {
		alice := policy.Identity{Subject: "alice", Issuer: "https://idp.example"}
		_, err := engine.Decide(ctx, alice, p.ID, approve.Answer{Grant: true, Digest: req.Digest})
		fmt.Println(err)
		bob := policy.Identity{Subject: "bob", Issuer: "https://idp.example"}
		_, err = engine.Decide(ctx, bob, p.ID, approve.Answer{Grant: true, Digest: req.Digest, Reason: "backed up"})
		fmt.Println(err)
	})
	fmt.Println(grant.Approver.Subject, grant.Reason, err)
	// Output:
	// approve: requester can't approve
	// <nil>
	// bob backed up <nil>
}

func ExampleEngine_Handler() {
	engine, err := approve.NewEngine(approve.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := engine.Handler(func(r *http.Request) (policy.Identity, error) {
		if r.Header.Get("Authorization") != "Bearer bobs-token" { // a host verifies a real token
			return policy.Identity{}, errors.New("unknown token")
		}
		return policy.Identity{Subject: "bob", Issuer: "https://idp.example"}, nil
	})
	post := func(path, token, body string) {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body.Len() > 0)
	}
	req := exampleRequest()
	grant, err := engine.Approve(context.Background(), req, func(p approve.Pending) {
		path := "/requests/" + p.ID + "/decide"
		post(path, "guess", `{"decision":"grant","digest":"`+req.Digest+`"}`)
		post(path, "bobs-token", `{"decision":"grant","digest":"that of another action"}`)
		post(path, "bobs-token", `{"decision":"grant","digest":"`+req.Digest+`"}`)
	})
	fmt.Println(grant.Approver.Subject, err)
	// Output:
	// 401 true
	// 409 true
	// 200 true
	// bob <nil>
}
