package pgproxy_test

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

//go:embed testdata/bypass/schema.sql
var bypassSchema string

// maskedColumns are what the agents of these tests must not see.
func maskedColumns() policy.Evaluator {
	return masking("public.people.email:email", "public.people.card:partial", "public.people.ssn:null",
		"public.people.salary:fake", "public.people.balance:redact", "public.people.born:redact",
		"public.people.profile:redact", "public.people.token:hash", "public.people.photo:redact",
		"public.events.email:redact", "public.logins.email:redact", "public.People Data.E-Mail:redact")
}

// An attempt is a way to get at masked values, and beside it something harmless
// of the same kind that must work.
type attempt struct {
	name string
	// steps are run one after another on one connection; they may fail.
	steps []string
	// twin must give want: cells joined by commas, rows by semicolons. It can't be
	// left out, or refusing everything would pass.
	twin, want string
}

// tryAll makes each attempt in each mode. All share a server until one has left
// something behind there: the next gets a server anew.
func tryAll(t *testing.T, attempts []attempt) {
	t.Helper()
	s := newStage(t, maskedColumns())
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			for _, m := range modesFor(a) {
				r := s.set()
				t.Run(m.name, func(t *testing.T) { a.try(t, r, m) })
			}
		})
	}
}

// A stage has a server as the schema made it.
type stage struct {
	t      testing.TB
	policy policy.Evaluator
	driver driver
	rig    *rig
	asMade string
}

func newStage(t testing.TB, p policy.Evaluator) *stage {
	t.Helper()
	s := &stage{t: t, policy: p}
	s.renew()
	return s
}

func (s *stage) renew() {
	s.t.Helper()
	s.rig = newRig(s.t, rigConfig{policy: s.policy, driver: s.driver, proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}, setup: bypassSchema})
	s.asMade = s.state()
}

// set returns the stage's server, made anew if something was changed in it.
func (s *stage) set() *rig {
	s.t.Helper()
	if s.state() != s.asMade {
		s.renew()
	}
	return s.rig
}

// state changes with every transaction that has written anything, and with every
// number that a sequence has given.
func (s *stage) state() string {
	s.t.Helper()
	return fmt.Sprint(s.rig.pg.Query(`SELECT pg_snapshot_xmax(pg_current_snapshot()), (SELECT string_agg(last_value::text, ' ') FROM pg_sequences)`))
}

// changes reports whether a step could do more than read.
func (a attempt) changes() bool {
	return slices.ContainsFunc(a.steps, func(sql string) bool {
		return slices.ContainsFunc(strings.Fields(sql), func(word string) bool {
			switch strings.Trim(word, "();") {
			case "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP", "TRUNCATE", "DO", "CALL", "INTO", "REINDEX":
				return true
			}
			return false
		})
	})
}

func (a attempt) try(t *testing.T, r *rig, m mode) {
	conn, wire := r.connectWatched(t)
	for _, step := range a.steps {
		rows, err := m.run(context.Background(), conn, step)
		t.Logf("%s: %q %v", step, rows, err)
		if found := wire.leaks(); len(found) > 0 {
			t.Errorf("%q leaked by %q", found, step)
			break
		}
	}
	_ = conn.Close(context.Background())
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked in the end", found)
	}
	a.tryTwin(t, r, m)
}

func (a attempt) tryTwin(t *testing.T, r *rig, m mode) {
	if a.twin == "" {
		t.Fatal("no benign twin")
	}
	if strings.Contains(a.twin, ";") && m.name != "simple" {
		return // the extended protocol carries one statement at a time
	}
	conn, wire := r.connectWatched(t)
	rows, err := m.run(context.Background(), conn, a.twin)
	if err != nil {
		t.Errorf("%s: %v", a.twin, err)
		return
	}
	if m.text && joined(rows) != a.want {
		t.Errorf("%s: got %q, want %q", a.twin, joined(rows), a.want)
	}
	if !m.text && len(rows) != a.rows() {
		t.Errorf("%s: got %d rows, want %q", a.twin, len(rows), a.want)
	}
	_ = conn.Close(context.Background())
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked by %q", found, a.twin)
	}
}

func (a attempt) rows() int {
	if a.want == "" {
		return 0
	}
	return strings.Count(a.want, ";") + 1
}

func joined(rows [][]string) string {
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = strings.Join(row, ",")
	}
	return strings.Join(lines, ";")
}

func newBypassRig(t testing.TB, p policy.Evaluator, more ...string) *rig {
	t.Helper()
	r := newRig(t, rigConfig{policy: p, proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}, setup: bypassSchema + strings.Join(more, "\n")})
	return r
}

// A mode is a way to run a statement.
type mode struct {
	name string
	// text says that run returns the cells in text format.
	text bool
	run  func(ctx context.Context, conn *pgx.Conn, sql string) ([][]string, error)
}

func modes() []mode {
	return []mode{
		{"simple", true, runSimple},
		{"extended text", true, runFormat(0)},
		{"extended binary", false, runFormat(1)},
		{"prepared twice", false, runPrepared},
		{"cache_statement twice", false, runPgx(pgx.QueryExecModeCacheStatement, 2)},
		{"describe_exec", false, runPgx(pgx.QueryExecModeDescribeExec, 1)},
		{"exec", false, runPgx(pgx.QueryExecModeExec, 1)},
	}
}

// modesFor are the modes in which an attempt is made. A server for each takes long
// where the attempt changes something, and so does the race detector, which has
// enough to see in those that differ most.
func modesFor(a attempt) []mode {
	all := modes()
	switch {
	case raceDetector && a.changes():
		return all[:1]
	case raceDetector:
		return []mode{all[0], all[2]}
	case a.changes():
		return all[:3]
	default:
		return all
	}
}

func runSimple(ctx context.Context, conn *pgx.Conn, sql string) ([][]string, error) {
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	return cells(results[len(results)-1].Rows), nil
}

func runFormat(format int16) func(context.Context, *pgx.Conn, string) ([][]string, error) {
	return func(ctx context.Context, conn *pgx.Conn, sql string) ([][]string, error) {
		result := conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, []int16{format}).Read()
		return cells(result.Rows), result.Err
	}
}

func runPrepared(ctx context.Context, conn *pgx.Conn, sql string) ([][]string, error) {
	if _, err := conn.PgConn().Prepare(ctx, "again", sql, nil); err != nil {
		return nil, err
	}
	var result *pgconn.Result
	for range 2 {
		result = conn.PgConn().ExecPrepared(ctx, "again", nil, nil, []int16{1}).Read()
	}
	_, err := conn.PgConn().Exec(ctx, "DEALLOCATE again").ReadAll()
	if result.Err != nil {
		err = result.Err
	}
	return cells(result.Rows), err
}

func runPgx(m pgx.QueryExecMode, times int) func(context.Context, *pgx.Conn, string) ([][]string, error) {
	return func(ctx context.Context, conn *pgx.Conn, sql string) (out [][]string, err error) {
		for range times {
			out = nil
			rows, qerr := conn.Query(ctx, sql, m)
			if qerr != nil {
				return nil, qerr
			}
			for rows.Next() {
				out = append(out, make([]string, len(rows.RawValues())))
			}
			err = rows.Err()
		}
		return out, err
	}
}

func cells(rows [][][]byte) [][]string {
	var out [][]string
	for _, row := range rows {
		texts := make([]string, len(row))
		for i, v := range row {
			texts[i] = string(v)
		}
		out = append(out, texts)
	}
	return out
}

// wire holds every byte that a client has received.
type wire struct {
	net.Conn
	mu  sync.Mutex
	got []byte
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, b[:n]...)
	return n, err
}

// forget drops what has been received.
func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = w.got[:0]
}

func (r *rig) connectWatched(t testing.TB) (*pgx.Conn, *wire) {
	t.Helper()
	config, err := pgx.ParseConfig(r.url())
	if err != nil {
		t.Fatal(err)
	}
	w := new(wire)
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var err error
		w.Conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return w, err
	}
	conn, err := pgx.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatalf("connect: %v\nlog:\n%s", err, r.logs)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn, w
}
