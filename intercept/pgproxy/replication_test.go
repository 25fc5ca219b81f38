package pgproxy_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

// replicationRig is a gateway in front of a server that standbys may connect to.
func replicationRig(t *testing.T, c rigConfig) *rig {
	t.Helper()
	c.pg = append(c.pg, testserver.Replication())
	return newRig(t, c)
}

// Replication is put to the policy, however it is asked for, when connecting is judged.
func TestReplicationIsPutToThePolicy(t *testing.T) {
	for _, test := range []struct{ value, text string }{
		{"true", "replication=true"}, {"TR", "replication=true"}, {"y", "replication=true"}, {"On", "replication=true"}, {"1", "replication=true"}, {"database", "replication=database"},
	} {
		for _, outcome := range []policy.Outcome{policy.Deny, policy.Allow} {
			var asked []policy.Command
			r := replicationRig(t, rigConfig{driver: onReactor, policy: policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
				asked = append(asked, *in.Command)
				return policy.Decision{Outcome: outcome, Revision: "1", Reasons: []policy.Reason{{Rule: "log", Message: "not the log"}}}, nil
			})})
			before := r.pg.Query("SELECT count(*) FROM pg_stat_replication")[0][0]
			c := r.dial(t)
			c.bytes(startupPacket(3<<16, "user", "agent", "replication", test.value))
			c.next()
			c.send(&pgproto3.PasswordMessage{Password: token})
			switch m := c.next().(type) {
			case *pgproto3.AuthenticationOk:
				if outcome != policy.Allow {
					t.Errorf("%s: let in", test.value)
				}
			case *pgproto3.ErrorResponse:
				if outcome != policy.Deny || m.Message != "headgate: not the log" || m.Severity != "FATAL" || !strings.HasPrefix(m.Detail, `{"code":`) {
					t.Errorf("%s: got %+v", test.value, m)
				}
				if n := r.pg.Query("SELECT count(*) FROM pg_stat_replication")[0][0]; n != before {
					t.Errorf("%s connections to the server, %s before", n, before)
				}
			}
			if len(asked) != 1 || asked[0].Action != policy.ActionConnect || asked[0].Text != test.text || len(asked[0].Opaque) != 1 || len(asked[0].Effects) != 2 ||
				!reflect.DeepEqual(asked[0].Effects[1], effectOn(policy.VerbRead, "replication", "orders-db")) {
				t.Errorf("%s: asked %+v", test.value, asked)
			}
		}
	}
}

func effectOn(verb, kind, name string) policy.Effect {
	return policy.Effect{Verb: verb, Kind: kind, Name: name}
}

// tool starts a program of PostgreSQL's on the gateway.
func (r *rig) tool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, testserver.Command(t, name), args...)
	cmd.Env = append(os.Environ(), r.env()...)
	return cmd
}

func (r *rig) runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := r.tool(t, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", name, err, out, r.logs)
	}
	return string(out)
}

// pg_basebackup makes backups that PostgreSQL's own tool finds good, and of which a
// standby is begun that follows the primary through the gateway.
func TestBaseBackup(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := replicationRig(t, rigConfig{driver: d, recorder: forgetting(), setup: "CREATE TABLE t AS SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g"})
		for _, args := range [][]string{
			{"-X", "stream"}, {"-X", "none"}, {"-X", "fetch", "-P"}, {"-X", "stream", "-F", "tar", "-z"},
		} {
			dir := filepath.Join(t.TempDir(), "copy")
			r.runTool(t, "pg_basebackup", append(args, "-c", "fast", "-D", dir)...)
			if slices.Contains(args, "tar") {
				continue
			}
			check := []string{dir}
			if slices.Contains(args, "none") {
				check = append(check, "-n")
			}
			if out := r.runTool(t, "pg_verifybackup", check...); !strings.Contains(out, "backup successfully verified") {
				t.Errorf("%v: %s", args, out)
			}
			if slices.Contains(args, "stream") && d == onReactor {
				r.followed(t, dir)
			}
		}
	})
}

// followed begins a standby from a backup, and waits for what the primary does next.
func (r *rig) followed(t *testing.T, backup string, more ...testserver.Option) {
	t.Helper()
	conninfo := strings.Join([]string{"host=127.0.0.1", "port=" + r.port(), "user=agent", "password=" + token, "sslmode=disable", "application_name=standby"}, " ")
	standby := testserver.Postgres(t, append(more, testserver.StandbyFrom(backup, conninfo))...)
	standby.Database = r.pg.Database
	r.pg.Exec("CREATE TABLE later AS SELECT 4711 AS n")
	deadline := time.Now().Add(patience)
	for {
		if rows := standby.Query("SELECT to_regclass('later')"); rows[0][0] != "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the standby does not follow:\n%s\n%s", standby.Log(), r.logs)
		}
	}
	if got := standby.Query("SELECT n FROM later")[0][0]; got != "4711" {
		t.Errorf("the standby has %q", got)
	}
	// its replies have got through
	r.eventually(t, "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'standby' AND replay_lsn >= (SELECT max(pg_current_wal_lsn()) - 100000)", "1")
	standby.Stop()
}

func (r *rig) port() string {
	for _, v := range r.env() {
		if port, ok := strings.CutPrefix(v, "PGPORT="); ok {
			return port
		}
	}
	return ""
}

// backup makes a base backup by hand: pg_basebackup is not for newer servers.
func (r *rig) backup(t *testing.T) string {
	t.Helper()
	c := r.sessionOf(t, 3<<16, "replication", "true")
	c.send(ask("BASE_BACKUP (LABEL 'by hand', CHECKPOINT 'fast', WAL 1, MANIFEST 'no')"))
	dir := t.TempDir()
	var archive bytes.Buffer
	for {
		m := c.next()
		if e, ok := m.(*pgproto3.ErrorResponse); ok {
			t.Fatalf("%+v", e)
		}
		if d, ok := m.(*pgproto3.CopyData); ok && d.Data[0] == 'd' {
			archive.Write(d.Data[1:])
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			break
		}
	}
	unpack(t, &archive, dir)
	return dir
}

func unpack(t *testing.T, archive io.Reader, dir string) {
	t.Helper()
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			var content []byte
			content, err = io.ReadAll(in)
			err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestStandby(t *testing.T) {
	eachVersion(t, func(t *testing.T, version []testserver.Option) {
		r := replicationRig(t, rigConfig{driver: onReactor, pg: version, recorder: forgetting()})
		r.followed(t, r.backup(t), version...)
	})
}

// pg_receivewal gets the same bytes as directly.
func TestReceiveWAL(t *testing.T) {
	r := replicationRig(t, rigConfig{driver: onReactor, recorder: forgetting(), pg: []testserver.Option{testserver.Own()}})
	through, directly := t.TempDir(), t.TempDir()
	r.runTool(t, "pg_receivewal", "--create-slot", "--slot", "through")
	first, end := r.pg.Query("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")[0][0], r.pg.Query("SELECT pg_current_wal_insert_lsn() + (2 << 20)")[0][0]
	cmd := r.tool(t, "pg_receivewal", "--slot", "through", "-D", through, "-n", "-E", end)
	direct := r.tool(t, "pg_receivewal", "-D", directly, "-n", "-E", end)
	direct.Env = r.pg.Env()
	for _, c := range []*exec.Cmd{cmd, direct} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	r.eventually(t, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "2")
	r.pg.Exec("CREATE TABLE t AS SELECT g FROM generate_series(1, 50000) g; CHECKPOINT")
	for _, c := range []*exec.Cmd{cmd, direct} {
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %v", c.Args, err)
		}
	}
	want, err := os.ReadFile(filepath.Join(directly, first))
	got, err2 := os.ReadFile(filepath.Join(through, first))
	if err != nil || err2 != nil || !bytes.Equal(got, want) {
		t.Errorf("segment %s: %d bytes and %d directly, %v, %v", first, len(got), len(want), err, err2)
	}
	r.runTool(t, "pg_receivewal", "--drop-slot", "--slot", "through")
}

// pg_recvlogical gets the changes.
func TestReceiveLogical(t *testing.T) {
	eachVersion(t, func(t *testing.T, version []testserver.Option) {
		r := replicationRig(t, rigConfig{driver: onReactor, pg: version, setup: "CREATE TABLE t (n int PRIMARY KEY, v text)"})
		slot := "s_" + r.pg.Database
		r.runTool(t, "pg_recvlogical", "-d", r.pg.Database, "--slot", slot, "--create-slot", "-P", "test_decoding")
		r.pg.Exec("INSERT INTO t VALUES (1, 'first'), (2, repeat('long', 30000))")
		out := filepath.Join(t.TempDir(), "changes")
		r.pg.Exec("UPDATE t SET v = 'second' WHERE n = 1")
		r.runTool(t, "pg_recvlogical", "-d", r.pg.Database, "--slot", slot, "--start", "-f", out, "-o", "include-xids=0", "-E", r.position())
		got, err := os.ReadFile(out)
		for _, want := range []string{"INSERT: n[integer]:1 v[text]:'first'", strings.Repeat("long", 30000), "UPDATE: n[integer]:1 v[text]:'second'"} {
			if !strings.Contains(string(got), want) {
				t.Errorf("%.20s is not among the changes, %d bytes, %v", want, len(got), err)
			}
		}
		r.runTool(t, "pg_recvlogical", "-d", r.pg.Database, "--slot", slot, "--drop-slot")
		r.wantRecorded(t, "CREATE_REPLICATION_SLOT", "START_REPLICATION", "DROP_REPLICATION_SLOT", "UPDATE: n[integer]:1")
	})
}

// position is where the log ends, once it is written so far.
func (r *rig) position() string {
	r.t.Helper()
	end := r.pg.Query("SELECT pg_current_wal_insert_lsn()")[0][0]
	r.pg.Exec("SELECT pg_logical_emit_message(false, 'test', 'beyond the end'); CHECKPOINT")
	return end
}

// wantRecorded checks that texts are in the record of some session.
func (r *rig) wantRecorded(t *testing.T, texts ...string) {
	t.Helper()
	var all bytes.Buffer
	for _, session := range r.recorder.Sessions() {
		for _, e := range r.recorder.Entries(session) {
			if e.Type == record.TypeOutput || e.Type == record.TypeCommand {
				all.Write(e.Payload)
			}
		}
	}
	for _, text := range texts {
		if !strings.Contains(all.String(), text) {
			t.Errorf("%q is not in the record", text)
		}
	}
}
