package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// A key is one signing key with its public form.
type key struct {
	algorithm string
	id        string
	signer    crypto.Signer
}

func newKey(algorithm, id string) (*key, error) {
	var signer crypto.Signer
	var err error
	switch algorithm {
	case "RS256":
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("oidctest: no algorithm %q", algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	return &key{algorithm: algorithm, id: id, signer: signer}, nil
}

// sign returns the JWS signature of input (RFC 7518 §3.3, §3.4, RFC 8037 §3.1).
func (k *key) sign(input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch signer := k.signer.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, signer, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, signer, digest[:])
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	default:
		return k.signer.Sign(rand.Reader, input, crypto.Hash(0))
	}
}

// jwk returns the public key as RFC 7517 has it.
func (k *key) jwk() (map[string]any, error) {
	out := map[string]any{"kid": k.id, "alg": k.algorithm, "use": "sig"}
	switch public := k.signer.Public().(type) {
	case *rsa.PublicKey:
		out["kty"] = "RSA"
		out["n"] = encode(public.N.Bytes())
		out["e"] = encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, X, Y
		if err != nil {
			return nil, fmt.Errorf("oidctest: %w", err)
		}
		out["kty"], out["crv"] = "EC", "P-256"
		out["x"], out["y"] = encode(point[1:33]), encode(point[33:])
	case ed25519.PublicKey:
		out["kty"], out["crv"], out["x"] = "OKP", "Ed25519", encode(public)
	}
	return out, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Rotate makes a new key for each algorithm, which Mint uses from now on. The
// former keys stay published if keep is set, and are withdrawn otherwise.
func (p *Provider) Rotate(keep bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var fresh []*key
	for _, algorithm := range p.cfg.Algorithms {
		p.made++
		k, err := newKey(algorithm, fmt.Sprintf("key-%d", p.made))
		if err != nil {
			return err
		}
		fresh = append(fresh, k)
	}
	if keep {
		fresh = append(fresh, p.keys...)
	}
	p.keys = fresh
	return nil
}

// current returns the newest key for algorithm, nil if there is none.
func (p *Provider) current(algorithm string) *key {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		if k.algorithm == algorithm {
			return k
		}
	}
	return nil
}

// KeyID returns the id of the newest key for algorithm, "" if there is none.
func (p *Provider) KeyID(algorithm string) string {
	if k := p.current(algorithm); k != nil {
		return k.id
	}
	return ""
}

// PublicKey returns the newest public key for algorithm, nil if there is none.
func (p *Provider) PublicKey(algorithm string) crypto.PublicKey {
	if k := p.current(algorithm); k != nil {
		return k.signer.Public()
	}
	return nil
}

// JWKS returns the published key set.
func (p *Provider) JWKS() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := struct {
		Keys []map[string]any `json:"keys"`
	}{Keys: []map[string]any{}}
	for _, k := range p.keys {
		jwk, err := k.jwk()
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jwk)
	}
	return json.Marshal(set)
}
