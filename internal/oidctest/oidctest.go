// Package oidctest is a small OpenID provider in the same process, for tests and
// for example programs: a discovery document, a key set, signed tokens, key
// rotation, request counters and failures on demand. It has no login page and no
// token endpoint: Mint hands out whatever it is asked for, so it must never be
// where a stranger can reach it.
//
// It signs with the standard library alone, so that a verifier built on a JOSE
// library is tested against an independent implementation.
package oidctest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The paths that a Provider serves, below its issuer.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/keys"
)

// Config is how a Provider works. The zero Config is useful.
type Config struct {
	// Issuer is the issuer URL. "" means the listener's address for Start and
	// https://idp.example for New.
	Issuer string
	// Algorithm is what Mint signs with; "" means ES256, whose keys are made at
	// once. RS256 and EdDSA are the others.
	Algorithm string
	// Algorithms are those that keys are published for, besides Algorithm.
	Algorithms []string
	// Now is the clock that iat and exp are taken from; nil means time.Now.
	Now func() time.Time
}

// Provider is the provider. It is an http.Handler. It is made by New or Start
// and safe for concurrent use.
type Provider struct {
	cfg    Config
	server *http.Server
	ended  chan struct{}

	mu        sync.Mutex
	keys      []*key // the newest of each algorithm first
	made      int
	failure   Failure
	discovery int
	keySets   int
}

// New returns a Provider without a listener: mount it as a handler.
func New(cfg Config) (*Provider, error) {
	if cfg.Issuer == "" {
		cfg.Issuer = "https://idp.example"
	}
	if cfg.Algorithm == "" {
		cfg.Algorithm = "ES256"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Algorithms = append([]string{cfg.Algorithm}, cfg.Algorithms...)
	slices.Sort(cfg.Algorithms)
	cfg.Algorithms = slices.Compact(cfg.Algorithms)
	p := &Provider{cfg: cfg}
	return p, p.Rotate(false)
}

// Start returns a Provider that listens on a free port of 127.0.0.1, in the
// clear. The caller must Close it.
func Start(cfg Config) (*Provider, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	if cfg.Issuer == "" {
		cfg.Issuer = "http://" + listener.Addr().String()
	}
	p, err := New(cfg)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		_ = p.server.Serve(listener) // ends with ErrServerClosed
	}()
	return p, nil
}

// Close stops the listener and ends open requests. It may be called again.
func (p *Provider) Close() error {
	if p.server == nil {
		return nil
	}
	err := p.server.Close()
	<-p.ended
	return err
}

// Issuer returns the issuer URL.
func (p *Provider) Issuer() string { return p.cfg.Issuer }
