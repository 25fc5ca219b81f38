package pgproxy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

// TestSessionsDoNotMix has many sessions at a time do many things, each with a mark of
// its own: no other session's mark is on its wire or in its record, and its record
// begins with what was on its wire.
func TestSessionsDoNotMix(t *testing.T) {
	sessions, rounds := 12, 2
	if os.Getenv("HEADGATE_COMPAT") == "1" {
		sessions, rounds = 32, 20
	}
	masks := []policy.Mask{
		{Table: "*.*", Column: "*", Method: "redact", Detect: []string{"email"}},
		{Table: "public.marks", Column: "masked", Method: "redact"},
	}
	p := policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		if strings.Contains(in.Command.Text, "DELETE") {
			return policy.Decision{Revision: "1"}, nil
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: masks}, nil
	})
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: p, setup: `CREATE TABLE marks (mark text, masked text, address text);
			INSERT INTO marks SELECT m, 'canary ' || m, m || '@example.com' FROM (SELECT 'mark-' || lpad(i::text, 4, '0') || '.' m FROM generate_series(0, 999) i) t`})
		var all sync.WaitGroup
		wires := make([][][]byte, sessions)
		for i := range sessions {
			all.Go(func() {
				m := &marked{rig: r, mark: fmt.Sprintf("mark-%04d.", i), r: rand.New(rand.NewPCG(uint64(i), 7))}
				for range rounds {
					if err := m.live(); err != nil {
						t.Errorf("%s: %v", m.mark, err)
						return
					}
				}
				wires[i] = m.wires
			})
		}
		all.Wait()
		if err := r.gateway.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		var records [][]byte
		for _, id := range r.recorder.Sessions() {
			entries := r.recorder.Entries(id)
			wantOneMark(t, "a record", payloads(entries))
			records = append(records, outputs(entries))
		}
		for _, w := range wires {
			for _, wire := range w {
				wantOneMark(t, "a wire", wire)
				if bytes.Contains(wire, []byte("canary")) || bytes.Contains(wire, []byte("@example")) {
					t.Error("a wire has what is masked")
				}
				if !beginsOne(records, wire) {
					t.Errorf("no record begins with the %d bytes of a wire", len(wire))
				}
			}
		}
	})
}

var anyMark = regexp.MustCompile(`mark-\d{4}`)

func wantOneMark(t *testing.T, where string, b []byte) {
	t.Helper()
	found := anyMark.FindAll(b, -1)
	for _, f := range found {
		if !bytes.Equal(f, found[0]) {
			t.Errorf("%s has %s and %s", where, found[0], f)
			return
		}
	}
}

// payloads is what a record holds, but for what it says of masks and policies.
func payloads(entries []record.Entry) []byte {
	var out []byte
	for _, e := range entries {
		out = append(out, e.Payload...)
	}
	return out
}

func beginsOne(records [][]byte, wire []byte) bool {
	for _, r := range records {
		if bytes.HasPrefix(r, wire) {
			return true
		}
	}
	return false
}

// marked is a client, in one session after another, of which everything has its mark.
type marked struct {
	rig   *rig
	mark  string
	r     *rand.Rand
	wires [][]byte
}

// live is a session of a few bursts, after which the client says goodbye or is just
// gone.
func (m *marked) live() error {
	c := m.rig.session(m.rig.t)
	defer func() { _ = c.conn.Close() }()
	var wire []byte
	defer func() { m.wires = append(m.wires, wire) }()
	for range 6 {
		messages, ready := m.burst()
		var sent []byte
		for _, msg := range messages {
			var err error
			if sent, err = msg.Encode(sent); err != nil {
				return err
			}
		}
		written := make(chan error, 1)
		go func() { written <- m.write(c, sent) }()
		if m.r.IntN(12) == 0 { // it goes in the middle
			part := make([]byte, m.r.IntN(100_000))
			_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			n, _ := io.ReadFull(c.conn, part)
			wire = append(wire, part[:n]...)
			_ = c.conn.Close()
			<-written
			return nil
		}
		var err error
		if wire, err = readyTimes(c.conn, wire, ready); err != nil {
			return err
		}
		if err := <-written; err != nil {
			return err
		}
	}
	if m.r.IntN(2) == 0 {
		_, _ = c.conn.Write([]byte{'X', 0, 0, 0, 4})
		rest, err := io.ReadAll(c.conn)
		if wire = append(wire, rest...); err != nil {
			return err
		}
	}
	return nil
}

// write sends b in pieces of any length.
func (m *marked) write(c *rawClient, b []byte) error {
	for r := rand.New(rand.NewPCG(uint64(len(b)), 1)); len(b) > 0; {
		n := min(len(b), 1+r.IntN(1<<r.IntN(18)))
		if _, err := c.conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// burst returns messages, and how often the server is ready behind them.
func (m *marked) burst() ([]pgproto3.FrontendMessage, int) {
	sizes := []int{1, 100, 400, 1600, 6500, 26_000}
	n := sizes[m.r.IntN(len(sizes))]
	query := func(sql string, args ...any) ([]pgproto3.FrontendMessage, int) {
		return pipeline(&pgproto3.Query{String: fmt.Sprintf(sql, args...)}), 1
	}
	switch m.r.IntN(11) {
	case 0:
		return query("SELECT repeat('%s', %d)", m.mark, n)
	case 1:
		return query("SELECT repeat('%s', %d) FROM generate_series(1, %d)", m.mark, 1+n/1000, 1+m.r.IntN(2000))
	case 2:
		return query("SELECT '%s'::int", strings.Repeat(m.mark, 1+n/100))
	case 3:
		return query("SELECT mark, masked, address, repeat(mark, %d) FROM marks WHERE mark = '%s'", n, m.mark)
	case 4:
		return query("SELECT '%s', repeat('x@example.com', i %% 40) FROM generate_series(1, 500) i", m.mark)
	case 5:
		return query("COPY (SELECT mark, repeat(mark, %d), address, masked FROM marks WHERE mark = '%s') TO STDOUT", n, m.mark)
	case 6:
		return query("DELETE FROM marks WHERE mark = '%s'", strings.Repeat(m.mark, n))
	case 7:
		value := [][]byte{[]byte(strings.Repeat(m.mark, n))}
		return pipeline(&pgproto3.Parse{Query: "SELECT $1::text, length($1)"}, &pgproto3.Bind{Parameters: value}, &pgproto3.Execute{}, &pgproto3.Bind{Parameters: value}, &pgproto3.Execute{}, &pgproto3.Sync{}), 1
	case 8:
		var parts []any
		for range 1 + m.r.IntN(40) {
			parts = append(parts, "SELECT '"+m.mark+"'")
			if m.r.IntN(8) == 0 {
				parts = append(parts, "SELECT '"+m.mark+"'::int")
			}
		}
		return pipeline(append(parts, &pgproto3.Sync{})...), 1
	case 9:
		rows := []byte(strings.Repeat(m.mark+"\n", n))
		return pipeline(&pgproto3.Query{String: "CREATE TEMP TABLE IF NOT EXISTS mine (t text)"}, &pgproto3.Query{String: "COPY mine FROM STDIN"},
			&pgproto3.CopyData{Data: rows}, &pgproto3.CopyDone{}, &pgproto3.Query{String: "DROP TABLE mine"}), 3
	default:
		return query("DO $$ BEGIN RAISE NOTICE '%s'; RAISE EXCEPTION '%s'; END $$", strings.Repeat(m.mark, 1+n/100), m.mark)
	}
}

// readyTimes reads from conn, behind wire, until the server has been ready n times.
func readyTimes(conn io.Reader, wire []byte, n int) ([]byte, error) {
	var head [5]byte
	for n > 0 {
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return wire, err
		}
		length := int(binary.BigEndian.Uint32(head[1:])) - 4
		start := len(wire) + len(head)
		wire = append(append(wire, head[:]...), make([]byte, length)...)
		if _, err := io.ReadFull(conn, wire[start:]); err != nil {
			return wire, err
		}
		if head[0] == 'Z' {
			n--
		}
		if head[0] == 'E' && bytes.Contains(wire[start:], []byte("FATAL")) {
			return wire, errors.New("the session ended: " + string(wire[start:]))
		}
	}
	return wire, nil
}
