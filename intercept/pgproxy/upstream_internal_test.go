package pgproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy/secret"
)

// sluggish is a connection whose last write of the setup takes so long that
// pgconn starts to read in the background, and whose answers come meanwhile.
type sluggish struct {
	net.Conn
	slow  atomic.Bool
	reads chan struct{}
}

func (s *sluggish) Read(b []byte) (int, error) {
	if s.slow.Load() {
		s.reads <- struct{}{}
	}
	return s.Conn.Read(b)
}

func (s *sluggish) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	if s.slow.Load() {
		<-s.reads // the read of the answer
		<-s.reads // a read behind the answer: it is under way when the setup ends
		s.slow.Store(false)
	}
	return n, err
}

func TestBackgroundReadTakesNothing(t *testing.T) {
	near, far := net.Pipe()
	conn := &sluggish{Conn: near, reads: make(chan struct{}, 10)}
	serverDone := make(chan error, 1)
	go func() { serverDone <- serveOneQuery(far) }()
	p := &Interceptor{cfg: Config{Upstream: "127.0.0.1:1", Database: "db", UpstreamPlaintext: true, ConnectTimeout: time.Minute, MaxMessageBytes: 1 << 20}}
	var err error
	if p.base, err = p.cfg.baseConfig(); err != nil {
		t.Fatal(err)
	}
	config := p.upstreamConfig(upstreamHost{"127.0.0.1", 1}, &credsource.Credential{Username: "u", Password: secret.New("p")}, nil)
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	c, err := pgconn.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	conn.slow.Store(true)
	if _, err := c.Exec(context.Background(), "SELECT 1").ReadAll(); err != nil {
		t.Fatal(err)
	}
	hijacked, err := c.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	if err := quiesce(hijacked); err != nil {
		t.Fatal(err)
	}
	if _, err := hijacked.Conn.Write([]byte("go")); err != nil {
		t.Fatal(err)
	}
	_ = hijacked.Conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 6)
	if _, err := io.ReadFull(hijacked.Conn, answer); err != nil || string(answer) != "answer" {
		t.Fatalf("got %q, %v", answer, err)
	}
	if err := <-serverDone; err != nil {
		t.Fatal(err)
	}
	_ = hijacked.Conn.Close()
}

// serveOneQuery is a server that answers the startup and one query, and "answer"
// to two bytes after that.
func serveOneQuery(conn net.Conn) error {
	b := pgproto3.NewBackend(conn, conn)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return err
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte("1234")})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := b.Flush(); err != nil {
		return err
	}
	if _, err := b.Receive(); err != nil {
		return err
	}
	b.Send(&pgproto3.EmptyQueryResponse{})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := b.Flush(); err != nil {
		return err
	}
	signal := make([]byte, 2)
	_, err := io.ReadFull(conn, signal)
	_, werr := conn.Write([]byte("answer"))
	return errors.Join(err, werr)
}
