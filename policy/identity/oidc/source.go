package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

// A keySource fetches the keys of one issuer: from url, or from where the
// discovery document (OpenID Connect Discovery §4) says if url is "". Discovery is
// part of each fetch, so that a provider may move its keys.
type keySource struct {
	client *http.Client
	issuer string
	url    string
}

func (s *keySource) fetch(ctx context.Context) (keySet, error) {
	from := s.url
	if from == "" {
		var err error
		if from, err = s.discover(ctx); err != nil {
			return keySet{}, fmt.Errorf("discovery of %s: %w", s.issuer, err)
		}
	}
	doc, err := s.get(ctx, from)
	if err != nil {
		return keySet{}, fmt.Errorf("keys of %s: %w", s.issuer, err)
	}
	set, err := parseKeySet(doc)
	if err != nil {
		return keySet{}, fmt.Errorf("keys of %s: %w", s.issuer, err)
	}
	return set, nil
}

// discover returns where the keys are. What the library's errors quote of the
// document is left out.
func (s *keySource) discover(ctx context.Context) (string, error) {
	provider, err := gooidc.NewProvider(gooidc.ClientContext(ctx, s.client), s.issuer)
	if err != nil {
		return "", discoveryError(err)
	}
	var doc struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := provider.Claims(&doc); err != nil {
		return "", errors.New("the document can't be read")
	}
	if err := checkJWKSURI(s.issuer, doc.JWKS); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return doc.JWKS, nil
}

func discoveryError(err error) error {
	if request, ok := errors.AsType[*url.Error](err); ok {
		return request
	}
	if _, ok := errors.AsType[*gooidc.IssuerMismatchError](err); ok {
		return errors.New("the document is of another issuer")
	}
	return errors.New("the document can't be read")
}

// checkJWKSURI holds a discovered URL to the rules of a configured one, but for
// its query. Only an issuer on this machine may lead to keys on this machine in
// the clear.
func checkJWKSURI(issuer, text string) error {
	from, errFrom := url.Parse(issuer)
	u, err := url.Parse(text)
	if err != nil || errFrom != nil {
		return errors.New("not a URL")
	}
	if u.Scheme == "http" && from.Scheme != "http" {
		return errors.New("the URL must be https, as the issuer's is")
	}
	u.RawQuery, u.ForceQuery = "", false
	return checkURL(u.String())
}

func (s *keySource) get(ctx context.Context, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	return io.ReadAll(resp.Body)
}

// maxDocumentBytes bounds discovery documents and key sets.
const maxDocumentBytes = 1 << 20

// guardedTransport makes an error of every answer but 200, redirects included,
// and of bodies that are too long.
type guardedTransport struct {
	base http.RoundTripper
}

// RoundTrip carries out one request.
func (t *guardedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close() // nothing of it is wanted
		return nil, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxDocumentBytes)
	return resp, nil
}

// CloseIdleConnections lets http.Client reach the method of the base.
func (t *guardedTransport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
