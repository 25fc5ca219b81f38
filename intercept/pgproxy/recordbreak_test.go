package pgproxy_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/record"
)

// brittle is a recorder whose newest log takes so many entries and then fails.
type brittle struct {
	mu    sync.Mutex
	most  int
	taken []record.Entry
	broke bool
}

func (b *brittle) Open(context.Context, record.Header) (record.Log, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken, b.broke = nil, false
	return brittleLog{b}, nil
}

// set has logs take so many entries from now on.
func (b *brittle) set(most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most = most
}

func (b *brittle) entries() (taken []record.Entry, broke bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken, b.broke
}

type brittleLog struct{ *brittle }

func (b brittleLog) Append(e record.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.taken) >= b.most {
		b.broke = true
		return errStorage
	}
	e.Payload = bytes.Clone(e.Payload)
	b.taken = append(b.taken, e)
	return nil
}

func (brittleLog) Close(string) error { return nil }

// TestRecordBreaksAtEachEntry has the record fail with one entry after another of a session that
// does many things: the client has nothing that is not in it but the farewell, and the
// server has run nothing that is not in it.
func TestRecordBreaksAtEachEntry(t *testing.T) {
	insert := func(mark string) string { return "INSERT INTO done VALUES ('" + mark + "')" }
	script := pipeline(
		&pgproto3.Query{String: insert("one")}, &pgproto3.Query{String: "SELECT masked, repeat('x', 40000) FROM people"},
		insert("two"), insert("three"), &pgproto3.Sync{}, &pgproto3.Query{String: "COPY people TO STDOUT"},
		&pgproto3.Query{String: "SELECT repeat('x', 1000) FROM generate_series(1, 300)"}, &pgproto3.Query{String: "SELECT 'x'::int"},
		&pgproto3.Query{String: "COPY done FROM STDIN"}, &pgproto3.CopyData{Data: []byte("four\n")}, &pgproto3.CopyDone{},
		&pgproto3.Query{String: insert("five") + "; SELECT 1"}, &pgproto3.Terminate{})
	step := 3
	if os.Getenv("HEADGATE_COMPAT") == "1" {
		step = 1
	}
	eachDriver(t, func(t *testing.T, d driver) {
		recorder := &brittle{most: 1 << 30}
		r := newRig(t, rigConfig{
			driver: d, recorder: recorder, policy: masking("public.people.masked:redact"),
			setup: "CREATE TABLE done (mark text); CREATE TABLE people (masked text, plain text); INSERT INTO people SELECT 'canary', 'plain' FROM generate_series(1, 20)",
		})
		for most := 0; ; most += step {
			recorder.set(1 << 30)
			r.pg.Exec("TRUNCATE done")
			c := r.session(t)
			taken, _ := recorder.entries()
			recorder.set(len(taken) + most)
			c.send(script...)
			got, _ := io.ReadAll(c.conn) // a reset ends it, too
			r.eventually(t, others, "0")
			kept, broke := recorder.entries()
			if released := withoutFarewell(got); !bytes.HasPrefix(outputs(kept), released) {
				t.Fatalf("after %d entries: %d bytes were released, %d recorded", most, len(released), len(outputs(kept)))
			}
			if bytes.Contains(got, []byte("canary")) {
				t.Fatalf("after %d entries: what is masked was released", most)
			}
			said := string(payloads(kept))
			for _, row := range r.pg.Query("SELECT mark FROM done") {
				if !strings.Contains(said, row[0]) {
					t.Errorf("after %d entries: %q has run and is not recorded", most, row[0])
				}
			}
			if !broke {
				if n := len(r.pg.Query("SELECT mark FROM done")); most < 20 || n != 5 {
					t.Errorf("%d entries, %d rows", most, n)
				}
				return
			}
		}
	})
}
