package pgproxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// drainCopy runs a COPY TO STDOUT and reads what comes without keeping it. It
// returns the length of the last row's message and what that ends with.
func (w *rawClient) drainCopy(sql string) (size, messages, leaks int, tail string) {
	w.t.Helper()
	if err := w.conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		w.t.Fatal(err)
	}
	w.send(&pgproto3.Query{String: sql})
	r := rowReader{t: w.t, in: bufio.NewReaderSize(w.conn, 64<<10)}
	for {
		switch typ, n := r.head(); typ {
		case 'd':
			messages++
			var end []byte
			for left := n; left > 0; {
				part, err := r.in.Peek(min(left, 32<<10))
				if err != nil {
					w.t.Fatal(err)
				}
				leaks += bytes.Count(part, []byte("canary"))
				end = append(end, part...)
				end = end[max(0, len(end)-40):]
				r.skip(len(part))
				left -= len(part)
			}
			if n > 2 {
				size, tail = n, string(end)
			}
		case 'Z':
			r.skip(n)
			return size, messages, leaks, tail
		case 'E':
			text := make([]byte, n)
			_, _ = io.ReadFull(r.in, text)
			w.t.Fatalf("%q", text)
		default:
			r.skip(n)
		}
	}
}

// A cell of 60 MiB is masked in COPY as it is in SELECT, in the same memory.
func TestGiantCellsInCopy(t *testing.T) {
	for _, c := range []struct {
		method, sql string
		driver      driver
		size        int
		tail        string
		most        uint64
	}{
		{"redact", "COPY giants (id, masked, size) TO STDOUT", onReactor, 22, fmt.Sprintf("1\t[redacted]\t%d\n", giantSize), 30 << 20},
		{"redact", "COPY giants (masked, plain) TO STDOUT CSV", overTLS, 13, "[redacted],x\n", 30 << 20},
		{"redact", "COPY giants (plain, masked) TO STDOUT BINARY", onReactor, 40, "\x00\x00\x00\x01x\x00\x00\x00\x0a[redacted]", 30 << 20},
		{"null", "COPY giants (masked, plain) TO STDOUT", onReactor, 5, "\\N\tx\n", 30 << 20},
		{"hash", "COPY giants (masked, plain) TO STDOUT", onReactor, 29, "\tx\n", 96 << 20},
		{"hash", "COPY giants (masked, plain) TO STDOUT CSV", onReactor, 29, ",x\n", 96 << 20},
		{"hash", "COPY giants (masked, plain) TO STDOUT BINARY", overTLS, 56, "\x00\x00\x00\x01x", 96 << 20},
	} {
		t.Run(c.method+c.sql, func(t *testing.T) {
			r := newGiantRig(t, c.driver, c.method)
			r.pg.Exec(giant(giantSize, false))
			w := r.session(t)
			grown := peak(func() {
				size, messages, leaks, tail := w.drainCopy(c.sql)
				if size != c.size || messages > 2 || leaks != 0 || !strings.HasSuffix(tail, c.tail) {
					t.Errorf("%d bytes in %d messages, the last %q, %d leaks", size, messages, tail, leaks)
				}
			})
			if grown > raced(c.most) {
				t.Errorf("the heap has grown by %d MiB", grown>>20)
			}
		})
	}
}

// A giant cell beside a masked one passes as one row, whichever comes first.
func TestGiantCellBesideAMaskedOneInCopy(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		size := giantSize
		if d != onReactor {
			size = 20 << 20 // longer than a message may be
		}
		r := newGiantRig(t, d, "redact")
		r.pg.Exec(giant(size, true))
		for sql, c := range map[string]struct {
			more int
			most uint64
		}{
			"COPY giants (masked, plain) TO STDOUT":        {12, 30 << 20},
			"COPY giants (plain, masked) TO STDOUT CSV":    {12, uint64(4*size + 20<<20)},
			"COPY giants (masked, plain) TO STDOUT BINARY": {19 + 2 + 4 + 10 + 4, 30 << 20},
		} {
			w := r.session(t)
			grown := peak(func() {
				n, messages, leaks, tail := w.drainCopy(sql)
				if n != size+c.more || messages > 2 || leaks != 0 {
					t.Errorf("%s: %d bytes more in %d messages, %q, %d leaks", sql, n-size, messages, tail, leaks)
				}
			})
			if grown > raced(c.most) {
				t.Errorf("%s: the heap has grown by %d MiB", sql, grown>>20)
			}
		}
	})
}

// Rows of any length around the one from which they are masked in parts come out the
// same as short ones, with escapes and NULLs.
func TestCopyRowsOfManyLengths(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: masking("public.long.masked:redact"), recorder: forgetting(), setup: `
			CREATE TABLE long (before text, masked text, after text);
			INSERT INTO long SELECT repeat(E'\\' || chr(9), n), repeat(E'canary\n', n), repeat('a"', n) FROM unnest(ARRAY[0, 1, 500, 1000, 2000, 8000, 20000, 100000]) n;
			INSERT INTO long VALUES (repeat('x', 70000), NULL, NULL)`})
		conn, plain := r.connect(t), direct(t, r)
		for _, options := range []string{"", "CSV", "BINARY", "(HEADER)", "(NULL 'none')"} {
			var got, want bytes.Buffer
			if _, err := conn.PgConn().CopyTo(t.Context(), &got, "COPY long TO STDOUT "+options); err != nil {
				t.Fatal(options, err)
			}
			masked := "CASE WHEN masked IS NULL THEN NULL ELSE '[redacted]' END AS masked"
			if options == "(NULL 'none')" {
				masked = "'[redacted]' AS masked"
			}
			if _, err := plain.PgConn().CopyTo(t.Context(), &want, fmt.Sprintf("COPY (SELECT before, %s, after FROM long) TO STDOUT %s", masked, options)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("%s: %d bytes, want %d", options, got.Len(), want.Len())
			}
		}
	})
}
