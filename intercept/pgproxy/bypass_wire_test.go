package pgproxy_test

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/internal/testserver"
)

// The search for canaries finds each of them where nothing hides it.
func TestCanariesAreFound(t *testing.T) {
	r := newBypassRig(t, allowAll())
	for _, m := range modes() {
		conn, wire := r.connectWatched(t)
		for _, table := range []string{"people", "vips", "events", `"People Data"`} {
			if _, err := m.run(t.Context(), conn, "SELECT * FROM "+table); err != nil {
				t.Fatal(err)
			}
		}
		if found := wire.leaks(); len(found) != len(canaries()) {
			t.Errorf("%s: found only %q", m.name, found)
		}
	}
	for _, sql := range []string{
		"SELECT reverse(email) FROM people WHERE id = 1", "SELECT upper(email) FROM people WHERE id = 1", "SELECT encode(('x' || email)::bytea, 'base64') FROM people WHERE id = 1",
		"SELECT email::bytea FROM people WHERE id = 1", "SELECT substr(email, g, 1) FROM people, generate_series(1, 30) g WHERE id = 1 ORDER BY g",
		"SELECT ascii(substr(email, g, 1)) FROM people, generate_series(1, 30) g WHERE id = 1 ORDER BY g", "SELECT email::int FROM people WHERE id = 1",
	} {
		for _, m := range modes() {
			conn, wire := r.connectWatched(t)
			_, _ = m.run(t.Context(), conn, sql)
			if found := strings.Join(wire.leaks(), ","); found != "canary-ada" {
				t.Errorf("%s: %s: found %q", m.name, sql, found)
			}
		}
	}
}

// Statements that are sent before the answers to earlier ones have come are judged
// by what those will have done. The twins return
// rows, masked where what they read was changed just before.
func TestBypassByPipeline(t *testing.T) {
	for name, c := range map[string]struct{ sqls, twin []string }{
		"rename":   {[]string{"ALTER TABLE orders RENAME TO o2", "ALTER TABLE people RENAME TO orders", "SELECT * FROM orders"}, []string{"ALTER TABLE notes RENAME TO n2", "SELECT item FROM orders"}},
		"view":     {[]string{"DROP VIEW orders_view", "CREATE VIEW orders_view AS SELECT id FROM people", "SELECT * FROM orders_view"}, []string{"CREATE VIEW fine AS SELECT item FROM orders", "SELECT item FROM fine"}},
		"swap":     {[]string{"ALTER TABLE orders RENAME TO o2", "ALTER VIEW people_view RENAME TO orders", "SELECT * FROM orders"}, []string{"ALTER VIEW orders_view RENAME TO o3", "SELECT item FROM o3"}},
		"sequence": {[]string{"ALTER TABLE notes RENAME TO n2", "ALTER TABLE orders RENAME TO notes", "INSERT INTO notes SELECT * FROM people"}, []string{"INSERT INTO notes (body) SELECT item FROM orders", "SELECT body FROM notes"}},
		"prepared": {[]string{"PREPARE p AS SELECT * FROM people", "EXECUTE p", "DEALLOCATE p", "PREPARE p AS SELECT item FROM orders", "EXECUTE p"}, []string{"PREPARE p AS SELECT item FROM orders", "EXECUTE p"}},
	} {
		for _, each := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				for i, sqls := range [][]string{c.sqls, c.twin} {
					r := newBypassRig(t, maskedColumns())
					conn, wire := r.connectWatched(t)
					p := conn.PgConn().StartPipeline(t.Context())
					for _, sql := range sqls {
						p.SendQueryParams(sql, nil, nil, nil, nil)
						if each {
							p.SendPipelineSync()
						}
					}
					drain(t, p, conn)
					if found := wire.leaks(); len(found) > 0 {
						t.Errorf("%q leaked", found)
					}
					if i == 1 && !bytes.Contains(wire.got, []byte("SELECT 2\x00")) {
						t.Errorf("the twin got %q", wire.got)
					}
				}
			})
		}
	}
}

func drain(t *testing.T, p *pgconn.Pipeline, conn *pgx.Conn) {
	t.Helper()
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	for {
		results, err := p.GetResults()
		if reader, ok := results.(*pgconn.ResultReader); ok {
			reader.Read()
			continue
		}
		if results == nil && err == nil || conn.PgConn().IsClosed() {
			break
		}
	}
	_ = p.Close() // what failed has been seen
}

// What psql asks of the system catalogue is answered as the server answers it.
func TestPsqlDescribesUnderMasks(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	psql := testserver.Command(t, "psql")
	for _, command := range []string{
		`\d`, `\d people`, `\d+ people`, `\d orders_view`, `\dt`, `\dt+`, `\di`, `\dv`, `\dm`, `\ds`, `\df`, `\du`, `\dn+`, `\dT`, `\dx`,
		`\do <~>`, `\l`, `\dp`, `\ddp`, `\dC`, `\sf leak`, `\sv orders_view`, `\d tickets`, `\dRp`, `\dy`, `\dF`, `\dconfig work_mem`, `\conninfo`,
	} {
		masked := describeByPsql(t, psql, r.env(), command)
		direct := describeByPsql(t, psql, r.pg.Env(), command)
		if command == `\conninfo` {
			continue // names another port
		}
		if masked != direct {
			t.Errorf("%s: got\n%s\nwant\n%s", command, masked, direct)
		}
	}
}

func describeByPsql(t *testing.T, psql string, env []string, command string) string {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), psql, "-X", "-q", "-c", command)
	cmd.Env = append(env, "LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", command, err, out)
	}
	return string(out)
}
