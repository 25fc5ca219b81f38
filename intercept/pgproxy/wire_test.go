package pgproxy_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// patience bounds what a test waits for; it is never used up by a test that passes.
const patience = 30 * time.Second

// rawClient is a client that says exactly what a test has it say.
type rawClient struct {
	t    testing.TB
	conn net.Conn
	*pgproto3.Frontend
	key *pgproto3.BackendKeyData
}

// dial connects to the gateway, inside TLS where the rig has it, before any
// startup packet.
func (r *rig) dial(t testing.TB) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if r.ca != nil {
		conn = r.secure(t, conn)
	}
	w := &rawClient{t: t, conn: conn, Frontend: pgproto3.NewFrontend(conn, conn)}
	return w
}

// secure asks for TLS.
func (r *rig) secure(t testing.TB, conn net.Conn) net.Conn {
	t.Helper()
	if _, err := conn.Write(startupCode(80877103)); err != nil {
		t.Fatal(err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil || answer[0] != 'S' {
		t.Fatalf("SSLRequest answered %q, %v", answer, err)
	}
	return tls.Client(conn, &tls.Config{RootCAs: r.ca.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS13})
}

// startupCode is a packet of nothing but a request code.
func startupCode(code uint32) []byte { return startupPacket(code) }

// startupPacket is a startup packet with names and values as they are given.
func startupPacket(code uint32, texts ...string) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), code)
	for _, text := range texts {
		b = append(append(b, text...), 0)
	}
	if len(texts) > 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// session is dial and a whole startup.
func (r *rig) session(t testing.TB) *rawClient {
	t.Helper()
	return r.sessionOf(t, 3<<16)
}

func (r *rig) sessionOf(t testing.TB, protocol uint32, parameters ...string) *rawClient {
	t.Helper()
	return r.dial(t).start(protocol, parameters...)
}

// start does a whole startup.
func (w *rawClient) start(protocol uint32, parameters ...string) *rawClient {
	w.t.Helper()
	w.bytes(startupPacket(protocol, append([]string{"user", "agent"}, parameters...)...))
	for {
		switch m := w.next().(type) {
		case *pgproto3.AuthenticationCleartextPassword:
			w.send(&pgproto3.PasswordMessage{Password: token})
		case *pgproto3.BackendKeyData:
			w.key = &pgproto3.BackendKeyData{ProcessID: m.ProcessID, SecretKey: slices.Clone(m.SecretKey)}
		case *pgproto3.ReadyForQuery:
			return w
		case *pgproto3.ErrorResponse:
			w.t.Fatalf("startup: %+v", m)
		}
	}
}

func (w *rawClient) bytes(b []byte) {
	w.t.Helper()
	if _, err := w.conn.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *rawClient) send(messages ...pgproto3.FrontendMessage) {
	w.t.Helper()
	for _, m := range messages {
		w.Send(m)
	}
	if err := w.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *rawClient) next() pgproto3.BackendMessage {
	w.t.Helper()
	m, err := w.Receive()
	if err != nil {
		w.t.Fatalf("receive: %v", err)
	}
	return m
}

// until returns what comes, in short, up to n ReadyForQuery.
func (w *rawClient) until(n int) []string {
	w.t.Helper()
	var got []string
	for n > 0 {
		m := w.next()
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			n--
		}
		got = append(got, short(m))
	}
	return got
}

// expect compares what comes, up to the last ReadyForQuery that is wanted.
func (w *rawClient) expect(want ...string) {
	w.t.Helper()
	n := 0
	for _, s := range want {
		if strings.HasPrefix(s, "Z") {
			n++
		}
	}
	if got := w.until(n); !slices.Equal(got, want) {
		w.t.Fatalf("got  %q\nwant %q", got, want)
	}
}

// end returns what comes until the connection is closed.
func (w *rawClient) end() []string {
	w.t.Helper()
	var got []string
	for {
		m, err := w.Receive()
		if err != nil {
			if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
				w.t.Fatalf("the connection was not closed; got %q", got)
			}
			return got
		}
		got = append(got, short(m))
	}
}

// query runs a simple query and compares the answer.
func (w *rawClient) query(sql string, want ...string) {
	w.t.Helper()
	w.send(&pgproto3.Query{String: sql})
	w.expect(want...)
}

// short writes a message in a few letters.
func short(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ReadyForQuery:
		return "Z" + string(m.TxStatus)
	case *pgproto3.ErrorResponse:
		return m.Severity + " " + m.Code
	case *pgproto3.NoticeResponse:
		return "notice " + m.Code
	case *pgproto3.DataRow:
		return "row " + string(bytes.Join(m.Values, []byte(",")))
	case *pgproto3.CommandComplete:
		return string(m.CommandTag)
	case *pgproto3.CopyData:
		return fmt.Sprintf("CopyData %q", m.Data)
	case *pgproto3.FunctionCallResponse:
		if m.Result == nil {
			return "value NULL"
		}
		return fmt.Sprintf("value %q", m.Result)
	case *pgproto3.ParameterStatus:
		return "status " + m.Name
	default:
		return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
	}
}

// extended is Parse, Bind and Execute of one statement, unnamed.
func extended(sql string) []pgproto3.FrontendMessage {
	return []pgproto3.FrontendMessage{&pgproto3.Parse{Query: sql}, &pgproto3.Bind{}, &pgproto3.Execute{}}
}

// pipeline puts messages and slices of messages in a row.
func pipeline(parts ...any) []pgproto3.FrontendMessage {
	var out []pgproto3.FrontendMessage
	for _, p := range parts {
		switch p := p.(type) {
		case pgproto3.FrontendMessage:
			out = append(out, p)
		case []pgproto3.FrontendMessage:
			out = append(out, p...)
		case string:
			out = append(out, extended(p)...)
		}
	}
	return out
}

// messages ranges over what comes, in short.
func (w *rawClient) messages() iter.Seq[string] {
	return func(yield func(string) bool) {
		for yield(short(w.next())) {
		}
	}
}
