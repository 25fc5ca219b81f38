package oidc

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// A Mapping says what of a token's claims becomes what of an identity. The zero
// Mapping is the usual one.
type Mapping struct {
	// Subject is the claim that holds the subject; "" means "sub". Others may be
	// reassigned by the issuer, or even chosen by the user: with "email", require
	// email_verified.
	Subject string
	// Groups leads to the claim that holds the groups, a string or an array of
	// strings: the names of objects and of the claim within them, as
	// {"realm_access", "roles"}. Nil means {"groups"}, an empty one that there are
	// none. A token without the claim has no groups; one whose groups stand
	// elsewhere (OpenID Connect Core §5.6.2) is refused.
	Groups []string
	// Claims are the top-level claims that policies see. Nil means all but the one
	// that holds the groups, and those of the token itself: iss, sub, aud, exp, nbf, iat, jti, act, may_act, nonce,
	// at_hash, c_hash, s_hash, sid, _claim_names and _claim_sources. An empty one
	// means none.
	Claims []string
}

// Limits of the names that identify a principal.
const (
	maxNameBytes = 1024
	maxActors    = 8
)

func (m *Mapping) complete() {
	if m.Subject == "" {
		m.Subject = "sub"
	}
	if m.Groups == nil {
		m.Groups = []string{"groups"}
	}
	m.Groups, m.Claims = slices.Clone(m.Groups), slices.Clone(m.Claims)
}

// identity returns who claims are about.
func (m *Mapping) identity(claims map[string]any) (policy.Identity, error) {
	id := policy.Identity{Method: Method}
	var ok bool
	if id.Subject, ok = principal(claims[m.Subject]); !ok {
		return policy.Identity{}, refuse(identity.ReasonClaims, "the subject is missing or not acceptable")
	}
	var err error
	if id.Groups, err = m.groups(claims); err != nil {
		return policy.Identity{}, err
	}
	if id.Actors, err = actors(claims); err != nil {
		return policy.Identity{}, err
	}
	id.Claims = m.claims(claims)
	return id, nil
}

func (m *Mapping) groups(claims map[string]any) ([]string, error) {
	if len(m.Groups) == 0 {
		return nil, nil
	}
	if elsewhere, ok := claims["_claim_names"].(map[string]any); ok && elsewhere[m.Groups[0]] != nil {
		return nil, refuse(identity.ReasonClaims, "the groups are not in the token")
	}
	v, ok := descend(claims, m.Groups)
	if !ok {
		return nil, nil
	}
	groups, ok := texts(v)
	if !ok || slices.ContainsFunc(groups, func(g string) bool { return !validName(g) }) {
		return nil, refuse(identity.ReasonClaims, "the groups are no list of names")
	}
	return groups, nil
}

// descend follows path into v.
func descend(v any, path []string) (any, bool) {
	for _, step := range path {
		members, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = members[step]; !ok {
			return nil, false
		}
	}
	return v, true
}

func (m *Mapping) claims(claims map[string]any) map[string]any {
	var out map[string]any
	for name, v := range claims {
		if !m.passes(name) {
			continue
		}
		if out == nil {
			out = make(map[string]any)
		}
		out[name] = v
	}
	return out
}

func (m *Mapping) passes(claim string) bool {
	if m.Claims != nil {
		return slices.Contains(m.Claims, claim)
	}
	if len(m.Groups) == 1 && claim == m.Groups[0] {
		return false
	}
	switch claim {
	case "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "act", "may_act", "nonce",
		"at_hash", "c_hash", "s_hash", "sid", "_claim_names", "_claim_sources":
		return false
	default:
		return true
	}
}

// actors reads the act claim (RFC 8693 §4.1), the current actor first.
func actors(claims map[string]any) ([]policy.Actor, error) {
	var out []policy.Actor
	for next, ok := claims["act"]; ok; {
		act, isObject := next.(map[string]any)
		subject, hasSubject := principal(act["sub"])
		issuer, hasIssuer := act["iss"]
		issuerName, goodIssuer := principal(issuer)
		switch {
		case !isObject || !hasSubject || hasIssuer && !goodIssuer:
			return nil, refuse(identity.ReasonClaims, "the chain of actors is malformed")
		case len(out) == maxActors:
			return nil, refuse(identity.ReasonClaims, "the chain of actors is too long")
		}
		out = append(out, policy.Actor{Subject: subject, Issuer: issuerName})
		next, ok = act["act"]
	}
	return out, nil
}

// principal returns v if it is a text that can identify somebody.
func principal(v any) (string, bool) {
	s, ok := v.(string)
	if !ok || !validName(s) {
		return "", false
	}
	return s, true
}

// validName refuses what would read as another name in a log: control characters,
// those that change the direction of writing, and U+FFFD, which the JSON decoder
// makes of any lone surrogate.
func validName(s string) bool {
	return s != "" && len(s) <= maxNameBytes && !strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	})
}
