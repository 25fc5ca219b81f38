package pgproxy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

// leakRig is a gateway in front of a server whose log holds masked values, in a slot of
// the name that is returned.
func leakRig(t *testing.T, p policy.Evaluator, version []testserver.Option) (*rig, string) {
	t.Helper()
	schema := regexp.MustCompile(`CREATE FUNCTION json_.*`).ReplaceAllString(bypassSchema, "") // newer servers have words of the grammar there
	r := replicationRig(t, rigConfig{policy: p, driver: onReactor, pg: version, proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}, setup: schema})
	slot := "leak_" + r.pg.Database
	r.pg.Exec("SELECT pg_create_logical_replication_slot('" + slot + "', 'test_decoding')")
	t.Cleanup(func() {
		r.gateway.Revoke(gateway.Selector{All: true}, "test")
		r.eventually(t, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '"+slot+"' AND active", "0")
		r.pg.Exec("SELECT pg_drop_replication_slot('" + slot + "')")
	})
	r.pg.Exec("UPDATE people SET age = age + 1; SELECT pg_logical_emit_message(false, 'test', repeat('x', 20000)); CHECKPOINT")
	return r, slot
}

// watchedReplication is a session for replication whose bytes are all kept.
func (r *rig) watchedReplication(t *testing.T, mode string) (*rawClient, *wire) {
	t.Helper()
	c := r.dial(t)
	w := &wire{Conn: c.conn}
	c.conn, c.Frontend = w, pgproto3.NewFrontend(w, w)
	return c.start(3<<16, "replication", mode), w
}

func rawQuery(body string) []byte {
	b := append(binary.BigEndian.AppendUint32([]byte{'Q'}, uint32(4+len(body))), body...)
	return b
}

// leakingCommands are texts of which the server, asked directly, would send masked values for
// some in some of the modes, and texts that hide such ones.
func leakingCommands(slot string) []string {
	stream := "START_REPLICATION SLOT " + slot + " LOGICAL 0/0"
	return []string{
		stream, stream + ";", `START_REPLICATION SLOT "` + slot + `" LOGICAL 0/0`, stream + " (\"include-xids\" '0')", stream + " (skip_empty_xacts)", strings.ReplaceAll(stream, " ", "\n"),
		"START_REPLICATION SLOT " + strings.ToUpper(slot) + " LOGICAL 0/0", "START_REPLICATION 0/100000 TIMELINE 1", "START_REPLICATION PHYSICAL 0/100000", "START_REPLICATION 0/100000",
		"BASE_BACKUP", "BASE_BACKUP (LABEL 'x')", "BASE_BACKUP (CHECKPOINT 'fast', WAL, MANIFEST 'yes')", "BASE_BACKUP LABEL 'x' FAST", "BASE_BACKUP (TARGET 'server', TARGET_DETAIL '/tmp/headgate-test-backup')",
		"TIMELINE_HISTORY 1",
		// one hidden behind another
		"IDENTIFY_SYSTEM; " + stream, "IDENTIFY_SYSTEM; DROP TABLE orders", "IDENTIFY_SYSTEM; SELECT email FROM people", "SHOW work_mem; SELECT email FROM people", "SHOW work_mem; DROP TABLE orders",
		"SELECT 1; " + stream, "SELECT 1; BASE_BACKUP", "SHOW work_mem; BASE_BACKUP", "IDENTIFY_SYSTEM -- ;\n; SELECT email FROM people", "SHOW work_mem; INSERT INTO notes (body) VALUES ('x')",
		// comments, quotes, case and blanks before the word by which the server decides
		"/**/" + stream, "-- x\n" + stream, "--\r" + stream, "/* " + stream, `"START_REPLICATION" SLOT ` + slot + " LOGICAL 0/0", strings.ToLower(stream), "Start_Replication SLOT " + slot + " LOGICAL 0/0", "base_backup", "Base_Backup",
		"\r" + stream, "\f" + stream, "\v" + stream, "\u00a0" + stream, ";" + stream, "(" + stream + ")", "\r\nBASE_BACKUP", "\vBASE_BACKUP", "\fSHOW work_mem; SELECT email FROM people",
		"show work_mem; SELECT email FROM people", "Show work_mem; SELECT email FROM people", "/**/SHOW work_mem; SELECT email FROM people", "\vSHOW work_mem; SELECT email FROM people",
		"START_REPLICATION/**/SLOT " + slot + " LOGICAL 0/0", "START_REPLICATION--\nSLOT " + slot + " LOGICAL 0/0", "BASE_BACKUP--", "BASE_BACKUP;;", "BASE_BACKUP;BASE_BACKUP",
		// names
		`START_REPLICATION SLOT "` + slot + `"" " LOGICAL 0/0`, `START_REPLICATION SLOT '` + slot + `' LOGICAL 0/0`, `START_REPLICATION SLOT U&"` + slot + `" LOGICAL 0/0`,
		`CREATE_REPLICATION_SLOT "a; SELECT email FROM people" TEMPORARY PHYSICAL`, "CREATE_REPLICATION_SLOT tmp TEMPORARY LOGICAL test_decoding (SNAPSHOT 'use'); SELECT email FROM people",
		"START_REPLICATION SLOT " + slot + " LOGICAL 0/0 (a '); SELECT email FROM people --')",
		// SQL
		"SELECT email FROM people", "SELECT people FROM people", "COPY people TO STDOUT", "COPY (SELECT email FROM people) TO STDOUT (FORMAT csv)", "COPY people TO STDOUT; BASE_BACKUP",
		"SELECT data FROM pg_logical_slot_peek_changes('" + slot + "', NULL, NULL)", "SELECT data FROM pg_logical_slot_peek_binary_changes('" + slot + "', NULL, NULL, 'force-binary', 'true')",
		"DO $$ BEGIN EXECUTE 'BASE_BACKUP'; END $$", "PREPARE p AS " + stream, "EXPLAIN ANALYZE " + stream, "PREPARE p AS SELECT email FROM people; EXECUTE p", "DECLARE c CURSOR WITH HOLD FOR SELECT email FROM people; FETCH ALL c",
		"SELECT set_config('application_name', (SELECT email FROM people LIMIT 1), false)", "SHOW application_name",
		"UPDATE people SET name = email RETURNING name", "SELECT (SELECT email FROM people LIMIT 1)::int", "SELECT pg_notify('c', email) FROM people",
	}
}

// No masked value gets out by way of the log, of a copy of the files, or of a text that
// one reader takes for SQL and another for a command of replication.
func TestBypassByReplication(t *testing.T) {
	eachVersion(t, func(t *testing.T, version []testserver.Option) {
		r, slot := leakRig(t, maskedColumns(), version)
		before := r.pg.Query("SELECT count(*) FROM orders")[0][0] + r.pg.Query("SELECT count(*) FROM notes")[0][0]
		for _, mode := range []string{"true", "database"} {
			for _, text := range leakingCommands(slot) {
				c, w := r.watchedReplication(t, mode)
				got := c.answered(1, ask(text))
				if slices.Contains(got, "CopyBothResponse") {
					t.Errorf("replication=%s, %q: the log is sent", mode, text)
				}
				if found := w.leaks(); len(found) > 0 {
					t.Errorf("replication=%s, %q leaked by %q: %q", mode, found, text, got)
				}
				if got[len(got)-1] != "ZI" {
					t.Errorf("replication=%s, %q: the session does not go on: %q", mode, text, got)
					continue
				}
				r.twinOfReplication(t, c, mode)
				_ = c.conn.Close()
			}
		}
		if after := r.pg.Query("SELECT count(*) FROM orders")[0][0] + r.pg.Query("SELECT count(*) FROM notes")[0][0]; after != before {
			t.Errorf("%s rows, %s before", after, before)
		}
	})
}

// twinOfReplication checks that what is harmless passes in the same session.
func (r *rig) twinOfReplication(t *testing.T, c *rawClient, mode string) {
	t.Helper()
	if got := c.answered(1, ask("IDENTIFY_SYSTEM")); len(got) != 4 || got[2] != "IDENTIFY_SYSTEM" || got[3] != "ZI" {
		t.Errorf("IDENTIFY_SYSTEM got %q", got)
	}
	if got := c.answered(1, ask("SHOW data_directory_mode")); !slices.Equal(got, []string{"RowDescription", "row 0700", "SHOW", "ZI"}) {
		t.Errorf("SHOW got %q", got)
	}
	if mode != "database" {
		return
	}
	if got := c.answered(1, ask("SELECT item FROM orders ORDER BY id")); !slices.Equal(got, append(answer("SELECT 2", "tea", "jam"), "ZI")) {
		t.Errorf("SELECT got %q", got)
	}
}

// By messages that are not Query, or not at their place, nothing is brought out either.
func TestBypassByMessagesOfReplication(t *testing.T) {
	r, slot := leakRig(t, maskedColumns(), nil)
	stream := "START_REPLICATION SLOT " + slot + " LOGICAL 0/0"
	reply := &pgproto3.CopyData{Data: append([]byte{'r'}, make([]byte, 33)...)}
	for name, send := range map[string]func(c *rawClient){
		"NUL":            func(c *rawClient) { c.bytes(rawQuery("IDENTIFY_SYSTEM\x00; SELECT email FROM people\x00")) },
		"NUL before":     func(c *rawClient) { c.bytes(rawQuery("\x00" + stream + "\x00")) },
		"not terminated": func(c *rawClient) { c.bytes(rawQuery(stream)) },
		"Parse":          func(c *rawClient) { c.send(pipeline(extended(stream), &pgproto3.Sync{})...) },
		"Parse of SQL":   func(c *rawClient) { c.send(pipeline(extended("SELECT email FROM people"), &pgproto3.Sync{})...) },
		"function":       func(c *rawClient) { c.send(calling(oidReadAll, "/etc/hostname")) },
		"replies before": func(c *rawClient) { c.send(reply, ask(stream), reply) },
		"CopyDone before": func(c *rawClient) {
			c.send(&pgproto3.CopyDone{}, &pgproto3.CopyFail{}, ask(stream), &pgproto3.CopyDone{})
		},
		"SQL in CopyData": func(c *rawClient) {
			c.send(&pgproto3.CopyData{Data: rawQuery("SELECT email FROM people\x00")}, ask(stream))
		},
		"Query behind":       func(c *rawClient) { c.send(ask(stream), ask("SELECT email FROM people"), ask("BASE_BACKUP")) },
		"Describe and Flush": func(c *rawClient) { c.send(&pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Flush{}, &pgproto3.Sync{}) },
	} {
		c, w := r.watchedReplication(t, "database")
		send(c)
		c.send(&pgproto3.Terminate{})
		got := c.end()
		if found := w.leaks(); len(found) > 0 || slices.Contains(got, "CopyBothResponse") {
			t.Errorf("%s: %q leaked: %q", name, found, got)
		}
		c, _ = r.watchedReplication(t, "database")
		r.twinOfReplication(t, c, "database")
		_ = c.conn.Close()
	}
}

// Without masks the same commands do send what the tests above look for.
func TestReplicationWithoutMasks(t *testing.T) {
	r, slot := leakRig(t, allowAll(), nil)
	for mode, text := range map[string]string{"database": "START_REPLICATION SLOT " + slot + " LOGICAL 0/0", "true": "BASE_BACKUP (CHECKPOINT 'fast')"} {
		c, _ := r.watchedReplication(t, mode)
		c.send(ask(text))
		for {
			if d, ok := c.next().(*pgproto3.CopyData); ok && bytes.Contains(d.Data, []byte("canary-ada")) {
				break
			}
		}
		_ = c.conn.Close()
	}
}

// A mask in an earlier verdict of the session counts, and one that only looks for something.
func TestMasksElsewhereRefuseReplication(t *testing.T) {
	for name, m := range map[string]policy.Mask{
		"column": {Table: "public.people", Column: "email", Method: "redact"}, "search": {Table: "*.*", Column: "*", Method: "redact", Detect: []string{"email"}},
	} {
		r, slot := leakRig(t, policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
			d := policy.Decision{Outcome: policy.Allow, Revision: "1"}
			if strings.Contains(in.Command.Text, "people") {
				d.Masks = []policy.Mask{m}
			}
			return d, nil
		}), nil)
		c, w := r.watchedReplication(t, "database")
		c.answered(1, ask("SELECT email FROM people"))
		c.query("START_REPLICATION SLOT "+slot+" LOGICAL 0/0", "ERROR 42501", "ZI")
		r.twinOfReplication(t, c, "database")
		if found := w.leaks(); len(found) > 0 {
			t.Errorf("%s: %q leaked", name, found)
		}
	}
}
