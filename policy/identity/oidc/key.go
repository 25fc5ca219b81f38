package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// A key is a public key of an issuer.
type key struct {
	id         string
	algorithms []string // those that it may verify
	public     crypto.PublicKey
}

// A keySet is what an issuer publishes.
type keySet struct {
	keys []key
	sum  [sha256.Size]byte // of the document
}

// Limits of key sets. Few providers publish more than ten keys.
const (
	maxKeys       = 100
	maxCandidates = 4
	minRSABits    = 2048
	maxRSABits    = 8192
)

// parseKeySet reads a JWK Set (RFC 7517 §5). Keys that can't be used are left
// out, as the RFC wants it: unknown or damaged ones, private and shared ones, and
// those that are for anything but signatures.
func parseKeySet(doc []byte) (keySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(doc, &raw); err != nil || raw.Keys == nil {
		return keySet{}, errors.New("not a JWK set")
	}
	if len(raw.Keys) > maxKeys {
		return keySet{}, fmt.Errorf("more than %d keys", maxKeys)
	}
	set := keySet{sum: sha256.Sum256(doc)}
	for _, k := range raw.Keys {
		if parsed, ok := parseKey(k); ok {
			set.keys = append(set.keys, parsed)
		}
	}
	return set, nil
}

func parseKey(doc []byte) (key, bool) {
	var limits struct {
		Operations []string `json:"key_ops"`
	}
	var k jose.JSONWebKey
	if json.Unmarshal(doc, &limits) != nil || json.Unmarshal(doc, &k) != nil {
		return key{}, false
	}
	algorithms := algorithmsOf(k.Key)
	if k.Algorithm != "" {
		algorithms = slices.DeleteFunc(algorithms, func(a string) bool { return a != k.Algorithm })
	}
	forSignatures := k.Use == "" || k.Use == "sig"
	verifies := limits.Operations == nil || slices.Contains(limits.Operations, "verify")
	if len(algorithms) == 0 || len(k.KeyID) > maxKeyIDBytes || !forSignatures || !verifies {
		return key{}, false
	}
	return key{id: k.KeyID, algorithms: algorithms, public: k.Key}, true
}

// algorithmsOf returns the algorithms that a public key can verify, none for a
// key that is private, shared, too weak or too large.
func algorithmsOf(k any) []string {
	switch k := k.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

// knownAlgorithm reports whether an issuer may be allowed the algorithm.
func knownAlgorithm(name string) bool {
	switch name {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA":
		return true
	default:
		return false
	}
}

// match returns the keys that a token with this kid and alg may be signed by. A
// token without a kid matches if there is one key only that it could be (OpenID
// Connect Core §10.1).
func (s *keySet) match(id, algorithm string) []key {
	var out []key
	for _, k := range s.keys {
		if (id == "" || k.id == id) && slices.Contains(k.algorithms, algorithm) {
			out = append(out, k)
		}
	}
	if id == "" && len(out) > 1 {
		return nil
	}
	return out[:min(len(out), maxCandidates)]
}
