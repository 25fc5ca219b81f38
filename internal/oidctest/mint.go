package oidctest

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Lifetime is how long a token lasts whose claims have no exp.
const Lifetime = 5 * time.Minute

// Mint returns a signed token with the given claims, and with iss, iat and exp
// where claims doesn't have them. A claim that is nil is left out.
func (p *Provider) Mint(claims map[string]any) (string, error) {
	return p.MintWith(p.cfg.Algorithm, nil, claims)
}

// MintWith is Mint with an algorithm and with header parameters that replace or,
// if nil, remove those that Mint would set: alg, kid and typ. The signature is
// one of algorithm whatever alg says.
func (p *Provider) MintWith(algorithm string, header, claims map[string]any) (string, error) {
	now := p.cfg.Now()
	payload, err := marshal(map[string]any{
		"iss": p.cfg.Issuer,
		"iat": now.Unix(),
		"exp": now.Add(Lifetime).Unix(),
	}, claims)
	if err != nil {
		return "", err
	}
	head, err := marshal(map[string]any{"alg": algorithm, "kid": p.KeyID(algorithm), "typ": "JWT"}, header)
	if err != nil {
		return "", err
	}
	return p.Sign(algorithm, head, payload)
}

// marshal writes base as changed by over, whose nil values remove.
func marshal(base, over map[string]any) ([]byte, error) {
	maps.Copy(base, over)
	maps.DeleteFunc(base, func(_ string, v any) bool { return v == nil })
	doc, err := json.Marshal(base)
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	return doc, nil
}

// Sign returns the compact JWS (RFC 7515 §7.1) of exactly these bytes, which need
// not be what a header and a payload should be.
func (p *Provider) Sign(algorithm string, header, payload []byte) (string, error) {
	k := p.current(algorithm)
	if k == nil {
		return "", fmt.Errorf("oidctest: no key for %q", algorithm)
	}
	input := encode(header) + "." + encode(payload)
	signature, err := k.sign([]byte(input))
	if err != nil {
		return "", fmt.Errorf("oidctest: %w", err)
	}
	return input + "." + encode(signature), nil
}
