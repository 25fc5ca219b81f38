package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// authority signs certificates for tests.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.key, a.cert, _ = a.sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign makes a certificate of a template; one of its own for the authority.
func (a *authority) sign(t *testing.T, template *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) client(t *testing.T, subject string) []tls.Certificate {
	t.Helper()
	uri, err := url.Parse(subject)
	if err != nil {
		t.Fatal(err)
	}
	_, _, pair := a.sign(t, &x509.Certificate{
		URIs: []*url.URL{uri}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return []tls.Certificate{pair}
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// newCertificateSite is a site whose agents log in by certificate or token, and
// whose policy tells them apart.
func newCertificateSite(t *testing.T, a *authority) *site {
	t.Helper()
	s := newSite(t)
	key, cert, _ := a.sign(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "server.key", inPEM("PRIVATE KEY", der))
	s.write(t, "server.pem", inPEM("CERTIFICATE", cert.Raw))
	s.write(t, "ca.pem", inPEM("CERTIFICATE", a.cert.Raw))
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	replaced := strings.NewReplacer("subject: agent-7}]}", fmt.Sprintf(`subject: agent-7}],
  mtls: [{roots: %s/ca.pem, trust_domains: [shop.example], issuer: ca}]}
mask: {patterns: {badge: 'EMP-\d{6}'}}`, s.dir), "    database: shop\n", fmt.Sprintf(`    database: shop
    certificate_suffices: true
    tls: {cert: %[1]s/server.pem, key: %[1]s/server.key, client_ca: %[1]s/ca.pem, client_certificates: optional}
`, s.dir)).Replace(string(text))
	s.write(t, "gateway.yaml", replaced)
	s.write(t, "policy/gateway.rego", allowReads+`
mask contains {"table": "*.*", "column": "*", "detect": ["badge"], "method": "redact"} if input.identity.method == "mtls"
deny contains "not this one" if input.identity.subject == "spiffe://shop.example/denied"
`)
	return s
}

// TestCertificates: a certificate logs in without a token, a token without a
// certificate, and neither by a certificate of somebody else's.
func TestCertificates(t *testing.T) {
	ca := newAuthority(t)
	s := newCertificateSite(t, ca)
	addr, _ := s.start(t)
	agent := ca.client(t, "spiffe://shop.example/agent")
	cases := []struct {
		name, password string
		certificates   []tls.Certificate
		direct         bool
		want           string // the badge, or part of the error
	}{
		{"certificate", "", agent, false, "the [badge] of ada"},
		{"certificate, TLS at once", "", agent, true, "the [badge] of ada"},
		{"token", agentToken, nil, false, "the EMP-123456 of ada"},
		{"neither", "", nil, false, "28P01"},
		{"another's certificate", "", newAuthority(t).client(t, "spiffe://shop.example/agent"), false, "tls:"},
		{"certificate of another trust domain", "", ca.client(t, "spiffe://evil.example/agent"), false, "28P01"},
		{"certificate that the policy denies", "", ca.client(t, "spiffe://shop.example/denied"), false, "not this one"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := badge(t, addr, ca, c.password, c.certificates, c.direct); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// badge connects and asks for a text with a badge in it. It returns that, or the
// error.
func badge(t *testing.T, addr net.Addr, ca *authority, password string, certificates []tls.Certificate, direct bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cfg, err := pgx.ParseConfig("postgres://whoever:" + password + "@" + addr.String() + "/shop?sslmode=require")
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1", Certificates: certificates, MinVersion: tls.VersionTLS12}
	cfg.TLSConfig.RootCAs.AddCert(ca.cert)
	cfg.Fallbacks = nil
	if direct {
		cfg.SSLNegotiation = "direct"
		cfg.TLSConfig.NextProtos = []string{"postgresql"}
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close(ctx) }() // the test is over
	var text string
	if err := conn.QueryRow(ctx, "SELECT 'the EMP-123456 of ada' AS note FROM customers").Scan(&text); err != nil {
		return err.Error()
	}
	return text
}
