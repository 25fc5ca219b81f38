package oidctest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/headgate/gateway/internal/oidctest"
)

func provider(t *testing.T, cfg oidctest.Config) *oidctest.Provider {
	t.Helper()
	p, err := oidctest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// get asks p for a path and returns status and body.
func get(t *testing.T, p *oidctest.Provider, path string) (int, []byte) {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.Bytes()
}

// verify checks token with another implementation and returns its claims.
func verify(t *testing.T, p *oidctest.Provider, algorithm, token string) map[string]any {
	t.Helper()
	doc, err := p.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(doc, &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(set)
	if err != nil {
		t.Fatalf("%s: %v", algorithm, err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestMint(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := provider(t, oidctest.Config{Algorithms: []string{"RS256", "ES256", "EdDSA"}, Now: func() time.Time { return now }})
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		token, err := p.MintWith(algorithm, nil, map[string]any{"sub": "ann", "iat": nil})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"iss": "https://idp.example", "sub": "ann", "exp": 1_800_000_300.0}
		if got := verify(t, p, algorithm, token); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: claims %v, want %v", algorithm, got, want)
		}
		if p.PublicKey(algorithm) == nil {
			t.Errorf("%s: no public key", algorithm)
		}
	}
}

func TestUnknownAlgorithm(t *testing.T) {
	if _, err := oidctest.New(oidctest.Config{Algorithm: "HS256"}); err == nil {
		t.Error("New took HS256")
	}
	p := provider(t, oidctest.Config{})
	if _, err := p.MintWith("RS256", nil, nil); err == nil {
		t.Error("MintWith signed without a key")
	}
	if p.PublicKey("RS256") != nil || p.KeyID("RS256") != "" {
		t.Error("there is a key for an algorithm that was not asked for")
	}
	if _, err := p.Mint(map[string]any{"sub": make(chan int)}); err == nil {
		t.Error("Mint took a channel")
	}
}

func TestRotate(t *testing.T) {
	p := provider(t, oidctest.Config{})
	keys := func() int {
		doc, err := p.JWKS()
		if err != nil {
			t.Fatal(err)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(doc, &set); err != nil {
			t.Fatal(err)
		}
		return len(set.Keys)
	}
	first := p.KeyID("ES256")
	for _, step := range []struct {
		keep bool
		want int
	}{{true, 2}, {true, 3}, {false, 1}} {
		if err := p.Rotate(step.keep); err != nil {
			t.Fatal(err)
		}
		if got := keys(); got != step.want {
			t.Errorf("%d keys are published, want %d", got, step.want)
		}
		if p.KeyID("ES256") == first {
			t.Error("the key has not changed")
		}
	}
}

func TestDocuments(t *testing.T) {
	for _, issuer := range []string{"https://idp.example", "https://idp.example/", "https://idp.example/tenant", "https://idp.example/tenant/"} {
		p := provider(t, oidctest.Config{Issuer: issuer})
		base := "https://idp.example"
		if len(issuer) > len(base)+1 {
			base += "/tenant"
		}
		status, body := get(t, p, base+oidctest.DiscoveryPath)
		var doc struct {
			Issuer string
			JWKS   string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(body, &doc); err != nil || status != http.StatusOK {
			t.Fatalf("%s: status %d, %v", issuer, status, err)
		}
		if doc.Issuer != issuer || doc.JWKS != base+oidctest.KeysPath {
			t.Errorf("%s: got %+v", issuer, doc)
		}
		if status, _ := get(t, p, doc.JWKS); status != http.StatusOK {
			t.Errorf("%s: key set: status %d", issuer, status)
		}
		if status, _ := get(t, p, base+"/authorize"); status != http.StatusNotFound {
			t.Errorf("%s: authorize: status %d", issuer, status)
		}
		if got := p.Requests(); got != (oidctest.Requests{Discovery: 1, Keys: 1}) {
			t.Errorf("%s: counted %+v", issuer, got)
		}
	}
}

func TestFail(t *testing.T) {
	p := provider(t, oidctest.Config{})
	p.Fail(oidctest.Failure{KeysOnly: true, Status: http.StatusServiceUnavailable, Body: []byte("down")})
	if status, body := get(t, p, oidctest.KeysPath); status != http.StatusServiceUnavailable || string(body) != "down" {
		t.Errorf("got %d %s", status, body)
	}
	if status, _ := get(t, p, oidctest.DiscoveryPath); status != http.StatusOK {
		t.Errorf("discovery fails too: %d", status)
	}
	p.Fail(oidctest.Failure{DiscoveryOnly: true, Status: http.StatusFound, Location: "/elsewhere"})
	if status, _ := get(t, p, oidctest.DiscoveryPath); status != http.StatusFound {
		t.Errorf("got %d", status)
	}
	p.Fail(oidctest.Failure{})
	if status, _ := get(t, p, oidctest.DiscoveryPath); status != http.StatusOK {
		t.Errorf("the failure has not ended: %d", status)
	}
}

func TestHang(t *testing.T) {
	p := provider(t, oidctest.Config{})
	until := make(chan struct{})
	p.Fail(oidctest.Failure{Until: until})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, oidctest.KeysPath, nil))
	if w.Body.Len() != 0 {
		t.Errorf("a cancelled request was answered: %s", w.Body)
	}
	close(until)
	if status, body := get(t, p, oidctest.KeysPath); status != http.StatusOK || len(body) == 0 {
		t.Errorf("got %d %s", status, body)
	}
}

func TestStart(t *testing.T) {
	p, err := oidctest.Start(oidctest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Issuer()+oidctest.DiscoveryPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", resp.StatusCode, err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := client.Do(req); err == nil {
		t.Error("the provider answers after Close")
	}
}
