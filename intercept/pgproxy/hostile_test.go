package pgproxy_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
)

const others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

func TestLargeResultInConstantMemory(t *testing.T) {
	const rows, width = 100_000, 1000 // 100 MB
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting(), policy: masking("public.items.name:redact"), setup: itemsSetup})
		c := r.session(t)
		before, peak := heap(), uint64(0)
		c.send(&pgproto3.Query{String: fmt.Sprintf("SELECT repeat('x', %d) FROM generate_series(1, %d)", width, rows)})
		n := 0
		for m := c.next(); ; m = c.next() {
			if row, ok := m.(*pgproto3.DataRow); ok && len(row.Values[0]) == width {
				n++
			}
			if n%10_000 == 0 {
				peak = max(peak, heap())
			}
			if _, ok := m.(*pgproto3.ReadyForQuery); ok {
				break
			}
		}
		if n != rows {
			t.Fatalf("%d rows, want %d", n, rows)
		}
		if grown := int64(peak) - int64(before); grown > 48<<20 {
			t.Fatalf("memory grew by %d bytes", grown)
		}
	})
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func TestLargeCell(t *testing.T) {
	const size = 20 << 20
	setup := itemsSetup + fmt.Sprintf("; CREATE TABLE big (cell text, other int); ALTER TABLE big ALTER cell SET STORAGE EXTERNAL; INSERT INTO big VALUES (repeat('x', %d), 1)", size)
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting(), policy: masking("public.big.cell:redact"), setup: setup})
		c := r.session(t)
		c.send(&pgproto3.Query{String: fmt.Sprintf("SELECT repeat('x', %d)", size)})
		row := 0
		for m := c.next(); ; m = c.next() {
			if m, ok := m.(*pgproto3.DataRow); ok {
				row = len(m.Values[0])
			}
			if _, ok := m.(*pgproto3.ReadyForQuery); ok {
				break
			}
		}
		if row != size {
			t.Fatalf("a cell of %d bytes, want %d", row, size)
		}
		c.query("SELECT other FROM big", "RowDescription", "row 1", "SELECT 1", "ZI")
		c.query("SELECT cell, other FROM big", "RowDescription", "row [redacted],1", "SELECT 1", "ZI")
		for _, bounds := range []pgproxy.Config{{MaxRowBytes: 16 << 20}, {MaxHeldBytes: 16 << 20}} {
			r = newRig(t, rigConfig{driver: d, recorder: forgetting(), policy: masking("public.big.cell:redact"), setup: setup, proxy: bounds})
			c = r.session(t)
			c.send(&pgproto3.Query{String: "SELECT cell FROM big"})
			if got := c.end(); strings.Join(got, " ") != "FATAL 54000" && strings.Join(got, " ") != "RowDescription FATAL 54000" {
				t.Fatalf("%+v: got %q", bounds, got)
			}
		}
		r = newRig(t, rigConfig{driver: d, recorder: forgetting(), policy: masking("public.big.cell:redact"), setup: setup, proxy: pgproxy.Config{MaxHeldBytes: 32 << 20}})
		for range 3 { // what is held is given back
			c = r.session(t)
			c.query("SELECT cell, other FROM big", "RowDescription", "row [redacted],1", "SELECT 1", "ZI")
		}
	})
}

func TestTooLongStatements(t *testing.T) {
	padded := "SELECT 1 /*" + strings.Repeat(" ", 9<<20) + "*/"
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: itemsSetup})
		c := r.session(t)
		c.query(padded, "ERROR 54000", "ZI")
		c.send(pipeline(insert, padded, insert, &pgproto3.Sync{})...)
		c.expect(append(ran("INSERT 0 1"), "ERROR 54000", "ZI")...)
		r.wantItems("10")
		c.query(strings.Repeat("SELECT 1;", 4<<20), "ERROR 54000", "ZI") // over MaxMessageBytes
		c.send(pipeline(insert, &pgproto3.Parse{Query: padded + padded}, insert, &pgproto3.Sync{})...)
		c.expect(append(ran("INSERT 0 1"), "ERROR 54000", "ZI")...)
		c.send(&pgproto3.Bind{PreparedStatement: "none", Parameters: [][]byte{make([]byte, 17<<20)}}, &pgproto3.Sync{})
		c.expect("ERROR 54000", "ZI")
		c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		r.wantItems("10")
	})
}

func TestLongButAllowed(t *testing.T) {
	long := "SELECT length('" + strings.Repeat("\x01", 900_000) + "')" // six times as long in the record
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		c.query(long, "RowDescription", "row 900000", "SELECT 1", "ZI")
		c.send(&pgproto3.Parse{Query: "SELECT length($1::bytea)"},
			&pgproto3.Bind{ParameterFormatCodes: []int16{1}, Parameters: [][]byte{make([]byte, 9<<20)}}, &pgproto3.Execute{}, &pgproto3.Sync{})
		c.expect("ParseComplete", "BindComplete", "row 9437184", "SELECT 1", "ZI")
	})
}

func TestNestedTooDeep(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		c.query("SELECT "+strings.Repeat("(", 100_000)+"1"+strings.Repeat(")", 100_000), "ERROR 54000", "ZI")
		c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
	})
}

func TestClientLeavesMidResult(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting()})
		for _, sql := range []string{"SELECT repeat('x', 1000) FROM generate_series(1, 100000000)", "SELECT pg_sleep(60)"} {
			c := r.session(t)
			c.send(&pgproto3.Query{String: sql})
			r.eventually(t, others, "1")
			_ = c.conn.Close()
			r.eventually(t, others, "0")
		}
	})
}

// A client that closes only its sending side has ended the session.
func TestHalfOpen(t *testing.T) {
	for _, d := range []driver{onReactor, onGoroutines, overTLS} {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
		r.eventually(t, sleepers, "1")
		if err := c.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		r.eventually(t, others, "0")
		c.end()
		if err := r.gateway.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, session := range r.recorder.Sessions() {
			if _, sealed := r.recorder.Sealed(session); !sealed {
				t.Errorf("driver %d: the record is not sealed", d)
			}
		}
	}
}

func TestServerDiesMidResult(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "SELECT repeat('x', 1000), pg_sleep(0.001) FROM generate_series(1, 10000000)"})
		r.eventually(t, others, "1")
		c.next()
		r.pg.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		got := c.end()
		if last := got[len(got)-1]; last != "FATAL 57P01" && !strings.HasPrefix(last, "row") {
			t.Fatalf("got %q", last)
		}
		if err := r.gateway.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, session := range r.recorder.Sessions() {
			if _, sealed := r.recorder.Sealed(session); !sealed {
				t.Fatal("the record is not sealed")
			}
		}
	})
}

func TestMalformedMessages(t *testing.T) {
	cases := map[string]string{
		"length below four":    "Q\x00\x00\x00\x03",
		"length above a GiB":   "Q\x7f\xff\xff\xff",
		"unknown type":         "!\x00\x00\x00\x04",
		"query not terminated": "Q\x00\x00\x00\x05x",
		"query with a NUL":     "Q\x00\x00\x00\x08a\x00b\x00",
		"bind cut short":       "B\x00\x00\x00\x06\x00\x00",
		"execute cut short":    "E\x00\x00\x00\x06\x00\x00",
		"describe of nothing":  "D\x00\x00\x00\x06X\x00",
		"sync with a body":     "S\x00\x00\x00\x05x",
		"parameter format 2":   "B\x00\x00\x00\x0e\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00",
		"result format 2":      "B\x00\x00\x00\x0e\x00\x00\x00\x00\x00\x00\x00\x01\x00\x02",
		"password again":       "p\x00\x00\x00\x06x\x00",
	}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for name, message := range cases {
			t.Run(name, func(t *testing.T) {
				c := r.session(t)
				c.bytes([]byte(message))
				if got := c.end(); strings.Join(got, " ") != "FATAL 08P01" {
					t.Fatalf("got %q", got)
				}
			})
		}
		r.eventually(t, others, "0")
	})
}
