package pgproxy_test

import (
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestLeavingAtAnyTime ends many sessions in whatever state they are, without a word:
// what was held for them, descriptors and goroutines, is given back, and the server
// is left with none of them.
func TestLeavingAtAnyTime(t *testing.T) {
	choices := []func() []pgproto3.FrontendMessage{
		func() []pgproto3.FrontendMessage { return pipeline("SELECT 1") },
		func() []pgproto3.FrontendMessage { return pipeline(&pgproto3.Sync{}) },
		func() []pgproto3.FrontendMessage { return pipeline(&pgproto3.Flush{}, &pgproto3.Flush{}) },
		func() []pgproto3.FrontendMessage { return pipeline(&pgproto3.Query{String: "SELECT pg_sleep(3)"}) },
		func() []pgproto3.FrontendMessage { return pipeline(&pgproto3.Query{String: "no SQL"}) },
		func() []pgproto3.FrontendMessage { return pipeline("no SQL", "BEGIN", "INSERT INTO items VALUES (99)") },
		func() []pgproto3.FrontendMessage { return pipeline(&pgproto3.Terminate{}) },
		func() []pgproto3.FrontendMessage {
			return pipeline(&pgproto3.Query{String: "SELECT repeat('x', 10000) FROM generate_series(1, 100000)"})
		},
		func() []pgproto3.FrontendMessage {
			return pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, &pgproto3.CopyData{Data: []byte("97\n")}, &pgproto3.Sync{})
		},
		func() []pgproto3.FrontendMessage { return pipeline(&pgproto3.CopyFail{}, &pgproto3.CopyDone{}) },
	}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting(), setup: "CREATE TABLE items (id int)"})
		r.session(t).query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		random := rand.New(rand.NewPCG(1, 2))
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		sessions := 60
		if os.Getenv("HEADGATE_COMPAT") == "1" {
			sessions = 500
		}
		for range sessions {
			c := r.session(t)
			for range 1 + random.IntN(4) {
				for _, m := range choices[random.IntN(len(choices))]() {
					b, err := m.Encode(nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = c.conn.Write(b) // the session may have ended by now
				}
			}
			_ = c.conn.Close() // that is the point
		}
		r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'", "1")
		r.wantNothingLeft(t, goroutines, files)
		if got := r.pg.Query("SELECT count(*) FROM items WHERE id = 97"); got[0][0] != "0" {
			t.Errorf("%s rows of a COPY that was never ended", got[0][0])
		}
	})
}

// wantNothingLeft waits until there are no more goroutines and descriptors than
// there were.
func (r *rig) wantNothingLeft(t *testing.T, goroutines, files int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > goroutines || openFiles(t) > files {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines and %d files, before %d and %d", runtime.NumGoroutine(), openFiles(t), goroutines, files)
		}
		runtime.Gosched()
	}
}

// openFiles counts the descriptors of this process where the system tells.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
