package pgproxy_test

import (
	"context"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/record"
)

// states are where a session can be when one of its ends dies: what the client has
// sent, and SQL by which the server is known to have got there.
func states() map[string]struct {
	messages []pgproto3.FrontendMessage
	reached  string
} {
	const active = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND "
	return map[string]struct {
		messages []pgproto3.FrontendMessage
		reached  string
	}{
		"idle":           {nil, active + "state = 'idle'"},
		"in transaction": {pipeline(&pgproto3.Query{String: "BEGIN"}), active + "state = 'idle in transaction'"},
		"in a query":     {pipeline(&pgproto3.Query{String: "SELECT pg_sleep(60)"}), sleepers},
		"in a pipeline":  {pipeline("SELECT pg_sleep(60)", "SELECT 1"), sleepers},
		"in rows":        {pipeline(&pgproto3.Query{String: "SELECT repeat('x', 10000), generate_series(1, 100000000)"}), active + "wait_event = 'ClientWrite'"},
		"in a giant row": {pipeline(&pgproto3.Query{String: "SELECT repeat('x', 60000000), generate_series(1, 1000000)"}), active + "wait_event = 'ClientWrite'"},
		"in COPY in":     {pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, &pgproto3.CopyData{Data: []byte("97\n")}), active + "wait_event = 'ClientRead' AND query LIKE 'COPY%' AND state = 'active'"},
		"in COPY out":    {pipeline(&pgproto3.Query{String: "COPY (SELECT repeat('x', 10000), generate_series(1, 100000000)) TO STDOUT"}), active + "wait_event = 'ClientWrite'"},
	}
}

func newDyingRig(t *testing.T, d driver, recorder record.Recorder) *rig {
	t.Helper()
	return newRig(t, rigConfig{driver: d, setup: "CREATE TABLE items (id int)", recorder: recorder})
}

// warm has one session come and go, so that counts do not depend on what starts with
// the first.
func (r *rig) warm(t *testing.T) {
	t.Helper()
	c := r.session(t)
	c.send(&pgproto3.Terminate{})
	c.end()
	_ = c.conn.Close()
	r.eventually(t, others, "0")
}

// TestClientDiesInEveryState has a client go by reset, by closing, and by closing only
// its sending side.
func TestClientDiesInEveryState(t *testing.T) {
	ways := map[string]func(t *testing.T, c net.Conn){
		"closed": func(_ *testing.T, c net.Conn) { _ = c.Close() },
		"reset": func(t *testing.T, c net.Conn) {
			t.Helper()
			if tcp, ok := underneath(c).(*net.TCPConn); !ok || tcp.SetLinger(0) != nil {
				t.Fatal("no TCP connection")
			}
			_ = underneath(c).Close()
		},
		"half open": func(t *testing.T, c net.Conn) {
			t.Helper()
			if err := underneath(c).(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
		},
	}
	eachDriver(t, func(t *testing.T, d driver) {
		seals := newSealing()
		r := newDyingRig(t, d, seals)
		r.warm(t)
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		n := 1
		for state, s := range states() {
			for way, die := range ways {
				if way == "half open" && strings.HasSuffix(s.reached, "'ClientWrite'") {
					continue // what it does not read is waited for: it may yet
				}
				c := r.session(t)
				if n++; len(s.messages) > 0 {
					c.send(s.messages...)
				}
				t.Log(state, way)
				r.eventually(t, s.reached, "1")
				die(t, c.conn)
				r.eventually(t, others, "0")
				_ = c.conn.Close()
			}
		}
		r.wantNothingLeft(t, goroutines, files)
		if got := seals.count(); got != n {
			t.Errorf("%d records are sealed, want %d", got, n)
		}
	})
}

// TestServerDiesInEveryState ends the server's process for a session as an
// administrator does.
func TestServerDiesInEveryState(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		seals := newSealing()
		r := newDyingRig(t, d, seals)
		r.warm(t)
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		n := 1
		for state, s := range states() {
			c := r.session(t)
			if n++; len(s.messages) > 0 {
				c.send(s.messages...)
			}
			r.eventually(t, s.reached, "1")
			r.pg.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			got := c.end()
			told := len(got) > 0 && got[len(got)-1] == "FATAL 57P01"
			if !told && !strings.HasPrefix(state, "in rows") && !strings.HasPrefix(state, "in a giant") && state != "in COPY out" {
				t.Errorf("%s: the client was told %q", state, got)
			}
			_ = c.conn.Close()
			r.eventually(t, others, "0")
		}
		r.wantNothingLeft(t, goroutines, files)
		if got := seals.count(); got != n {
			t.Errorf("%d records are sealed, want %d", got, n)
		}
	})
}

// TestServerVanishes has the connection to the server be reset, in every state, by a
// relay in between.
func TestServerVanishes(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		seals := newSealing()
		relay := newRelay(t)
		r := newRig(t, rigConfig{driver: d, setup: "CREATE TABLE items (id int)", recorder: seals, adjust: func(_ *rig, c *pgproxy.Config) {
			relay.insteadOf(c)
		}})
		r.warm(t)
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		n := 1
		for state, s := range states() {
			for _, reset := range []bool{false, true} {
				c := r.session(t)
				if n++; len(s.messages) > 0 {
					c.send(s.messages...)
				}
				t.Log(state, reset)
				r.eventually(t, s.reached, "1")
				relay.drop(reset)
				c.end()
				_ = c.conn.Close()
				r.eventually(t, others, "0")
			}
		}
		r.wantNothingLeft(t, goroutines, files)
		if got := seals.count(); got != n {
			t.Errorf("%d records are sealed, want %d", got, n)
		}
	})
}

// TestServerDiesBeforeTheSession has the server hang up at each byte of its greeting.
func TestServerDiesBeforeTheSession(t *testing.T) {
	seals := newSealing()
	relay := newRelay(t)
	r := newRig(t, rigConfig{driver: onReactor, recorder: seals, adjust: func(_ *rig, c *pgproxy.Config) {
		relay.insteadOf(c)
	}})
	r.warm(t)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	n := 1
	for limit := range slices.Values([]int{0, 1, 4, 5, 8, 9, 20, 33, 80, 120, 150, 200, 300, 400}) {
		relay.limit.Store(int64(limit))
		c := r.dial(t)
		c.bytes(startupPacket(3<<16, "user", "agent"))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		n++
		if got := c.end(); len(got) != 1 || !strings.HasPrefix(got[0], "FATAL 08") {
			t.Errorf("%d bytes: %q", limit, got)
		}
		_ = c.conn.Close()
	}
	relay.limit.Store(1 << 40)
	r.session(t).query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
	if err := r.gateway.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.wantNothingLeft(t, goroutines, files+1) // the last client's end
	if got := seals.count(); got != n+1 {
		t.Errorf("%d records are sealed, want %d", got, n+1)
	}
}

// TestClientDiesBeforeTheSession has clients go in the middle of a startup.
func TestClientDiesBeforeTheSession(t *testing.T) {
	for _, d := range []driver{onReactor, onReactorTLS} {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting(), proxy: pgproxy.Config{StartupTimeout: time.Second}})
		r.warm(t)
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		whole := append(startupPacket(3<<16, "user", "agent"), passwordMessage(token+"\x00")...)
		for n := range whole {
			c := r.dial(t)
			_, _ = c.conn.Write(whole[:n])
			if tcp, ok := underneath(c.conn).(*net.TCPConn); ok && n%2 == 1 {
				_ = tcp.SetLinger(0)
			}
			_ = underneath(c.conn).Close()
		}
		silent := r.dial(t) // says nothing
		r.wantNothingLeft(t, goroutines, files+1)
		_ = silent.conn.Close()
		r.session(t).query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
	}
}
