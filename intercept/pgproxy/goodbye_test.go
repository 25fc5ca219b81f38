package pgproxy_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
)

// What a client has sent before its goodbye is done, as a server would, though the
// client does not wait for it.
func TestGoodbyeBehindWork(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: itemsSetup})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "SELECT pg_sleep(0.2)"}, &pgproto3.Query{String: insert}, &pgproto3.Terminate{})
		if err := c.conn.Close(); err != nil {
			t.Fatal(err)
		}
		r.eventually(t, others, "0")
		r.wantItems("11")
	})
}

// The answers get to a client that reads them after its goodbye, however slowly.
func TestAnswersBehindGoodbye(t *testing.T) {
	const rows = 3000
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		c.send(&pgproto3.Query{String: fmt.Sprintf("SELECT repeat('x', 10000) FROM generate_series(1, %d)", rows)}, &pgproto3.Terminate{})
		got := c.end()
		if n := len(got); n != rows+3 || got[n-1] != "ZI" {
			t.Fatalf("%d messages, want %d", n, rows+3)
		}
	})
}

// A client that says goodbye and then reads nothing is not waited for, whether the
// server is still answering or done.
func TestGoodbyeAndNothingRead(t *testing.T) {
	const endless = "SELECT repeat('x', 10000), generate_series(1, 100000000)"
	eachDriver(t, func(t *testing.T, d driver) {
		for name, messages := range map[string][]pgproto3.FrontendMessage{
			"in an answer":      {&pgproto3.Query{String: endless}, &pgproto3.Terminate{}},
			"in the protocol's": pipeline(endless, &pgproto3.Sync{}, &pgproto3.Terminate{}),
			"behind an answer":  {&pgproto3.Query{String: "SELECT repeat('x', 10000) FROM generate_series(1, 2000)"}, &pgproto3.Terminate{}},
		} {
			r := newRig(t, rigConfig{driver: d, recorder: forgetting(), proxy: pgproxy.Config{GoodbyeTimeout: 300 * time.Millisecond}})
			r.session(t).query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
			goroutines, files := runtime.NumGoroutine(), openFiles(t)
			c := r.session(t)
			c.send(messages...)
			t.Log(name)
			r.eventually(t, others, "1")
			r.wantNothingLeft(t, goroutines, files+1) // the client's own is open
		}
	})
}

// A client that reads slowly after its goodbye gets all of it.
func TestGoodbyeAndSlowlyRead(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting(), proxy: pgproxy.Config{GoodbyeTimeout: 400 * time.Millisecond}})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "SELECT repeat('x', 10000) FROM generate_series(1, 1500)"}, &pgproto3.Terminate{})
		total, buf := 0, make([]byte, 1<<20)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			<-tick.C
			n, err := io.ReadAtLeast(c.conn, buf, len(buf))
			if total += n; err != nil {
				break
			}
		}
		if total < 15_000_000 {
			t.Errorf("%d bytes", total)
		}
	})
}

// A client that leaves while it waits for earlier answers is noticed at once.
func TestLeavingInAWait(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: itemsSetup})
		c := r.session(t)
		c.send(pipeline("PREPARE a AS SELECT pg_sleep(60)", &pgproto3.Sync{})...)
		c.expect(append(ran("PREPARE"), "ZI")...)
		c.send(pipeline("SELECT pg_sleep(60)", "PREPARE b AS SELECT 1", "EXECUTE b", &pgproto3.Sync{})...)
		r.eventually(t, sleepers, "1")
		if err := c.conn.Close(); err != nil {
			t.Fatal(err)
		}
		r.eventually(t, others, "0")
	})
}

// A client that leaves while a human is asked takes its question along, though more
// lies behind it than is read meanwhile.
func TestLeavingBehindAQuestion(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		desk := newDesk(t)
		r := desk.rig(d)
		c := r.session(t)
		c.send(pipeline(&pgproto3.Query{String: remove}, &pgproto3.Query{String: "SELECT 1 --" + strings.Repeat("x", 100<<10)})...)
		ticket := desk.ticket()
		if err := c.conn.Close(); err != nil {
			t.Fatal(err)
		}
		r.eventually(t, others, "0")
		if err := desk.decide(ticket, true); err == nil {
			t.Error("it can be granted still")
		}
		r.wantItems("10")
	})
}
