//go:build unix

package testserver_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/internal/testserver/checkout"
)

// A report is what a client program prints.
type report struct {
	Client string
	Steps  map[string]json.RawMessage
}

func runClient(t *testing.T, name string, pg *testserver.PG) report {
	t.Helper()
	var r report
	if err := json.Unmarshal(testserver.RunClient(t, name, append(pg.Env(), "HEADGATE_CLIENT_MB=1")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func loadSchema(t *testing.T, pg *testserver.PG) {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	sql, err := os.ReadFile(filepath.Join(root, "intercept", "pgproxy", "testdata", "clients", "schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	pg.Exec(string(sql))
}

// Every step works against a server itself, and two runs give the same report:
// what differs through the gateway is then the gateway's doing.
func TestClientsAreSteady(t *testing.T) {
	for name, steps := range map[string]int{"node": 12, "python": 13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg := testserver.Postgres(t)
			loadSchema(t, pg)
			first, second := runClient(t, name, pg), runClient(t, name, pg)
			if len(first.Steps) != steps {
				t.Errorf("%d steps ran, want %d", len(first.Steps), steps)
			}
			for step, outcome := range first.Steps {
				if failed(outcome) {
					t.Errorf("step %s failed: %s", step, outcome)
				}
				if string(outcome) != string(second.Steps[step]) {
					t.Errorf("step %s differs from run to run:\n%s\n%s", step, outcome, second.Steps[step])
				}
			}
		})
	}
}

// failed reports whether a step ended in an error of its own. The step "cancel"
// has the error that it wants beside other fields.
func failed(outcome json.RawMessage) bool {
	var fields map[string]json.RawMessage
	return json.Unmarshal(outcome, &fields) == nil && len(fields) == 1 && fields["error"] != nil
}

func TestClientsByTLS(t *testing.T) {
	for _, name := range []string{"node", "python"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg := testserver.Postgres(t, testserver.TLS())
			loadSchema(t, pg)
			for step, outcome := range runClient(t, name, pg).Steps {
				if failed(outcome) {
					t.Errorf("step %s failed: %s", step, outcome)
				}
			}
		})
	}
}

func TestPsql(t *testing.T) {
	pg := testserver.Postgres(t)
	cmd := exec.Command(testserver.Command(t, "psql"), "-X", "-At", "-c", "SELECT current_database(), current_user")
	cmd.Env = pg.Env()
	out, err := cmd.CombinedOutput()
	if want := pg.Database + "|" + pg.User; err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("psql printed %q, %v; want %q", out, err, want)
	}
}

func TestPgbench(t *testing.T) {
	pg := testserver.Postgres(t)
	for _, args := range [][]string{{"-i", "-q"}, {"-S", "-t", "10", "-M", "prepared"}} {
		cmd := exec.Command(testserver.Command(t, "pgbench"), args...)
		cmd.Env = pg.Env()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("pgbench %v: %v\n%s", args, err, out)
		}
	}
}
