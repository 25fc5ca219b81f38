package mtls_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/identitytest"
	"github.com/headgate/gateway/policy/identity/mtls"
	"github.com/headgate/gateway/policy/secret"
)

// start is when the tests take place; certificates are good from an hour before
// to a day after.
var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// authority is a CA, maybe under another.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func issue(t *testing.T, parent *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes([]byte(rand.Text())),
		NotBefore:    start.Add(-time.Hour), NotAfter: start.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	signer := &authority{template, key}
	if parent != nil {
		signer = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.certificate, &key.PublicKey, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

func ca(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.BasicConstraintsValid = pkix.Name{CommonName: name}, true, true
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign, nil
	}
}

func named(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: name} }
}

func uris(texts ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, text := range texts {
			u, _ := url.Parse(text) // the tests' own
			c.URIs = append(c.URIs, u)
		}
	}
}

func dns(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func both(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

func pool(roots ...*authority) *x509.CertPool {
	p := x509.NewCertPool()
	for _, r := range roots {
		p.AddCert(r.certificate)
	}
	return p
}

func chain(links ...*authority) identity.Proof {
	var p identity.Proof
	for _, l := range links {
		p.Certificates = append(p.Certificates, l.certificate)
	}
	return p
}

func fingerprint(c *x509.Certificate) map[string]any {
	sum := sha256.Sum256(c.Raw)
	return map[string]any{"fingerprint": hex.EncodeToString(sum[:])}
}

func TestConformance(t *testing.T) {
	const id = "spiffe://agents.example/team/agent-7"
	identitytest.Run(t, identitytest.Harness{New: func(t *testing.T) identitytest.Fixture {
		t.Helper()
		now := start
		root, foreign := issue(t, nil, ca("root")), issue(t, nil, ca("root"))
		middle := issue(t, root, ca("middle"))
		v, err := mtls.New(mtls.Config{
			Roots: pool(root), Name: mtls.SPIFFE, TrustDomains: []string{"agents.example"}, Issuer: "ca", Now: func() time.Time { return now },
		})
		if err != nil {
			t.Fatal(err)
		}
		until := func(c *x509.Certificate) { c.NotAfter = start.Add(time.Hour) }
		leaf := issue(t, middle, both(uris(id), until))
		expired := func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Minute) }
		early := func(c *x509.Certificate) { c.NotBefore = start.Add(time.Minute) }
		noUsage := func(c *x509.Certificate) { c.ExtKeyUsage = nil }
		server := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
		refused := map[string]identity.Proof{
			"foreign root":       chain(issue(t, foreign, uris(id))),
			"foreign root along": chain(issue(t, foreign, uris(id)), foreign),
			"no intermediate":    chain(leaf),
			"leaf as issuer":     chain(issue(t, leaf, uris(id)), leaf, middle),
			"expired":            chain(issue(t, root, both(uris(id), expired))),
			"not yet valid":      chain(issue(t, root, both(uris(id), early))),
			"of no purpose":      chain(issue(t, root, both(uris(id), noUsage))),
			"a server's":         chain(issue(t, root, both(uris(id), server))),
			"a CA's":             chain(issue(t, root, both(uris(id), ca("x"), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))),
			"no name":            chain(issue(t, root, named("agent-7"))),
			"two names":          chain(issue(t, root, uris(id, id+"2"))),
			"only a token":       {Token: secret.New("a-token-that-is-long-enough")},
			"nil":                {Certificates: []*x509.Certificate{nil}},
			"long chain":         chain(leaf, middle, middle, middle, middle, middle, middle, middle, middle),
		}
		for _, other := range []string{
			"spiffe://evil.example/team/agent-7", "spiffe://agents.example.evil/x", "https://agents.example/team/agent-7", "spiffe://agents.example",
			"spiffe://agents.example/", "spiffe://agents.example/a//b", "spiffe://agents.example/../b", "spiffe://agents.example/a?b=c",
			"spiffe://agents.example/a%2fb", "spiffe://agents.example:80/a", "spiffe://user@agents.example/a", "spiffe://agents.example/a#b",
		} {
			refused[other] = chain(issue(t, root, uris(other)))
		}
		return identitytest.Fixture{
			Verifier: v, Proof: chain(leaf, middle), Refused: refused,
			Want: policy.Identity{
				Subject: id, Issuer: "ca", Method: mtls.Method, Expires: leaf.certificate.NotAfter, Claims: fingerprint(leaf.certificate),
			},
			Expire: func(*testing.T) { now = leaf.certificate.NotAfter.Add(time.Second) },
		}
	}})
}

// A session ends with the first certificate of its chain, not with the leaf.
func TestExpiryOfTheChain(t *testing.T) {
	root := issue(t, nil, ca("root"))
	middle := issue(t, root, both(ca("middle"), func(c *x509.Certificate) { c.NotAfter = start.Add(time.Minute) }))
	v := verifier(t, mtls.CommonName, root)
	id, err := v.Verify(t.Context(), chain(issue(t, middle, named("agent-7")), middle))
	if err != nil || id.Subject != "agent-7" || !id.Expires.Equal(start.Add(time.Minute)) {
		t.Fatalf("got %+v, %v", id, err)
	}
}

func verifier(t *testing.T, name mtls.Name, roots ...*authority) *mtls.Verifier {
	t.Helper()
	v, err := mtls.New(mtls.Config{Roots: pool(roots...), Name: name, Issuer: "ca", Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNames(t *testing.T) {
	root := issue(t, nil, ca("root"))
	constrained := issue(t, root, both(ca("middle"), func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"a.example"} }))
	for _, tc := range []struct {
		name   mtls.Name
		proof  identity.Proof
		want   string
		reason string
	}{
		{mtls.CommonName, chain(issue(t, root, named("agent-7"))), "agent-7", ""},
		{mtls.CommonName, chain(issue(t, root, named(""))), "", identity.ReasonClaims},
		{mtls.CommonName, chain(issue(t, root, named("agent\u202e7"))), "", identity.ReasonClaims},
		{mtls.CommonName, chain(issue(t, root, named("agent-7\n"))), "", identity.ReasonClaims},
		{mtls.CommonName, chain(issue(t, root, named(" agent-7"))), "", identity.ReasonClaims},
		{mtls.CommonName, chain(issue(t, root, named(strings.Repeat("a", 3000)))), "", identity.ReasonClaims},
		{mtls.CommonName, chain(issue(t, root, dns("agent-7.example"))), "", identity.ReasonClaims},
		{mtls.CommonName, chain(issue(t, root, func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "root"}, {Type: []int{2, 5, 4, 3}, Value: "agent-7"}}
		})), "", identity.ReasonClaims},
		{mtls.CommonName, chain(issue(t, constrained, named("agent-7")), constrained), "", identity.ReasonClaims},
		{mtls.DNS, chain(issue(t, constrained, dns("x.a.example")), constrained), "x.a.example", ""},
		{mtls.DNS, chain(issue(t, constrained, dns("x.b.example")), constrained), "", identity.ReasonClaims},
		{mtls.DNS, chain(issue(t, root, dns("Agent-7.Example"))), "agent-7.example", ""},
		{mtls.DNS, chain(issue(t, root, dns("*.example"))), "", identity.ReasonClaims},
		{mtls.DNS, chain(issue(t, root, dns("a.example", "b.example"))), "", identity.ReasonClaims},
		{mtls.DNS, chain(issue(t, root, named("agent-7"))), "", identity.ReasonClaims},
	} {
		id, err := verifier(t, tc.name, root).Verify(t.Context(), tc.proof)
		if id.Subject != tc.want || identity.ReasonOf(err) != tc.reason {
			t.Errorf("%v: got %q, %v, want %q, %q", tc.proof.Certificates[0].Subject, id.Subject, err, tc.want, tc.reason)
		}
	}
}

func TestReasons(t *testing.T) {
	root := issue(t, nil, ca("root"))
	for want, change := range map[string]func(*x509.Certificate){
		identity.ReasonNotYetValid: func(c *x509.Certificate) { c.NotBefore = start.Add(time.Minute) },
		identity.ReasonExpired:     func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Minute) },
		identity.ReasonClaims:      func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment },
	} {
		_, err := verifier(t, mtls.CommonName, root).Verify(t.Context(), chain(issue(t, root, both(named("agent-7"), change))))
		if got := identity.ReasonOf(err); got != want {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
	}
	_, err := verifier(t, mtls.CommonName, issue(t, nil, ca("root"))).Verify(t.Context(), chain(issue(t, root, named("agent-7"))))
	if got := identity.ReasonOf(err); got != identity.ReasonUnknownKey {
		t.Errorf("got %q (%v)", got, err)
	}
}

func TestConfig(t *testing.T) {
	roots := pool(issue(t, nil, ca("root")))
	for _, cfg := range []mtls.Config{
		{}, {Name: mtls.DNS, Issuer: "ca"}, {Roots: roots, Issuer: "ca"}, {Roots: roots, Name: mtls.DNS}, {Roots: roots, Name: 9, Issuer: "ca"},
		{Roots: roots, Name: mtls.SPIFFE, Issuer: "ca"}, {Roots: roots, Name: mtls.DNS, TrustDomains: []string{"a"}, Issuer: "ca"},
		{Roots: roots, Name: mtls.SPIFFE, TrustDomains: []string{"A"}, Issuer: "ca"},
	} {
		if _, err := mtls.New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	var zero mtls.Verifier
	root := issue(t, nil, ca("root"))
	if id, err := zero.Verify(t.Context(), chain(issue(t, root, named("agent-7")))); err == nil || id.Subject != "" {
		t.Errorf("the zero Verifier gives %+v, %v", id, err)
	}
}

// A chain is good as a whole: each link must be there, be good now, and may be for
// clients; and there is an end to how long it may be.
func TestChains(t *testing.T) {
	root := issue(t, nil, ca("root"))
	expired := issue(t, root, both(ca("middle"), func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Minute) }))
	forServers := issue(t, root, both(ca("middle"), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))
	shallow := issue(t, root, both(ca("middle"), func(c *x509.Certificate) { c.MaxPathLenZero = true }))
	below := issue(t, shallow, ca("below"))
	links := []*authority{root}
	for range 9 {
		links = append([]*authority{issue(t, links[0], ca("link"))}, links...)
	}
	agent := func(by *authority) *authority { return issue(t, by, named("agent-7")) }
	for name, test := range map[string]struct {
		proof  identity.Proof
		reason string
	}{
		"two links":                {chain(agent(links[7]), links[7], links[8]), ""},
		"two links in disorder":    {chain(agent(links[7]), links[8], links[7]), ""},
		"a link is missing":        {chain(agent(links[7]), links[7]), identity.ReasonUnknownKey},
		"an expired link":          {chain(agent(expired), expired), identity.ReasonExpired},
		"a link for servers":       {chain(agent(forServers), forServers), identity.ReasonClaims},
		"a link too many":          {chain(agent(below), below, shallow), identity.ReasonClaims},
		"more than a client needs": {chain(append([]*authority{agent(links[0])}, links...)...), identity.ReasonMalformed},
	} {
		id, err := verifier(t, mtls.CommonName, root).Verify(t.Context(), test.proof)
		if identity.ReasonOf(err) != test.reason || (err == nil) != (id.Subject == "agent-7") {
			t.Errorf("%s: got %q, %v, want %q", name, id.Subject, err, test.reason)
		}
	}
}
