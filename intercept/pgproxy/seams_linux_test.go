package pgproxy_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// seams are the sizes of what the gateway and the kernel read, gather and seal at a
// time.
var seams = []int{4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 96 << 10, 128 << 10, 256 << 10}

// TestMessagesThatEndAtASeam has messages of the client and of the server end just
// before, at and behind each seam, after which both wait: nothing of them is left
// lying until more comes.
func TestMessagesThatEndAtASeam(t *testing.T) {
	rigs := map[string]func(t *testing.T) *rig{
		"plain": func(t *testing.T) *rig {
			t.Helper()
			return newRig(t, rigConfig{driver: onReactor, recorder: forgetting()})
		},
		"secured": securedRig,
	}
	for name, rigOf := range rigs {
		t.Run(name, func(t *testing.T) {
			r := rigOf(t)
			c := r.session(t)
			if err := c.conn.SetDeadline(time.Now().Add(10 * patience)); err != nil {
				t.Fatal(err)
			}
			c.query("SET client_min_messages = warning", "SET", "ZI")
			for _, seam := range seams {
				for off := -12; off <= 3; off++ {
					c.sendsWhole(seam + off)
					c.getsRows(seam+off, 1)
					c.getsRows(seam+off, 3)
				}
			}
		})
	}
}

// sendsWhole sends a Query of n bytes, in two pieces as well.
func (w *rawClient) sendsWhole(n int) {
	w.t.Helper()
	const frame = 5 + len("SELECT '' IS NULL") + 1
	b, err := (&pgproto3.Query{String: "SELECT '" + strings.Repeat("x", n-frame) + "' IS NULL"}).Encode(nil)
	if err != nil || len(b) != n {
		w.t.Fatal(len(b), err)
	}
	for _, cut := range []int{n, n - 1, n / 2, 4000} {
		w.bytes(b[:cut])
		if cut < n {
			w.bytes(b[cut:])
		}
		w.expect("RowDescription", "row f", "SELECT 1", "ZI")
	}
}

// getsRows has the server send rows so that they and what is around them are n bytes.
func (w *rawClient) getsRows(n, rows int) {
	w.t.Helper()
	const around = 27 + 14 + 6 // RowDescription of "c", CommandComplete of SELECT 1, ReadyForQuery
	each := (n - around) / rows
	w.send(&pgproto3.Query{String: fmt.Sprintf("SELECT repeat('x', %d) c FROM generate_series(1, %d)", each-11, rows)})
	got, err := readyTimes(w.conn, nil, 1)
	if err != nil {
		w.t.Fatalf("%d bytes in %d rows: %v", n, rows, err)
	}
	if want := around + rows*each; len(got) != want {
		w.t.Fatalf("got %d bytes, want %d", len(got), want)
	}
}

// TestPipelinesOverSeams sends one pipeline that runs over every length around a seam,
// while what comes back is read.
func TestPipelinesOverSeams(t *testing.T) {
	for _, d := range []driver{onReactor, onReactorTLS} {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting()})
		c := r.session(t)
		for _, seam := range []int{4 << 10, 64 << 10} {
			var sent, want []byte
			n := 0
			for off := -40; off <= 40; off++ {
				text := strings.Repeat(string(rune('a'+(off+40)%26)), seam+off)
				for _, m := range []pgproto3.FrontendMessage{&pgproto3.Parse{Query: "SELECT $1::text"}, &pgproto3.Bind{Parameters: [][]byte{[]byte(text)}}, &pgproto3.Execute{}, &pgproto3.Sync{}} {
					sent, _ = m.Encode(sent)
				}
				n++
				for _, m := range []pgproto3.BackendMessage{&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.DataRow{Values: [][]byte{[]byte(text)}}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}} {
					want, _ = m.Encode(want)
				}
			}
			written := make(chan error, 1)
			go func() { _, err := c.conn.Write(sent); written <- err }()
			got, err := readyTimes(io.Reader(c.conn), nil, n)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("driver %d: %d of %d bytes, %v", d, len(got), len(want), err)
			}
			if err := <-written; err != nil {
				t.Fatal(err)
			}
		}
	}
}
