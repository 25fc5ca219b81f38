package pgproxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/testserver"
)

// TestClients compares what stock drivers see through the gateway with what they
// see directly.
func TestClients(t *testing.T) {
	schema, err := os.ReadFile(filepath.Join("testdata", "clients", "schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{"node", "python"} {
		t.Run(client, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, d driver) {
				r := newRig(t, rigConfig{driver: d, recorder: forgetting(), setup: string(schema)})
				direct := steps(t, testserver.RunClient(t, client, append(r.pg.Env(), "HEADGATE_CLIENT_MB=2")))
				through := steps(t, testserver.RunClient(t, client, append(r.env(), "HEADGATE_CLIENT_MB=2")))
				for name, want := range direct {
					if !reflect.DeepEqual(through[name], want) {
						t.Errorf("%s: got\n%s\nwant\n%s", name, mustJSON(t, through[name]), mustJSON(t, want))
					}
				}
				if len(through) != len(direct) {
					t.Errorf("%d steps, want %d", len(through), len(direct))
				}
			})
		})
	}
}

func steps(t *testing.T, report []byte) map[string]any {
	t.Helper()
	var r struct{ Steps map[string]any }
	if err := json.Unmarshal(report, &r); err != nil || len(r.Steps) == 0 {
		t.Fatalf("%v in %s", err, report)
	}
	return r.Steps
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const psqlScript = `\set ON_ERROR_STOP off
\set VERBOSITY verbose
\pset null '(null)'
CREATE TABLE notes (id serial PRIMARY KEY, body text NOT NULL, at date DEFAULT '2020-02-02');
CREATE INDEX notes_body ON notes (body);
\d notes
\dt
\d+ notes
\dn
\df pg_sleep
\l
INSERT INTO notes (body) VALUES ('one'), ('two') RETURNING id, body;
SELECT nothing;
SELECT 1/0;
INSERT INTO notes (body) VALUES (NULL);
DO $$ BEGIN RAISE NOTICE 'a notice'; RAISE WARNING 'a warning'; END $$;
BEGIN;
DELETE FROM notes;
SAVEPOINT a;
SELECT broken;
ROLLBACK TO a;
SELECT count(*) FROM notes;
ROLLBACK;
SELECT * FROM notes ORDER BY id \gx
SELECT 1 AS a \; SELECT 2 AS b;
SELECT format('SELECT %s', n) FROM generate_series(1, 3) n \gexec
\set FETCH_COUNT 2
SELECT n FROM generate_series(1, 5) n;
DROP TABLE notes;
`

func TestPsql(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for name, args := range map[string][]string{
			"stdin": nil,
			"-c":    {"-c", "SELECT 1 AS x; SELECT 2 AS y", "-c", "SELECT nothing", "-c", "SELECT 3"},
			"-1":    {"-1", "-c", "CREATE TABLE one (a int)", "-c", "SELECT 1/0"},
		} {
			direct, through := psqlPrints(t, r.pg.Env(), args), psqlPrints(t, append(os.Environ(), r.env()...), args)
			if direct != through {
				t.Errorf("%s: got\n%s\nwant\n%s", name, through, direct)
			}
		}
	})
}

// psqlPrints returns all that psql prints. Lines of the server's source, which
// VERBOSITY verbose shows, are the same on both ways.
func psqlPrints(t *testing.T, env, args []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, testserver.Command(t, "psql"), append([]string{"-X", "--no-password"}, args...)...)
	cmd.Env = env
	cmd.Stdin = strings.NewReader(psqlScript)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("psql %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestPgbench(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting()})
		runPgbench(t, r.pg.Env(), "-i", "-q", "-s", "1")
		for _, mode := range []string{"simple", "extended", "prepared"} {
			runPgbench(t, append(os.Environ(), r.env()...), "-n", "-S", "-M", mode, "-c", "8", "-t", "100")
			runPgbench(t, append(os.Environ(), r.env()...), "-n", "-M", mode, "-c", "8", "-t", "10")
			runPgbench(t, append(os.Environ(), r.env()...), "-n", "-S", "-C", "-M", mode, "-c", "2", "-t", "5") // a connection for each
		}
		if rows := r.pg.Query("SELECT count(*), sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts) FROM pgbench_history"); rows[0][0] != "240" || rows[0][1] != "t" {
			t.Errorf("the history holds %q, want 240 rows that add up", rows)
		}
	})
}

func runPgbench(t *testing.T, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, testserver.Command(t, "pgbench"), args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil || args[0] == "-n" && !bytes.Contains(out, []byte("number of failed transactions: 0 ")) {
		t.Fatalf("pgbench %q: %v\n%s", args, err, out)
	}
}
