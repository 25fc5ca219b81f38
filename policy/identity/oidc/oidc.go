// Package oidc verifies OpenID Connect and OAuth 2.0 tokens: signed JWTs (RFC
// 7519) of a fixed list of issuers, for a fixed list of audiences.
//
// It is stricter than most: algorithms are pinned per issuer and only asymmetric
// ones exist; exp and iat are required; a token with a duplicate JSON member, a
// critical header, an embedded key or the type of another kind of JWT is refused,
// and so is one that is bound to a key (cnf, RFC 7800), since a bearer of it has
// not proven that key, and a security event (RFC 8417), such as a logout token.
// The jku and x5u headers are never looked at.
//
// Signatures and discovery are go-oidc's; the key sets are kept here, so that no
// flood of tokens can make the gateway flood its provider.
package oidc

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// Method is the Method of the identities that a Verifier returns.
const Method = "oidc"

// Config is what a Verifier works with. Issuers is required.
type Config struct {
	// Issuers are those whose tokens are accepted.
	Issuers []Issuer
	// HTTPClient fetches discovery documents and key sets. Redirects are not
	// followed. Nil means a client of the Verifier's own, which uses no proxy.
	HTTPClient *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// ClockSkew is by how much nbf and iat may lie in the future, at most five
	// minutes; zero means 30 seconds. It does not prolong a token: one is refused
	// from exp on, because that is when its session ends.
	ClockSkew time.Duration
	// MaxTokenBytes bounds a token's length; zero means 16 KiB, the most is 1 MiB.
	MaxTokenBytes int
	// CacheSize is how many verified tokens are remembered, by their SHA-256; zero
	// means 4096, a negative one none.
	CacheSize int
	// CacheFor is for how long at most, so that a withdrawn key counts on
	// tokens that were verified before; zero means five minutes. A token is never
	// remembered beyond its exp, nor when a fetched key set differs from the last.
	CacheFor time.Duration
	// FetchTimeout bounds one fetch of discovery document and key set together;
	// zero means ten seconds.
	FetchTimeout time.Duration
	// KeysMaxAge is how old a key set gets before it is fetched again; zero means
	// five minutes.
	KeysMaxAge time.Duration
	// KeysMaxStale is how old it may get while fetching fails; zero means one
	// hour. Thereafter tokens are refused with ReasonUnavailable.
	KeysMaxStale time.Duration
	// KeysMinInterval is the least time between two fetches of one issuer's
	// keys, whatever key ids tokens name; zero means 30 seconds. A key is thus
	// unknown for this long at most after it has been published. After a failed
	// fetch the wait is one second, doubled each time up to a minute.
	KeysMinInterval time.Duration
}

// Issuer is an issuer whose tokens are accepted. URL and Audiences are required.
type Issuer struct {
	// URL is what iss must be, to the last byte. It is an https URL, or http if its
	// host is localhost or a loopback address, without query or fragment.
	URL string
	// Audiences are the accepted ones: aud must contain one of them.
	Audiences []string
	// Algorithms are the accepted signature algorithms (RFC 7518 §3.1, RFC 8037),
	// any of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 and
	// EdDSA. Nil means RS256 and ES256. Others are an error, "none" and those with
	// a shared secret included.
	Algorithms []string
	// Types are the accepted values of the typ header, without "application/" and
	// in any case; "" stands for a missing one. Nil means "", "JWT" and "at+jwt".
	// Set it to "at+jwt" for an issuer that follows RFC 9068.
	Types []string
	// MaxAge is how long ago iat may be; zero means 24 hours.
	MaxAge time.Duration
	// Required are claims that must be there and have, or as an array contain, one
	// of the values. Numbers and booleans are compared as JSON writes them. No
	// values means that any will do.
	Required map[string][]string
	// Mapping says what of the claims becomes what of the identity.
	Mapping Mapping
	// JWKSURL is where the keys are, with the same rules as URL. "" means what the
	// discovery document says.
	JWKSURL string
	// JWKS is a fixed key set (RFC 7517 §5), which is used instead of a fetched
	// one. It must hold a usable key. Nil means none.
	JWKS []byte
}

// Verifier is an identity.Verifier. The zero Verifier refuses every proof. A
// Verifier is safe for concurrent use.
type Verifier struct {
	cfg     Config
	client  *http.Client
	issuers map[string]*issuer
	cache   *cache
}

var _ identity.Verifier = (*Verifier)(nil)

// Verify checks the proof's token. It waits for the network only when the token
// passes every other check and its issuer's keys have to be fetched, never longer
// than ctx and FetchTimeout allow.
//
// The identity has Subject, Issuer, Groups, Claims and Actors as Mapping says, and
// Expires is the token's exp.
func (v *Verifier) Verify(ctx context.Context, p identity.Proof) (policy.Identity, error) {
	if err := ctx.Err(); err != nil {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnavailable, Err: err}
	}
	if p.Token.IsEmpty() {
		return policy.Identity{}, refuse(identity.ReasonUnsupported, "no token")
	}
	raw := p.Token.Reveal()
	if len(raw) > v.cfg.MaxTokenBytes {
		return policy.Identity{}, refuse(identity.ReasonMalformed, "the token is too long")
	}
	sum := sha256.Sum256([]byte(raw))
	if e := v.cache.get(sum); e != nil {
		now := v.cfg.Now()
		if err := e.window.check(now); err != nil {
			return policy.Identity{}, err
		}
		if e.current(now) {
			return e.identity, nil
		}
	}
	e, err := v.verify(ctx, raw)
	if err != nil {
		return policy.Identity{}, err
	}
	v.cache.put(sum, e)
	return e.identity, nil
}

// verify checks a token from scratch, what is cheap and local first.
func (v *Verifier) verify(ctx context.Context, raw string) (*entry, error) {
	t, err := parse(raw)
	if err != nil {
		return nil, err
	}
	iss, err := v.issuerOf(t)
	if err != nil {
		return nil, err
	}
	id, w, err := iss.accept(t, v.cfg.Now(), v.cfg.ClockSkew)
	if err != nil {
		return nil, err
	}
	keys, generation, err := iss.keys.find(ctx, t.header.keyID, t.header.algorithm)
	if err != nil {
		return nil, err
	}
	if err := iss.checkSignature(ctx, t, keys, v.cfg.Now); err != nil {
		return nil, err
	}
	return &entry{identity: id, window: w, until: v.cfg.Now().Add(v.cfg.CacheFor), keys: iss.keys, generation: generation}, nil
}

// issuerOf returns the issuer that t claims to be of, which decides whose keys it
// is checked with and nothing else.
func (v *Verifier) issuerOf(t *token) (*issuer, error) {
	name, _ := t.claims["iss"].(string)
	iss := v.issuers[name]
	if iss == nil {
		return nil, refuse(identity.ReasonIssuer, "the issuer is not in the list")
	}
	return iss, nil
}

// Close ends fetches that are under way and waits for them. Thereafter keys are
// not fetched any more.
func (v *Verifier) Close() error {
	for _, iss := range v.issuers {
		iss.keys.close()
	}
	if v.client != nil && v.cfg.HTTPClient == nil {
		v.client.CloseIdleConnections()
	}
	return nil
}
