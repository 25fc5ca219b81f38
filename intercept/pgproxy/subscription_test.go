package pgproxy_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
)

// conninfo is what leads a server, as a client, to the gateway.
func (r *rig) conninfo() string {
	return strings.Join([]string{"host=127.0.0.1", "port=" + r.port(), "user=agent", "password=" + token, "sslmode=disable", "dbname=" + r.pg.Database}, " ")
}

// A subscriber copies a table and gets its changes through the gateway.
func TestSubscription(t *testing.T) {
	eachVersion(t, func(t *testing.T, version []testserver.Option) {
		const setup = "CREATE TABLE t (n int PRIMARY KEY, v text)"
		r := replicationRig(t, rigConfig{driver: onReactor, pg: version, setup: setup + "; INSERT INTO t VALUES (1, 'copied'); CREATE PUBLICATION p FOR TABLE t"})
		subscriber := testserver.Postgres(t, append(version, testserver.Own())...)
		subscriber.Exec(setup)
		name := "sub_" + r.pg.Database
		subscriber.Exec("CREATE SUBSCRIPTION " + name + " CONNECTION '" + r.conninfo() + "' PUBLICATION p")
		r.pg.Exec("INSERT INTO t VALUES (2, 'streamed'); UPDATE t SET v = v || '!' WHERE n = 1; SELECT pg_switch_wal()")
		deadline := time.Now().Add(patience)
		for {
			rows := subscriber.Query("SELECT string_agg(v, ',' ORDER BY n) FROM t")
			if rows[0][0] == "copied!,streamed" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the subscriber has %q\n%s\n%s", rows, subscriber.Log(), r.logs)
			}
		}
		subscriber.Exec("DROP SUBSCRIPTION " + name)
		if n := r.pg.Query("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE '" + name + "%'")[0][0]; n != "0" {
			t.Errorf("%s slots are left", n)
		}
	})
}

// Startup options are carried as a subscriber writes them, and no others.
func TestOptionsOfSubscriber(t *testing.T) {
	r := replicationRig(t, rigConfig{driver: onReactor})
	c := r.sessionOf(t, 3<<16, "replication", "database", "options", "-c datestyle=German  -c IntervalStyle=iso_8601 -c extra_float_digits=0")
	c.query("SELECT current_setting('DateStyle') || current_setting('IntervalStyle') || current_setting('extra_float_digits')", append(answer("SELECT 1", "German, DMYiso_86010"), "ZI")...)
	for _, options := range []string{
		"-c search_path=x", "-c datestyle=ISO -c role=postgres", "-c datestyle", "-cdatestyle=ISO", "--datestyle=ISO", "-c datestyle=ISO\\ -c", "-c datestyle='ISO'", "datestyle=ISO", "-c", "-c session_authorization=x",
		"-c standard_conforming_strings=off", "-c replication=true",
	} {
		c := r.dial(t)
		c.bytes(startupPacket(3<<16, "user", "agent", "replication", "database", "options", options))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		if got := c.end(); len(got) != 1 || got[0] != "FATAL 0A000" {
			t.Errorf("%q: got %q", options, got)
		}
	}
}

// Where the server relies on being told who a session belongs to, there is no replication.
func TestPropagationRefusesReplication(t *testing.T) {
	for holds, propagate := range map[bool]pgproxy.Propagation{
		true: {Settings: map[string]func(*policy.Identity) (string, error){"headgate.subject": pgproxy.Subject}}, false: {ApplicationName: true},
	} {
		r := replicationRig(t, rigConfig{driver: onReactor, proxy: pgproxy.Config{Propagate: propagate}})
		for _, mode := range []string{"true", "database"} {
			c := r.dial(t)
			c.bytes(startupPacket(3<<16, "user", "agent", "replication", mode))
			c.next()
			c.send(&pgproto3.PasswordMessage{Password: token})
			if got := short(c.next()); (got == "FATAL 0A000") != holds {
				t.Errorf("holds %t, replication=%s: got %q", holds, mode, got)
			}
			_ = c.conn.Close()
		}
	}
}

// An incremental backup is made by a manifest that the client sends (PostgreSQL 17).
func TestIncrementalBackup(t *testing.T) {
	r := replicationRig(t, rigConfig{driver: onReactor, recorder: forgetting(), pg: []testserver.Option{testserver.Version18(), testserver.Config("summarize_wal=on")}})
	c := r.sessionOf(t, 3<<16, "replication", "true")
	manifest := c.manifestOf("BASE_BACKUP (CHECKPOINT 'fast', MANIFEST 'yes')")
	if !bytes.HasPrefix(manifest, []byte("{")) || !bytes.HasSuffix(bytes.TrimSpace(manifest), []byte("}")) {
		t.Fatalf("got a manifest of %d bytes", len(manifest))
	}
	r.pg.Exec("CREATE TABLE t AS SELECT g FROM generate_series(1, 10000) g; CHECKPOINT")
	c.send(ask("UPLOAD_MANIFEST"))
	if got := short(c.next()); got != "CopyInResponse" {
		t.Fatalf("got %q", got)
	}
	for len(manifest) > 0 {
		n := min(len(manifest), 10_000)
		c.send(&pgproto3.CopyData{Data: manifest[:n]})
		manifest = manifest[n:]
	}
	c.send(&pgproto3.CopyDone{})
	c.expect("UPLOAD_MANIFEST", "ZI")
	if manifest := c.manifestOf("BASE_BACKUP (CHECKPOINT 'fast', INCREMENTAL, MANIFEST 'yes')"); !bytes.Contains(manifest, []byte("INCREMENTAL.")) {
		t.Errorf("the second backup is not incremental: %d bytes", len(manifest))
	}
}

// manifestOf makes a backup and returns its manifest.
func (w *rawClient) manifestOf(command string) []byte {
	w.t.Helper()
	w.send(ask(command))
	var manifest []byte
	inManifest := false
	for {
		switch m := w.next().(type) {
		case *pgproto3.CopyData:
			inManifest = m.Data[0] == 'm' || inManifest && m.Data[0] != 'n'
			if inManifest && m.Data[0] == 'd' {
				manifest = append(manifest, m.Data[1:]...)
			}
		case *pgproto3.ErrorResponse:
			w.t.Fatalf("%+v", m)
		case *pgproto3.ReadyForQuery:
			return manifest
		}
	}
}
