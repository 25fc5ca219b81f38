package pgproxy_test

import (
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway"
)

// TestStorm has clients come, start something and go, many at a time, some of them by
// reset, while the host revokes all sessions again and again: nothing is left of them,
// and the gateway goes on.
func TestStorm(t *testing.T) {
	sessions := 150
	if os.Getenv("HEADGATE_COMPAT") == "1" {
		sessions = 1500
	}
	starts := []pgproto3.FrontendMessage{
		&pgproto3.Terminate{}, &pgproto3.Query{String: "SELECT 1"}, &pgproto3.Query{String: "SELECT pg_sleep(60)"},
		&pgproto3.Query{String: "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"}, &pgproto3.Query{String: "COPY items FROM STDIN"},
	}
	eachDriver(t, func(t *testing.T, d driver) {
		seals := newSealing()
		r := newDyingRig(t, d, seals)
		r.warm(t)
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		stop, revoked := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(revoked)
			tick := time.NewTicker(300 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					r.gateway.Revoke(gateway.Selector{All: true}, "storm")
				}
			}
		}()
		var all sync.WaitGroup
		for worker := range 10 {
			all.Go(func() {
				random := rand.New(rand.NewPCG(uint64(worker), 9))
				for range sessions / 10 {
					r.comeAndGo(t, starts, random)
				}
			})
		}
		all.Wait()
		close(stop)
		<-revoked
		r.eventually(t, others, "0")
		r.wantNothingLeft(t, goroutines, files)
		r.session(t).query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		if n := len(r.gateway.Sessions()); n != 1 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// comeAndGo is a client that is not troubled by anything that happens to it.
func (r *rig) comeAndGo(t *testing.T, starts []pgproto3.FrontendMessage, random *rand.Rand) {
	t.Helper()
	c := r.dial(t)
	defer func() { _ = c.conn.Close() }()
	c.Send(&pgproto3.StartupMessage{ProtocolVersion: 3 << 16, Parameters: map[string]string{"user": "agent"}})
	c.Send(&pgproto3.PasswordMessage{Password: token})
	for range random.IntN(4) {
		c.Send(starts[random.IntN(len(starts))])
	}
	_ = c.Flush() // it may have been let go
	for range random.IntN(40) {
		if _, err := c.Receive(); err != nil {
			return
		}
		if random.IntN(20) == 0 {
			break
		}
	}
	if tcp, ok := underneath(c.conn).(*net.TCPConn); ok && random.IntN(2) == 0 {
		_ = tcp.SetLinger(0)
	}
	_ = underneath(c.conn).Close()
}
