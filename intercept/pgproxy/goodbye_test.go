package pgproxy_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
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
