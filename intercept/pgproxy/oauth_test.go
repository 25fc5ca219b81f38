package pgproxy_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
)

const (
	issuer    = "https://idp.example"
	discovery = issuer + "/.well-known/openid-configuration"
)

// bearing is a rig that asks for tokens by OAUTHBEARER.
func bearing(c rigConfig) rigConfig {
	c.proxy.OAuth = &pgproxy.OAuth{Issuer: issuer, Scope: "db.read db.write"}
	return c
}

func TestOAuthByPgx(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, bearing(rigConfig{driver: d}))
		config, err := pgx.ParseConfig(r.url())
		if err != nil {
			t.Fatal(err)
		}
		config.OAuthTokenProvider = func(context.Context) (string, error) { return token, nil }
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		var one int
		if err := conn.QueryRow(t.Context(), "SELECT 1").Scan(&one); err != nil || one != 1 {
			t.Fatalf("got %d, %v", one, err)
		}
		config.OAuthTokenProvider = func(context.Context) (string, error) { return "another-token", nil }
		if _, err := pgx.ConnectConfig(t.Context(), config); err == nil || !strings.Contains(err.Error(), "invalid_token") {
			t.Fatalf("got %v", err)
		}
	})
}

type libpqReport struct {
	Rows      []string
	Error     string
	Asked     int
	Discovery string
	Scope     string
}

func (r *rig) libpq18(t *testing.T, options, token string) libpqReport {
	t.Helper()
	mode := "sslmode=disable"
	if r.ca != nil {
		mode = "sslmode=verify-full sslrootcert=" + r.caFile
	}
	conninfo := fmt.Sprintf("host=127.0.0.1 port=%d user=agent dbname=%s %s %s", r.addr.Port, r.pg.Database, mode, options)
	var report libpqReport
	if err := json.Unmarshal(testserver.RunLibpq18(t, conninfo, "SELECT 41 + 1", token), &report); err != nil {
		t.Fatal(err)
	}
	return report
}

func TestOAuthByLibpq(t *testing.T) {
	r := newRig(t, bearing(rigConfig{driver: overTLS}))
	options := "require_auth=oauth oauth_client_id=agents oauth_issuer=" + discovery
	if got := r.libpq18(t, options, token); len(got.Rows) != 1 || got.Rows[0] != "42" || got.Asked == 0 || got.Discovery != discovery {
		t.Errorf("with a token: %+v", got)
	}
	// The issuer itself, in place of its metadata: libpq asks the server first.
	if got := r.libpq18(t, "oauth_client_id=agents oauth_issuer="+issuer, token); len(got.Rows) != 1 || got.Discovery != discovery || got.Scope != "db.read db.write" {
		t.Errorf("with discovery: %+v", got)
	}
	if got := r.libpq18(t, options, "another-token"); len(got.Rows) != 0 || !strings.Contains(got.Error, "authentication failed") {
		t.Errorf("with a wrong token: %+v", got)
	}
	if got := r.libpq18(t, "oauth_client_id=agents oauth_issuer=https://evil.example", token); len(got.Rows) != 0 || got.Asked != 0 {
		t.Errorf("of another issuer: %+v", got)
	}
	if got := r.libpq18(t, "password="+token, ""); len(got.Rows) != 0 || !strings.Contains(got.Error, "OAuth") {
		t.Errorf("without OAuth: %+v", got)
	}
}

// sasl is a SASLInitialResponse with a length of its own.
func sasl(mechanism string, n int, data string) []byte {
	body := append([]byte(mechanism), 0)
	body = append(binary.BigEndian.AppendUint32(body, uint32(int32(n))), data...)
	return passwordMessage(string(body))
}

func passwordMessage(body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{'p'}, uint32(len(body)+4)), body...)
}

func initial(data string) []byte { return sasl("OAUTHBEARER", len(data), data) }

// bearerAsked starts a session up to the request for a token.
func (r *rig) bearerAsked(t *testing.T) *rawClient {
	t.Helper()
	c := r.dial(t)
	c.bytes(startupPacket(3<<16, "user", "agent"))
	m, ok := c.next().(*pgproto3.AuthenticationSASL)
	if !ok || len(m.AuthMechanisms) != 1 || m.AuthMechanisms[0] != "OAUTHBEARER" {
		t.Fatalf("got %+v", m)
	}
	return c
}

// What the exchange looks like byte by byte, when a client has no token.
func TestOAuthDiscovery(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, bearing(rigConfig{driver: d}))
		for name, auth := range map[string]string{
			"none": "", "another scheme": "Basic YWdlbnQ6eA==", "no token": "Bearer ", "scheme alone": "Bearer", "wrong token": "Bearer nonsense",
			"not a token": "Bearer a b", "padding alone": "Bearer ==", "quoted": `Bearer "` + token + `"`, "no space": "Bearer" + token,
		} {
			c := r.bearerAsked(t)
			c.bytes(initial("n,,\x01auth=" + auth + "\x01\x01"))
			m, ok := c.next().(*pgproto3.AuthenticationSASLContinue)
			if want := `{"status":"invalid_token","openid-configuration":"` + discovery + `","scope":"db.read db.write"}`; !ok || string(m.Data) != want {
				t.Fatalf("%s: got %+v, want %s", name, m, want)
			}
			c.bytes(passwordMessage("\x01"))
			if got := c.end(); strings.Join(got, " ") != "FATAL 28P01" {
				t.Fatalf("%s: got %q", name, got)
			}
		}
		// What follows the error is one byte, nothing else.
		for _, answer := range []string{"", "\x01\x01", "n,,\x01auth=Bearer " + token + "\x01\x01"} {
			c := r.bearerAsked(t)
			c.bytes(initial("n,,\x01auth=\x01\x01"))
			c.next()
			c.bytes(passwordMessage(answer))
			if got := c.end(); strings.Contains(strings.Join(got, " "), "AuthenticationOk") || len(got) > 1 {
				t.Fatalf("%q: got %q", answer, got)
			}
		}
	})
}

func TestOAuthMessages(t *testing.T) {
	good := "n,,\x01auth=Bearer " + token + "\x01\x01"
	accepted := map[string][]byte{
		"plain":            initial(good),
		"y flag":           initial("y" + good[1:]),
		"host and port":    initial("n,,\x01host=db.example\x01port=5432\x01auth=Bearer " + token + "\x01\x01"),
		"lower case":       initial("n,,\x01auth=bearer  " + token + "\x01\x01"),
		"without initial":  nil,
		"unknown key":      initial("n,,\x01x=\x01auth=Bearer " + token + "\x01\x01"),
		"value with equal": initial("n,,\x01host=a=b\x01auth=Bearer " + token + "\x01\x01"),
	}
	malformed := map[string][]byte{
		"empty":                   initial(""),
		"channel binding":         initial("p=tls-server-end-point" + good[1:]),
		"binding flag":            initial("x" + good[1:]),
		"binding flag twice":      initial("nn" + good[1:]),
		"authzid":                 initial("n,a=root,\x01auth=Bearer " + token + "\x01\x01"),
		"authzid without a":       initial("n,root,\x01auth=Bearer " + token + "\x01\x01"),
		"no comma":                initial("n\x01auth=Bearer " + token + "\x01\x01"),
		"no separator":            initial("n,,auth=Bearer " + token + "\x01\x01"),
		"separator missing":       initial("n,,\x01auth=Bearer " + token + "\x01"),
		"unterminated":            initial("n,,\x01auth=Bearer " + token),
		"bytes behind":            initial(good + "x"),
		"second message":          initial(good + good),
		"auth twice":              initial("n,,\x01auth=Bearer " + token + "\x01auth=Bearer " + token + "\x01\x01"),
		"auth twice, one empty":   initial("n,,\x01auth=\x01auth=Bearer " + token + "\x01\x01"),
		"no auth":                 initial("n,,\x01\x01"),
		"auth in capitals":        initial("n,,\x01AUTH=Bearer " + token + "\x01\x01"),
		"key without value":       initial("n,,\x01auth\x01\x01"),
		"empty key":               initial("n,,\x01=Bearer " + token + "\x01\x01"),
		"key with a digit":        initial("n,,\x01a1=x\x01auth=Bearer " + token + "\x01\x01"),
		"value with a NUL":        initial("n,,\x01auth=Bearer " + token + "\x00\x01\x01"),
		"value with high bytes":   initial("n,,\x01auth=Bearer " + token + "\xff\x01\x01"),
		"other mechanism":         sasl("SCRAM-SHA-256", len(good), good),
		"no mechanism":            sasl("", len(good), good),
		"mechanism in small":      sasl("oauthbearer", len(good), good),
		"length too short":        sasl("OAUTHBEARER", len(good)-1, good),
		"length too long":         sasl("OAUTHBEARER", len(good)+1, good),
		"length below -1":         sasl("OAUTHBEARER", -2, good),
		"length -1 with data":     sasl("OAUTHBEARER", -1, good),
		"password in its place":   passwordMessage(token + "\x00"),
		"mechanism only":          passwordMessage("OAUTHBEARER\x00"),
		"mechanism not ended":     passwordMessage("OAUTHBEARER"),
		"no message":              passwordMessage(""),
		"oversize":                initial("n,,\x01auth=Bearer " + strings.Repeat("a", 1<<16) + "\x01\x01"),
		"length without the body": {'p', 0x7f, 0xff, 0xff, 0xff},
		"a query":                 {'Q', 0, 0, 0, 6, 'x', 0},
	}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, bearing(rigConfig{driver: d}))
		for name, message := range accepted {
			c := r.bearerAsked(t)
			if message == nil {
				c.bytes(sasl("OAUTHBEARER", -1, ""))
				if m, ok := c.next().(*pgproto3.AuthenticationSASLContinue); !ok || len(m.Data) != 0 {
					t.Fatalf("%s: got %+v", name, m)
				}
				message = passwordMessage(good)
			}
			c.bytes(message)
			if _, ok := c.next().(*pgproto3.AuthenticationOk); !ok {
				t.Errorf("%s: refused", name)
			}
		}
		for name, message := range malformed {
			c := r.bearerAsked(t)
			_, _ = c.conn.Write(message) // the gateway may not read to its end
			if got := strings.Join(c.end(), " "); got != "FATAL 08P01" && got != "" {
				t.Errorf("%s: got %q", name, got)
			}
		}
	})
}

func TestOAuthConfig(t *testing.T) {
	for _, o := range []pgproxy.OAuth{
		{}, {Issuer: "http://idp.example"}, {Issuer: "idp.example"}, {Issuer: "https://user@idp.example"}, {Issuer: "https://idp.example?a=b"},
		{Issuer: "https://idp.example#a"}, {Issuer: issuer, Scope: "a\nb"}, {Issuer: issuer, Scope: `a"b`},
	} {
		if _, err := pgproxy.New(pgproxy.Config{Upstream: "127.0.0.1:1", Database: "x", OAuth: &o}); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
