package oidc_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"testing"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity"
)

// publish makes the provider serve a key set made of its own keys by edit.
func publish(t *testing.T, b *bench, edit func(keys []claims) []claims) {
	t.Helper()
	doc, err := b.idp.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []claims `json:"keys"`
	}
	if err := json.Unmarshal(doc, &set); err != nil {
		t.Fatal(err)
	}
	set.Keys = edit(set.Keys)
	if doc, err = json.Marshal(set); err != nil {
		t.Fatal(err)
	}
	b.idp.Fail(oidctest.Failure{KeysOnly: true, Body: doc})
}

func TestContradictingKeys(t *testing.T) {
	for name, edit := range map[string]claims{
		"for encryption":       {"use": "enc"},
		"unknown use":          {"use": "SIG"},
		"of another algorithm": {"alg": "ES384"},
		"of a shared secret":   {"alg": "HS256"},
		"of an RSA algorithm":  {"alg": "RS256"},
		"to sign":              {"key_ops": []string{"sign"}},
		"for no operation":     {"key_ops": []string{}},
		"damaged operations":   {"key_ops": "verify"},
		"private":              {"d": base64.RawURLEncoding.EncodeToString(make([]byte, 32))},
		"off the curve":        {"x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))},
		"of another curve":     {"crv": "P-384"},
		"of another type":      {"kty": "RSA"},
		"of an unknown type":   {"kty": "AKP2"},
		"shared":               {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
		"of another name":      {"kid": "other"},
		"without a name":       {"kid": ""},
		"named by a number":    {"kid": 7},
		"with a long name":     {"kid": string(make([]byte, 1025))},
	} {
		b := newBench(t, nil)
		publish(t, b, func(keys []claims) []claims {
			maps.Copy(keys[0], edit)
			return keys
		})
		_, err := b.verify(t, b.mint(t, nil))
		if got := identity.ReasonOf(err); got != identity.ReasonUnknownKey {
			t.Errorf("a key %s: refused for %q: %v", name, got, err)
		}
	}
}

// TestGoodKeyAmongOthers puts keys that can't be used beside one that can.
func TestGoodKeyAmongOthers(t *testing.T) {
	b := newBench(t, nil)
	publish(t, b, func(keys []claims) []claims {
		for _, bad := range []claims{{"kty": "oct", "k": "AAAA"}, {}, {"kty": "EC", "crv": "secp256k1"}, {"kty": "OKP", "crv": "X25519", "x": "AA"}, {"kty": "RSA", "n": "!", "e": "AQAB"}} {
			keys = append([]claims{bad}, keys...)
		}
		keys[len(keys)-1]["key_ops"] = []string{"verify"}
		return keys
	})
	b.accept(t, b.mint(t, nil))
	b.accept(t, b.mintWith(t, claims{"kid": nil}, nil))
}

// TestSameKeyID has several keys of one name, the right one last.
func TestSameKeyID(t *testing.T) {
	for others, reason := range map[int]string{1: "", 3: "", 4: identity.ReasonSignature} {
		b := newBench(t, nil)
		publish(t, b, func(keys []claims) []claims {
			for range others {
				other := newProvider(t, oidctest.Config{})
				doc, err := other.JWKS()
				if err != nil {
					t.Fatal(err)
				}
				var set struct{ Keys []claims }
				if err := json.Unmarshal(doc, &set); err != nil {
					t.Fatal(err)
				}
				keys = append(set.Keys, keys...)
			}
			return keys
		})
		_, err := b.verify(t, b.mint(t, nil))
		if got := identity.ReasonOf(err); got != reason {
			t.Errorf("with %d other keys: %v", others, err)
		}
		b.refuse(t, b.mintWith(t, claims{"kid": nil}, nil), identity.ReasonUnknownKey)
	}
}

func TestTooManyKeys(t *testing.T) {
	b := newBench(t, nil)
	publish(t, b, func(keys []claims) []claims {
		for range 100 {
			keys = append(keys, keys[0])
		}
		return keys
	})
	b.refuse(t, b.mint(t, nil), identity.ReasonUnavailable)
}

// TestRSASizes publishes RSA keys that are too weak or too large to use.
func TestRSASizes(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	large := new(big.Int).SetBit(big.NewInt(1), 8192, 1)
	for name, n := range map[string]*big.Int{"weak": weak.N, "large": large} {
		b := newBench(t, nil, "RS256")
		publish(t, b, func(keys []claims) []claims {
			for _, k := range keys {
				if k["kty"] == "RSA" {
					k["n"] = base64.RawURLEncoding.EncodeToString(n.Bytes())
				}
			}
			return keys
		})
		token, err := b.idp.MintWith("RS256", nil, usual(nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.verify(t, token); identity.ReasonOf(err) != identity.ReasonUnknownKey {
			t.Errorf("a %s key: %v", name, err)
		}
		b.accept(t, b.mint(t, nil))
	}
}
