package pgproxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

// A statement of the protocol can execute itself, or others that execute it. That
// must neither end the gateway nor show anything.
func TestStatementsThatExecuteThemselves(t *testing.T) {
	for _, p := range []rigConfig{{}, {policy: maskedColumns()}} {
		r := newRig(t, rigConfig{policy: p.policy, setup: bypassSchema, proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}})
		conn, wire := r.connectWatched(t)
		prepare := func(name, sql string) {
			t.Helper()
			if _, err := conn.PgConn().Prepare(t.Context(), name, sql, nil); err != nil {
				t.Logf("%s: %v", sql, err)
			}
		}
		prepare("last", "SELECT item FROM orders WHERE id = 1")
		prepare("once", "EXECUTE last")
		result := conn.PgConn().ExecPrepared(t.Context(), "once", nil, nil, nil).Read()
		if result.Err != nil || joined(cells(result.Rows)) != "tea" {
			t.Errorf("got %q, %v", cells(result.Rows), result.Err)
		}
		prepare("self", "EXECUTE self")
		prepare("ping", "EXECUTE pong")
		prepare("pong", "EXECUTE ping")
		prepare("explained", "EXPLAIN EXECUTE explained")
		for i := range 20 {
			prepare(fmt.Sprintf("chain%d", i), fmt.Sprintf("EXECUTE chain%d", i+1))
		}
		prepare("chain20", "SELECT email FROM people")
		for _, name := range []string{"self", "ping", "pong", "explained", "chain0", "chain14", "chain19"} {
			result := conn.PgConn().ExecPrepared(t.Context(), name, nil, nil, nil).Read()
			t.Logf("%s: %q, %v", name, cells(result.Rows), result.Err)
			if _, err := runSimple(t.Context(), conn, "EXECUTE "+name); err != nil {
				t.Logf("EXECUTE %s: %v", name, err)
			}
		}
		if found := wire.leaks(); p.policy != nil && len(found) > 0 {
			t.Errorf("%q leaked", found)
		}
		if rows, err := runSimple(t.Context(), conn, "SELECT item FROM orders WHERE id = 2"); err != nil || joined(rows) != "jam" {
			t.Errorf("got %q, %v", rows, err)
		}
	}
}

// A text that gives names one meaning after the other takes no more than linear time.
func TestNamesOfLongTexts(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	conn := r.connect(t)
	for n, want := range map[int]string{100: "22012", 300: "42501", 2000: "42501"} {
		sql := "SELECT 1/0;" + strings.Repeat("PREPARE a AS SELECT 1; EXECUTE a; DEALLOCATE a;", n)
		if _, err := runSimple(t.Context(), conn, sql); sqlState(err) != want {
			t.Errorf("%d: %v, want %s", n, err, want)
		}
	}
}

// Through the protocol a COPY can be prepared, which EXECUTE then runs.
func TestExecuteOfCopyIsRefused(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	conn, wire := r.connectWatched(t)
	for name, sql := range map[string]string{"out": "COPY people TO STDOUT", "query": "COPY (SELECT email FROM people) TO STDOUT", "load": "COPY orders FROM STDIN", "rows": "SELECT item FROM orders WHERE id = 1"} {
		if _, err := conn.PgConn().Prepare(t.Context(), name, sql, nil); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, name := range []string{"out", "query", "load"} {
		if _, err := runSimple(t.Context(), conn, "EXECUTE "+name); sqlState(err) != "0A000" {
			t.Errorf("EXECUTE %s: %v", name, err)
		}
	}
	if rows, err := runSimple(t.Context(), conn, "EXECUTE rows"); err != nil || joined(rows) != "tea" || len(wire.leaks()) > 0 {
		t.Errorf("got %q, %v; %q leaked", rows, err, wire.leaks())
	}
}
