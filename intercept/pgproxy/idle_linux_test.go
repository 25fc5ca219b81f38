package pgproxy_test

import (
	"bytes"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// Sessions that wait hold no goroutine: of the gateway's own there is the reactor's
// thread.
func TestIdleSessionsHoldNoGoroutine(t *testing.T) {
	r := newRig(t, rigConfig{driver: onReactor})
	const sessions = 5
	for range sessions {
		conn := r.connect(t)
		var one int
		if err := conn.QueryRow(t.Context(), "SELECT 1").Scan(&one); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.gateway.Sessions()); n != sessions {
		t.Fatalf("%d sessions", n)
	}
	var held string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if held = sessionGoroutines(t); held == "" {
			return
		}
	}
	t.Errorf("held:\n%s", held)
}

// sessionGoroutines returns the stacks of goroutines that serve a single session.
func sessionGoroutines(t *testing.T) string {
	t.Helper()
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		t.Fatal(err)
	}
	var held []string
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, "(*Gateway).begin") || strings.Contains(stack, "pgproxy.(*link)") && !strings.Contains(stack, "(*thread).run") {
			held = append(held, stack)
		}
	}
	return strings.Join(held, "\n\n")
}
