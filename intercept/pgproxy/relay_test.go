package pgproxy_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/record"
)

// underneath is the connection that TLS runs on.
func underneath(c net.Conn) net.Conn {
	if secured, ok := c.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return c
}

// sealing is a recorder that keeps nothing and counts the records that were sealed.
type sealing struct{ sealed atomic.Int64 }

func newSealing() *sealing { return new(sealing) }

func (s *sealing) count() int { return int(s.sealed.Load()) }

func (s *sealing) Open(context.Context, record.Header) (record.Log, error) {
	return &sealedLog{recorder: s}, nil
}

type sealedLog struct {
	nowhere

	recorder *sealing
	once     sync.Once
}

func (l *sealedLog) Close(string) error {
	l.once.Do(func() { l.recorder.sealed.Add(1) })
	return nil
}

// A passage takes connections in a server's place and opens one to it for each.
type passage struct {
	listener net.Listener
	to       atomic.Value // a string
}

// begin begins to take connections. answer passes on what the server says; what the
// client says is passed on as it is. stop is called when the test ends, to end those
// that are open.
func (p *passage) begin(t *testing.T, answer func(near, far net.Conn), stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.listener = listener
	var carried sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		stop()
		carried.Wait()
	})
	carried.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			carried.Go(func() { p.carry(near, answer) })
		}
	})
}

// insteadOf has the gateway connect to the passage in place of its server.
func (p *passage) insteadOf(c *pgproxy.Config) {
	p.to.Store(c.Upstream)
	c.Upstream = p.listener.Addr().String()
}

func (p *passage) carry(near net.Conn, answer func(near, far net.Conn)) {
	far, err := net.Dial("tcp", p.to.Load().(string))
	if err != nil {
		_ = near.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	answer(near, far)
	_, _ = near.Close(), far.Close()
	<-done
}

// A relay stands between the gateway and a server, and can end connections.
type relay struct {
	passage

	// limit is how many bytes of the server pass on each connection.
	limit atomic.Int64

	mu   sync.Mutex
	open []net.Conn
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	r := new(relay)
	r.limit.Store(1 << 40)
	r.begin(t, r.answer, func() { r.drop(false) })
	return r
}

func (r *relay) answer(near, far net.Conn) {
	r.mu.Lock()
	r.open = append(r.open, near, far)
	r.mu.Unlock()
	_, _ = io.Copy(near, io.LimitReader(far, r.limit.Load()))
}

// drop ends all connections, by a reset if so.
func (r *relay) drop(reset bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		if tcp, ok := c.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	r.open = nil
}
