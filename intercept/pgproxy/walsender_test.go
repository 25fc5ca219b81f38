package pgproxy_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// Commands and SQL get what the server answers itself, and are told from each other as
// the server does it.
func TestWalsenderAsTheServer(t *testing.T) {
	eachVersion(t, func(t *testing.T, version []testserver.Option) {
		r := replicationRig(t, rigConfig{driver: onReactor, pg: version, setup: "CREATE TABLE t AS SELECT 1 AS n"})
		names := strings.NewReplacer("tmp_a_"+r.pg.Database, "SLOT_NAME", "tmp_b_"+r.pg.Database, "SLOT_NAME")
		for _, mode := range []string{"on", "database"} {
			for _, texts := range [][]string{
				{"IDENTIFY_SYSTEM"}, {"IDENTIFY_SYSTEM ;\n"}, {"identify_system"}, {"Identify_System"}, {"/**/IDENTIFY_SYSTEM"}, {"IDENTIFY_SYSTEM_"}, {"IDENTIFY_SYSTEM$"}, {`"IDENTIFY_SYSTEM"`},
				{"SHOW work_mem"}, {"show work_mem"}, {`SHOW "work_mem";`}, {"SHOW nothing.of_that"}, {"-- x\nSHOW work_mem"}, {"SELECT 1"}, {"SELECT 1; SELECT 2"}, {""}, {";"},
				{"TIMELINE_HISTORY 9"}, {"READ_REPLICATION_SLOT nothing"}, {"DROP_REPLICATION_SLOT nothing"}, {"DROP_REPLICATION_SLOT nothing WAIT"}, {`DROP_REPLICATION_SLOT "Not A Name"`},
				{"CREATE_REPLICATION_SLOT SLOT_NAME TEMPORARY PHYSICAL", "READ_REPLICATION_SLOT SLOT_NAME", "DROP_REPLICATION_SLOT SLOT_NAME"},
				{"CREATE_REPLICATION_SLOT SLOT_NAME TEMPORARY PHYSICAL (RESERVE_WAL)", "CREATE_REPLICATION_SLOT SLOT_NAME PHYSICAL", "START_REPLICATION SLOT nothing LOGICAL 0/0", "IDENTIFY_SYSTEM"},
				{"CREATE_REPLICATION_SLOT SLOT_NAME TEMPORARY LOGICAL test_decoding (SNAPSHOT 'nothing')", "DROP_REPLICATION_SLOT SLOT_NAME", "SELECT n FROM t"},
				{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "CREATE_REPLICATION_SLOT SLOT_NAME TEMPORARY LOGICAL test_decoding (SNAPSHOT 'use')", "SELECT n FROM t", "COMMIT"},
				{"CREATE_REPLICATION_SLOT SLOT_NAME TEMPORARY LOGICAL test_decoding USE_SNAPSHOT"}, {"CREATE_REPLICATION_SLOT SLOT_NAME TEMPORARY LOGICAL nothing_of_that"},
				{"START_REPLICATION FFFFFFFF/0"}, {"START_REPLICATION 0/0 TIMELINE 99"}, {"START_REPLICATION SLOT nothing 0/0"}, {"BASE_BACKUP (nothing)"},
				{"BEGIN", "SELECT 1/0", "IDENTIFY_SYSTEM", "SHOW work_mem", "ROLLBACK"}, {"SELECT set_config('search_path', '', false)", "SELECT n FROM public.t", "SHOW search_path"},
				{"CREATE TABLE SLOT_NAME (n int)", "INSERT INTO SLOT_NAME VALUES (1), (2)", "COPY SLOT_NAME TO STDOUT", "DROP TABLE SLOT_NAME"},
			} {
				through, direct := r.sessionOf(t, 3<<16, "replication", mode), r.directReplication(t, mode)
				for _, text := range texts {
					got := alike(names, through.answered(1, ask(strings.ReplaceAll(text, "SLOT_NAME", "tmp_a_"+r.pg.Database))))
					want := alike(names, direct.answered(1, ask(strings.ReplaceAll(text, "SLOT_NAME", "tmp_b_"+r.pg.Database))))
					if !slices.Equal(got, want) {
						t.Errorf("replication=%s, %q:\ngot  %q\nwant %q", mode, text, got, want)
					}
				}
				_, _ = through.conn.Close(), direct.conn.Close()
			}
			for name, messages := range map[string][]pgproto3.FrontendMessage{
				"Parse": pipeline(extended("SELECT 1"), &pgproto3.Sync{}), "Bind": {&pgproto3.Bind{}, &pgproto3.Sync{}}, "Execute": {&pgproto3.Execute{}, &pgproto3.Sync{}},
				"Describe": {&pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Flush{}, &pgproto3.Sync{}}, "Close": {&pgproto3.Close{ObjectType: 'S', Name: "s"}, &pgproto3.Sync{}},
				"FunctionCall": {&pgproto3.FunctionCall{Function: 31}}, "Sync": {&pgproto3.Flush{}, &pgproto3.Sync{}},
			} {
				through, direct := r.sessionOf(t, 3<<16, "replication", mode), r.directReplication(t, mode)
				if got, want := through.answered(1, messages...), direct.answered(1, messages...); !slices.Equal(got, want) {
					t.Errorf("replication=%s, %s:\ngot  %q\nwant %q", mode, name, got, want)
				}
				through.query("IDENTIFY_SYSTEM", direct.answered(1, ask("IDENTIFY_SYSTEM"))...)
				_, _ = through.conn.Close(), direct.conn.Close()
			}
		}
	})
}

// alike takes what differs from one session to the next out of an answer.
func alike(names *strings.Replacer, answer []string) []string {
	for i, line := range answer {
		answer[i] = regexp.MustCompile(`[0-9A-F]+/[0-9A-F]+`).ReplaceAllString(names.Replace(line), "L/L")
	}
	return answer
}

// directReplication is a session for replication with the server itself.
func (r *rig) directReplication(t testing.TB, mode string) *rawClient {
	t.Helper()
	config, err := pgconn.ParseConfig(r.pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["replication"] = mode
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	h, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Conn.Close() })
	return &rawClient{t: t, conn: h.Conn, Frontend: pgproto3.NewFrontend(h.Conn, h.Conn)}
}

// Each command is put to the policy with what it does.
func TestReplicationFacts(t *testing.T) {
	commands := make(chan policy.Command, 1)
	r := replicationRig(t, rigConfig{driver: onReactor, policy: policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Command.Action != policy.ActionConnect {
			commands <- *in.Command
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	})})
	c := r.sessionOf(t, 3<<16, "replication", "true")
	for text, want := range map[string][]policy.Effect{
		"IDENTIFY_SYSTEM":                          {effectOn("read", "replication", "orders-db")},
		"SHOW work_mem":                            {effectOn("read", "setting", "work_mem")},
		"READ_REPLICATION_SLOT a":                  {effectOn("read", "replication slot", "a")},
		"CREATE_REPLICATION_SLOT A LOGICAL nosuch": {effectOn("define", "replication slot", "a"), effectOn("execute", "output plugin", "nosuch")},
		"DROP_REPLICATION_SLOT nosuch":             {effectOn("delete", "replication slot", "nosuch")},
		"START_REPLICATION SLOT nosuch 0/0":        {effectOn("read", "replication", "orders-db"), effectOn("read", "replication slot", "nosuch")},
		"BASE_BACKUP (TARGET 'server', TARGET_DETAIL 'nowhere')": {
			effectOn("read", "replication", "orders-db"), effectOn("create", "file", "nowhere"),
		},
		"BASE_BACKUP (TARGET 'shell', TARGET_DETAIL 'x')": {effectOn("read", "replication", "orders-db"), effectOn("execute", "backup target", "shell")},
		"UPLOAD_MANIFEST":       {effectOn("create", "backup manifest", "orders-db")},
		"TIMELINE_HISTORY 1000": {effectOn("read", "replication", "orders-db")},
	} {
		c.answered(1, ask(text))
		cmd := <-commands
		opaque := strings.HasPrefix(text, "START") || strings.HasPrefix(text, "BASE")
		if cmd.Text != text || !slices.EqualFunc(cmd.Effects, want, sameEffect) || (len(cmd.Opaque) > 0) != opaque {
			t.Errorf("%q: got %+v", text, cmd)
		}
		if word, _, _ := strings.Cut(text, " "); len(cmd.SQL.Statements) != 1 || cmd.SQL.Statements[0].Tag != word {
			t.Errorf("%q: got %+v", text, cmd.SQL)
		}
	}
}

func sameEffect(a, b policy.Effect) bool {
	return a.Verb == b.Verb && a.Kind == b.Kind && a.Name == b.Name
}

// streaming is a session in which the log is being sent.
func (r *rig) streaming(t *testing.T) *rawClient {
	t.Helper()
	c := r.sessionOf(t, 3<<16, "replication", "true")
	c.send(ask("START_REPLICATION " + r.pg.Query("SELECT pg_current_wal_flush_lsn()")[0][0]))
	if got := short(c.next()); got != "CopyBothResponse" {
		t.Fatalf("got %q", got)
	}
	return c
}

// untilNoData reads what is streamed until something else comes.
func (w *rawClient) untilNoData() []string {
	w.t.Helper()
	for {
		m := w.next()
		if _, ok := m.(*pgproto3.CopyData); ok {
			continue
		}
		got := []string{short(m)}
		if got[0] != "ZI" {
			got = append(got, w.until(1)...)
		}
		return got
	}
}

func statusReply() *pgproto3.CopyData {
	return &pgproto3.CopyData{Data: append([]byte{'r'}, make([]byte, 33)...)}
}

func TestStreamEndsByEitherSide(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := replicationRig(t, rigConfig{driver: d})
		c := r.streaming(t)
		c.send(statusReply(), &pgproto3.CopyData{Data: append([]byte{'h'}, make([]byte, 24)...)}, &pgproto3.CopyDone{})
		if got := c.untilNoData(); !slices.Equal(got, []string{"CopyDone", "START_STREAMING", "START_REPLICATION", "ZI"}) && !slices.Equal(got, []string{"CopyDone", "COPY 0", "START_STREAMING", "ZI"}) && !slices.Equal(got, []string{"CopyDone", "COPY 0", "START_REPLICATION", "ZI"}) {
			t.Errorf("the client ends: got %q", got)
		}
		if got := c.answered(1, ask("IDENTIFY_SYSTEM")); got[len(got)-1] != "ZI" || len(got) != 4 {
			t.Errorf("behind it: got %q", got)
		}
		c = r.streaming(t)
		r.cancel(t, c)
		if got := c.untilNoData(); !slices.Equal(got, []string{"ERROR 57014", "ZI"}) {
			t.Errorf("cancelled: got %q", got)
		}
		c.send(statusReply(), ask("SHOW data_directory_mode")) // a reply that was on its way
		c.expect("RowDescription", "row 0700", "SHOW", "ZI")
		c = r.streaming(t)
		c.send(&pgproto3.Terminate{})
		c.end()
		r.eventually(t, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "0")
	})
}

// What has no place in a stream ends the session, and does not get to the server.
func TestStrayMessagesInStream(t *testing.T) {
	r := replicationRig(t, rigConfig{driver: onReactor, setup: "CREATE TABLE t (n int)"})
	for _, stray := range []pgproto3.FrontendMessage{
		ask("DROP TABLE t"), &pgproto3.Sync{}, &pgproto3.Flush{}, &pgproto3.CopyFail{Message: "x"}, &pgproto3.CopyData{}, &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyData{Data: []byte("r")},
		&pgproto3.CopyData{Data: append([]byte{'r'}, make([]byte, 34)...)}, &pgproto3.CopyData{Data: append([]byte{'p'}, make([]byte, 8)...)}, &pgproto3.CopyData{Data: make([]byte, 1<<20)},
		&pgproto3.Parse{Query: "DROP TABLE t"}, &pgproto3.FunctionCall{Function: 31},
	} {
		c := r.streaming(t)
		c.send(stray)
		got := c.end()
		if len(got) == 0 || got[len(got)-1] != "FATAL 08P01" {
			t.Errorf("%+v: got %.300q", stray, got)
		}
	}
	r.eventually(t, "SELECT to_regclass('t')::text", "t")
}

func TestLimitsOfStreams(t *testing.T) {
	for name, test := range map[string]struct {
		limit policy.Limit
		want  string
	}{"bytes": {policy.Limit{Bytes: 100_000}, "ERROR 54000"}, "time": {policy.Limit{Timeout: 300 * time.Millisecond}, "ERROR 57014"}} {
		r := replicationRig(t, rigConfig{driver: onReactor, policy: limiting(test.limit)})
		c := r.streaming(t)
		r.pg.Exec("CREATE TABLE t AS SELECT g FROM generate_series(1, 50000) g; CHECKPOINT")
		size, state := 0, ""
		for state == "" {
			switch m := c.next().(type) {
			case *pgproto3.CopyData:
				size += len(m.Data)
			case *pgproto3.ErrorResponse:
				state = short(m)
				if !strings.HasPrefix(m.Detail, `{"code":"limit_exceeded"`) {
					t.Errorf("%s: got %+v", name, m)
				}
			default:
				t.Fatalf("%s: got %+v", name, m)
			}
		}
		if state != test.want || test.limit.Bytes > 0 && size > int(test.limit.Bytes) {
			t.Errorf("%s: got %s behind %d bytes", name, state, size)
		}
		c.expect("ZI")
		if got := c.answered(1, ask("IDENTIFY_SYSTEM")); got[len(got)-1] != "ZI" || len(got) != 4 {
			t.Errorf("%s: behind it: got %q", name, got)
		}
	}
	r := replicationRig(t, rigConfig{driver: onReactor, policy: limiting(policy.Limit{Rows: 10})})
	c := r.sessionOf(t, 3<<16, "replication", "true")
	c.query("START_REPLICATION 0/0", "ERROR 0A000", "ZI")
	c.query("BASE_BACKUP", "ERROR 0A000", "ZI")
	r = replicationRig(t, rigConfig{driver: onReactor, policy: limiting(policy.Limit{Bytes: 1 << 20})})
	c = r.sessionOf(t, 3<<16, "replication", "true")
	got := c.answered(1, ask("BASE_BACKUP (CHECKPOINT 'fast')"))
	if n := len(got); got[n-2] != "ERROR 54000" {
		t.Errorf("a backup beyond the limit: got %.300q", got[n-2:])
	}
}

func TestStreamEndsWithRights(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := replicationRig(t, rigConfig{driver: d})
		c := r.streaming(t)
		r.revokeAll(t)
		if got := c.end(); len(got) == 0 || got[len(got)-1] != "FATAL 57P01" {
			t.Errorf("revoked: got %.300q", got)
		}
		r = replicationRig(t, rigConfig{driver: d, verifier: identity.VerifierFunc(func(ctx context.Context, p identity.Proof) (policy.Identity, error) {
			id, err := verifyToken(ctx, p)
			id.Expires = time.Now().Add(500 * time.Millisecond)
			return id, err
		})})
		c = r.streaming(t)
		if got := c.end(); len(got) == 0 || got[len(got)-1] != "FATAL 57P01" {
			t.Errorf("expired: got %.300q", got)
		}
		r.eventually(t, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "0")
	})
}
