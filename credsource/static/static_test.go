package static_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/credsourcetest"
	"github.com/headgate/gateway/credsource/internal/certtest"
	"github.com/headgate/gateway/credsource/static"
	"github.com/headgate/gateway/policy/secret"
)

const canary = "can4ry<&\"+/static"

func TestConformance(t *testing.T) {
	for name, fill := range map[string]func(*static.Config){
		"password": func(c *static.Config) { c.Username, c.Password = "app", secret.New(canary) },
		"token":    func(c *static.Config) { c.Token = secret.New(canary) },
		"key":      func(c *static.Config) { c.Username, c.PrivateKey = "app", secret.New("-----"+canary+"-----") },
		"certificate": func(c *static.Config) {
			pair, _, _ := certtest.New(t, canary, c.Now().Add(time.Hour))
			c.Certificate = &pair
		},
	} {
		t.Run(name, func(t *testing.T) {
			credsourcetest.Run(t, credsourcetest.Harness{New: func(t *testing.T) credsourcetest.Fixture {
				t.Helper()
				now := time.Unix(1e9, 0)
				cfg := static.Config{Expires: now.Add(time.Hour), Now: func() time.Time { return now }}
				fill(&cfg)
				source, err := static.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				end := func(*testing.T) { now = now.Add(2 * time.Hour) }
				return credsourcetest.Fixture{Source: source, Canary: canary, Expire: end, Break: end}
			}})
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]static.Config{
		"nothing":         {},
		"user only":       {Username: "app"},
		"empty cert":      {Certificate: &tls.Certificate{}},
		"cert sans key":   {Certificate: &tls.Certificate{Certificate: [][]byte{{1}}}},
		"garbage in cert": {Certificate: &tls.Certificate{Certificate: [][]byte{{1}}, PrivateKey: new(ecdsa.PrivateKey)}},
	} {
		if s, err := static.New(cfg); err == nil || s != nil {
			t.Errorf("%s: got %v, %v", name, s, err)
		}
	}
}

func TestZeroSourceHasNothing(t *testing.T) {
	if _, err := new(static.Source).Credential(t.Context(), credsource.Request{}); !errors.Is(err, credsource.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestSourceOwnsItsSecrets(t *testing.T) {
	password := secret.New(canary)
	source, err := static.New(static.Config{Username: "app", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	password.Zero()
	c, err := source.Credential(t.Context(), credsource.Request{})
	if err != nil || c.Password.Reveal() != canary {
		t.Errorf("zeroing the config's secret emptied the source's: %v", err)
	}
}

func TestCertificateKeySignsAndHides(t *testing.T) {
	pair, _, _ := certtest.New(t, "client", time.Now().Add(time.Hour))
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatal("the key is no ECDSA key")
	}
	source, err := static.New(static.Config{Certificate: &pair})
	if err != nil {
		t.Fatal(err)
	}
	c, err := source.Credential(t.Context(), credsource.Request{})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v %#v", c.Certificate, *c.Certificate)
	secretBytes, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{fmt.Sprint(key.D), fmt.Sprintf("%#v", key.D), strings.Trim(fmt.Sprint(secretBytes), "[]")} { //nolint:staticcheck // D is what a printer would show
		if strings.Contains(text, d) {
			t.Error("the certificate shows its private key")
		}
	}
	digest := sha256.Sum256([]byte("message"))
	signer, ok := c.Certificate.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatalf("%T can't sign", c.Certificate.PrivateKey)
	}
	sig, err := signer.Sign(rand.Reader, digest[:], nil)
	if err != nil || !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
		t.Errorf("the hidden key does not sign: %v", err)
	}
	if !key.PublicKey.Equal(signer.Public()) {
		t.Error("the public key is another one")
	}
}
