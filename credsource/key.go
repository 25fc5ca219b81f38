package credsource

import (
	"bytes"

	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/headgate/gateway/policy"
)

// tokenClaims are the claims of RFC 7519 §4.1 that differ from token to token of
// one principal and say nothing about its rights.
var tokenClaims = [...]string{"exp", "nbf", "iat", "jti"}

// ByIdentity is the key of everything that a Source may choose a credential by:
// the target, the whole identity with its actors, groups and claims, and the
// policy's decision about connecting. Two requests share a credential only if
// they agree in all of it, so no source can be made to hand one principal's
// credential to another. What is left out is the session, the times and the id of
// a token (the claims exp, nbf, iat and jti), and the policy's revision.
//
// It fails for claims that have no JSON form and for text that is not UTF-8,
// which JSON would make equal to other such text.
func ByIdentity(req Request) (string, error) {
	key := struct {
		Target   *policy.Target   `json:"target"`
		Identity *policy.Identity `json:"identity"`
		Decision *policy.Decision `json:"decision"`
	}{Target: req.Target}
	if req.Identity != nil {
		id := *req.Identity
		id.Claims = durableClaims(id.Claims)
		id.Expires = time.Time{}
		key.Identity = &id
	}
	if req.Decision != nil {
		d := *req.Decision
		d.Revision = ""
		key.Decision = &d
	}
	doc, err := json.Marshal(key)
	if err != nil {
		return "", fmt.Errorf("credsource: request has no JSON form: %w", err)
	}
	if bytes.Contains(doc, []byte(`\ufffd`)) { // how encoding/json writes what is not UTF-8
		return "", errors.New("credsource: request is not UTF-8")
	}
	return string(doc), nil
}

func durableClaims(claims map[string]any) map[string]any {
	out := maps.Clone(claims)
	for _, name := range tokenClaims {
		delete(out, name)
	}
	return out
}

// ByTarget is the key of the target's name alone: every principal shares the
// target's credential. It is right only for a Source that looks at nothing else
// of the request.
func ByTarget(req Request) (string, error) {
	if req.Target == nil {
		return "", fmt.Errorf("%w: request without a target", ErrNotFound)
	}
	return req.Target.Name, nil
}
