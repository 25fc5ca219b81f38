package pgproxy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/record"
)

const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSSENC = 80877104
)

// plain connects without TLS, whatever the rig.
func (r *rig) plain(t testing.TB) *rawClient {
	t.Helper()
	return (&rig{t: r.t, addr: r.addr}).dial(t)
}

// answer reads n bytes.
func (w *rawClient) answer(n int) string {
	w.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(w.conn, b); err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// closed checks that the gateway closes the connection and says nothing more.
func (w *rawClient) closed() {
	w.t.Helper()
	b, err := io.ReadAll(w.conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || len(b) > 0 {
		w.t.Fatalf("got %q, %v, want a closed connection", b, err)
	}
}

func TestEncryptionRequests(t *testing.T) {
	start := startupPacket(3<<16, "user", "agent")
	cases := map[string]struct {
		packets []uint32
		answers string
	}{
		"none":            {nil, ""},
		"ssl":             {[]uint32{codeSSL}, "N"},
		"gss":             {[]uint32{codeGSSENC}, "N"},
		"gss then ssl":    {[]uint32{codeGSSENC, codeSSL}, "NN"},
		"ssl then gss":    {[]uint32{codeSSL, codeGSSENC}, "NN"},
		"ssl twice":       {[]uint32{codeSSL, codeSSL}, "N!"},
		"gss twice":       {[]uint32{codeGSSENC, codeGSSENC}, "N!"},
		"ssl gss and ssl": {[]uint32{codeSSL, codeGSSENC, codeSSL}, "NN!"},
	}
	r := newRig(t, rigConfig{driver: onReactor})
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			c := r.plain(t)
			for i, code := range test.packets {
				c.bytes(startupCode(code))
				if test.answers[i] == '!' {
					c.closed()
					return
				}
				if got := c.answer(1); got != test.answers[i:i+1] {
					t.Fatalf("packet %d answered %q", i, got)
				}
			}
			c.bytes(start)
			if _, ok := c.next().(*pgproto3.AuthenticationCleartextPassword); !ok {
				t.Fatal("no request for a password")
			}
		})
	}
}

func TestBrokenStartup(t *testing.T) {
	long := make([]byte, 10_001)
	binary.BigEndian.PutUint32(long, 10_001)
	cases := map[string][]byte{
		"padded SSLRequest":      {0, 0, 0, 12, 0x04, 0xd2, 0x16, 0x2f, 0, 0, 0, 0},
		"padded GSSENCRequest":   {0, 0, 0, 12, 0x04, 0xd2, 0x16, 0x30, 0, 0, 0, 0},
		"too short":              {0, 0, 0, 7, 0, 3, 0},
		"length zero":            {0, 0, 0, 0, 0, 3, 0, 0},
		"negative length":        {0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0},
		"too long":               long,
		"not terminated":         []byte("\x00\x00\x00\x12\x00\x03\x00\x00user\x00agent"),
		"bytes behind the end":   []byte("\x00\x00\x00\x15\x00\x03\x00\x00user\x00agent\x00\x00x"),
		"parameter twice":        startupPacket(3<<16, "user", "agent", "user", "root"),
		"parameter without text": startupPacket(3<<16, "user"),
		"short cancel":           append(startupCode(codeCancel), 1)[:8],
		"long cancel":            startupPacket(codeCancel, strings.Repeat("x", 300)),
		"HTTP":                   []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for name, packet := range cases {
			t.Run(name, func(t *testing.T) {
				c := r.plain(t)
				c.bytes(packet)
				c.closed()
			})
		}
	})
}

// Bytes behind an SSLRequest were not protected by the TLS that follows.
func TestBytesBehindSSLRequest(t *testing.T) {
	r := newRig(t, rigConfig{driver: overTLS})
	c := r.plain(t)
	c.bytes(append(startupCode(codeSSL), startupPacket(3<<16, "user", "root")...))
	if got := c.answer(1); got != "S" {
		t.Fatalf("got %q", got)
	}
	if rest, _ := io.ReadAll(c.conn); strings.Contains(string(rest), "R\x00\x00\x00") {
		t.Fatalf("injected bytes were taken for a startup packet: %q", rest)
	}
}

func TestProtocolVersions(t *testing.T) {
	cases := []struct {
		protocol   uint32
		parameters []string
		negotiated uint32 // 0 for no NegotiateProtocolVersion
		options    int
		keySize    int
	}{
		{3 << 16, nil, 0, 0, 4},
		{3<<16 | 1, nil, 3 << 16, 0, 4},
		{3<<16 | 2, nil, 0, 0, 32},
		{3<<16 | 9999, nil, 3<<16 | 2, 0, 32},
		{3 << 16, []string{"_pq_.one", "x", "_pq_.two", "y"}, 3 << 16, 2, 4},
		{3<<16 | 2, []string{"_pq_.one", "x"}, 3<<16 | 2, 1, 32},
	}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for _, test := range cases {
			c := r.dial(t)
			c.bytes(startupPacket(test.protocol, append([]string{"user", "agent"}, test.parameters...)...))
			if test.negotiated != 0 {
				m, ok := c.next().(*pgproto3.NegotiateProtocolVersion)
				if !ok || m.NewestMinorProtocol != test.negotiated || len(m.UnrecognizedOptions) != test.options {
					t.Fatalf("%x: negotiated %+v", test.protocol, m)
				}
			}
			if _, ok := c.next().(*pgproto3.AuthenticationCleartextPassword); !ok {
				t.Fatalf("%x: no request for a password", test.protocol)
			}
			c.send(&pgproto3.PasswordMessage{Password: token})
			for {
				m := c.next()
				if key, ok := m.(*pgproto3.BackendKeyData); ok && len(key.SecretKey) != test.keySize {
					t.Fatalf("%x: key of %d bytes", test.protocol, len(key.SecretKey))
				}
				if _, ok := m.(*pgproto3.ReadyForQuery); ok {
					break
				}
			}
		}
		for _, protocol := range []uint32{2 << 16, 4 << 16, 0} {
			c := r.dial(t)
			c.bytes(startupPacket(protocol, "user", "agent"))
			if got := c.end(); len(got) != 1 || got[0] != "FATAL 0A000" {
				t.Fatalf("%x: got %q", protocol, got)
			}
		}
	})
}

func TestStartupParameters(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for _, refused := range [][2]string{
			{"options", "-c search_path=evil"}, {"search_path", "evil"}, {"role", "root"}, {"ROLE", "root"}, {"replication", "maybe"},
			{"Replication", "database"}, {"session_authorization", "root"}, {"standard_conforming_strings", "off"},
			{"client_encoding", "SJIS"}, {"database", "template1"}, {"no_such_setting", "1"}, {"log_statement", "none"},
		} {
			c := r.dial(t)
			c.bytes(startupPacket(3<<16, "user", "agent", refused[0], refused[1]))
			c.next() // strangers are told nothing of what is carried
			c.send(&pgproto3.PasswordMessage{Password: token})
			if got := c.end(); len(got) != 1 || got[0] != "FATAL 0A000" {
				t.Fatalf("%s=%s: got %q", refused[0], refused[1], got)
			}
		}
		c := r.sessionOf(t, 3<<16, "database", r.pg.Database, "application_name", "an agent", "DateStyle", "German",
			"TimeZone", "UTC", "client_encoding", "UTF-8", "replication", "false", "options", " ", "statement_timeout", "50s")
		c.query("SHOW application_name; SHOW datestyle; SHOW statement_timeout", "RowDescription", "row an agent", "SHOW",
			"RowDescription", "row German, DMY", "SHOW", "RowDescription", "row 50s", "SHOW", "ZI")
	})
}

// What is refused at startup is in the record, with what the client asked for; a
// session that asks for no replication is no such thing.
func TestRefusedStartupIsRecorded(t *testing.T) {
	const effect = `"verb":"read","kind":"replication","name":"orders-db"`
	for _, c := range []struct {
		name, value string
		replication bool
	}{
		{"REPLICATION", "1", true}, {"replication", "", true}, {"replication", "Database", true}, {"replication", "o", true}, {"role", "root", false},
	} {
		r := newRig(t, rigConfig{})
		client := r.dial(t)
		client.bytes(startupPacket(3<<16, "user", "agent", c.name, c.value))
		client.next()
		client.send(&pgproto3.PasswordMessage{Password: token})
		if got := client.end(); len(got) != 1 || got[0] != "FATAL 0A000" {
			t.Fatalf("%s=%q: got %q", c.name, c.value, got)
		}
		if refused, asked := r.refusedConnects(effect); refused != 1 || asked != c.replication {
			t.Errorf("%s=%q: %d refusals recorded, of replication: %t", c.name, c.value, refused, asked)
		}
	}
	r := newRig(t, rigConfig{})
	for _, no := range []string{"off", "OF", "false", "f", "no", "N", "0"} {
		r.sessionOf(t, 3<<16, "replication", no).query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
	}
	if refused, asked := r.refusedConnects(effect); refused != 0 || asked {
		t.Errorf("without replication: %d refusals recorded, of replication: %t", refused, asked)
	}
}

// refusedConnects counts the refused connects in the record, and reports whether
// an effect is in it.
func (r *rig) refusedConnects(effect string) (refused int, found bool) {
	for _, session := range r.recorder.Sessions() {
		for _, e := range r.recorder.Entries(session) {
			if e.Type == record.TypeCommand && bytes.Contains(e.Payload, []byte(`"action":"connect","forward":false`)) {
				refused++
			}
			found = found || bytes.Contains(e.Payload, []byte(effect))
		}
	}
	return refused, found
}

func TestWrongToken(t *testing.T) {
	const wrong = "wrong-token-canary"
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for _, password := range []string{wrong, "", strings.Repeat(wrong, 100)} {
			c := r.dial(t)
			c.bytes(startupPacket(3<<16, "user", "agent"))
			c.next()
			c.send(&pgproto3.PasswordMessage{Password: password})
			m, ok := c.next().(*pgproto3.ErrorResponse)
			if !ok || m.Severity != "FATAL" || m.Code != "28P01" || m.Message != "headgate: authentication failed" {
				t.Fatalf("got %+v", m)
			}
			if strings.Contains(m.Detail+m.Hint, "unknown") {
				t.Fatalf("the client was told why: %+v", m)
			}
			c.closed()
		}
		if err := r.gateway.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		if log := r.logs.String(); !strings.Contains(log, "unknown") || strings.Contains(log, wrong) {
			t.Fatalf("the log lacks the reason or has the token:\n%s", log)
		}
	})
}

func TestMalformedPassword(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for _, message := range []string{"p\x00\x00\x00\x05x", "p\x00\x00\x00\x04", "Q\x00\x00\x00\x06x\x00", "p\x7f\x00\x00\x00", "p\x00\x00\x00\x03"} {
			c := r.dial(t)
			c.bytes(startupPacket(3<<16, "user", "agent"))
			c.next()
			c.bytes([]byte(message))
			if got := c.end(); len(got) != 0 {
				t.Fatalf("%q: got %q", message, got)
			}
		}
	})
}

// A distant connection is one whose peer is elsewhere in the network.
type distant struct{ net.Conn }

func (distant) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711} }

func TestNoTokenWithoutTLSFromAfar(t *testing.T) {
	for _, d := range []driver{onReactor, overTLS} {
		r := newRig(t, rigConfig{driver: d})
		r.warm(t) // the gateway serves: it is not shut down before that
		near, far := net.Pipe()
		defer near.Close()
		served := make(chan error, 1)
		go func() { served <- r.gateway.ServeConn(context.Background(), "orders-db", distant{far}) }()
		if err := near.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		c := &rawClient{t: t, conn: near, Frontend: pgproto3.NewFrontend(near, near)}
		if d == overTLS {
			c.conn = r.secure(t, near)
			c.Frontend = pgproto3.NewFrontend(c.conn, c.conn)
			c.bytes(startupPacket(3<<16, "user", "agent"))
			if _, ok := c.next().(*pgproto3.AuthenticationCleartextPassword); !ok {
				t.Fatal("no request for a password inside TLS")
			}
			_ = near.Close()
			<-served
			continue
		}
		c.bytes(startupPacket(3<<16, "user", "agent"))
		m, ok := c.next().(*pgproto3.ErrorResponse)
		if !ok || m.Code != "28P01" || !strings.Contains(m.Message, "TLS is required") {
			t.Fatalf("got %+v", m)
		}
		if err := <-served; err == nil {
			t.Fatal("no error for the host")
		}
	}
}

func TestTokenIsNowhere(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		recorder := new(record.Memory)
		r := newRig(t, rigConfig{driver: d, recorder: recorder})
		c := r.session(t)
		c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		c.send(&pgproto3.Terminate{})
		c.end()
		if err := r.gateway.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		kept := r.logs.String()
		for _, session := range recorder.Sessions() {
			for _, e := range recorder.Entries(session) {
				kept += string(e.Payload)
			}
		}
		for _, secret := range []string{token, r.pg.Password} {
			if strings.Contains(kept, secret) {
				t.Fatalf("%q is in the log or the record", secret)
			}
		}
	})
}
