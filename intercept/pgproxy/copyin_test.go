package pgproxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

const copySetup = "CREATE TABLE items (id int PRIMARY KEY, name text); CREATE TABLE others (id int)"

func rowsOf(texts ...string) []pgproto3.FrontendMessage {
	out := make([]pgproto3.FrontendMessage, len(texts))
	for i, text := range texts {
		out[i] = &pgproto3.CopyData{Data: []byte(text)}
	}
	return out
}

// takeOver takes the connection from pgconn, which may have begun to read in the
// background while a write was slow: a read with a deadline in the past waits for the
// end of that and takes nothing.
func takeOver(conn *pgconn.PgConn) (*pgconn.HijackedConn, error) {
	h, err := conn.Hijack()
	if err != nil {
		return nil, err
	}
	if err := h.Conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, err
	}
	if m, err := h.Frontend.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fmt.Errorf("%T came unasked: %w", m, err)
	}
	return h, h.Conn.SetReadDeadline(time.Time{})
}

// directSession is a raw client of the server itself.
func (r *rig) directSession(t testing.TB) *rawClient {
	t.Helper()
	conn := direct(t, r)
	hijacked, err := takeOver(conn.PgConn())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hijacked.Conn.Close() })
	return &rawClient{t: t, conn: hijacked.Conn, Frontend: hijacked.Frontend}
}

// copyTurns are what a client can send around COPY FROM STDIN, and how many
// ReadyForQuery come of it. Each is sent in one write.
func copyTurns() map[string]burst {
	const from = "COPY items FROM STDIN"
	done, fail, sync, flush := &pgproto3.CopyDone{}, &pgproto3.CopyFail{Message: "enough"}, &pgproto3.Sync{}, &pgproto3.Flush{}
	query := func(text string) *pgproto3.Query { return &pgproto3.Query{String: text} }
	turn := func(ready int, parts ...any) burst { return burst{ready, pipeline(parts...)} }
	return map[string]burst{
		"simple":              turn(1, query(from), rowsOf("1\ta\n", "2\tb\n"), done),
		"cut anywhere":        turn(1, query(from), rowsOf("1", "\t", "a\n2", "\tb", "\n"), done),
		"csv":                 turn(1, query(from+" (FORMAT csv, HEADER match)"), rowsOf("id,name\n", "1,\"a\nb\"\n"), done),
		"nothing":             turn(1, query(from), done),
		"fail":                turn(1, query(from), rowsOf("1\ta\n"), fail),
		"bad row":             turn(1, query(from), rowsOf("x\ta\n", "2\tb\n"), done),
		"bad row goes on":     turn(2, query(from), rowsOf("x\ta\n"), done, query("SELECT 5")),
		"duplicate":           turn(1, query(from), rowsOf("1\ta\n", "1\tb\n"), done),
		"syncs are ignored":   turn(1, query(from), sync, rowsOf("1\ta\n"), sync, flush, done),
		"next query":          turn(2, query(from), rowsOf("1\ta\n"), done, query("SELECT count(*) FROM items")),
		"among statements":    turn(1, query("SELECT 1; "+from+"; SELECT count(*) FROM items"), rowsOf("1\ta\n"), done),
		"two in one":          turn(1, query(from+"; COPY others FROM STDIN; SELECT 3"), rowsOf("1\ta\n"), done, rowsOf("7\n"), done),
		"two, first fails":    turn(2, query(from+"; COPY others FROM STDIN"), rowsOf("x\n"), done, rowsOf("7\n"), done, query("SELECT 4")),
		"no such table":       turn(2, query("COPY missing FROM STDIN"), rowsOf("1\n"), done, query("SELECT 4")),
		"rows out of place":   turn(2, query("SELECT 1"), rowsOf("1\n"), done, fail, query("SELECT 4")),
		"extended":            turn(1, from, rowsOf("1\ta\n"), done, sync),
		"extended early sync": turn(1, from, sync, rowsOf("1\ta\n"), done, sync),
		"extended fail":       turn(1, from, rowsOf("1\ta\n"), fail, sync),
		"extended bad row":    turn(1, from, rowsOf("x\ta\n"), done, sync),
		"extended goes on":    turn(1, from, rowsOf("1\ta\n"), done, "SELECT count(*) FROM items", "COPY others FROM STDIN", rowsOf("7\n"), done, sync),
		"extended rolls back": turn(2, from, rowsOf("1\ta\n"), done, "SELECT 1/0", "SELECT 1", sync, "SELECT count(*) FROM items", sync),
		"extended missing":    turn(2, "COPY missing FROM STDIN", rowsOf("1\n"), done, sync, "SELECT 4", sync),
		"transaction":         turn(4, query("BEGIN"), query(from), rowsOf("1\ta\n"), done, query("SELECT 1/0"), query("ROLLBACK")),
		"binary":              turn(1, query(from+" BINARY"), rowsOf("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00\x09\x00\x00\x00\x01z", "\xff\xff"), done),
	}
}

// Whatever a client sends around COPY FROM STDIN, it gets the server's answers and
// leaves the server's rows.
func TestCopyInAsTheServer(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: copySetup})
		for name, turn := range copyTurns() {
			run := func(c *rawClient) string {
				r.pg.Exec("TRUNCATE items, others")
				c.send(turn.messages...)
				answers := c.until(turn.ready)
				c.query("SELECT 'next'", "RowDescription", "row next", "SELECT 1", "ZI")
				return fmt.Sprint(answers, r.pg.Query("TABLE items"), r.pg.Query("TABLE others"))
			}
			want := run(r.directSession(t))
			if got := run(r.session(t)); got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
			}
		}
	})
}

// A message that has no place in COPY ends the connection as it does at the
// server, and is not run.
func TestCopyInBroken(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: copySetup})
		for _, intruder := range []pgproto3.FrontendMessage{
			&pgproto3.Query{String: "INSERT INTO others VALUES (1)"}, &pgproto3.Parse{Query: "INSERT INTO others VALUES (1)"}, &pgproto3.Execute{}, &pgproto3.FunctionCall{Function: 1},
		} {
			answer := func(c *rawClient) string {
				c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("1\ta\n"), intruder)...)
				return fmt.Sprint(c.end())
			}
			want := answer(r.directSession(t))
			if got := answer(r.session(t)); got != want {
				t.Errorf("%T: got %s, want %s", intruder, got, want)
			}
			if rows := fmt.Sprint(r.pg.Query("TABLE items"), r.pg.Query("TABLE others")); rows != "[] []" {
				t.Errorf("%T: left %s", intruder, rows)
			}
		}
	})
}

// A COPY that is refused leaves no row, and what the client has sent with it is
// dropped.
func TestCopyInRefused(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: denying(policy.VerbCreate), setup: copySetup})
		c := r.session(t)
		done, sync, flush := &pgproto3.CopyDone{}, &pgproto3.Sync{}, &pgproto3.Flush{}
		c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("1\ta\n"), done, &pgproto3.Query{String: "SELECT 4"})...)
		c.expect("ERROR 42501", "ZI", "RowDescription", "row 4", "SELECT 1", "ZI")
		c.send(pipeline("SELECT 1", "COPY items FROM STDIN", rowsOf("1\ta\n"), flush, done, sync, "SELECT 4", sync)...)
		c.expect("ParseComplete", "BindComplete", "row 1", "SELECT 1", "ERROR 42501", "ZI", "ParseComplete", "BindComplete", "row 4", "SELECT 1", "ZI")
		c.query("BEGIN", "BEGIN", "ZT")
		c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("1\ta\n"), done)...)
		c.expect("ERROR 42501", "ZE")
		if rows := fmt.Sprint(r.pg.Query("TABLE items")); rows != "[]" {
			t.Errorf("left %s", rows)
		}
	})
}

// What a policy sees of COPY is the relation with its columns.
func TestCopyFacts(t *testing.T) {
	seen := make(chan []policy.Effect, 1)
	r := newRig(t, rigConfig{setup: copySetup, policy: policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Command.Action == policy.ActionQuery {
			seen <- in.Command.Effects
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	})})
	for sql, want := range map[string]string{
		"COPY items FROM STDIN":                            `[{"verb":"create","kind":"table","name":"public.items","columns":["*"]}]`,
		"COPY items (name) TO STDOUT":                      `[{"verb":"read","kind":"table","name":"public.items","columns":["name"]}]`,
		"COPY (SELECT id FROM others) TO STDOUT":           `[{"verb":"read","kind":"table","name":"public.others","columns":["id"]}]`,
		"COPY others TO '/no/such/file'":                   `[{"verb":"update","kind":"file","name":"/no/such/file"},{"verb":"read","kind":"table","name":"public.others","columns":["*"]}]`,
		"COPY others FROM PROGRAM 'false'":                 `[{"verb":"execute","kind":"program","name":"false"},{"verb":"create","kind":"table","name":"public.others","columns":["*"]}]`,
		"COPY (DELETE FROM others RETURNING id) TO STDOUT": `[{"verb":"delete","kind":"table","name":"public.others"},{"verb":"read","kind":"table","name":"public.others","columns":["id"]}]`,
	} {
		c := r.session(t)
		c.send(pipeline(&pgproto3.Query{String: sql}, &pgproto3.CopyFail{})...)
		if got, _ := json.Marshal(<-seen); string(got) != want {
			t.Errorf("%s: got %s, want %s", sql, got, want)
		}
		c.until(1)
	}
}

// Rows that the client sends are in the record before they go to the server.
func TestCopyInIsRecorded(t *testing.T) {
	r := newRig(t, rigConfig{setup: copySetup, driver: onReactor})
	c := r.session(t)
	c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("1\tfirst\n", "2\tsecond\n"), &pgproto3.CopyDone{})...)
	c.expect("CopyInResponse", "COPY 2", "ZI")
	var input []byte
	for _, session := range r.recorder.Sessions() {
		for _, e := range r.recorder.Entries(session) {
			if e.Type == record.TypeInput && e.Stream == 0 {
				input = append(input, e.Payload...)
			}
		}
	}
	if string(input) != "1\tfirst\n2\tsecond\n" {
		t.Errorf("recorded %q", input)
	}
}

// A client that leaves in the middle leaves no rows.
func TestCopyInClientLeaves(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: copySetup})
		c := r.session(t)
		c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("1\ta\n"))...)
		if got := short(c.next()); got != "CopyInResponse" {
			t.Fatal(got)
		}
		_ = c.conn.Close()
		for fmt.Sprint(r.pg.Query(others)) != "[[0]]" { // until the server has noticed
			if t.Context().Err() != nil {
				t.Fatal("the server's session goes on")
			}
		}
		if rows := fmt.Sprint(r.pg.Query("TABLE items")); rows != "[]" {
			t.Errorf("left %s", rows)
		}
	})
}

// One message may be longer than what is held; pgx's and psql's ways to copy work.
func TestCopyByDrivers(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting(), setup: copySetup, proxy: pgproxy.Config{MaxMessageBytes: 1 << 20}})
		long := bytes.Repeat([]byte("x"), 5<<20)
		c := r.session(t)
		c.send(pipeline(&pgproto3.Query{String: "COPY items FROM STDIN"}, rowsOf("1\t"+string(long)+"\n2\tb\n"), &pgproto3.CopyDone{})...)
		c.expect("CopyInResponse", "COPY 2", "ZI")
		if got := fmt.Sprint(r.pg.Query("SELECT length(name) FROM items ORDER BY id")); got != fmt.Sprintf("[[%d] [1]]", len(long)) {
			t.Error(got)
		}
		conn := r.connect(t)
		rows := [][]any{{10, "ten"}, {11, nil}}
		if n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"items"}, []string{"id", "name"}, pgx.CopyFromRows(rows)); err != nil || n != 2 {
			t.Error(n, err)
		}
		psql := testserver.Command(t, "psql")
		for _, env := range [][]string{r.env(), r.pg.Env()} {
			cmd := exec.CommandContext(t.Context(), psql, "-X", "-v", "ON_ERROR_STOP=1",
				"-c", `\copy (SELECT g, 'text, ' || g FROM generate_series(100, 199) g) TO PROGRAM 'cat > `+t.TempDir()+`/x.csv' CSV HEADER`,
				"-c", `\copy others FROM PROGRAM 'seq 1 1000'`, "-c", `\copy others TO STDOUT`, "-c", `TRUNCATE others`)
			cmd.Env = append(env, "LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin")
			out, err := cmd.CombinedOutput()
			if err != nil || strings.Count(string(out), "\n") != 1003 {
				t.Errorf("%v: %.500s", err, out)
			}
		}
	})
}
