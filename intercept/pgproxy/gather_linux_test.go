package pgproxy_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/record"
)

// counting is a recorder that keeps nothing but how much went to clients, in how
// many entries, and how the last command ended.
type counting struct {
	entries, bytes atomic.Int64
	result         atomic.Value // the payload of the last record.TypeResult
}

func (c *counting) Open(context.Context, record.Header) (record.Log, error) {
	return countingLog{c}, nil
}

type countingLog struct{ *counting }

func (countingLog) Prompt() bool       { return true }
func (countingLog) Close(string) error { return nil }

func (c countingLog) Append(e record.Entry) error {
	if e.Type == record.TypeOutput {
		c.entries.Add(1)
		c.bytes.Add(int64(len(e.Payload)))
	}
	if e.Type == record.TypeResult {
		c.result.Store(string(e.Payload))
	}
	return record.CheckEntry(e)
}

// The reactor carries a long answer of short rows in large pieces, and what is behind
// it at once: a server that sends 8 KiB at a time does not have it woken each time.
func TestLongAnswerComesInLargePieces(t *testing.T) {
	for _, d := range []driver{onReactor, onReactorTLS} {
		counted := &counting{}
		r := newRig(t, rigConfig{driver: d, recorder: counted})
		c := r.session(t)
		for range 3 {
			cells, _, _ := c.drain("SELECT repeat('x', 100) FROM generate_series(1, 100000)", 0)
			if cells[0] != 100 {
				t.Fatalf("driver %d: a cell of %d bytes", d, cells[0])
			}
			const counts = `"rows":100000,"bytes":10600000}` // the bodies of DataRow
			if got, _ := counted.result.Load().(string); !strings.HasSuffix(got, counts) {
				t.Errorf("driver %d: recorded %s, want %s", d, got, counts)
			}
			c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		}
		if each := counted.bytes.Load() / counted.entries.Load(); each < 32<<10 {
			t.Errorf("driver %d: pieces of %d bytes", d, each)
		}
	}
}

// What the server sends slowly is passed on as it comes, also in the middle of a long
// answer: the server waits with each of the last rows until the client has seen those
// before it, but for what the server itself keeps in its buffer.
func TestSlowRowsOfLongAnswer(t *testing.T) {
	const fast, all = 2000, 2010
	for _, d := range []driver{onReactor, onReactorTLS} {
		r := newRig(t, rigConfig{driver: d})
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		holder := direct(t, r)
		if _, err := holder.Exec(ctx, "SELECT pg_advisory_lock(i) FROM generate_series($1::int, $2) i", fast+1, all); err != nil {
			t.Fatal(err)
		}
		c := r.session(t)
		c.send(&pgproto3.Query{String: fmt.Sprintf(
			"SELECT CASE WHEN i > %d THEN pg_advisory_lock(i)::text END, repeat('x', 8192) FROM generate_series(1, %d) i", fast, all)})
		rows := 0
		for m := c.next(); ; m = c.next() {
			if _, ok := m.(*pgproto3.ReadyForQuery); ok {
				break
			}
			if _, ok := m.(*pgproto3.DataRow); !ok {
				continue
			}
			rows++
			if next := rows + 2; next > fast && next <= all {
				unlock(ctx, t, holder, next)
			}
		}
		if rows != all {
			t.Errorf("driver %d: %d rows", d, rows)
		}
	}
}

func unlock(ctx context.Context, t *testing.T, conn *pgx.Conn, n int) {
	t.Helper()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_unlock($1)", n); err != nil {
		t.Fatal(err)
	}
}
