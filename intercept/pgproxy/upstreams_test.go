package pgproxy_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
)

// overUpstreamTLS is a rig whose own leg to the server is TLS.
func overUpstreamTLS(t *testing.T, version []testserver.Option, adjust func(*pgproxy.Config)) *rig {
	t.Helper()
	return newRig(t, rigConfig{
		driver: onReactor, pg: append(version, testserver.TLS()),
		adjust: func(r *rig, c *pgproxy.Config) {
			c.UpstreamPlaintext = false
			c.UpstreamTLS = &tls.Config{RootCAs: r.pg.CA.Pool(), MinVersion: tls.VersionTLS12}
			adjust(c)
		},
	})
}

func TestUpstreamTLSWithChannelBinding(t *testing.T) {
	r := overUpstreamTLS(t, nil, func(c *pgproxy.Config) { c.RequireChannelBinding = true })
	c := r.session(t)
	c.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "RowDescription", "row t", "SELECT 1", "ZI")
}

func TestUpstreamDirectTLS(t *testing.T) {
	r := overUpstreamTLS(t, []testserver.Option{testserver.Version18()}, func(c *pgproxy.Config) {
		c.UpstreamDirectTLS, c.RequireChannelBinding = true, true
	})
	c := r.session(t)
	c.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "RowDescription", "row t", "SELECT 1", "ZI")
	c.send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
	r.eventually(t, sleepers, "1")
	r.cancel(t, c)
	c.expect("RowDescription", "ERROR 57014", "ZI")
}

// cancel sends a cancel request for the session of c.
func (r *rig) cancel(t *testing.T, c *rawClient) {
	t.Helper()
	request := r.plain(t)
	packet := startupPacket(codeCancel, "")[:8]
	packet = append(packet, byte(c.key.ProcessID>>24), byte(c.key.ProcessID>>16), byte(c.key.ProcessID>>8), byte(c.key.ProcessID))
	packet = append(packet, c.key.SecretKey...)
	packet[3] = byte(len(packet))
	request.bytes(packet)
	request.closed()
}

func TestUpstreamCertificateIsVerified(t *testing.T) {
	for name, config := range map[string]*tls.Config{
		"foreign CA":   {RootCAs: testserver.NewCA(t).Pool(), MinVersion: tls.VersionTLS12},
		"another name": {ServerName: "db.example", MinVersion: tls.VersionTLS12},
		"system roots": nil,
	} {
		r := overUpstreamTLS(t, nil, func(c *pgproxy.Config) {
			if config != nil && config.RootCAs == nil {
				config.RootCAs = c.UpstreamTLS.RootCAs
			}
			c.UpstreamTLS = config
		})
		c := r.dial(t)
		c.bytes(startupPacket(3<<16, "user", "agent"))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		if got := strings.Join(c.end(), " "); !strings.HasPrefix(got, "FATAL 08") {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// A server whose TLS is for something else is not spoken to.
func TestUpstreamALPN(t *testing.T) {
	ca := testserver.NewCA(t)
	pair := ca.Server(t).TLS(t)
	for name, protocols := range map[string][]string{"another": {"h2"}, "none": nil} {
		listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: protocols, MinVersion: tls.VersionTLS13})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan int, 1)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n, _ := conn.Read(make([]byte, 1)) // a handshake that fails is an answer, too
			_ = conn.Close()
			got <- n
		}()
		r := newRig(t, rigConfig{driver: onReactor, adjust: func(_ *rig, c *pgproxy.Config) {
			c.Upstream, c.UpstreamPlaintext, c.UpstreamDirectTLS = listener.Addr().String(), false, true
			c.UpstreamTLS = &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS13}
		}})
		c := r.dial(t)
		c.bytes(startupPacket(3<<16, "user", "agent"))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		if got := strings.Join(c.end(), " "); !strings.HasPrefix(got, "FATAL 08") {
			t.Errorf("%s: got %q", name, got)
		}
		if n := <-got; n != 0 {
			t.Errorf("%s: the server was spoken to", name)
		}
		_ = listener.Close()
	}
}

// closedPort is an address where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestSeveralUpstreams(t *testing.T) {
	for _, random := range []bool{false, true} {
		r := newRig(t, rigConfig{driver: onReactor, adjust: func(_ *rig, c *pgproxy.Config) {
			c.Upstream, c.UpstreamRandom = closedPort(t)+","+c.Upstream, random
		}})
		for range 4 {
			c := r.session(t)
			c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
			c.send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
			r.eventually(t, sleepers, "1")
			r.cancel(t, c)
			c.expect("RowDescription", "ERROR 57014", "ZI")
		}
	}
}

func TestTargetSession(t *testing.T) {
	writable, readOnly := testserver.Postgres(t), testserver.Postgres(t, testserver.Own())
	readOnly.Exec("ALTER SYSTEM SET default_transaction_read_only = on")
	readOnly.Restart()
	for name, test := range map[string]struct {
		want  pgproxy.TargetSession
		hosts []*testserver.PG
		shows string // default_transaction_read_only of the server that was taken, "" for none
	}{
		"any":                    {pgproxy.AnySession, []*testserver.PG{readOnly, writable}, "on"},
		"read-write":             {pgproxy.ReadWrite, []*testserver.PG{readOnly, writable}, "off"},
		"read-only":              {pgproxy.ReadOnly, []*testserver.PG{writable, readOnly}, "on"},
		"primary":                {pgproxy.Primary, []*testserver.PG{readOnly}, "on"},
		"standby":                {pgproxy.Standby, []*testserver.PG{readOnly, writable}, ""},
		"prefer-standby":         {pgproxy.PreferStandby, []*testserver.PG{writable, readOnly}, "off"},
		"read-write, but is not": {pgproxy.ReadWrite, []*testserver.PG{readOnly}, ""},
	} {
		r := newRig(t, rigConfig{driver: onReactor, adjust: func(_ *rig, c *pgproxy.Config) {
			var addresses []string
			for _, pg := range test.hosts {
				addresses = append(addresses, fmt.Sprintf("%s:%d", pg.Host, pg.Port))
			}
			c.Upstream, c.TargetSession, c.Database = strings.Join(addresses, ","), test.want, "postgres"
		}})
		c := r.dial(t)
		c.bytes(startupPacket(3<<16, "user", "agent"))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		if test.shows == "" {
			if got := strings.Join(c.end(), " "); !strings.HasPrefix(got, "FATAL 08") {
				t.Errorf("%s: got %q", name, got)
			}
			continue
		}
		c.until(1)
		c.query("SHOW default_transaction_read_only", "RowDescription", "row "+test.shows, "SHOW", "ZI")
	}
}

func TestUpstreamConfig(t *testing.T) {
	for _, cfg := range []pgproxy.Config{
		{Upstream: ""}, {Upstream: "a"}, {Upstream: "a:1,"}, {Upstream: "a:1,b"}, {Upstream: "a:0"}, {Upstream: "a:x"}, {Upstream: ":1"},
		{Upstream: "a:1" + strings.Repeat(",a:1", 40)}, {Upstream: "a:1", TargetSession: "master"},
		{Upstream: "a:1", UpstreamPlaintext: true, UpstreamDirectTLS: true}, {Upstream: "a:1", UpstreamPlaintext: true, RequireChannelBinding: true},
	} {
		cfg.Database = "x"
		if _, err := pgproxy.New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

// Where channel binding is required, a server that does not offer it is told nothing.
func TestUpstreamWithoutChannelBinding(t *testing.T) {
	ca := testserver.NewCA(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.Server(t).TLS(t)}, NextProtos: []string{"postgresql"}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for name, offer := range map[string]string{
		"SCRAM without it": "R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00", "cleartext": "R\x00\x00\x00\x08\x00\x00\x00\x03",
		"MD5": "R\x00\x00\x00\x0c\x00\x00\x00\x05salt", "trust": "R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I",
	} {
		said := make(chan []byte, 1)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			buf := make([]byte, 4096)
			_, _ = conn.Read(buf) // the startup packet
			_, _ = conn.Write([]byte(offer))
			n, _ := conn.Read(buf) // the gateway hangs up
			said <- buf[:n]
		}()
		r := newRig(t, rigConfig{driver: onReactor, adjust: func(_ *rig, c *pgproxy.Config) {
			c.Upstream, c.UpstreamPlaintext, c.UpstreamDirectTLS, c.RequireChannelBinding = listener.Addr().String(), false, true, true
			c.UpstreamTLS = &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS13}
		}})
		c := r.dial(t)
		c.bytes(startupPacket(3<<16, "user", "agent"))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		if got := strings.Join(c.end(), " "); !strings.HasPrefix(got, "FATAL 08") {
			t.Errorf("%s: got %q", name, got)
		}
		if got := <-said; len(got) > 0 && got[0] != 'X' {
			t.Errorf("%s: the server was told %q", name, got)
		}
	}
}
