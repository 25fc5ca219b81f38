package pgproxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/policy"
)

// copied is what COPY TO STDOUT answers with rows of one column.
func copied(tag string, rows ...string) []string {
	out := []string{"CopyOutResponse"}
	for _, row := range rows {
		out = append(out, fmt.Sprintf("CopyData %q", row+"\n"))
	}
	if strings.HasPrefix(tag, "COPY") {
		out = append(out, "CopyDone")
	}
	return append(out, tag)
}

const copyItems = "COPY (SELECT id FROM items ORDER BY id LIMIT %d) TO STDOUT"

// COPY TO STDOUT is cut where a SELECT would be, with an error of the server's kind.
func TestRowLimitOfCopyOut(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		for _, p := range []policy.Evaluator{limiting(policy.Limit{Rows: 3}), maskingWithin(policy.Limit{Rows: 3})} {
			r := newRig(t, rigConfig{driver: d, policy: p, setup: itemsSetup + "; CREATE TABLE t (a text, b text); INSERT INTO t SELECT g, 'canary' FROM generate_series(1, 10) g"})
			c := r.session(t)
			three, over := fmt.Sprintf(copyItems, 3), fmt.Sprintf(copyItems, 4)
			c.query(three, append(copied("COPY 3", "1", "2", "3"), "ZI")...)
			c.query(over, append(copied(overRows, "1", "2", "3"), "ZI")...)
			c.query(three+" (HEADER, FORMAT csv)", append(copied("COPY 3", "id", "1", "2", "3"), "ZI")...)
			c.query(over+" (HEADER, FORMAT csv)", append(copied(overRows, "id", "1", "2", "3"), "ZI")...)
			c.query("SELECT 1", append(answer("SELECT 1", "1"), "ZI")...)
			c.query("COPY (SELECT WHERE false) TO STDOUT (FORMAT binary)", "CopyOutResponse", `CopyData "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"`, "CopyDone", "COPY 0", "ZI")
			c.send(&pgproto3.Query{String: three + " (FORMAT binary)"})
			if got := c.until(1); len(got) != 8 || got[6] != "COPY 3" {
				t.Fatalf("got %q", got)
			}
			c.send(pipeline(over, "SELECT 5", &pgproto3.Sync{}, three, &pgproto3.Sync{})...)
			c.expect(append(append([]string{"ParseComplete", "BindComplete"}, append(copied(overRows, "1", "2", "3"), "ZI")...),
				append([]string{"ParseComplete", "BindComplete"}, append(copied("COPY 3", "1", "2", "3"), "ZI")...)...)...)
			c.query("BEGIN; "+insert, "BEGIN", "INSERT 0 1", "ZT")
			c.query(over, append(copied(overRows, "1", "2", "3"), "ZE")...)
			c.query("COMMIT", "ROLLBACK", "ZI")
			c.query("COPY ("+returning+") TO STDOUT", append(copied(overRows, "101", "102", "103"), "ZI")...)
			c.send(&pgproto3.Query{String: "COPY (SELECT generate_series(1, 2000000000)) TO STDOUT"})
			c.expect(append(copied(overRows, "1", "2", "3"), "ZI")...)
			c.send(&pgproto3.Query{String: "COPY t TO STDOUT"})
			if got := c.until(1); len(got) != 6 || got[4] != overRows {
				t.Fatalf("got %q", got)
			}
			r.wantItems("10")
		}
	})
}

// What comes behind a COPY that was cut in the same text is not run, or taken back.
func TestRowLimitOfCopyOutAmongStatements(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 3}), setup: itemsSetup})
		c := r.session(t)
		for range 10 { // whether the server is done before it is stopped
			c.query(insert+"; "+fmt.Sprintf(copyItems, 2)+"; "+fmt.Sprintf(copyItems, 3)+"; SELECT 7; "+insert,
				append(append([]string{"INSERT 0 1"}, copied("COPY 2", "1", "2")...), append(copied(overRows, "1"), "ZI")...)...)
			c.send(pipeline(&pgproto3.Query{String: fmt.Sprintf(copyItems, 9) + "; COPY items FROM STDIN"}, rowsOf("200\n"), &pgproto3.CopyDone{})...)
			c.expect(append(copied(overRows, "1", "2", "3"), "ZI")...)
			r.wantItems("10")
		}
	})
}

func TestByteLimitOfCopyOut(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		for _, p := range []policy.Evaluator{limiting(policy.Limit{Bytes: 100_000}), maskingWithin(policy.Limit{Bytes: 100_000})} {
			r := newRig(t, rigConfig{driver: d, policy: p, setup: "CREATE TABLE t (a text, b text); INSERT INTO t SELECT repeat('x', 30000), 'y' FROM generate_series(1, 5)"})
			c := r.session(t)
			for _, sql := range []string{"COPY t TO STDOUT", "COPY t TO STDOUT CSV HEADER", "COPY t TO STDOUT BINARY"} {
				c.send(&pgproto3.Query{String: sql})
				got := strings.Join(c.until(1), " ")
				if n := strings.Count(got, "xxxx"); n > 4*7500 || n < 3*7400 || !strings.HasSuffix(got, overRows+" ZI") {
					t.Fatalf("%d, the last %.20q", n, got[len(got)-20:])
				}
			}
			c.query("COPY (SELECT repeat('x', 40000000)) TO STDOUT", "CopyOutResponse", overRows, "ZI")
			c.query("SELECT 1", append(answer("SELECT 1", "1"), "ZI")...)
		}
	})
}

// COPY FROM STDIN that is sent too much fails, and leaves nothing.
func TestRowLimitOfCopyIn(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Rows: 3}), setup: copySetup})
		c := r.session(t)
		done, sync := &pgproto3.CopyDone{}, &pgproto3.Sync{}
		within := func(name, sql string, parts ...string) {
			t.Helper()
			c.send(pipeline(&pgproto3.Query{String: sql}, rowsOf(parts...), done)...)
			c.expect("CopyInResponse", "COPY 3", "ZI")
			r.pg.Exec("TRUNCATE items")
			c.send(pipeline(sql, rowsOf(parts...), done, sync)...)
			c.expect("ParseComplete", "BindComplete", "CopyInResponse", "COPY 3", "ZI")
			r.pg.Exec("TRUNCATE items")
			parts[len(parts)-1] = strings.TrimSuffix(parts[len(parts)-1], "\n")
			c.send(pipeline(&pgproto3.Query{String: sql}, rowsOf(parts...), done)...)
			c.expect("CopyInResponse", "COPY 3", "ZI")
			r.pg.Exec("TRUNCATE items")
		}
		within("text", "COPY items FROM STDIN", "1\ta\n2", "\tb\\\nb\n3\tc\n")
		within("csv", "COPY items FROM STDIN (FORMAT csv, HEADER)", "id,name\n1,\"a\na\"\n2,b\n", "3,c\n")
		over := [][]string{
			{"1\ta\n2\tb\n3\tc\n4\td\n"}, {"1\ta\n", "2\tb\n", "3\tc\n", "4\td"}, {"1\ta\r\n2\tb\r\n3\tc\r\n4\td\r\n"}, {"1\ta\r2\tb\r3\tc\r4\td\r"},
		}
		for _, parts := range over {
			c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf(parts...), done, &pgproto3.Query{String: "SELECT 5"})...)
			c.expect(append([]string{"CopyInResponse", overRows, "ZI"}, append(answer("SELECT 1", "5"), "ZI")...)...)
			c.send(pipeline("COPY items FROM STDIN", sync, rowsOf(parts...), done, "SELECT 6", sync)...)
			c.expect("ParseComplete", "BindComplete", "CopyInResponse", overRows, "ZI")
			c.query("BEGIN; "+"INSERT INTO items VALUES (9)", "BEGIN", "INSERT 0 1", "ZT")
			c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf(parts...), done)...)
			c.expect("CopyInResponse", overRows, "ZE")
			c.query("ROLLBACK", "ROLLBACK", "ZI")
		}
		c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN; COPY others FROM STDIN"}, rowsOf("1\ta\n2\tb\n"), done, rowsOf("1\n2\n"), done)...)
		c.expect("CopyInResponse", "COPY 2", "CopyInResponse", overRows, "ZI")
		if rows := fmt.Sprint(r.pg.Query("TABLE items"), r.pg.Query("TABLE others")); rows != "[] []" {
			t.Errorf("left %s", rows)
		}
		c.query("COPY items FROM PROGRAM 'echo 1'", "ERROR 0A000", "ZI")
		c.query("COPY items TO '/tmp/x'", "ERROR 0A000", "ZI")
	})
}

func TestByteLimitOfCopyIn(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Bytes: 100_000}), setup: copySetup})
		c := r.session(t)
		done := &pgproto3.CopyDone{}
		long := "1\t" + strings.Repeat("x", 99_990) + "\n"
		c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf(long), done)...)
		c.expect("CopyInResponse", "COPY 1", "ZI")
		c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("2"+long, "3\tmore\n", "4\tthan that\n"), done)...)
		c.expect("CopyInResponse", overRows, "ZI")
		c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("4\t"+strings.Repeat("y", 20_000_000)), done)...)
		c.expect("CopyInResponse", overRows, "ZI")
		if rows := fmt.Sprint(r.pg.Query("SELECT count(*) FROM items")); rows != "[[1]]" {
			t.Errorf("%s rows", rows)
		}
	})
}

// Time counts while the client sends rows, too: a client that stalls is not waited for.
func TestTimeLimitOfCopy(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Timeout: 60 * time.Millisecond}), setup: copySetup})
		c := r.session(t)
		for range 3 {
			c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("1\ta\n"))...)
			c.expect("CopyInResponse", "ERROR 57014", "ZI")
			c.send(rowsOf("2\tb\n")...) // it has not heard of it yet
			c.send(&pgproto3.CopyDone{})
			c.query("SELECT 1", append(answer("SELECT 1", "1"), "ZI")...)
			c.send(pipeline("COPY items FROM STDIN", rowsOf("1\ta\n"))...)
			for _, want := range []string{"ParseComplete", "BindComplete", "CopyInResponse", "ERROR 57014"} {
				if got := short(c.next()); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
			c.send(&pgproto3.Sync{})
			c.expect("ZI")
			c.send(&pgproto3.Query{String: "COPY (SELECT g FROM generate_series(1, 3) g, pg_sleep(60)) TO STDOUT"})
			if got := c.until(1); !slices.Equal(got[len(got)-2:], []string{"ERROR 57014", "ZI"}) {
				t.Fatalf("got %q", got)
			}
		}
		if rows := fmt.Sprint(r.pg.Query("TABLE items")); rows != "[]" {
			t.Errorf("left %s", rows)
		}
	})
}
