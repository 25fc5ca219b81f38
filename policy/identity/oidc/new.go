package oidc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Limits of a Config.
const (
	maxClockSkew  = 5 * time.Minute
	maxTokenBytes = 1 << 20
)

// New returns a Verifier with a copy of cfg. It does no I/O: what an issuer
// publishes is fetched when its first token comes.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	v := &Verifier{cfg: cfg, client: guardedClient(cfg.HTTPClient), issuers: map[string]*issuer{}, cache: newCache(cfg.CacheSize)}
	for _, i := range cfg.Issuers {
		if v.issuers[i.URL] != nil {
			return nil, fmt.Errorf("oidc: issuer %q is listed twice", i.URL)
		}
		iss, err := newIssuer(i, &v.cfg, v.client)
		if err != nil {
			return nil, fmt.Errorf("oidc: issuer %q: %w", i.URL, err)
		}
		v.issuers[i.URL] = iss
	}
	v.cfg.Issuers = nil
	return v, nil
}

// complete checks cfg and fills in what is zero.
func (cfg *Config) complete() error {
	durations := []struct {
		field *time.Duration
		zero  time.Duration
	}{
		{&cfg.ClockSkew, 30 * time.Second},
		{&cfg.CacheFor, 5 * time.Minute},
		{&cfg.FetchTimeout, 10 * time.Second},
		{&cfg.KeysMaxAge, 5 * time.Minute},
		{&cfg.KeysMaxStale, time.Hour},
		{&cfg.KeysMinInterval, 30 * time.Second},
	}
	for _, d := range durations {
		if *d.field < 0 {
			return errors.New("a duration is negative")
		}
		if *d.field == 0 {
			*d.field = d.zero
		}
	}
	if cfg.MaxTokenBytes == 0 {
		cfg.MaxTokenBytes = 16 << 10
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = 4096
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg.check()
}

func (cfg *Config) check() error {
	switch {
	case len(cfg.Issuers) == 0:
		return errors.New("no issuers")
	case cfg.ClockSkew > maxClockSkew:
		return fmt.Errorf("ClockSkew is more than %v", maxClockSkew)
	case cfg.MaxTokenBytes < 0 || cfg.MaxTokenBytes > maxTokenBytes:
		return fmt.Errorf("MaxTokenBytes is not within %d", maxTokenBytes)
	case cfg.KeysMaxStale < cfg.KeysMaxAge:
		return errors.New("KeysMaxStale is less than KeysMaxAge")
	}
	return nil
}

// guardedClient returns a copy of client, or a client of its own for nil, whose
// answers are bounded.
func guardedClient(client *http.Client) *http.Client {
	out := http.Client{}
	if client != nil {
		out = *client
	}
	if out.Transport == nil {
		out.Transport = &http.Transport{
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     time.Minute,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		}
	}
	out.Transport = &guardedTransport{base: out.Transport}
	return &out
}
