package oidc

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// A window is when a token counts.
type window struct {
	from    time.Time // nbf and iat, less the allowed skew
	oldest  time.Time // iat plus the age that is allowed
	expires time.Time // exp
}

func (w *window) check(now time.Time) error {
	switch {
	case !now.Before(w.expires):
		return refuse(identity.ReasonExpired, "the token has expired")
	case now.Before(w.from):
		return refuse(identity.ReasonNotYetValid, "nbf or iat lies in the future")
	case now.After(w.oldest):
		return refuse(identity.ReasonTooOld, "the token was issued too long ago")
	}
	return nil
}

// accept checks everything about t but its signature, and returns the identity
// that it proves if the signature holds.
func (iss *issuer) accept(t *token, now time.Time, skew time.Duration) (policy.Identity, window, error) {
	w, err := iss.window(t.claims, skew)
	if err != nil {
		return policy.Identity{}, w, err
	}
	for _, check := range []func(*token) error{iss.checkHeader, iss.checkAudience, func(*token) error { return w.check(now) }, checkKind, iss.checkRequired} {
		if err := check(t); err != nil {
			return policy.Identity{}, w, err
		}
	}
	id, err := iss.cfg.Mapping.identity(t.claims)
	if err != nil {
		return policy.Identity{}, w, err
	}
	id.Issuer, id.Expires = iss.cfg.URL, w.expires
	return id, w, nil
}

func (iss *issuer) checkHeader(t *token) error {
	if !slices.Contains(iss.cfg.Algorithms, t.header.algorithm) {
		return refuse(identity.ReasonAlgorithm, "the issuer may not use the algorithm")
	}
	if !slices.Contains(iss.cfg.Types, t.header.mediaType) {
		return refuse(identity.ReasonClaims, "the token is of another type")
	}
	return nil
}

func (iss *issuer) checkAudience(t *token) error {
	if iss.audience(t) == "" {
		return refuse(identity.ReasonAudience, "the token is for another audience")
	}
	return nil
}

// audience returns the accepted audience that t is for, "" if there is none.
func (iss *issuer) audience(t *token) string {
	names, ok := texts(t.claims["aud"])
	if !ok {
		return ""
	}
	for _, name := range names {
		if slices.Contains(iss.cfg.Audiences, name) {
			return name
		}
	}
	return ""
}

// checkKind refuses JWTs that are signed by the same issuer for the same audience
// but prove no bearer.
func checkKind(t *token) error {
	if _, ok := t.claims["cnf"]; ok {
		return refuse(identity.ReasonClaims, "the token is bound to a key, which its bearer has not proven")
	}
	if _, ok := t.claims["events"]; ok {
		return refuse(identity.ReasonClaims, "a security event is no token")
	}
	return nil
}

// window reads exp and iat, which are required, and nbf.
func (iss *issuer) window(claims map[string]any, skew time.Duration) (window, error) {
	expires, err := date(claims, "exp", true)
	if err != nil {
		return window{}, err
	}
	issued, err := date(claims, "iat", true)
	if err != nil {
		return window{}, err
	}
	from, err := date(claims, "nbf", false)
	if err != nil {
		return window{}, err
	}
	if from.Before(issued) {
		from = issued
	}
	return window{from: from.Add(-skew), oldest: issued.Add(iss.cfg.MaxAge), expires: expires}, nil
}

// maxDate is the last second of the year 9999.
const maxDate = 253402300799

// date reads a NumericDate (RFC 7519 §2), in whole seconds.
func date(claims map[string]any, name string, required bool) (time.Time, error) {
	v, ok := claims[name]
	if !ok && !required {
		return time.Time{}, nil
	}
	number, ok := v.(json.Number)
	if !ok {
		return time.Time{}, refuse(identity.ReasonClaims, name+" is missing or no number")
	}
	seconds, err := number.Float64()
	if err != nil || !(seconds >= 0 && seconds <= maxDate) {
		return time.Time{}, refuse(identity.ReasonClaims, name+" is out of range")
	}
	return time.Unix(int64(seconds), 0), nil
}

// texts returns v as a list of strings, where one string is a list of one.
func texts(v any) ([]string, bool) {
	if s, ok := v.(string); ok {
		return []string{s}, true
	}
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, len(list))
	for i := range list {
		if out[i], ok = list[i].(string); !ok {
			return nil, false
		}
	}
	return out, true
}
