package pgproxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy/secret"
)

func message(typ byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4))) + body
}

func auth(code byte, data string) string {
	return message('R', "\x00\x00\x00"+string([]byte{code})+data)
}

const (
	hello     = "R\x00\x00\x00\x08\x00\x00\x00\x00"
	askScram  = "R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"
	readyIdle = "Z\x00\x00\x00\x05I"
)

func TestGreeter(t *testing.T) {
	for name, test := range map[string]struct {
		in string
		ok bool
	}{
		"plain":             {hello + readyIdle, true},
		"scram":             {auth(11, "r=abc,s=abc=,i=4096") + readyIdle, true},
		"most iterations":   {auth(11, "r=abc,s=abc=,i=1000000") + readyIdle, true},
		"iterations":        {auth(11, "r=abc,s=abc=,i=1000001"), false},
		"negative":          {auth(11, "r=abc,s=abc=,i=-1"), false},
		"no number":         {auth(11, "r=abc,s=abc=,i=1e9"), false},
		"two counts":        {auth(11, "r=abc,s=abc=,i=1,i=9999999"), false},
		"nonce":             {auth(11, "r="+strings.Repeat("a", 2000)+",s=abc=,i=1"), false},
		"long message":      {auth(11, strings.Repeat("a", 10_000)), false},
		"negative length":   {"R\xff\xff\xff\xff", false},
		"flood of notices":  {strings.Repeat(message('N', strings.Repeat("x", 1000)), 1100), false},
		"one long message":  {message('S', strings.Repeat("x", 2<<20)), false},
		"afterwards freely": {hello + readyIdle + strings.Repeat("x", 2<<20), true},
		"empty messages":    {message('1', "") + message('R', "") + hello + readyIdle, true},
	} {
		for _, r := range []io.Reader{strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in))} {
			got, err := io.ReadAll(&greeter{Reader: r})
			if (err == nil) != test.ok || test.ok && string(got) != test.in {
				t.Errorf("%s: %d of %d bytes, %v", name, len(got), len(test.in), err)
			}
		}
	}
}

// dialScripted connects to a server that says what it is told to, to every query
// and before, and hangs up.
func dialScripted(t testing.TB, script []byte, want TargetSession) error {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		go func() { _, _ = io.Copy(io.Discard, far) }() // ends with the pipe
		_, _ = far.Write(script)                        // the gateway may have hung up
		_ = far.Close()
	}()
	p := &Interceptor{
		cfg:   Config{Upstream: "127.0.0.1:1", Database: "db", UpstreamPlaintext: true, ConnectTimeout: 10 * time.Second, MaxMessageBytes: 1 << 20, TargetSession: want},
		hosts: []upstreamHost{{"127.0.0.1", 1}},
	}
	var err error
	if p.base, err = p.cfg.baseConfig(); err != nil {
		t.Fatal(err)
	}
	p.base.DialFunc = func(context.Context, string, string) (net.Conn, error) { return near, nil }
	s := &shelf{alterations: new(alterations)}
	up, err := p.dialUpstream(context.Background(), &credsource.Credential{Username: "u", Password: secret.New("p")}, nil,
		func(ctx context.Context, conn *pgconn.PgConn) error {
			return s.load(time.Minute, analyzeForTests)(ctx, conn)
		})
	if up != nil {
		_ = up.conn.Close()
	}
	<-done
	return err
}

func TestHostileServerAtStartup(t *testing.T) {
	for name, script := range map[string]string{
		"nothing":                 "",
		"error without SQLSTATE":  message('E', "SFATAL\x00MGo away\x00\x00"),
		"error without fields":    message('E', "\x00"),
		"short SQLSTATE":          message('E', "C2\x00\x00"),
		"error not terminated":    message('E', "C28P01"),
		"iterations":              askScram + auth(11, "r=x,s=eA==,i=2000000000"),
		"key without a body":      hello + message('K', ""),
		"rows of no query":        hello + readyIdle + message('D', "\x00\x00"),
		"no rows for a question":  hello + readyIdle + message('C', "SELECT 0\x00") + readyIdle,
		"few columns":             hello + readyIdle + message('T', "\x00\x00") + message('D', "\x00\x00") + message('C', "SELECT 1\x00") + readyIdle,
		"unknown message":         hello + message('\x00', "x"),
		"unknown authentication":  auth(99, ""),
		"ready before accepting":  readyIdle,
		"SASL without mechanisms": auth(10, "\x00"),
	} {
		for _, want := range []TargetSession{AnySession, ReadWrite, PreferStandby} {
			if err := dialScripted(t, []byte(script), want); err == nil {
				t.Errorf("%s: accepted", name)
			} else if strings.Contains(err.Error(), "panic") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestHostHasOtherKind(t *testing.T) {
	script := hello + message('S', "in_hot_standby\x00on\x00") + message('S', "default_transaction_read_only\x00off\x00") + readyIdle
	if err := dialScripted(t, []byte(script), Primary); !errors.Is(err, errOtherSession) {
		t.Errorf("got %v", err)
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add([]byte(hello + readyIdle))
	f.Add([]byte(askScram + auth(11, "r=x,s=eA==,i=4096") + auth(12, "v=x")))
	f.Add([]byte(hello + readyIdle + message('T', "\x00\x00") + message('C', "SELECT 0\x00") + readyIdle))
	f.Fuzz(func(t *testing.T, script []byte) {
		if bytes.Contains(script, []byte("\x00\x00\x00\x07")) || bytes.Contains(script, []byte("\x00\x00\x00\x09")) {
			return // GSS and SSPI, which pgconn is not given
		}
		for _, want := range []TargetSession{AnySession, Standby} {
			if err := dialScripted(t, script, want); err == nil {
				t.Skip("a proper server")
			}
		}
	})
}
