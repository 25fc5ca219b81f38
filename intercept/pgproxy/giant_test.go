package pgproxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

const giantSchema = `CREATE TABLE giants (id int, plain text, masked text, size int);
	ALTER TABLE giants ALTER plain SET STORAGE external, ALTER masked SET STORAGE external`

// giant makes one row whose masked column has so many bytes, and whose plain one
// has that many too if both is set.
func giant(size int, both bool) string {
	plain := "'x'"
	if both {
		plain = fmt.Sprintf("repeat('plain', %d)", size/5)
	}
	return fmt.Sprintf("TRUNCATE giants; INSERT INTO giants VALUES (1, %s, repeat('canary', %d), %d)", plain, size/6, size)
}

func newGiantRig(t testing.TB, d driver, method string) *rig {
	t.Helper()
	return newRig(t, rigConfig{
		policy: masking("public.giants.masked:" + method), recorder: forgetting(), driver: d, setup: giantSchema,
		proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")},
	})
}

// drain runs a statement and reads what comes without keeping it. It returns the
// length of each cell of the last row and how many rows there were.
func (w *rawClient) drain(sql string, format int16) (cells []int, rows, leaks int) {
	w.t.Helper()
	return w.drainFor("canary", sql, format)
}

// drainFor is drain with another word to look for.
func (w *rawClient) drainFor(needle, sql string, format int16) (cells []int, rows, leaks int) {
	w.t.Helper()
	if err := w.conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		w.t.Fatal(err)
	}
	w.send(&pgproto3.Parse{Query: sql}, &pgproto3.Bind{ResultFormatCodes: []int16{format}}, &pgproto3.Execute{}, &pgproto3.Sync{})
	r := rowReader{t: w.t, in: bufio.NewReaderSize(w.conn, 64<<10), needle: []byte(needle)}
	for {
		switch typ, n := r.head(); typ {
		case 'D':
			r.row(n)
			rows++
		case 'Z':
			r.skip(n)
			return r.cells, rows, r.leaks
		case 'E':
			text := make([]byte, n)
			_, _ = io.ReadFull(r.in, text)
			w.t.Fatalf("%q", text)
		default:
			r.skip(n)
		}
	}
}

// A rowReader reads messages through a small buffer and counts what rows have of a
// masked value.
type rowReader struct {
	t      testing.TB
	in     *bufio.Reader
	needle []byte
	cells  []int
	leaks  int
}

// head reads the type of a message and the length of its body.
func (r *rowReader) head() (typ byte, n int) {
	typ, err := r.in.ReadByte()
	if err != nil {
		r.t.Fatal(err)
	}
	return typ, r.number(4) - 4
}

func (r *rowReader) number(size int) int {
	b, err := r.in.Peek(size)
	if err != nil {
		r.t.Fatal(err)
	}
	n := int32(0)
	for _, c := range b {
		n = n<<8 | int32(c)
	}
	r.skip(size)
	return int(n)
}

func (r *rowReader) skip(n int) {
	if _, err := r.in.Discard(n); err != nil {
		r.t.Fatal(err)
	}
}

// row reads a row of n bytes.
func (r *rowReader) row(n int) {
	r.cells = r.cells[:0]
	for range r.number(2) {
		size := r.number(4)
		r.cells = append(r.cells, size)
		n -= 4 + max(0, size)
		for size > 0 {
			part, err := r.in.Peek(min(size, 32<<10))
			if err != nil {
				r.t.Fatal(err)
			}
			r.leaks += bytes.Count(part, r.needle)
			r.skip(len(part))
			size -= len(part)
		}
	}
	if n != 2 {
		r.t.Fatalf("a row is %d bytes longer than its cells", n-2)
	}
}

// peak runs f and returns by how much the heap has grown at most.
func peak(f func()) uint64 {
	runtime.GC()
	before := heap()
	var most atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				most.Store(max(most.Load(), heap()))
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	return max(most.Load(), before) - before
}

// TestGiantCells has each method mask a cell of 60 MiB. Those that put a constant
// in its place hold nothing of it; the others hold the cell.
func TestGiantCells(t *testing.T) {
	for _, c := range []struct {
		method string
		driver driver
		format int16
		cell   int
		most   uint64
	}{
		{"redact", onReactor, 0, len("[redacted]"), 12 << 20}, {"redact", overTLS, 1, len("[redacted]"), 12 << 20}, {"null", onReactor, 1, -1, 12 << 20},
		{"hash", onReactor, 1, 26, 96 << 20}, {"hash", overTLS, 0, 26, 96 << 20}, {"fake", onReactor, 0, 64, 96 << 20},
		{"partial", onReactor, 0, 64, 96 << 20}, {"email", overTLS, 1, len("[redacted]"), 96 << 20},
	} {
		t.Run(fmt.Sprint(c.method, c.driver, c.format), func(t *testing.T) {
			r := newGiantRig(t, c.driver, c.method)
			r.pg.Exec(giant(giantSize, false))
			w := r.session(t)
			grown := peak(func() {
				cells, rows, leaks := w.drain("SELECT masked, plain, size FROM giants", c.format)
				if rows != 1 || cells[0] != c.cell || cells[1] != 1 || leaks != 0 {
					t.Errorf("%d rows, cells of %d, %d leaks", rows, cells, leaks)
				}
			})
			if grown > raced(c.most) {
				t.Errorf("the heap has grown by %d MiB", grown>>20)
			}
		})
	}
}

// TestGiantCellBesideAMaskedOne passes on a giant cell before and behind a masked
// one. What stands before the last masked value is held until that begins.
func TestGiantCellBesideAMaskedOne(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		size := giantSize
		if d != onReactor {
			size = 20 << 20 // longer than a message may be
		}
		r := newGiantRig(t, d, "redact")
		r.pg.Exec(giant(size, true))
		for sql, most := range map[string]uint64{
			"SELECT masked, plain, size FROM giants": 12 << 20,
			"SELECT plain, masked, size FROM giants": uint64(4*size + 12<<20),
			"SELECT plain, size FROM giants":         12 << 20,
		} {
			w := r.session(t)
			grown := peak(func() {
				cells, _, leaks := w.drain(sql, 0)
				if max(cells[0], cells[1]) != size || leaks != 0 {
					t.Errorf("%s: cells of %d, %d leaks", sql, cells, leaks)
				}
			})
			if grown > raced(most) {
				t.Errorf("%s: the heap has grown by %d MiB", sql, grown>>20)
			}
		}
	})
}

// TestSecretsInLongMaskedRows looks for the upstream's password in a row that is
// released in parts.
func TestSecretsInLongMaskedRows(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newGiantRig(t, d, "redact")
		r.pg.Exec("INSERT INTO giants VALUES (1, repeat('" + strings.ReplaceAll(r.pg.Password, "'", "''") + ".', 100000), 'canary', 1)")
		for _, sql := range []string{"SELECT masked, plain FROM giants", "SELECT plain, masked FROM giants", "SELECT plain, masked, plain FROM giants"} {
			w := r.session(t)
			cells, _, leaks := w.drainFor(r.pg.Password, sql, 0)
			if leaks != 0 || max(cells[0], cells[1]) != 100_000*(len(r.pg.Password)+1) {
				t.Errorf("%s: cells of %d, %d leaks", sql, cells, leaks)
			}
		}
	})
}

func newManyRig(t testing.TB, d driver) *rig {
	t.Helper()
	return newRig(t, rigConfig{policy: masking("public.many.masked:redact"), recorder: forgetting(), driver: d, setup: fmt.Sprintf(
		`CREATE UNLOGGED TABLE many AS SELECT g AS id, 'canary' || g AS masked, 'plain' AS plain FROM generate_series(1, %d) g`, manyRows)})
}

// TestManyRows masks a column of many rows in the memory of a few.
func TestManyRows(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newManyRig(t, d)
		w := r.session(t)
		grown := peak(func() {
			if _, rows, leaks := w.drain("SELECT id, masked, plain FROM many", 0); rows != manyRows || leaks != 0 {
				t.Errorf("%d rows, %d leaks", rows, leaks)
			}
		})
		if grown > 24<<20 {
			t.Errorf("the heap has grown by %d MiB", grown>>20)
		}
	})
}

// TestTenTimesManyRows masks a column of ten million rows (a million under the race
// detector) in the memory of a few. It logs how the time grows.
func TestTenTimesManyRows(t *testing.T) {
	r := newManyRig(t, onReactor)
	w := r.session(t)
	run := func(times int) (grown uint64, took time.Duration) {
		start := time.Now()
		grown = peak(func() {
			sql := fmt.Sprintf("SELECT id, masked, plain FROM many, generate_series(1, %d)", times)
			if _, rows, leaks := w.drain(sql, 0); rows != times*manyRows || leaks != 0 {
				t.Errorf("%d rows, %d leaks", rows, leaks)
			}
		})
		return grown, time.Since(start)
	}
	_, one := run(1)
	grown, ten := run(10)
	t.Logf("%d rows in %v, ten times as many in %v; the heap has grown by %d KiB", manyRows, one, ten, grown>>10)
	if grown > 24<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
}

// BenchmarkGiantCell shows that the time for a cell grows with its length.
func BenchmarkGiantCell(b *testing.B) {
	for _, method := range []string{"redact", "hash"} {
		for _, size := range []int{15 << 20, 30 << 20, 60 << 20} {
			b.Run(fmt.Sprintf("%s/%dMiB", method, size>>20), func(b *testing.B) {
				r := newGiantRig(b, onReactor, method)
				r.pg.Exec(giant(size, false))
				w := r.session(b)
				b.SetBytes(int64(size))
				for b.Loop() {
					w.drain("SELECT masked, plain, size FROM giants", 0)
				}
			})
		}
	}
}

// BenchmarkTenMillionRows reports by how much the heap grows at most.
func BenchmarkTenMillionRows(b *testing.B) {
	r := newManyRig(b, onReactor)
	w := r.session(b)
	for b.Loop() {
		grown := peak(func() {
			if _, rows, leaks := w.drain("SELECT id, masked, plain FROM many, generate_series(1, 10)", 0); rows != 10_000_000 || leaks != 0 {
				b.Errorf("%d rows, %d leaks", rows, leaks)
			}
		})
		b.ReportMetric(float64(grown)/(1<<20), "MiB-grown")
	}
}

// raced is a bound on memory as it is under the race detector.
func raced(most uint64) uint64 {
	if raceDetector {
		return most + most/2
	}
	return most
}
