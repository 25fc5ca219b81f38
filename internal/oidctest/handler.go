package oidctest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// A Failure is what goes wrong. The zero Failure is none.
type Failure struct {
	// DiscoveryOnly and KeysOnly restrict the failure to one of the documents.
	DiscoveryOnly bool
	KeysOnly      bool
	// Status is the HTTP status; zero means 200.
	Status int
	// Body is sent instead of the document; nil means the document.
	Body []byte
	// Location is a redirect's target; Status should say so.
	Location string
	// Until holds the answer back until it is closed or the request is
	// cancelled; nil doesn't.
	Until <-chan struct{}
}

func (f *Failure) touches(path string) bool {
	return (!f.DiscoveryOnly || path == DiscoveryPath) && (!f.KeysOnly || path == KeysPath)
}

// Fail makes requests fail from now on; the zero Failure ends it.
func (p *Provider) Fail(f Failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = f
}

// Requests counts the requests that have come in, failed ones included.
type Requests struct {
	Discovery int
	Keys      int
}

// Requests returns the counts so far.
func (p *Provider) Requests() Requests {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Requests{Discovery: p.discovery, Keys: p.keySets}
}

// count counts a request and returns the failure that it meets.
func (p *Provider) count(path string) Failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch path {
	case DiscoveryPath:
		p.discovery++
	case KeysPath:
		p.keySets++
	}
	if p.failure.touches(path) {
		return p.failure
	}
	return Failure{}
}

// ServeHTTP serves the discovery document and the key set.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if base, err := url.Parse(p.cfg.Issuer); err == nil {
		path = strings.TrimPrefix(path, strings.TrimSuffix(base.Path, "/"))
	}
	failure := p.count(path)
	if failure.Until != nil {
		select {
		case <-failure.Until:
		case <-r.Context().Done():
			return
		}
	}
	body, err := p.document(path)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	case body == nil:
		http.NotFound(w, r)
		return
	}
	p.answer(w, failure, body)
}

func (p *Provider) answer(w http.ResponseWriter, failure Failure, body []byte) {
	if failure.Body != nil {
		body = failure.Body
	}
	if failure.Location != "" {
		w.Header().Set("Location", failure.Location)
	}
	w.Header().Set("Content-Type", "application/json")
	if failure.Status != 0 {
		w.WriteHeader(failure.Status)
	}
	_, _ = w.Write(body) // the client may have gone
}

// document returns what stands at path, nil if there is nothing.
func (p *Provider) document(path string) ([]byte, error) {
	base := strings.TrimSuffix(p.cfg.Issuer, "/")
	switch path {
	case DiscoveryPath:
		return json.Marshal(map[string]any{
			"issuer":                                p.cfg.Issuer,
			"jwks_uri":                              base + KeysPath,
			"authorization_endpoint":                base + "/authorize",
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": p.cfg.Algorithms,
		})
	case KeysPath:
		return p.JWKS()
	default:
		return nil, nil
	}
}
