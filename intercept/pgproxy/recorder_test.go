package pgproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/record"
)

// breaking is a recorder in memory that takes so many bytes of output, and then
// fails at once, or stalls before it fails.
type breaking struct {
	record.Memory
	limit int
	stall func()
}

func (b *breaking) Open(ctx context.Context, h record.Header) (record.Log, error) {
	l, err := b.Memory.Open(ctx, h)
	return &breakingLog{Log: l, recorder: b}, err
}

type breakingLog struct {
	record.Log
	recorder *breaking
	mu       sync.Mutex
	taken    int
	broken   bool
}

var errStorage = errors.New("storage is gone")

func (l *breakingLog) Append(e record.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Type == record.TypeOutput {
		l.taken += len(e.Payload)
	}
	if l.broken || l.taken > l.recorder.limit {
		if !l.broken && l.recorder.stall != nil {
			l.recorder.stall()
		}
		l.broken = true
		return errStorage
	}
	return l.Log.Append(e)
}

// outputs returns what the record says the client got.
func outputs(entries []record.Entry) []byte {
	var out []byte
	for _, e := range entries {
		if e.Type == record.TypeOutput {
			out = append(out, e.Payload...)
		}
	}
	return out
}

// withoutFarewell cuts a FATAL error off the end of what a client got.
func withoutFarewell(b []byte) []byte {
	if i := bytes.LastIndex(b, []byte("SFATAL\x00VFATAL\x00C57P01\x00")); i >= 5 && b[i-5] == 'E' {
		return b[:i-5]
	}
	return b
}

func TestNothingUnrecordedIsReleased(t *testing.T) {
	const sql = "SELECT repeat('x', 1000) FROM generate_series(1, 10000)"
	const bigCell = "SELECT repeat('x', 8000000)"
	eachDriver(t, func(t *testing.T, d driver) {
		for _, limit := range []int{0, 100, 100_000, 3_000_000} {
			for _, text := range []string{sql, bigCell} {
				recorder := &breaking{limit: limit}
				testBroken(t, d, recorder, text)
			}
		}
		stalled := &breaking{limit: 500_000}
		left := make(chan struct{})
		stalled.stall = func() { <-left }
		go func() {
			defer close(left)
			for range 1000 { // the other side goes on reading meanwhile, and must get nothing
				_ = stalled.Sessions()
			}
		}()
		testBroken(t, d, stalled, sql)
	})
}

func testBroken(t *testing.T, d driver, recorder *breaking, sql string) {
	t.Helper()
	r := newRig(t, rigConfig{driver: d, recorder: recorder})
	c := r.session(t)
	c.send(&pgproto3.Query{String: sql})
	got, _ := io.ReadAll(c.conn) // a reset ends it, too
	if err := r.gateway.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	sessions := recorder.Sessions()
	if len(sessions) != 1 {
		t.Fatalf("%d sessions", len(sessions))
	}
	kept := outputs(recorder.Entries(sessions[0]))
	if released := withoutFarewell(got); !bytes.HasPrefix(kept, released) {
		t.Fatalf("limit %d: %d bytes were released, %d recorded", recorder.limit, len(released), len(kept))
	}
	r.eventually(t, others, "0")
}

// A statement that can't be recorded does not run.
func TestNothingUnrecordedRuns(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		recorder := new(record.Memory)
		r := newRig(t, rigConfig{driver: d, recorder: recorder, setup: itemsSetup})
		for _, messages := range [][]pgproto3.FrontendMessage{
			{&pgproto3.Query{String: remove}}, pipeline(remove, &pgproto3.Sync{}),
		} {
			recorder.Fail(nil)
			c := r.session(t)
			recorder.Fail(errStorage)
			c.send(messages...)
			for _, m := range c.end() {
				if m != "FATAL 57P01" {
					t.Fatalf("got %q", m)
				}
			}
			r.wantItems("10")
		}
	})
}

func TestNoSessionWithoutRecord(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		recorder := new(record.Memory)
		recorder.Fail(errStorage)
		r := newRig(t, rigConfig{driver: d, recorder: recorder})
		c := r.dial(t)
		c.bytes(startupPacket(3<<16, "user", "agent"))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		if got := c.end(); len(got) != 1 || got[0] != "FATAL 57P01" {
			t.Fatalf("got %q", got)
		}
		if n := r.pg.Query(others)[0][0]; n != "0" {
			t.Fatalf("%s connections to the server", n)
		}
	})
}
