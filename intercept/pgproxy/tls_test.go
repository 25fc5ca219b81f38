package pgproxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/mtls"
)

// direct is a client that begins with TLS. It fails if TLS can't be agreed on.
func (r *rig) direct(t *testing.T, protocols ...string) (*rawClient, error) {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	secured := tls.Client(conn, &tls.Config{RootCAs: r.ca.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS13, NextProtos: protocols})
	return &rawClient{t: t, conn: secured, Frontend: pgproto3.NewFrontend(secured, secured)}, secured.Handshake()
}

func TestDirectTLS(t *testing.T) {
	r := newRig(t, rigConfig{driver: overTLS})
	for name, protocols := range map[string][]string{"one": {"postgresql"}, "one of two": {"http/1.1", "postgresql"}} {
		c, err := r.direct(t, protocols...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c.bytes(startupPacket(3<<16, "user", "agent"))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		if _, ok := c.next().(*pgproto3.AuthenticationOk); !ok {
			t.Errorf("%s: refused", name)
		}
	}
	for _, protocols := range map[string][]string{"none": nil, "another": {"http/1.1"}, "in capitals": {"PostgreSQL"}} {
		c, err := r.direct(t, protocols...)
		if err != nil {
			continue
		}
		_, _ = c.conn.Write(startupPacket(3<<16, "user", "agent")) // it may be closed already
		c.closed()
	}
	// Neither encryption is asked for inside of it, nor a second handshake made.
	for name, packet := range map[string][]byte{
		"SSLRequest inside": startupCode(codeSSL),
		"TLS inside":        {0x16, 0x03, 0x01, 0x00, 0x02, 0x01, 0x00, 0x01},
	} {
		c, err := r.direct(t, "postgresql")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c.bytes(packet)
		c.closed()
	}
	// A GSSENCRequest or a refused one before it does not make it direct.
	c := r.plain(t)
	c.bytes(startupCode(codeGSSENC))
	if got := c.answer(1); got != "N" {
		t.Fatalf("got %q", got)
	}
	c.bytes([]byte{0x16, 0x03, 0x01, 0x00, 0x02, 0x01, 0x00, 0x01})
	c.closed()
}

// A client that has asked for TLS need not say what for, but may not say that it
// is for something else.
func TestALPNBehindSSLRequest(t *testing.T) {
	r := newRig(t, rigConfig{driver: overTLS})
	for name, test := range map[string]struct {
		protocols []string
		ok        bool
	}{"none": {nil, true}, "postgresql": {[]string{"postgresql"}, true}, "another": {[]string{"h2"}, false}} {
		c := r.plain(t)
		c.bytes(startupCode(codeSSL))
		c.answer(1)
		secured := tls.Client(c.conn, &tls.Config{RootCAs: r.ca.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS13, NextProtos: test.protocols})
		_, err := secured.Write(startupPacket(3<<16, "user", "agent"))
		var head [1]byte
		if err == nil {
			_, err = io.ReadFull(secured, head[:])
		}
		if (err == nil && head[0] == 'R') != test.ok {
			t.Errorf("%s: got %q, %v", name, head, err)
		}
	}
}

func TestDirectTLSByDrivers(t *testing.T) {
	r := newRig(t, rigConfig{driver: overTLS})
	conn, err := pgx.Connect(t.Context(), r.url()+"&sslnegotiation=direct")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var one int
	if err := conn.QueryRow(t.Context(), "SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Fatalf("pgx: got %d, %v", one, err)
	}
	if got := r.libpq18(t, "sslnegotiation=direct password="+token, ""); len(got.Rows) != 1 || got.Rows[0] != "42" {
		t.Fatalf("libpq: %+v", got)
	}
	if got := r.libpq18(t, "sslnegotiation=postgres password="+token, ""); len(got.Rows) != 1 || got.Rows[0] != "42" {
		t.Fatalf("libpq: %+v", got)
	}
}

// certified is a rig whose clients may have certificates of its CA.
func certified(t *testing.T, suffices bool, token identity.Verifier) *rig {
	t.Helper()
	clients := testserver.NewCA(t)
	verifier, err := mtls.New(mtls.Config{Roots: clients.Pool(), Name: mtls.CommonName, Issuer: "clients"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigConfig{
		driver: overTLS, verifier: identity.ByEvidence{Token: token, Certificate: verifier},
		adjust: func(_ *rig, c *pgproxy.Config) {
			c.CertificateSuffices = suffices
			c.TLS.ClientAuth = tls.RequestClientCert
		},
	})
	r.clientCA = clients
	return r
}

// certificated connects by pgx with a certificate, and a password if there is one.
func (r *rig) certificated(t *testing.T, pair testserver.Pair, password string) (*pgx.Conn, error) {
	t.Helper()
	config, err := pgx.ParseConfig(r.url())
	if err != nil {
		t.Fatal(err)
	}
	config.Password = password
	config.User = "root" // of no account
	if len(pair.Certificate) > 0 {
		config.TLSConfig.Certificates = []tls.Certificate{pair.TLS(t)}
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

func TestClientCertificate(t *testing.T) {
	r := certified(t, true, identity.VerifierFunc(verifyToken))
	conn, err := r.certificated(t, r.clientCA.Client(t, "agent-9"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.gateway.Sessions(); len(got) != 1 || got[0].Identity.Subject != "agent-9" || got[0].Identity.Method != mtls.Method {
		t.Fatalf("got %+v", got)
	}
	if _, err := r.certificated(t, testserver.Pair{}, token); err != nil {
		t.Errorf("a token without a certificate: %v", err)
	}
	certFile, keyFile := r.clientCA.Client(t, "agent-10").Files(t)
	cmd := exec.CommandContext(t.Context(), testserver.Command(t, "psql"), "-X", "-w", "-Atc", "SELECT 42")
	cmd.Env = append(r.env(), "PGPASSWORD=", "PGUSER=root", "PGSSLCERT="+certFile, "PGSSLKEY="+keyFile)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "42\n" {
		t.Errorf("psql: %q, %v", out, err)
	}
}

func TestBypassByCertificate(t *testing.T) {
	r := certified(t, true, identity.VerifierFunc(verifyToken))
	bad := map[string]testserver.Pair{
		"foreign CA": testserver.NewCA(t).Client(t, "agent-9"),
		"expired":    r.clientCA.ClientWith(t, func(c *x509.Certificate) { named(c); c.NotAfter = time.Now().Add(-time.Minute) }),
		"not yet":    r.clientCA.ClientWith(t, func(c *x509.Certificate) { named(c); c.NotBefore = time.Now().Add(time.Hour) }),
		"no purpose": r.clientCA.ClientWith(t, func(c *x509.Certificate) { named(c); c.ExtKeyUsage = nil }),
		"a server's": r.clientCA.ClientWith(t, func(c *x509.Certificate) { named(c); c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"of no name": r.clientCA.ClientWith(t, func(c *x509.Certificate) { c.DNSNames = []string{"agent-9"} }),
	}
	for name, pair := range bad {
		// A good token beside it does not help: what is presented must hold.
		for _, password := range []string{"", token} {
			if _, err := r.certificated(t, pair, password); sqlState(err) != "28P01" {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
	if _, err := r.certificated(t, r.clientCA.Client(t, "agent-9"), ""); err != nil {
		t.Errorf("a good one: %v", err)
	}
	if _, err := r.certificated(t, testserver.Pair{}, ""); sqlState(err) != "28P01" {
		t.Errorf("neither certificate nor token: %v", err)
	}
}

// A TLS session that is resumed brings the certificate that it began with, which must
// still hold.
func TestBypassByResumedTLS(t *testing.T) {
	r := certified(t, true, identity.VerifierFunc(verifyToken))
	ends := time.Now().Add(6 * time.Second).Truncate(time.Second)
	pair := r.clientCA.ClientWith(t, func(c *x509.Certificate) { named(c); c.NotAfter = ends })
	config, err := pgx.ParseConfig(r.url())
	if err != nil {
		t.Fatal(err)
	}
	config.Password, config.TLSConfig.Certificates = "", []tls.Certificate{pair.TLS(t)}
	config.TLSConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i := range 2 {
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		secured, ok := conn.PgConn().Conn().(*tls.Conn)
		if !ok || secured.ConnectionState().DidResume != (i == 1) {
			t.Errorf("connection %d: TLS is %v", i, ok)
		}
		_ = conn.Close(t.Context())
	}
	<-time.After(time.Until(ends.Add(time.Second)))
	if _, err := pgx.ConnectConfig(t.Context(), config); sqlState(err) != "28P01" {
		t.Errorf("resumed behind the certificate's end: %v", err)
	}
}

func named(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "agent-9"} }

// Where a certificate does not suffice the client is asked for a token, and both
// must hold.
func TestCertificateAndToken(t *testing.T) {
	r := certified(t, false, identity.VerifierFunc(verifyToken))
	good, foreign := r.clientCA.Client(t, "agent-9"), testserver.NewCA(t).Client(t, "agent-9")
	for name, test := range map[string]struct {
		pair     testserver.Pair
		password string
		want     string
	}{
		"both":             {good, token, ""},
		"only a token":     {testserver.Pair{}, token, ""},
		"bad certificate":  {foreign, token, "28P01"},
		"bad token":        {good, "another", "28P01"},
		"only certificate": {good, "", "28P01"},
	} {
		conn, err := r.certificated(t, test.pair, test.password)
		if sqlState(err) != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%s: got %v", name, err)
		}
		if err == nil {
			_ = conn.Close(t.Context())
		}
	}
	strict := certified(t, true, nil)
	if _, err := strict.certificated(t, testserver.Pair{}, token); sqlState(err) != "28P01" {
		t.Errorf("a token where only certificates count: %v", err)
	}
}

func TestTLSThatIsNotOffered(t *testing.T) {
	r := newRig(t, rigConfig{driver: onReactor})
	if got := r.libpq18(t, "sslmode=require sslnegotiation=direct password="+token, ""); len(got.Rows) != 0 || got.Error == "" {
		t.Fatalf("got %+v", got)
	}
	if _, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://agent:%s@%s/%s?sslmode=require", token, r.addr, r.pg.Database)); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Fatalf("got %v", err)
	}
}
