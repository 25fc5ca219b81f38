package pgproxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
)

// securedRig is a rig with TLS on both legs, carried by the reactor.
func securedRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, rigConfig{
		driver: onReactorTLS, pg: []testserver.Option{testserver.TLS()},
		adjust: func(r *rig, c *pgproxy.Config) {
			c.UpstreamPlaintext = false
			c.UpstreamTLS = &tls.Config{RootCAs: r.pg.CA.Pool(), MinVersion: tls.VersionTLS12}
		},
	})
}

// Both directions are filled until neither side takes more: what TLS has sealed
// waits, and nothing of it is lost, doubled or out of order.
func TestReactorCarriesTLSBothWays(t *testing.T) {
	r := securedRig(t)
	conn := r.connect(t)
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stacks.String(), "pumpServer") {
		t.Fatal("it is carried by goroutines")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const statements = 40
	batch := pgproto3Pipeline(statements)
	hijacked := hijack(t, conn)
	written := make(chan error, 1)
	go func() {
		_, err := hijacked.Write(batch)
		written <- err
	}()
	front := pgproto3.NewFrontend(hijacked, io.Discard)
	for i := range statements {
		want := strings.Repeat(fmt.Sprintf("%04d", i), 25_000)
		if got := oneText(ctx, t, front); got != want {
			t.Fatalf("statement %d: %d bytes, wrong", i, len(got))
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

func hijack(t *testing.T, conn *pgx.Conn) net.Conn {
	t.Helper()
	h, err := takeOver(conn.PgConn())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Conn.Close() })
	return h.Conn
}

// pgproto3Pipeline is n statements of 100 kB, each of which returns what it holds.
func pgproto3Pipeline(n int) []byte {
	var out []byte
	for i := range n {
		q := &pgproto3.Query{String: fmt.Sprintf("SELECT '%s'", strings.Repeat(fmt.Sprintf("%04d", i), 25_000))}
		out, _ = q.Encode(out) // it is short enough
	}
	return out
}

// oneText reads the answer to a Query that returns one text.
func oneText(ctx context.Context, t *testing.T, front *pgproto3.Frontend) string {
	t.Helper()
	text := ""
	for ctx.Err() == nil {
		m, err := front.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			text = string(m.Values[0])
		case *pgproto3.ErrorResponse:
			t.Fatal(m.Message)
		case *pgproto3.ReadyForQuery:
			return text
		}
	}
	t.Fatal(ctx.Err())
	return ""
}

// A client that is told the end of its session gets TLS's own farewell behind it,
// so that it can tell the end from a cut.
func TestReactorEndsTLSInOrder(t *testing.T) {
	r := securedRig(t)
	conn := hijack(t, r.connect(t))
	if _, err := conn.Write([]byte{'X', 0, 0, 0, 4}); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // TLS tells io.ErrUnexpectedEOF from it
		t.Errorf("read %d bytes, %v", n, err)
	}
}
