package pgproxy_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/policy"
)

// fastpathLeaks are functions that bring masked values out, and ways to put one thing
// in the place of another.
const fastpathLeaks = `
CREATE FUNCTION leak_definer() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT email FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION leak_row() RETURNS people LANGUAGE sql STABLE AS 'SELECT * FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION leak_out(OUT a text, OUT b text) LANGUAGE sql STABLE AS 'SELECT email, card FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION leak_array() RETURNS text[] LANGUAGE sql STABLE AS 'SELECT array_agg(email) FROM people';
CREATE FUNCTION leak_number() RETURNS int8 LANGUAGE sql STABLE AS 'SELECT salary FROM people ORDER BY id LIMIT 1';
CREATE FUNCTION leak_of_all(VARIADIC int[]) RETURNS text LANGUAGE sql STABLE AS 'SELECT string_agg(email, '','') FROM people WHERE id = ANY ($1)';
CREATE FUNCTION leak_json(jsonb) RETURNS jsonb LANGUAGE sql STABLE AS 'SELECT jsonb_agg(p) FROM people p';
CREATE FUNCTION leak_by_channel() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('me', (SELECT email FROM people ORDER BY id LIMIT 1)); END $$;
CREATE FUNCTION leak_setting() RETURNS text LANGUAGE sql AS $$ SELECT set_config('application_name', (SELECT email FROM people ORDER BY id LIMIT 1), false) $$;
CREATE FUNCTION run_text(sql text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE v text; BEGIN EXECUTE sql INTO v; RETURN v; END $$;
CREATE FUNCTION pg_catalog.reverse(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM public.people ORDER BY id LIMIT 1';
CREATE FUNCTION harmless() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'harmless'::text $$;
CREATE FUNCTION swap_statement() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE s'; EXECUTE 'PREPARE s AS SELECT email FROM people'; RETURN 1; END $$;
CREATE FUNCTION swap_cursor() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CLOSE c'; EXECUTE 'DECLARE c CURSOR FOR SELECT email FROM people'; RETURN 1; END $$;
SELECT lo_from_bytea(4242, convert_to((SELECT string_agg(email, ',') FROM people), 'UTF8'));`

// watchedSession is a session whose bytes are all kept.
func (r *rig) watchedSession(t *testing.T) (*rawClient, *wire) {
	t.Helper()
	conn, w := r.connectWatched(t)
	h, err := takeOver(conn.PgConn())
	if err != nil {
		t.Fatal(err)
	}
	return &rawClient{t: t, conn: h.Conn, Frontend: h.Frontend}, w
}

// answered sends messages and returns what comes up to n ReadyForQuery or the end of
// the connection.
func (w *rawClient) answered(n int, messages ...pgproto3.FrontendMessage) []string {
	w.t.Helper()
	w.send(messages...)
	var got []string
	for n > 0 {
		m, err := w.Receive()
		if err != nil {
			return append(got, "end")
		}
		if _, ready := m.(*pgproto3.ReadyForQuery); ready {
			n--
		}
		got = append(got, short(m))
	}
	return got
}

// fastpathAttempt is messages that try to bring something out, each answered by a
// ReadyForQuery, and beside it some that must be answered by what is wanted.
type fastpathAttempt struct {
	name  string
	steps []pgproto3.FrontendMessage
	twin  []pgproto3.FrontendMessage
	want  []string
}

func ask(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }

func bothFormats(function uint32, args ...string) []pgproto3.FrontendMessage {
	text, inBinary := calling(function, args...), calling(function, args...)
	inBinary.ResultFormatCode = 1
	return []pgproto3.FrontendMessage{text, inBinary}
}

func TestBypassByFastPath(t *testing.T) {
	r := newBypassRig(t, maskedColumns(), fastpathLeaks)
	r.pg.Exec("CHECKPOINT")
	of := func(signature string) uint32 { return r.oid(t, signature) }
	file := r.pg.Query("SELECT pg_relation_filepath('people')")[0][0]
	plain := []pgproto3.FrontendMessage{calling(oidReverse, "abc")}
	reversedABC := []string{`value "cba"`, "ZI"}
	all := []fastpathAttempt{
		{"function", bothFormats(of("leak()")), plain, reversedABC},
		{"security definer", bothFormats(of("leak_definer()")), plain, reversedABC},
		{"row", bothFormats(of("leak_row()")), plain, reversedABC},
		{"record", bothFormats(of("leak_out()")), plain, reversedABC},
		{"array", bothFormats(of("leak_array()")), plain, reversedABC},
		{"number", bothFormats(of("leak_number()")), []pgproto3.FrontendMessage{callingBinary(of("length(text)"), []byte("four"))}, []string{`value "\x00\x00\x00\x04"`, "ZI"}},
		{"document", bothFormats(of("leak_json(jsonb)"), "{}"), bothFormats(of("jsonb_typeof(jsonb)"), "{}")[:1], []string{`value "object"`, "ZI"}},
		{"array of arguments", []pgproto3.FrontendMessage{
			calling(of("leak_of_all(int[])"), "{1,2}"), callingBinary(of("leak_of_all(int[])"), intArray(1, 2)), calling(of("leak_of_all(int[])"), "1", "2"),
			&pgproto3.FunctionCall{Function: of("leak_of_all(int[])"), ArgFormatCodes: []uint16{1}, Arguments: [][]byte{intArray(1)}},
		}, []pgproto3.FrontendMessage{&pgproto3.FunctionCall{Function: of("cardinality(anyarray)"), Arguments: [][]byte{[]byte("{1}")}}}, []string{"ERROR 0A000", "ZI"}},
		{"numbers of arguments", []pgproto3.FrontendMessage{calling(of("leak()"), "x"), calling(of("leak_of(text)")), calling(of("leak_of(text)"), "a", "b"), &pgproto3.FunctionCall{Function: of("leak_of(text)"), Arguments: [][]byte{nil}}},
			plain, reversedABC},
		{"notice and error", append(bothFormats(of("leak_loudly()")), calling(of("leak_failing()"))), []pgproto3.FrontendMessage{calling(oidInt4div, "1", "0")}, []string{"ERROR 22012", "ZI"}},
		{"xml", append(bothFormats(of("query_to_xml(text,boolean,boolean,text)"), "SELECT email FROM people", "t", "t", ""), calling(of("table_to_xml(regclass,boolean,boolean,text)"), "people", "t", "t", "")), plain, reversedABC},
		{"SQL text", bothFormats(of("run_text(text)"), "SELECT email FROM people LIMIT 1"), plain, reversedABC},
		{"file", append(bothFormats(of("pg_read_binary_file(text)"), file), calling(oidReadAll, "/etc/hostname"), calling(of("pg_read_binary_file(text,bigint,bigint)"), file, "0", "8192")),
			[]pgproto3.FrontendMessage{calling(of("pg_relation_filepath(regclass)"), "people")}, []string{`value "` + file + `"`, "ZI"}},
		{"large object", append(bothFormats(oidLoGet, "4242"), ask("BEGIN"), calling(oidLoOpen, "4242", "262144"), calling(oidLoRead, "0", "1000"), callingBinary(oidLoRead, int4(0), int4(5)), ask("COMMIT")),
			[]pgproto3.FrontendMessage{calling(oidLoCreat, "-1")}, []string{`value "0"`, "ZI"}},
		{"channel", []pgproto3.FrontendMessage{ask("LISTEN me"), calling(of("leak_by_channel()")), ask("SELECT 1")}, plain, reversedABC},
		{"setting", []pgproto3.FrontendMessage{calling(of("leak_setting()")), ask("SELECT leak_setting()"), ask("SELECT 1")},
			[]pgproto3.FrontendMessage{calling(of("current_setting(text)"), "server_encoding")}, []string{`value "UTF8"`, "ZI"}},
		{"name of a built-in function", bothFormats(of("lower(int)"), "1"), plain, reversedABC},
		{"in the catalogue's schema", bothFormats(of("pg_catalog.reverse(int)"), "1"), plain, reversedABC},
		{"operator's function", bothFormats(of("leak_plus(int,int)"), "1", "1"), []pgproto3.FrontendMessage{calling(of("length(text)"), "ab")}, []string{`value "2"`, "ZI"}},
		{"type's input", bothFormats(of("record_out(record)"), "(1)"), plain, reversedABC},
		{"statement between Parse and Bind", []pgproto3.FrontendMessage{ask("PREPARE s AS SELECT item FROM orders"), calling(of("swap_statement()")), ask("EXECUTE s")}, plain, reversedABC},
		{"cursor", []pgproto3.FrontendMessage{ask("BEGIN"), ask("DECLARE c CURSOR FOR SELECT item FROM orders"), calling(of("swap_cursor()")), ask("FETCH ALL c"), ask("COMMIT")}, plain, reversedABC},
		{"no such function", []pgproto3.FrontendMessage{calling(0), calling(1), calling(4294967295)}, plain, reversedABC},
	}
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) { a.try(t, r) })
	}
}

func (a *fastpathAttempt) try(t *testing.T, r *rig) {
	t.Helper()
	c, wire := r.watchedSession(t)
	for _, step := range a.steps {
		got := c.answered(1, step)
		t.Logf("%+v: %q", step, got)
		if found := wire.leaks(); len(found) > 0 {
			t.Fatalf("%q leaked by %+v", found, step)
		}
		if got[len(got)-1] == "end" {
			break
		}
	}
	c, wire = r.watchedSession(t)
	n := strings.Count(strings.Join(a.want, " "), "Z")
	if got := c.answered(n, a.twin...); !slices.Equal(got, a.want) {
		t.Errorf("the twin got %q, want %q", got, a.want)
	}
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked by the twin", found)
	}
}

// intArray is an int[] in binary.
func intArray(numbers ...int32) []byte {
	b := append(append(int4(1), int4(0)...), int4(23)...)
	b = append(append(b, int4(int32(len(numbers)))...), int4(1)...)
	for _, n := range numbers {
		b = append(append(b, int4(4)...), int4(n)...)
	}
	return b
}

// The statement of a name that a called function could have prepared anew is no longer
// taken for what was judged, in one pipeline or step by step.
func TestBypassByFastPathAmongNames(t *testing.T) {
	r := newBypassRig(t, maskedColumns(), fastpathLeaks)
	swap := r.oid(t, "swap_statement()")
	for name, function := range map[string]uint32{"swapped": swap, "harmless": r.oid(t, "harmless()")} {
		for _, together := range []bool{true, false} {
			c, wire := r.watchedSession(t)
			messages := []pgproto3.FrontendMessage{
				&pgproto3.Parse{Name: "s", Query: "SELECT item FROM orders ORDER BY id LIMIT 1"}, calling(function),
				&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{},
			}
			var got []string
			if together {
				got = c.answered(2, messages...)
			} else {
				got = append(c.answered(1, messages[:2]...), c.answered(1, messages[2:]...)...)
			}
			if found := wire.leaks(); len(found) > 0 {
				t.Errorf("%s, together %t: %q leaked; got %q", name, together, found, got)
			}
			if !slices.Contains(got, "row tea") {
				t.Errorf("%s, together %t: got %q", name, together, got)
			}
		}
	}
}

// A function that is replaced, renamed or made while the catalogue is remembered is
// judged as what it is then, or refused.
func TestBypassByFastPathOfChangedFunctions(t *testing.T) {
	const replaced = `CREATE OR REPLACE FUNCTION harmless() RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM people ORDER BY id LIMIT 1'`
	for name, change := range map[string]string{
		"replaced": replaced,
		"renamed":  "ALTER FUNCTION harmless() RENAME TO innocent; " + replaced,
		"moved":    "CREATE SCHEMA elsewhere; ALTER FUNCTION harmless() SET SCHEMA elsewhere",
	} {
		for _, inTransaction := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				r := newBypassRig(t, maskedColumns(), fastpathLeaks)
				harmless := r.oid(t, "harmless()")
				c, wire := r.watchedSession(t)
				steps := []pgproto3.FrontendMessage{calling(harmless), ask("BEGIN"), ask(change), calling(harmless), calling(r.oid(t, "leak()"))}
				if !inTransaction {
					steps = append(steps, ask("COMMIT"), calling(harmless))
				}
				for _, step := range steps {
					t.Logf("%+v: %q", step, c.answered(1, step))
				}
				if found := wire.leaks(); len(found) > 0 {
					t.Errorf("%q leaked", found)
				}
			})
		}
	}
}

// One policy's denial of a function holds whatever it is called by; and a function that
// the gateway can't know yet is refused.
func TestBypassByFastPathOfDeniedFunction(t *testing.T) {
	r := newRig(t, rigConfig{driver: onReactor, policy: denyingFunction("public.store"), setup: fastpathSetup})
	store := r.oid(t, "store(text)")
	c := r.session(t)
	for _, m := range []*pgproto3.FunctionCall{calling(store, "x"), callingBinary(store, []byte("x")), calling(store), {Function: store, Arguments: [][]byte{nil}}} {
		c.send(m)
		c.expect("ERROR 42501", "ZI")
	}
	r.pg.Exec("ALTER FUNCTION store(text) RENAME TO shelve") // past the gateway
	c.send(calling(store, "x"))
	c.expect("ERROR 42501", "ZI")
	c.query("BEGIN", "BEGIN", "ZT")
	c.query("CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'DELETE FROM items RETURNING 1'", "CREATE FUNCTION", "ZT")
	c.send(ask("SELECT 'fresh()'::regprocedure::oid"))
	fresh, err := strconv.ParseUint(strings.TrimPrefix(c.until(1)[1], "row "), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	c.send(calling(uint32(fresh)))
	c.expect("ERROR 0A000", "ZE")
	c.query("ROLLBACK", "ROLLBACK", "ZI")
	r.wantItems("10")
}

// While rows of a COPY are expected a call has no place, and does nothing.
func TestBypassByFastPathInCopy(t *testing.T) {
	r := newRig(t, rigConfig{driver: onReactor, setup: fastpathSetup})
	store := r.oid(t, "store(text)")
	c := r.session(t)
	c.send(ask("COPY items (id) FROM STDIN"), &pgproto3.CopyData{Data: []byte("700\n")}, calling(store, "x"))
	c.end()
	r.wantItems("10")
	c = r.session(t)
	c.send(ask("COPY items (id) FROM STDIN"), &pgproto3.CopyData{Data: []byte("700\n")}, &pgproto3.CopyDone{}, calling(store, "x"))
	c.expect("CopyInResponse", "COPY 1", "ZI", `value "900"`, "ZI")
	r.wantItems("12")
}

// Under a policy that allows reading only, no call changes anything or reads outside.
func TestBypassOfReadOnlyByFastPath(t *testing.T) {
	r := newBypassRig(t, readingOnly(), fastpathLeaks)
	of := func(signature string) uint32 { return r.oid(t, signature) }
	victim := r.connect(t)
	pid := r.pg.Query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND usename = current_user LIMIT 1")[0][0]
	state := func() string {
		return strings.Join(slices.Concat(r.pg.Query(`SELECT (SELECT count(*) FROM notes)::text, (SELECT count(*) FROM orders)::text, (SELECT count(*) FROM pg_largeobject_metadata)::text, (SELECT last_value FROM tickets)::text,
			(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')::text`)...), ",")
	}
	before := state()
	c := r.session(t)
	for name, call := range map[string]*pgproto3.FunctionCall{
		"file": calling(oidReadAll, "/etc/passwd"), "file's state": calling(of("pg_stat_file(text)"), "/etc/passwd"),
		"xml": calling(of("query_to_xml(text,boolean,boolean,text)"), "DELETE FROM orders RETURNING 1", "t", "t", ""), "text": calling(of("run_text(text)"), "DELETE FROM orders RETURNING 1"),
		"store": calling(of("store(text)"), "x"), "leak": calling(of("leak()")),
		"object": calling(oidLoCreat, "-1"), "object read": calling(oidLoGet, "4242"), "object open": calling(oidLoOpen, "4242", "393216"), "object write": calling(oidLoWrite, "0", "x"),
		"object from a file": calling(of("lo_import(text)"), "/etc/passwd"), "object to a file": calling(of("lo_export(oid,text)"), "4242", "/tmp/headgate-fastpath"), "object gone": calling(of("lo_unlink(oid)"), "4242"),
		"sequence": calling(of("nextval(regclass)"), "tickets"), "sequence set": calling(of("setval(regclass,bigint)"), "tickets", "5000"),
		"setting": calling(of("set_config(text,text,boolean)"), "search_path", "other", "f"), "lock": calling(of("pg_advisory_lock(bigint)"), "1"), "notify": calling(of("pg_notify(text,text)"), "a", "b"),
		"terminate": calling(of("pg_terminate_backend(int,bigint)"), pid, "0"), "cancel": calling(of("pg_cancel_backend(int)"), pid), "reload": calling(of("pg_reload_conf()")),
		"wal": calling(of("pg_switch_wal()")), "message": calling(of("pg_logical_emit_message(boolean,text,text)"), "t", "a", "b"), "restore point": calling(of("pg_create_restore_point(text)"), "x"),
		"slot": calling(of("pg_drop_replication_slot(name)"), "x"), "statistics": calling(of("pg_stat_reset()")), "snapshot": calling(of("pg_export_snapshot()")),
	} {
		if got := c.answered(1, call); len(got) != 2 || !strings.HasPrefix(got[0], "ERROR 42501") && got[0] != "ERROR 0A000" || got[1] != "ZI" {
			t.Errorf("%s: got %q", name, got)
		}
		c.send(calling(oidReverse, "abc"))
		c.expect(`value "cba"`, "ZI")
	}
	if after := state(); after != before {
		t.Errorf("state before %s, after %s", before, after)
	}
	if rows, err := runSimple(t.Context(), victim, "SELECT 1"); err != nil || joined(rows) != "1" {
		t.Errorf("another session: %v", err)
	}
}

// What the server was told of an identity is not changed by a call, nor by a qualified
// call of what runs SQL text.
func TestBypassOfPropagationByFastPath(t *testing.T) {
	r := tenants(t, bySetting())
	r.pg.Exec("CREATE EXTENSION tablefunc")
	h, err := takeOver(r.as(t, "agent-one").PgConn())
	if err != nil {
		t.Fatal(err)
	}
	c := &rawClient{t: t, conn: h.Conn, Frontend: h.Frontend}
	const becoming = "SELECT set_config('headgate.subject', 'agent-two', false), '1', '2'"
	for _, m := range []pgproto3.FrontendMessage{
		calling(r.oid(t, "set_config(text,text,boolean)"), "headgate.subject", "agent-two", "f"),
		&pgproto3.FunctionCall{Function: r.oid(t, "set_config(text,text,boolean)"), Arguments: [][]byte{[]byte("headgate.subject"), nil, []byte("f")}},
		calling(r.oid(t, "query_to_xml(text,boolean,boolean,text)"), becoming, "t", "f", ""),
		ask("SELECT * FROM public.crosstab($$" + becoming + "$$) AS t(a text, b text)"),
	} {
		if got := c.answered(1, m); len(got) != 2 || got[0] != "ERROR 0A000" {
			t.Errorf("%+v: got %q", m, got)
		}
		c.query("SELECT content FROM by_setting", "RowDescription", "row for-one", "SELECT 1", "ZI")
	}
	c.send(calling(r.oid(t, "current_setting(text)"), "headgate.subject"))
	c.expect(`value "agent-one"`, "ZI")
}

// Where a rule refuses what can't be traced, so is the call: before it runs, and the
// session goes on.
func TestBypassOfUntracedByFastPath(t *testing.T) {
	r := newBypassRig(t, policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: []policy.Mask{{Table: "public.people", Column: "email", Method: "redact", Untraced: policy.MaskRefuse}}}, nil
	}), fastpathLeaks)
	c, wire := r.watchedSession(t)
	for _, m := range append(bothFormats(r.oid(t, "leak()")), append(bothFormats(oidLoGet, "4242"), bothFormats(r.oid(t, "harmless()"))...)...) {
		if got := c.answered(1, m); !slices.Equal(got, []string{"ERROR 42501", "ZI"}) {
			t.Errorf("%+v: got %q", m, got)
		}
		c.send(calling(oidReverse, "abc"))
		c.expect(`value "cba"`, "ZI")
	}
	if found := wire.leaks(); len(found) > 0 {
		t.Errorf("%q leaked", found)
	}
}

// A search path that a called function has set is followed.
func TestBypassOfSearchPathByFastPath(t *testing.T) {
	r := newBypassRig(t, maskedColumns(), fastpathLeaks, `CREATE FUNCTION go_back() RETURNS text LANGUAGE sql AS $$ SELECT set_config('search_path', 'public', false) $$;`)
	goBack := r.oid(t, "go_back()")
	for _, together := range []bool{true, false} {
		c, wire := r.watchedSession(t)
		t.Logf("%q", c.answered(1, ask("SET search_path = other")))
		if got := c.answered(1, ask("SELECT email FROM people")); !slices.Contains(got, "row open@public.example") {
			t.Errorf("the twin got %q", got)
		}
		messages := []pgproto3.FrontendMessage{calling(goBack), ask("SELECT email FROM people")}
		if together {
			t.Logf("%q", c.answered(2, messages...))
		} else {
			t.Logf("%q %q", c.answered(1, messages[0]), c.answered(1, messages[1]))
		}
		if found := wire.leaks(); len(found) > 0 {
			t.Errorf("together %t: %q leaked", together, found)
		}
	}
}
