package pgproxy_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// copiers are ways to be in the middle of a COPY, and the first answer to each.
func copiers() map[string]burst {
	endless := &pgproto3.Query{String: "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT"}
	return map[string]burst{
		"in":              {0, pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("1\ta\n", "2\t"))},
		"in, extended":    {0, pipeline("COPY items FROM STDIN", rowsOf("1\ta\n"))},
		"in, with a Sync": {0, pipeline("COPY items FROM STDIN", rowsOf("1\ta\n"), &pgproto3.Sync{}, rowsOf("2\tb\n"))},
		"out":             {0, pipeline(endless)},
		"out, masked":     {0, pipeline(&pgproto3.Query{String: "COPY (SELECT name, repeat('x', 1000) FROM people, generate_series(1, 10000000)) TO STDOUT"})},
		"out, extended":   {0, pipeline(endless.String, &pgproto3.Sync{})},
	}
}

// midCopy makes a session that is in the middle of a COPY.
func (r *rig) midCopy(t *testing.T, b burst) *rawClient {
	t.Helper()
	c := r.session(t)
	c.send(b.messages...)
	r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY %' AND state = 'active'", "1")
	return c
}

// wantSealed ends the gateway and makes sure that every record has been sealed.
func (r *rig) wantSealed(t *testing.T) {
	t.Helper()
	if err := r.gateway.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, session := range r.recorder.Sessions() {
		if _, sealed := r.recorder.Sealed(session); !sealed {
			t.Error("the record is not sealed")
		}
	}
}

func newCopyEndRig(t *testing.T, d driver) *rig {
	return newRig(t, rigConfig{driver: d, setup: copySetup + "; CREATE TABLE people (name text); INSERT INTO people VALUES ('canary')", policy: masking("public.people.name:redact")})
}

// A client that is gone in the middle of a COPY leaves nothing at work, and no rows.
func TestClientDiesInCopy(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newCopyEndRig(t, d)
		for name, b := range copiers() {
			c := r.midCopy(t, b)
			_ = c.conn.Close()
			r.eventually(t, others, "0")
			if rows := fmt.Sprint(r.pg.Query("TABLE items")); rows != "[]" {
				t.Errorf("%s: left %s", name, rows)
			}
		}
		r.wantSealed(t)
	})
}

// A server that is gone in the middle of a COPY ends the client's session.
func TestServerDiesInCopy(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newCopyEndRig(t, d)
		for name, b := range copiers() {
			c := r.midCopy(t, b)
			r.pg.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			if got := c.end(); len(got) == 0 {
				t.Errorf("%s: got nothing", name)
			}
		}
		r.wantSealed(t)
	})
}

// The client's end is passed on while the server is at a COPY.
func TestCancelInCopy(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newCopyEndRig(t, d)
		for _, name := range []string{"out", "out, masked"} {
			c := r.midCopy(t, copiers()[name])
			r.cancelRequest(t, c.key.ProcessID, c.key.SecretKey)
			got := c.until(1)
			if last := got[len(got)-2:]; last[0] != "ERROR 57014" || last[1] != "ZI" {
				t.Errorf("%s: got %q", name, last)
			}
			c.query("SELECT 1", append(answer("SELECT 1", "1"), "ZI")...)
			_ = c.conn.Close()
		}
	})
}
